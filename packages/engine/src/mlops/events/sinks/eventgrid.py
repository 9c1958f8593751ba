"""A custom topic of Azure Event Grid, by Microsoft's own client and the caller's identity (no access key)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlops.errors import TargetError
from mlops.events import envelope
from mlops.events.sinks.base import Refused, Undelivered, retry_after, retryable
from mlops.spec.sinks import EventGridSink

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from cloudevents.core.v1.event import CloudEvent

TIMEOUT = 10.0
"""Seconds for one request."""


def open_topic(settings: EventGridSink) -> Topic:
    """With the identity that `azure-identity` finds: the job's federation, az login, a managed identity."""
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError:
        raise _missing() from None
    # A person in a browser is nobody whom a verb may wait for.
    return Topic(settings.endpoint, DefaultAzureCredential(exclude_interactive_browser_credential=True))


def _missing() -> TargetError:
    return TargetError(
        "Event Grid needs azure-eventgrid and azure-identity; install them with: uv sync --group azure"
    )


class Topic:
    """`options` go with every request: the client forgets those that its constructor is given."""

    batches = True

    def __init__(self, endpoint: str, credential: TokenCredential, **options: Any) -> None:
        try:
            from azure.eventgrid import EventGridPublisherClient
        except ImportError:
            raise _missing() from None
        # Attempts and pauses are the outbox's business, the same for every sink.
        self._options = {
            "retry_total": 0,
            "connection_timeout": TIMEOUT,
            "read_timeout": TIMEOUT,
            **options,
        }
        self._client = EventGridPublisherClient(endpoint, credential)

    def send(self, events: Sequence[CloudEvent]) -> None:
        from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

        try:
            self._client.send([envelope.plain(event) for event in events], **self._options)
        except ClientAuthenticationError as error:
            raise Undelivered(f"Event Grid or Entra ID does not let us in: {_first(error)}") from None
        except HttpResponseError as error:
            said = f"Event Grid answered {error.status_code}: {_first(error)}"
            if error.status_code is not None and not retryable(error.status_code):
                raise Refused(said) from None
            answer = getattr(error.response, "headers", None) or {}
            raise Undelivered(said, retry_after(answer.get("Retry-After"))) from None
        except AzureError as error:
            raise Undelivered(f"no answer from Event Grid: {_first(error)}") from None

    def close(self) -> None:
        self._client.close()


def _first(error: Exception) -> str:
    """The first line: what follows is the client's advice on its own classes."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

"""What a sink is, and the two ways in which it can say no."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from mlops.errors import TargetError

if TYPE_CHECKING:
    from cloudevents.core.v1.event import CloudEvent


class Undelivered(TargetError):
    """Not now; later it may. `retry_after` (seconds) is what the sink asked for."""

    def __init__(self, sentence: str, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class Refused(TargetError):
    """Never: the sink answered, and sending the same again would give the same answer."""


class Opened(Protocol):
    """An open connection to a sink."""

    batches: bool
    """Whether `send` may be given several events, which it takes or refuses together."""

    def send(self, events: Sequence[CloudEvent]) -> None:
        """Returns when the sink has them; raises `Undelivered` or `Refused`."""

    def close(self) -> None:
        """Let go of what was opened."""


def retryable(status: int) -> bool:
    """Whether an HTTP status may be another one later: time-outs, throttling, the server's own trouble.

    401 and 403 count too: a key that is being rotated must not cost events.
    """
    return status in (401, 403, 408, 425, 429) or status >= 500


def retry_after(value: str | None) -> float | None:
    """Seconds of a `Retry-After` header; None when it is absent or a date."""
    return float(value) if value and value.isdigit() else None

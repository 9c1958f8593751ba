"""Events that come in: read them, and have each handler act on each event once."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlops.errors import InvalidInput, MlopsError
from mlops.events import azure, envelope
from mlops.events.outbox import Outbox
from mlops.spec.sinks import HandlerSettings

if TYPE_CHECKING:
    from cloudevents.core.v1.event import CloudEvent

Handler = Callable[[Mapping[str, Any]], None]
"""Called with the event as plain data (`specversion`, `id`, `type`, `data` …); raises `MlopsError` when it
could not act, and is then called again with the event's next delivery."""


@dataclass(frozen=True)
class Handled:
    """What became of one event at one handler."""

    event: str
    type: str
    handler: str
    outcome: Literal["done", "done before", "failed"]
    detail: str = ""


def read(text: str, where: str, source: str) -> list[CloudEvent]:
    """Events of a document: one, a batch (JSON array), or one a line; Azure ML's own in our words.

    Raises `InvalidInput` for what is no CloudEvent, and for a type that the lifecycle does not have.
    """
    events = []
    for number, document in enumerate(_documents(text, where), start=1):
        place = f"{where}, event {number}"
        if not isinstance(document, dict):
            raise InvalidInput(f"{place}: must be a JSON object")
        if azure.is_azure(document):
            events += azure.translate(document, source)
            continue
        event = envelope.from_json(json.dumps(document), place)
        envelope.fact_of(event)
        events.append(event)
    return events


def _documents(text: str, where: str) -> list[Any]:
    try:
        whole = json.loads(text)
    except ValueError:
        try:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise InvalidInput(f"{where}: neither JSON nor JSON lines: {error}") from None
    return whole if isinstance(whole, list) else [whole]


def resolve(settings: HandlerSettings, root: Path) -> Handler:
    """The function `package.module:function` of the fork, found below src/; raises `InvalidInput`."""
    module, _, name = settings.run.partition(":")
    source = str(root / "src")
    if source not in sys.path:
        sys.path.insert(0, source)
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InvalidInput(f"mlops.toml: events.handlers.run {settings.run!r}: {error}") from None
    if not callable(function):
        raise InvalidInput(f"mlops.toml: events.handlers.run {settings.run!r} is no function")
    handler: Handler = function
    return handler


def handle(
    events: Sequence[CloudEvent],
    handlers: Sequence[tuple[HandlerSettings, Handler]],
    outbox: Outbox,
) -> list[Handled]:
    """Every handler that wants an event gets it once; one that fails is reported and the others go on.

    Killed between a handler's act and our note of it, it acts again with the next delivery: it is given the
    event's id, and what it starts should be keyed by that.
    """
    done = []
    with _alone(outbox.path.with_name("handle.lock")):
        for event in events:
            for settings, run in handlers:
                if event.get_type() in settings.types:
                    done.append(_once(event, settings.run, run, outbox))
    return done


def _once(event: CloudEvent, name: str, run: Handler, outbox: Outbox) -> Handled:
    identity, kind = event.get_id(), event.get_type()
    if outbox.was_handled(identity, name):
        return Handled(identity, kind, name, "done before")
    try:
        run(envelope.plain(event))
    except MlopsError as error:
        return Handled(identity, kind, name, "failed", str(error))
    outbox.mark_handled(identity, name, datetime.now(UTC))
    return Handled(identity, kind, name, "done")


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two deliveries of one event at once must not both find it unhandled; the second waits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield

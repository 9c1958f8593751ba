"""The two calls that the rest of the repository makes: `publish` a fact, `flush` what waits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from mlops.errors import MlopsError
from mlops.spec.events import Fact
from mlops.spec.settings import Settings, load_settings
from mlops.spec.sinks import sink_name

Announce = Callable[[Fact, datetime], object]
"""How code that knows no repository tells a fact."""

_log = logging.getLogger("mlops.events")
_touched: set[Path] = set()


def silent(_fact: Fact, _at: datetime) -> None:
    """An `Announce` for those who tell nobody."""


def touched() -> list[Path]:
    """Repositories in which this process published since the last call."""
    repositories = sorted(_touched)
    _touched.clear()
    return repositories


def publish(root: Path, fact: Fact, at: datetime | None = None) -> str:
    """Tell a fact that happened `at` (default: now) in the repository `root`; answers the event's id.

    It is durable when this returns and will be delivered at least once. Telling it again changes nothing.
    When the outbox itself cannot be written the fact is lost with a warning: what was done must not be undone
    or fail because nobody could be told.
    """
    from mlops.events import envelope
    from mlops.events.outbox import Outbox

    try:
        settings = load_settings(root)
        event = envelope.make(fact, envelope.source_of(settings.project.name), at or datetime.now(UTC))
        sinks = [sink_name(sink) for sink in settings.events.sinks if sink.takes(fact.type)]
        Outbox(outbox_path(root, settings)).add(event, sinks)
        # Also when it was there: whoever runs a killed verb again delivers what the first one told.
        _touched.add(root)
        return event.get_id()
    except (MlopsError, OSError) as error:
        _log.warning("the event %s about %s was not kept: %s", fact.type, fact.subject, error)
        return ""


def outbox_path(root: Path, settings: Settings) -> Path:
    """Where the outbox of a repository is."""
    from mlops.events.outbox import FILE

    return root / settings.local.state / FILE


def flush(root: Path, *, patient: bool = False) -> list[str]:
    """Deliver what waits; answers one sentence for each sink that does not take its events.

    `patient` tries for a minute instead of seconds. Raises `InvalidInput` for wrong settings, `TargetError`
    when the outbox cannot be read; a sink raises nothing.
    """
    from mlops.events.deliver import deliver
    from mlops.events.outbox import Outbox

    settings = load_settings(root)
    if not settings.events.sinks:
        return []
    return deliver(root, settings.events.sinks, Outbox(outbox_path(root, settings)), patient=patient)

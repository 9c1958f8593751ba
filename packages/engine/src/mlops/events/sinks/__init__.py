"""Where events go: one module a kind of sink."""

from __future__ import annotations

from pathlib import Path

from mlops.events.sinks.base import Opened, Refused, Undelivered
from mlops.spec.sinks import EventGridSink, FileSink, WebhookSink

__all__ = ["Opened", "Refused", "Undelivered", "open_sink"]


def open_sink(root: Path, settings: FileSink | WebhookSink | EventGridSink) -> Opened:
    """The sink of one table of `[[events.sinks]]`; raises `InvalidInput` or `TargetError` when it lacks
    something (a variable, a package)."""
    match settings:
        case FileSink():
            from mlops.events.sinks.file import File

            return File(root / settings.path)
        case WebhookSink():
            from mlops.events.sinks.webhook import open_webhook

            return open_webhook(settings)
        case EventGridSink():
            from mlops.events.sinks.eventgrid import open_topic

            return open_topic(settings)

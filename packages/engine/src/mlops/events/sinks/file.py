"""A file with one event a line: for `tail -f`, a log shipper, a job artifact."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.events import envelope
from mlops.events.sinks.base import Undelivered

if TYPE_CHECKING:
    from cloudevents.core.v1.event import CloudEvent


class File:
    """Appends; a line is whole or not there as far as one `write` is."""

    batches = True

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, events: Sequence[CloudEvent]) -> None:
        text = b"".join(envelope.to_json(event) + b"\n" for event in events)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise Undelivered(f"{self._path}: {error.strerror}") from None

    def close(self) -> None:
        pass

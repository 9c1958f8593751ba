"""A file with one event a line: for `tail -f`, a log shipper, a job artifact."""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.events import envelope
from mlops.events.sinks.base import Undelivered

if TYPE_CHECKING:
    from cloudevents.core.v1.event import CloudEvent


_BLOCK = 1 << 16


class File:
    """Appends whole lines. Half of one, by a kill or a full disk, goes: its event was never delivered."""

    batches = True

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, events: Sequence[CloudEvent]) -> None:
        text = b"".join(envelope.to_json(event) + b"\n" for event in events)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a+b", buffering=0) as stream:
                end = _whole(stream)
                stream.truncate(end)
                try:
                    _write(stream, text)
                    os.fsync(stream.fileno())
                except OSError:
                    stream.truncate(end)
                    raise
        except OSError as error:
            raise Undelivered(f"{self._path}: {error.strerror}") from None

    def close(self) -> None:
        pass


def _whole(stream: FileIO) -> int:
    """Where the last whole line ends."""
    end = stream.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _BLOCK)
        stream.seek(start)
        block = stream.read(end - start)
        if (at := block.rfind(b"\n")) >= 0:
            return start + at + 1
        end = start
    return 0


def _write(stream: FileIO, text: bytes) -> None:
    while text:
        text = text[stream.write(text) :]

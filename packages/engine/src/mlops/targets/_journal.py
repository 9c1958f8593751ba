"""Journals that were read in this process, so that the next reading parses only what was added since."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from mlops.errors import MlopsError, TargetError
from mlops.targets.base import JournalEntry


class Reading:
    """One journal, a JSON object a line. Its content is the key: what is not what was read is read anew."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self.content = b""
        """All complete lines that were parsed."""
        self._entries: list[JournalEntry] = []
        self._models: dict[str, list[JournalEntry]] = defaultdict(list)

    def all(self, content: bytes, damaged: Callable[[int], MlopsError]) -> None:
        """`content` is the whole journal now; raises `damaged(line)` for a line that is no entry."""
        if not content.startswith(self.content):
            self._forget()
        self.more(content[len(self.content) :], damaged)

    def more(self, content: bytes, damaged: Callable[[int], MlopsError]) -> None:
        """`content` follows what was read. What comes after its last newline was torn by a kill."""
        whole = content[: content.rfind(b"\n") + 1]
        first = len(self._entries) + 1
        entries_read = [
            _entry(line, n, damaged) for n, line in enumerate(whole.split(b"\n")[:-1], start=first)
        ]
        self.content += whole
        self._entries += entries_read
        for entry in entries_read:
            self._models[entry.model].append(entry)

    def entries(self, model: str | None) -> Sequence[JournalEntry]:
        """Oldest first."""
        return list(self._entries if model is None else self._models.get(model, ()))


def row_of(entry: JournalEntry) -> dict[str, Any]:
    """An entry as the JSON object that `Reading` parses."""
    return asdict(entry) | {"at": entry.at.isoformat()}


def contended(environment: str) -> TargetError:
    """An entry could not be added, for others were faster every time."""
    return TargetError(
        f"the journal of {environment} is written by several processes at once; run the same command again"
    )


def _entry(line: bytes, number: int, damaged: Callable[[int], MlopsError]) -> JournalEntry:
    try:
        raw: dict[str, Any] = json.loads(line)
        return JournalEntry(**(raw | {"at": datetime.fromisoformat(raw["at"])}))
    except (ValueError, KeyError, TypeError):
        raise damaged(number) from None

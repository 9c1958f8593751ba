"""Captured traffic, labels and verdicts as files below the state folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlops.errors import TargetError
from mlops.spec import writing
from mlops.targets._records import require_record_name
from mlops.targets.base import Record

_CAPTURED = re.compile(r"(\d{8}T\d{12})-\d+-(.+)\.parquet")
_LATE = timedelta(minutes=5)
"""How long a row may wait before it is written, and by how much a clock may be set back."""


def within(names: Sequence[str], since: datetime | None, until: datetime | None) -> list[int]:
    """Which of the files, oldest first, may hold rows from `since` to `until`; pure.

    A file is named by the time when it was closed: its rows are older. They are younger than the file of the
    same deployment before it. A name of another form says nothing, so that file is one of them.
    """
    chosen = []
    over: set[str] = set()
    for index, name in enumerate(names):
        if (match := _CAPTURED.fullmatch(name)) is not None:
            closed = datetime.strptime(match[1], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
            if (since is not None and closed < since - _LATE) or match[2] in over:
                continue
            if until is not None and closed >= until + _LATE:
                over.add(match[2])
        chosen.append(index)
    return chosen


class LocalObservations:
    """`Observations`: `<state>/endpoints/<env>/<model>/capture/`, `<state>/monitor/<env>/<model>/<kind>/`."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def captured(
        self, environment: str, model: str, since: datetime | None = None, until: datetime | None = None
    ) -> list[Path]:
        """Those whose names say that they may hold rows of the time; who reads them skips within a file."""
        from mlops.serving.capture.recorder import FOLDER

        paths = sorted((self._state / "endpoints" / environment / model / FOLDER).glob("*.parquet"))
        return [paths[i] for i in within([path.name for path in paths], since, until)]

    def folder(self, environment: str, model: str, kind: Record) -> Path:
        return self._state / "monitor" / environment / model / kind

    def add(self, environment: str, model: str, kind: Record, name: str, content: bytes) -> bool:
        """Raises `InvalidInput` for a name that is no file name, `TargetError` when it cannot be written."""
        require_record_name(name)
        folder = self.folder(environment, model, kind)
        final = folder / name
        try:
            return writing.create(final, content)
        except OSError as error:
            raise TargetError(
                f"{final} cannot be written ({error.strerror or error}); nothing was recorded. "
                "Free some space or fix the permission and run the same command again"
            ) from None

    def files(self, environment: str, model: str, kind: Record) -> list[Path]:
        folder = self.folder(environment, model, kind)
        return sorted(p for p in folder.glob("*") if not p.name.startswith("."))

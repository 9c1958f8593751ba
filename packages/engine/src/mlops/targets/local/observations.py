"""Captured traffic, labels and verdicts as files below the state folder."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from mlops.errors import InvalidInput, TargetError
from mlops.spec import writing
from mlops.targets.base import Record

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")


class LocalObservations:
    """`Observations`: `<state>/endpoints/<env>/<model>/capture/`, `<state>/monitor/<env>/<model>/<kind>/`."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def captured(
        self, environment: str, model: str, since: datetime | None = None, until: datetime | None = None
    ) -> list[Path]:
        """All files: they are here, and who reads them skips by their statistics."""
        from mlops.serving.capture import FOLDER

        return sorted((self._state / "endpoints" / environment / model / FOLDER).glob("*.parquet"))

    def folder(self, environment: str, model: str, kind: Record) -> Path:
        return self._state / "monitor" / environment / model / kind

    def add(self, environment: str, model: str, kind: Record, name: str, content: bytes) -> bool:
        """Raises `InvalidInput` for a name that is no file name, `TargetError` when it cannot be written."""
        if not _NAME.fullmatch(name):
            raise InvalidInput(f"{name!r} is no name of a record; letters, digits, '.', '_' and '-' are")
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

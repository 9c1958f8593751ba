"""Why an edit that no test notices is harmless: `harmless.toml`, which every run checks."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.edits import Edit

FILE = Path(__file__).with_name("harmless.toml")


@dataclass(frozen=True)
class Reason:
    """One edit, or all that read the same in one function, and why nobody can tell it from the original."""

    module: str
    function: str
    edit: str
    """As the report prints it: `- old` and `+ new`."""
    why: str

    def covers(self, module: str, edit: Edit) -> bool:
        return (self.module, self.function, self.edit.strip()) == (module, edit.function, edit.diff.strip())


def load(path: Path = FILE) -> list[Reason]:
    """All reasons. Raises `ValueError` for one that says nothing."""
    raw = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    found = [Reason(**entry) for entry in raw.get("harmless", [])]
    for reason in found:
        if len(reason.why.split()) < 4:
            raise ValueError(f"{path}: {reason.module} {reason.function}: `why` is no reason: {reason.why!r}")
    return found


def unused(reasons: Iterable[Reason], module: str, survivors: Sequence[Edit]) -> list[Reason]:
    """Reasons about a module that no survivor needs: the test came, or the code went."""
    own = (reason for reason in reasons if reason.module == module)
    return [reason for reason in own if not any(reason.covers(module, edit) for edit in survivors)]

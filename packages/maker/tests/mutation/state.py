"""What was found, below `.cache/mutants`: a run that was ended goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.mutation.edits import Edit
from tests.mutation.reach import FOLDER
from tests.mutation.trial import SO_FAR, SURVIVED


@dataclass
class State:
    """Results of one module.

    What was noticed stays so while its function is the same; what survived is tried again when a test
    changed.
    """

    path: Path
    tests: str
    results: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def load(cls, root: Path, module: str, tests: Iterable[Path]) -> State:
        path = root / FOLDER / f"{module.replace('/', '+')}.json"
        state = cls(path, _digest(p.read_bytes() for p in sorted(tests)))
        if path.exists():
            state.results = json.loads(path.read_text("utf-8"))
        return state

    def known(self, edit: Edit, *, short: bool = False) -> str | None:
        """None where it has to be tried; `short`: by short tests."""
        found = self.results.get(edit.key)
        if found is None or (found["result"] in (SURVIVED, SO_FAR) and found["tests"] != self.tests):
            return None
        return None if found["result"] == SO_FAR and not short else found["result"]

    def put(self, edit: Edit, result: str) -> None:
        self.results[edit.key] = {"result": result, "tests": self.tests}

    def save(self, edits: Sequence[Edit]) -> None:
        """Keep what is known about edits that can still be made."""
        wanted = {edit.key for edit in edits}
        kept = {name: result for name, result in self.results.items() if name in wanted}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps(kept, indent=0), "utf-8")
        beside.replace(self.path)


def _digest(parts: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(hashlib.sha256(part).digest())
    return found.hexdigest()[:20]


def files(root: Path, tests: Sequence[str]) -> list[Path]:
    """The test files, with the worlds that they share."""
    found: set[Path] = set()
    for test in tests:
        for path in root.glob(test):
            found |= set(path.rglob("*.py")) if path.is_dir() else {path, *path.parent.glob("*.py")}
    return sorted(found | set(root.glob("packages/*/tests/worlds/*.py")))

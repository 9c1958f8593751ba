"""Opens the files that one call reads, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from mlops.errors import InvalidInput, Problem
from mlops.lint.finding import Finding
from mlops.lint.node import At, is_file, shown
from mlops.spec._yaml import Document
from mlops.spec.vm_sizes import Table, packaged

Check = Callable[[At], Iterable[Finding]]
_HIDDEN = (".git", ".venv", "node_modules", "__pycache__", ".mlops")


@dataclass
class Files:
    """Documents by path. A file that cannot be read is a finding, whoever asks for it."""

    root: Path | None = None
    """The repository, where there is one."""
    vm_sizes: frozenset[str] = frozenset()
    """Sizes that the repository vouches for, in small letters."""
    sizes: Table = field(default_factory=packaged)
    """When sizes end."""
    today: date | None = None
    """Sizes are judged by this day; None: not by their days."""
    _opened: dict[Path, At | list[Finding]] = field(default_factory=dict)
    _told: dict[tuple[Path, Check], list[Finding]] = field(default_factory=dict)

    def open(self, path: Path) -> At | list[Finding]:
        """The top of a file, or why there is none."""
        if path not in self._opened:
            self._opened[path] = _open(path)
        return self._opened[path]

    def told(self, path: Path, check: Check) -> list[Finding]:
        """What `check` finds in a file that many others name, asked once; nothing in an unreadable one."""
        key = (path, check)
        if key not in self._told:
            top = self.top(path)
            self._told[key] = [] if top is None else list(check(top))
        return self._told[key]

    def top(self, path: Path) -> At | None:
        """The top of a file, or None when it cannot be read; the file's own check says why."""
        opened = self.open(path)
        return opened if isinstance(opened, At) and isinstance(opened.value, dict) else None


def _open(path: Path) -> At | list[Finding]:
    try:
        document = Document.read(path, shown(path))
    except InvalidInput as error:
        return [_of(problem) for problem in error.problems]
    return At(document, path, (), document.value)


def _of(problem: Problem) -> Finding:
    file, _, line = problem.where.rpartition(":")
    if not line.isdecimal():
        file, line = problem.where, "1"
    return Finding("yaml", file, int(line), problem.field, problem.message)


def yaml_files(folder: Path) -> list[Path]:
    """Every YAML file below a folder, hidden tool folders left out."""
    listed = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.suffix.lower() in (".yml", ".yaml") and not set(parts) & set(_HIDDEN) and is_file(path):
            listed.append(path)
    return listed

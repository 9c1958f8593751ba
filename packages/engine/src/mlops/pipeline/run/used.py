"""Which files of its code a step depends on, so that a change to others does not run it again.

A step that ends well has said which modules it imported (`zygote.py` listens). The next run looks up what
such a step used, and reuses its outputs when those files mean the same: comments and blank lines of Python
count for nothing. Where it cannot be known (a shell, a child process that may import more) all code counts.
Files that are no Python always count, and so do names of modules that came or went where the step looked.
The engine's modules are recorded too: they come with the environment, not with the code.
"""

from __future__ import annotations

import hashlib
import io
import json
import tokenize
from pathlib import Path

from mlops.pipeline.run.snapshot import code_files
from mlops.spec import engine
from mlops.spec.digest import data_digest, file_digest
from mlops.spec.writing import write

_KEEP = 8
"""Sets of files that a step is known to have used; the newest."""

ENGINE = "<engine>/"
"""Begins the name of a file of the engine; no path in a snapshot begins so."""

Files = tuple[str, ...]
_LAYOUT = (tokenize.COMMENT, tokenize.NL, tokenize.ENCODING)
_BLOCKS = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


class UsedFiles:
    """What steps used, below one folder: may be deleted at any time, and then everything counts once more."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def known(self, step: str) -> list[Files]:
        """Sets of Python files that a step with this key (its code left out) has used; newest first."""
        try:
            rows = json.loads(self._path(step).read_text(encoding="utf-8"))
            return [tuple(map(str, row)) for row in rows]
        except (OSError, ValueError, TypeError):
            return []

    def remember(self, step: str, files: Files) -> None:
        """Put `files` first."""
        rows = [files, *(row for row in self.known(step) if row != files)][:_KEEP]
        path = self._path(step)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, json.dumps(rows), durable=False)

    def _path(self, step: str) -> Path:
        return self._root / f"{step}.json"


def recorded(record: Path, code: Path) -> Files | None:
    """What a step wrote down; None when that does not tell all that it depends on."""
    try:
        seen = json.loads(record.read_text(encoding="utf-8"))
        started, files = bool(seen["started"]), {Path(name) for name in seen["files"]}
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if started:
        return None
    return tuple(sorted(name for path in files if path.is_file() and (name := _name(path, code))))


def _name(path: Path, code: Path) -> str:
    """As it is remembered; empty for what belongs neither to the code nor to the engine."""
    if code in path.parents:
        return path.relative_to(code).as_posix()
    names = (path.relative_to(root).as_posix() for root in engine.roots() if root in path.parents)
    return next((ENGINE + name for name in names), "")


def _file(name: str, code: Path) -> Path:
    if not name.startswith(ENGINE):
        return code / name
    tried = [root / name.removeprefix(ENGINE) for root in engine.roots()]
    return next((path for path in tried if path.is_file()), tried[0])


def digest(code: Path, files: Files) -> str | None:
    """Of the part of `code` that a step with these Python files depends on; None when one is not there."""
    paths = {name: _file(name, code) for name in files}
    if not all(path.is_file() for path in paths.values()):
        return None
    looked_in = {Path(name).parent for name in files} | {Path()}
    there = [file.relative_to(code) for file in code_files(code)]
    parts = {
        "meaning": {name: meaning(path) for name, path in paths.items()},
        "names": sorted(p.as_posix() for p in there if p.suffix == ".py" and p.parent in looked_in),
        "others": {p.as_posix(): file_digest(code / p) for p in there if p.suffix != ".py"},
    }
    return data_digest(parts)


def meaning(file: Path) -> str:
    """Digest of a module without its comments and layout; of its bytes when it is no Python.

    By tokens: a tree costs more, and Python 3.11 cannot make one in two threads (python/cpython#106905).
    """
    hasher = hashlib.sha256()
    try:
        for token in tokenize.tokenize(io.BytesIO(file.read_bytes()).readline):
            if token.type not in _LAYOUT:
                text = "" if token.type in _BLOCKS else token.string
                hasher.update(f"{token.type}:{len(text)}:{text};".encode("utf-8", "surrogatepass"))
    except (SyntaxError, ValueError, tokenize.TokenError):
        return file_digest(file)
    return hasher.hexdigest()

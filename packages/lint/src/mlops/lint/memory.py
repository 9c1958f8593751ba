"""Answers of `azure-ai-ml`, kept by the content that they depend on: a second lint need not import it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from mlops.lint import oracle
from mlops.lint.files import Files
from mlops.lint.finding import Finding
from mlops.lint.node import At, exists, is_folder, texts
from mlops.lint.references import is_remote

_FORM = "1"
_MAX_FILES = 200
"""An answer that depends on more is not kept: one that leaves files out of its key would be wrong one day."""
_LONGEST_PATH = 200


class Memory:
    """A folder of answers. Without a folder, or when it cannot be written, each is asked anew."""

    def __init__(self, folder: Path | None, version: str, files: Files) -> None:
        self._folder = folder
        self._version = version
        self._files = files
        self._contents: dict[Path, tuple[bytes, list[Path]]] = {}

    def ask(self, top: At, kind: str, own: list[Finding]) -> list[Finding]:
        """What `oracle.ask` finds, from memory when nothing that it read has changed."""
        if self._folder is None:
            return oracle.ask(top, kind, own)
        key = self._key(top, kind, own)
        if key is None:
            return oracle.ask(top, kind, own)
        path = self._folder / f"{key}.json"
        if (known := _read(path)) is not None:
            return [
                Finding("refused", top.document.name, top.document.line(_loc(field)), field, text)
                for field, text in known
            ]
        findings = oracle.ask(top, kind, own)
        _write(path, [[finding.field, finding.message] for finding in findings])
        return findings

    def _key(self, top: At, kind: str, own: list[Finding]) -> str | None:
        """The file, every file that it names, and which of these exist; None where these are too many."""
        digest = hashlib.sha256(f"{_FORM} {self._version} {kind}".encode())
        digest.update("\n".join(sorted(f.field for f in own if f.level == "error")).encode())
        digest.update(str(top.path.resolve()).encode())
        waiting: list[Path] = [top.path]
        seen: set[Path] = set()
        while waiting:
            path = waiting.pop()
            if path in seen:
                continue
            if len(seen) == _MAX_FILES:
                return None
            seen.add(path)
            if path not in self._contents:  # an environment is named by every component
                content, named = _content(path, self._files)
                self._contents[path] = hashlib.sha256(content).digest(), named
            content, named = self._contents[path]
            digest.update(f"{path}".encode() + content)
            waiting += named
        return digest.hexdigest()[:40]


def _content(path: Path, files: Files) -> tuple[bytes, list[Path]]:
    """Bytes of a file with the YAML files that it names; of a folder, the names in it."""
    try:
        if is_folder(path):
            return "\n".join(sorted(p.name for p in path.iterdir())).encode(), []
        if path.suffix not in (".yml", ".yaml") or not isinstance(top := files.open(path), At):
            return path.read_bytes(), []
        named = [
            place.beside((place.text or "").removeprefix("file:"))
            for place in texts(top)
            if _may_be_path(place.text or "")
        ]
        return top.document.text.encode(), [file for file in named if exists(file)]
    except Exception:  # noqa: BLE001 (a file that cannot be read has no content; its own check says so)
        return b"", []


def _may_be_path(text: str) -> bool:
    return 0 < len(text) < _LONGEST_PATH and "\n" not in text and not is_remote(text)


def _loc(field: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdecimal() else part for part in field.split(".")) if field else ()


def _read(path: Path) -> list[tuple[str, str]] | None:
    try:
        return [(str(field), str(text)) for field, text in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return None


def _write(path: Path, found: list[list[str]]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found), encoding="utf-8")
    except OSError:
        return

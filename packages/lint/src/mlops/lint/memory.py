"""Answers of `azure-ai-ml`, kept by the content that they depend on: a second lint need not import it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from mlops.lint import oracle
from mlops.lint.finding import Finding
from mlops.lint.node import At, exists, is_folder, texts
from mlops.lint.references import is_remote
from mlops.spec._yaml import Document

_FORM = "1"
_MAX_FILES = 200
_LONGEST_PATH = 200


class Memory:
    """A folder of answers. Without a folder, or when it cannot be written, each is asked anew."""

    def __init__(self, folder: Path | None, version: str) -> None:
        self._folder = folder
        self._version = version

    def ask(self, top: At, kind: str, own: list[Finding]) -> list[Finding]:
        """What `oracle.ask` finds, from memory when nothing that it read has changed."""
        if self._folder is None:
            return oracle.ask(top, kind, own)
        key = self._key(top, kind, own)
        path = self._folder / f"{key}.json"
        if (known := _read(path)) is not None:
            return [
                Finding("refused", top.document.name, top.document.line(_loc(field)), field, text)
                for field, text in known
            ]
        found = oracle.ask(top, kind, own)
        _write(path, [[finding.field, finding.message] for finding in found])
        return found

    def _key(self, top: At, kind: str, own: list[Finding]) -> str:
        """The file, every file that it names, and which of these exist."""
        digest = hashlib.sha256(f"{_FORM} {self._version} {kind}".encode())
        digest.update("\n".join(sorted(f.field for f in own if f.level == "error")).encode())
        digest.update(str(top.path.resolve()).encode())
        waiting: list[Path] = [top.path]
        seen: set[Path] = set()
        while waiting and len(seen) < _MAX_FILES:
            path = waiting.pop()
            if path in seen:
                continue
            seen.add(path)
            content, named = _content(path)
            digest.update(f"{path}".encode() + hashlib.sha256(content).digest())
            waiting += named
        return digest.hexdigest()[:40]


def _content(path: Path) -> tuple[bytes, list[Path]]:
    """Bytes of a file with the YAML files that it names; of a folder, the names in it."""
    try:
        if is_folder(path):
            return "\n".join(sorted(p.name for p in path.iterdir())).encode(), []
        content = path.read_bytes()
        if path.suffix not in (".yml", ".yaml"):
            return content, []
        top = At(*_parsed(path, content))
        named = [
            place.beside((place.text or "").removeprefix("file:"))
            for place in texts(top)
            if _may_be_path(place.text or "")
        ]
        return content, [found for found in named if exists(found)]
    except Exception:  # noqa: BLE001 (a file that cannot be read has no content; its own check says so)
        return b"", []


def _may_be_path(text: str) -> bool:
    return 0 < len(text) < _LONGEST_PATH and "\n" not in text and not is_remote(text)


def _parsed(path: Path, content: bytes) -> tuple[Document, Path, tuple[()], object]:
    document = Document(content.decode(), str(path))
    return document, path, (), document.value


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

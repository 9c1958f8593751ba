"""The Files API: volumes, the files of model versions, and those of MLflow's runs. Real files below one
folder."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

from .http import Answer, Refused, Request

if TYPE_CHECKING:
    from .server import Emulator

_PAGE = 50
"""Entries of a page; the real one has a thousand. Clients have to turn pages either way."""


class Files:
    """`guards`: asked for each path and whether it is to be written, may refuse."""

    def __init__(self, emulator: Emulator) -> None:
        self.root = emulator.folder / "files"
        self.root.mkdir(parents=True, exist_ok=True)
        self.guards: list[Callable[[str, bool], None]] = []
        self._lock = threading.Lock()

    def at(self, path: str, write: bool = False) -> Path:
        """Where a path lies on this machine."""
        if not path.startswith(("/Volumes/", "/Models/", "/WorkspaceInternal/")) or ".." in path.split("/"):
            raise Refused(
                400, "INVALID_PARAMETER_VALUE", f"Invalid path: unsupported first path component: {path}"
            )
        for guard in self.guards:
            guard(path, write)
        return self.root / path.lstrip("/")

    def upload(self, request: Request, path: str) -> Answer:
        place = self.at(path, write=True)
        replace = request.query.get("overwrite") == "true"
        with self._lock:
            if place.is_dir() or (place.exists() and not replace):
                raise Refused(409, "ALREADY_EXISTS", f"The file being created already exists: {path}")
            place.parent.mkdir(parents=True, exist_ok=True)
            scratch = place.with_name(f".{place.name}.new")
            scratch.write_bytes(request.body)
            scratch.replace(place)
        return Answer(204)

    def download(self, request: Request, path: str) -> Answer:
        place = self._file(path)
        return Answer(200, place.read_bytes(), _headers(place))

    def look(self, request: Request, path: str) -> Answer:
        place = self._file(path)
        return Answer(200, b"", {**_headers(place), "content-length": str(place.stat().st_size)})

    def delete(self, request: Request, path: str) -> Answer:
        self.at(path, write=True)
        self._file(path).unlink()
        return Answer(204)

    def make(self, request: Request, path: str) -> Answer:
        self.at(path, write=True).mkdir(parents=True, exist_ok=True)
        return Answer(204)

    def look_at_folder(self, request: Request, path: str) -> Answer:
        self._folder(path)
        return Answer(200, b"")

    def remove(self, request: Request, path: str) -> Answer:
        place = self._folder(path)
        if any(place.iterdir()):
            raise Refused(400, "DIRECTORY_NOT_EMPTY", f"The directory is not empty: {path}")
        place.rmdir()
        return Answer(204)

    def list(self, request: Request, path: str) -> Answer:
        place = self._folder(path)
        entries = sorted(p for p in place.iterdir() if not p.name.startswith("."))
        first = int(request.query.get("page_token") or 0)
        rows = [
            {
                "name": entry.name,
                "path": f"{path.rstrip('/')}/{entry.name}",
                "is_directory": entry.is_dir(),
                "file_size": entry.stat().st_size if entry.is_file() else 0,
                "last_modified": int(entry.stat().st_mtime * 1000),
            }
            for entry in entries[first : first + _PAGE]
        ]
        more = {"next_page_token": str(first + _PAGE)} if first + _PAGE < len(entries) else {}
        return Answer(200, {"contents": rows, **more})

    def no_url(self, request: Request) -> Answer:
        """Presigned addresses are off, as behind a firewall: clients go the plain way."""
        raise Refused(403, "PERMISSION_DENIED", "Presigned URLs are disabled in this workspace")

    def age(self, path: str, seconds: float) -> None:
        """Let a file have been written that long ago."""
        place = self.at(path)
        then = place.stat().st_mtime - seconds
        os.utime(place, (then, then))

    def drop(self, path: str) -> None:
        shutil.rmtree(self.root / path.lstrip("/"), ignore_errors=True)

    def _file(self, path: str) -> Path:
        place = self.at(path)
        if not place.is_file():
            raise Refused(404, "NOT_FOUND", f"The file being accessed is not found: {path}")
        return place

    def _folder(self, path: str) -> Path:
        place = self.at(path)
        if not place.is_dir():
            raise Refused(404, "NOT_FOUND", f"The directory being accessed is not found: {path}")
        return place


def _headers(place: Path) -> dict[str, str]:
    return {"last-modified": formatdate(place.stat().st_mtime, usegmt=True)}


def install(emulator: Emulator) -> Files:
    files = Files(emulator)
    add = emulator.router.add
    one, folder = r"/api/2\.0/fs/files(?P<path>/.+)", r"/api/2\.0/fs/directories(?P<path>/.+)"
    for method, pattern, handler in (
        ("PUT", one, files.upload),
        ("GET", one, files.download),
        ("HEAD", one, files.look),
        ("DELETE", one, files.delete),
        ("PUT", folder, files.make),
        ("GET", folder, files.list),
        ("HEAD", folder, files.look_at_folder),
        ("DELETE", folder, files.remove),
    ):
        add(method, pattern, handler)
    add("POST", r"/api/2\.0/fs/create-(download|upload)-url", files.no_url)
    return files

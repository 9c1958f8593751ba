"""Outputs of steps by content: written beside, renamed into place whole, checked before they are used again.

`<root>/<key>/entry.json` and `<root>/<key>/outputs/<name>`; `<root>/tmp/` holds what is being written,
`<root>/locks/` two locks a key: `build` (one writer) and `use` (readers; an entry in use is not evicted).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from mlops.errors import IntegrityError
from mlops.pipeline.run.locks import FileLock
from mlops.spec.artifact import plain_files
from mlops.spec.digest import file_digest, tree_digest

KEEP_ENTRIES = 60
"""Ten runs of a pipeline of six steps."""


@dataclass(frozen=True)
class Entry:
    """One finished step: its run, the digest of each output, how long it took."""

    key: str
    step: str
    run_id: str
    outputs: Mapping[str, str]
    seconds: float


def content_digest(path: Path) -> str:
    """Digest of a file or a folder; `absent` for nothing, since a step may leave an output unwritten.

    Raises `IntegrityError` for a folder with links or devices: storage in Azure has neither.
    """
    if path.is_dir():
        return tree_digest(path, plain_files(path))
    return file_digest(path) if path.is_file() else "absent"


class StepCache:
    """The cache below one folder. Safe for several threads and processes at once."""

    def __init__(self, root: Path, keep: int = KEEP_ENTRIES) -> None:
        self.root = root
        self.keep = keep
        self._held: list[FileLock] = []

    def folder(self, key: str) -> Path:
        return self.root / key

    def output(self, key: str, name: str) -> Path:
        return self.folder(key) / "outputs" / name

    def lock_build(self, key: str, stopped: Callable[[], bool]) -> FileLock | None:
        """The right to build `key`; waits for another writer. None when `stopped()` became true first."""
        lock = FileLock(self.root / "locks" / f"{key}.build")
        return lock if lock.acquire(stopped) else None

    def find(self, key: str) -> Entry | None:
        """The entry, held for use until `release`; one whose content does not match is removed."""
        use = FileLock(self.root / "locks" / f"{key}.use")
        if not use.try_acquire(shared=True):
            return None
        entry = self._read(key)
        if entry is None:
            use.release()
            if self.folder(key).exists():
                self._remove(key)
            return None
        os.utime(self.folder(key))
        self._held.append(use)
        return entry

    def begin(self, owner: str, step: str) -> Path:
        """An empty folder for a step's outputs, named after the run that writes it."""
        folder = self.root / "tmp" / f"{owner}-{step}"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "outputs").mkdir(parents=True)
        return folder

    def commit(
        self, folder: Path, *, key: str, step: str, run_id: str, names: list[str], seconds: float
    ) -> Entry:
        """Move the folder of `begin` into place, whole or not at all; hold it for use."""
        digests = {name: content_digest(folder / "outputs" / name) for name in names}
        entry = Entry(key, step, run_id, digests, seconds)
        (folder / "entry.json").write_text(json.dumps(asdict(entry), indent=1), encoding="utf-8")
        use = FileLock(self.root / "locks" / f"{key}.use")
        if self.folder(key).exists():
            if not use.try_acquire() and (known := self.find(key)) is not None:
                # Two runs, with code that differs elsewhere, have made the same, and one reads it already.
                shutil.rmtree(folder, ignore_errors=True)
                return known
            self._remove(key)
            use.release()
        if use.try_acquire(shared=True):
            self._held.append(use)
        folder.rename(self.folder(key))
        return entry

    def discard(self, owner: str) -> None:
        """Remove what a run was writing."""
        for folder in (self.root / "tmp").glob(f"{owner}-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def release(self) -> None:
        """Let go of the entries in use."""
        while self._held:
            self._held.pop().release()

    def evict(self) -> None:
        """Remove the entries not used for longest beyond `keep`, unless somebody uses them."""
        if not self.root.is_dir():
            return
        entries = [p for p in self.root.iterdir() if (p / "entry.json").is_file()]
        entries.sort(key=lambda p: p.stat().st_mtime, reverse=True)
        for folder in entries[self.keep :]:
            locks = [FileLock(self.root / "locks" / f"{folder.name}.{kind}") for kind in ("build", "use")]
            if all(lock.try_acquire() for lock in locks):
                self._remove(folder.name)
                for lock in locks:
                    lock.remove()
            for lock in locks:
                lock.release()

    def _read(self, key: str) -> Entry | None:
        try:
            entry = Entry(**json.loads((self.folder(key) / "entry.json").read_text(encoding="utf-8")))
            whole = all(
                content_digest(self.output(key, name)) == digest for name, digest in entry.outputs.items()
            )
        except (OSError, ValueError, TypeError, AttributeError, IntegrityError):
            return None
        return entry if whole and entry.key == key else None

    def _remove(self, key: str) -> None:
        """Out of the way in one rename, so that nobody sees half an entry."""
        away = self.root / "tmp" / f"removed-{key}-{os.getpid()}-{os.urandom(4).hex()}"
        away.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.folder(key).rename(away)
        except FileNotFoundError:
            return
        shutil.rmtree(away, ignore_errors=True)

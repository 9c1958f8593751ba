"""Data assets on a laptop: what `UseCase.load` writes, made once and verified whenever it is used again."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import Blocked, IntegrityError, InvalidInput, NotFound, TargetError
from mlops.spec import writing
from mlops.spec._yaml import Document
from mlops.spec.artifact import plain_files
from mlops.spec.digest import data_digest, tree_digest
from mlops.spec.settings import Settings
from mlops.targets._folders import whole
from mlops.targets.base import PushedData
from mlops.targets.local.maker import changes, maker

if TYPE_CHECKING:
    from mlops.usecase import UseCase

log = logging.getLogger("mlops.targets")

_SHOWN = 5
"""Changes that a sentence names."""
MANIFEST = "manifest.json"
"""`{name, version, digest}`; the digest covers every other file of the folder."""


class LocalData:
    """Implements `mlops.targets.base.GrowingData` below `<state>/data/<name>/<version>/`.

    An asset is declared by `pipelines/<model>/data.yml`; `usecases` maps models to their packages.
    """

    def __init__(self, root: Path, state: Path, usecases: Mapping[str, str]) -> None:
        self._root = root
        self._folder = state / "data"
        self._usecases = usecases

    @classmethod
    def of(cls, root: Path, settings: Settings) -> LocalData:
        """Those of a repository, in its state folder."""
        usecases = {name: model.usecase for name, model in settings.models.items()}
        return cls(root, (root / settings.local.state).resolve(), usecases)

    def resolve(self, name: str, version: str) -> str:
        """The folder with the raw data, made when it is not there.

        Raises `NotFound` for an asset that no model declares, `IntegrityError` when the folder was changed.
        """
        from mlops.steps.ingest import RECORD

        final = self._folder / name / version
        stamp = self._folder / name / f"{version}.stamp.json"
        # What mlops ingest made is declared nowhere: it is here, or nowhere.
        package = "" if (final / RECORD).is_file() else self._package(name, version)
        if package:
            self._made(package, name, version)
        self._check(final, stamp, name, version)
        return str(final)

    def _made(self, package: str, name: str, version: str) -> None:
        """Load the raw data unless they are here, made by the code that would make them now.

        Of a folder from before this was written down, the code of today is taken for its maker.
        """
        final = self._folder / name / version
        note = self._folder / name / f"{version}.maker.json"
        now = maker(self._root / "src", package)
        before = _noted(note) if final.is_dir() else None
        if final.is_dir() and before in (None, now):
            if before is None:
                _note(note, now)
            return
        from mlops.usecase import load_usecase

        usecase = load_usecase(package, self._root / "src")
        if before is None:
            with whole(final) as fresh:
                self._load(usecase, name, version, fresh)
        else:
            self._anew(usecase, name, version, changes(before, now))
        (self._folder / name / f"{version}.stamp.json").unlink(missing_ok=True)
        _note(note, now)

    def _anew(self, usecase: UseCase, name: str, version: str, changed: Sequence[str]) -> None:
        """What was made by other code is made again; raises what `_load` does, and the old data stay then."""
        final = self._folder / name / version
        next_one, old = (final.with_name(f".{word}-{version}") for word in ("next", "old"))
        for left in (next_one, old):
            shutil.rmtree(left, ignore_errors=True)
        with whole(next_one) as fresh:
            self._load(usecase, name, version, fresh)
        same = _recorded(next_one) == _recorded(final)
        if same:
            shutil.rmtree(next_one)
        else:
            final.rename(old)
            next_one.rename(final)
            shutil.rmtree(old, ignore_errors=True)
        log.warning(
            "the raw data %s:%s were loaded anew, because what makes them changed (%s); they are %s",
            name,
            version,
            ", ".join(changed[:_SHOWN]) + (", …" if len(changed) > _SHOWN else ""),
            "the same" if same else "other data than before",
        )

    def declared(self, model: str) -> tuple[dict[str, Any], Path, str]:
        """What `pipelines/<model>/data.yml` says, its folder here, and the digest of its files.

        Raises `InvalidInput` and what `resolve` raises.
        """
        path = f"pipelines/{model}/data.yml"
        document = Document.read(self._root / path, path)
        name, version = _asset(document)
        folder = Path(self.resolve(name, version))
        content: dict[str, Any] = document.value
        return content, folder, str(_recorded(folder)["digest"])

    def push(self, model: str) -> PushedData:
        """Make and verify the folder: a laptop's steps read it where it is."""
        path = f"pipelines/{model}/data.yml"
        name, version = _asset(Document.read(self._root / path, path))
        known = (self._folder / name / version).is_dir()
        asset, folder, digest = self.declared(model)
        return PushedData(name, version, digest, window_of(asset), str(folder), new=not known)

    def versions(self, name: str) -> list[str]:
        """Those that are here or declared, oldest first: numbers as numbers, before all others."""
        here = {p.parent.name for p in (self._folder / name).glob(f"*/{MANIFEST}")}
        declared = {version for asset, version in self._declared() if asset == name}
        return sorted(here | declared, key=lambda v: (not v.isdigit(), int(v) if v.isdigit() else 0, v))

    def add(self, name: str, version: str, folder: Path) -> str:
        """Keep a copy of `folder` as a version; raises `Blocked` when there is one, `TargetError` (disk)."""
        final = self._folder / name / version
        if final.exists() or (name, version) in self._declared():
            raise Blocked(f"{name}:{version} exists, and a version of a data asset is never changed")
        with whole(final) as fresh:
            shutil.copytree(folder, fresh, dirs_exist_ok=True)
        return str(final)

    def _load(self, usecase: UseCase, name: str, version: str, fresh: Path) -> None:
        try:
            usecase.load(fresh)
        except OSError as error:
            raise TargetError(
                f"the raw data {name}:{version} could not be loaded: {error.strerror or error}"
            ) from error
        if not any(fresh.iterdir()):
            raise InvalidInput(f"the use case {usecase.name!r} loaded no file for the data asset {name!r}")
        facts = {"name": name, "version": version, "digest": _digest(fresh)}
        (fresh / MANIFEST).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    def _check(self, folder: Path, stamp: Path, name: str, version: str) -> None:
        """Sizes and times first; every byte only when these differ from the last check."""
        now = _stamp(folder)
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == now:
            return
        actual, recorded = _digest(folder), _recorded(folder)
        if recorded != {"name": name, "version": version, "digest": actual}:
            raise IntegrityError(
                f"the raw data in {folder} have the digest {actual}, but their {MANIFEST} says "
                f"{recorded.get('digest', 'nothing')}; delete the folder, and they are loaded again"
            )
        stamp.write_text(now, encoding="utf-8")

    def _package(self, name: str, version: str) -> str:
        declared = self._declared()
        if (name, version) not in declared:
            known = ", ".join(sorted(f"{n}:{v}" for n, v in declared)) or "none"
            more = [v for v in self.versions(name) if (name, v) not in declared]
            ingested = f"; ingested here: {', '.join(f'{name}:{v}' for v in more)}" if more else ""
            raise NotFound(
                f"no pipelines/<model>/data.yml declares the data asset {name}:{version}; "
                f"declared: {known}{ingested}"
            )
        return declared[name, version]

    def _declared(self) -> dict[tuple[str, str], str]:
        """Packages of the use cases by name and version of their data asset."""
        packages = {}
        for model, package in self._usecases.items():
            path = f"pipelines/{model}/data.yml"
            if (self._root / path).is_file():
                packages[_asset(Document.read(self._root / path, path))] = package
        return packages


def _asset(document: Document) -> tuple[str, str]:
    value: Any = document.value if isinstance(document.value, dict) else {}
    problems = [
        document.problem((key,), "required, as text (quote a number)")
        for key in ("name", "version")
        if not isinstance(value.get(key), str) or not value[key] or "/" in value[key]
    ]
    if problems:
        raise InvalidInput(problems)
    return value["name"], value["version"]


def window_of(asset: Mapping[str, Any]) -> str:
    """The months that an asset covers, as its tags say."""
    return str((asset.get("tags") or {}).get("window", ""))


def _files(folder: Path) -> list[Path]:
    return [p for p in plain_files(folder) if p != folder / MANIFEST]


def _digest(folder: Path) -> str:
    return tree_digest(folder, _files(folder))


def _stamp(folder: Path) -> str:
    facts = [(p, p.stat()) for p in [*_files(folder), folder / MANIFEST] if p.exists()]
    rows = sorted((p.relative_to(folder).as_posix(), s.st_size, s.st_mtime_ns) for p, s in facts)
    return data_digest(rows)


def _recorded(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _note(note: Path, made_by: Mapping[str, str]) -> None:
    writing.write(note, json.dumps(made_by, indent=2) + "\n", durable=False)


def _noted(note: Path) -> dict[str, str] | None:
    """What made a folder; None where nobody knows."""
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None

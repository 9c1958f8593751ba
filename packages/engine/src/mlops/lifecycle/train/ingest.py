"""`mlops ingest`: a delivery of raw data becomes the next version of the data asset, once."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, NotFound, TargetError
from mlops.lifecycle.train.fetch import fetched
from mlops.spec._yaml import Document
from mlops.spec.settings import load_settings
from mlops.spec.window import Window
from mlops.steps.ingest import MAX_REJECTED, RECORD, source_digest, take, write_manifest
from mlops.targets.base import GrowingData, Target
from mlops.usecase import Ingests, UseCase, load_usecase

QUARANTINE = "quarantine"
_LEASE = 120.0


@dataclass(frozen=True)
class Ingested:
    """What a delivery amounted to."""

    name: str
    version: str
    new: bool
    """False when this version came of the same delivery before."""
    digest: str
    window: str
    accepted: int
    rejected_rows: int
    rejected_files: int
    quarantine: str
    """Folder with what was rejected, and the reasons; empty when nothing was."""


def ingest(
    root: Path,
    target: Target,
    model: str,
    source: str,
    window: Window | None,
    *,
    actor: str,
    max_rejected: float = MAX_REJECTED,
) -> Ingested:
    """Take the rows of `window` from `source`, a file, a folder or a web address.

    Without a window (data that have no clock) the delivery is taken whole. The same delivery on top of the
    same version gives nothing new. Raises `InvalidInput` for a delivery without anything to take, `Blocked`
    when too much of it is wrong; the data asset is then unchanged.
    """
    _, settings = load_settings(root).model(model)
    usecase = load_usecase(settings.usecase, root / "src")
    require_window(usecase, window)
    name = asset_name(root, model)
    data = target.data
    if not isinstance(data, GrowingData):
        raise TargetError(
            f"the target {target.name} takes new data by pipelines/{model}/ingest.yml, where the data are"
        )
    state = root / load_settings(root).local.state / QUARANTINE / name
    files = usecase.files if isinstance(usecase, Ingests) else ()
    owner = f"ingestion of {window or source} by {actor}"
    with target.store.lock(f"data-{name}", owner, _LEASE), fetched(source, files) as delivered:
        version = data.versions(name)[-1]
        base = Path(data.resolve(name, version))
        digest = source_digest(delivered)
        if (same := _came_from(data, name, window, digest)) is not None:
            return _known(data, name, same)
        with tempfile.TemporaryDirectory(prefix="mlops-ingest-") as folder:
            fresh = Path(folder) / "data"
            fresh.mkdir()
            stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
            aside = state / f"{stamp}-{window or 'all'}-{digest.removeprefix('sha256:')[:12]}"
            made = take(
                usecase,
                delivered,
                window,
                base,
                fresh,
                base_version=version,
                max_rejected=max_rejected,
                quarantine=aside,
            )
            following = str(int(version) + 1)
            write_manifest(fresh, name, following, made.digest)
            data.add(name, following, fresh)
    bad = made.rejected_rows + made.rejected_files
    return Ingested(
        name=name,
        version=following,
        new=True,
        digest=made.digest,
        window=str(window or ""),
        accepted=made.accepted,
        rejected_rows=made.rejected_rows,
        rejected_files=made.rejected_files,
        quarantine=str(aside) if bad else "",
    )


def asset_name(root: Path, model: str) -> str:
    """The data asset of `pipelines/<model>/data.yml`; raises `InvalidInput`."""
    path = f"pipelines/{model}/data.yml"
    document = Document.read(root / path, path)
    name = document.value.get("name") if isinstance(document.value, dict) else None
    if not isinstance(name, str):
        raise InvalidInput(document.problem(("name",), "required, as text"))
    return name


def newest(target: Target, name: str) -> str | None:
    """The newest version that is here; None for a target that does not say."""
    if not isinstance(target.data, GrowingData):
        return None
    versions = target.data.versions(name)
    return versions[-1] if versions else None


def require_window(usecase: UseCase, window: Window | None) -> None:
    """Raises `InvalidInput` for a window where the data have no clock, and for none where they have one."""
    if (window is None) == (usecase.time is None):
        return
    if window is None:
        raise InvalidInput(
            f"the use case {usecase.name!r} has the time column {usecase.time!r}; say with "
            "--window what is delivered"
        )
    raise InvalidInput(f"the use case {usecase.name!r} has no time column, so leave --window {window} out")


def _came_from(data: GrowingData, name: str, window: Window | None, digest: str) -> str | None:
    """The version that this delivery made, if no later one has replaced its window since."""
    for version in reversed(data.versions(name)):
        record = _record(data, name, version)
        if record is None:
            return None
        if record.get("source") == digest and record.get("window") == str(window or ""):
            return version
        if window is None or not record["window"]:
            continue
        later = Window.parse(record["window"])
        if later.first <= window.last and window.first <= later.last:
            return None
    return None


def _record(data: GrowingData, name: str, version: str) -> dict[str, Any] | None:
    try:
        path = Path(data.resolve(name, version)) / RECORD
        record: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, NotFound):
        return None
    return record


def _known(data: GrowingData, name: str, version: str) -> Ingested:
    from mlops.steps.dataset import MANIFEST

    record = _record(data, name, version) or {}
    manifest = json.loads((Path(data.resolve(name, version)) / MANIFEST).read_bytes())
    rejected = record.get("rejected", {})
    return Ingested(
        name=name,
        version=version,
        new=False,
        digest=manifest["digest"],
        window=record["window"],
        accepted=record["accepted"],
        rejected_rows=rejected.get("rows", 0),
        rejected_files=rejected.get("files", 0),
        quarantine="",
    )

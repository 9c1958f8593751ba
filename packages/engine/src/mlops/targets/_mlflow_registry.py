"""The registry of any MLflow server: version tags say what is where, artifacts are verified by digest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from mlops.errors import Blocked, IntegrityError, MlopsError
from mlops.spec.artifact import artifact_files
from mlops.spec.digest import tree_digest
from mlops.spec.files import desired_path, load_desired
from mlops.spec.live import live_in
from mlops.spec.seal import Seal
from mlops.targets._folders import whole
from mlops.targets.base import ModelVersion, TrainingRun
from mlops.tracking import ModelStore, PipelineTracker, RegisteredVersion

ARTIFACT = "model"
"""Path of a model below its run's artifacts."""
DIGEST = "mlops.digest"


class VersionStore(Protocol):
    """What keeps versions: `mlops.tracking.ModelStore`, or one with names of its own."""

    def versions(
        self, model: str, tags: Mapping[str, str] | None = None, limit: int | None = None
    ) -> list[RegisteredVersion]: ...

    def get(self, model: str, version: int) -> RegisteredVersion: ...

    def find(self, model: str, digest: str) -> RegisteredVersion | None: ...

    def register(
        self, model: str, run_id: str, path: str, digest: str, tags: Mapping[str, str]
    ) -> RegisteredVersion: ...

    def tag(self, model: str, version: int, tags: Mapping[str, str | None]) -> None: ...

    def mirror_alias(self, model: str, alias: str, version: int | None) -> bool: ...

    def delete(self, model: str, version: int) -> None: ...

    def download(self, model: str, version: int, to: Path) -> None: ...


class MlflowRegistry:
    """Implements `mlops.targets.base.Registry`. `cache` holds fetched artifacts by digest.

    `root`: checkout whose `environments/` name versions that must not be deleted. `store`: where versions
    are, when not at the tracker's address.
    """

    def __init__(
        self,
        tracker: PipelineTracker,
        cache: Path,
        root: Path | None = None,
        store: VersionStore | None = None,
        seal: Seal | None = None,
    ) -> None:
        self._tracker = tracker
        self._store: VersionStore = store or ModelStore(tracker.uri)
        self._cache = cache
        self._root = root
        self._seal = seal

    def runs(self, experiment: str, tags: Mapping[str, str], limit: int) -> list[TrainingRun]:
        """At most `limit` runs of `experiment` that ended well and carry all of `tags`, newest first."""
        mlflow_runs = self._tracker.find_runs(experiment, tags, "FINISHED", limit)
        return [
            TrainingRun(r.run_id, datetime.fromtimestamp(r.started / 1000, UTC), r.params, r.metrics, r.tags)
            for r in mlflow_runs
        ]

    def tag_run(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run, for whoever looks at runs; nothing is decided by them."""
        self._tracker.set_tags(run_id, tags)

    def run_tags(self, run_id: str) -> Mapping[str, str]:
        """What a run says of itself. Raises `NotFound`."""
        return self._tracker.get(run_id).tags

    def params(self, run_id: str) -> dict[str, str]:
        """What the steps of a run have logged as parameters so far."""
        return {name: text for step in self._tracker.children(run_id) for name, text in step.params.items()}

    def versions(
        self, model: str, tags: Mapping[str, str] | None = None, limit: int | None = None
    ) -> list[ModelVersion]:
        """Versions that carry all of `tags`, highest number first; at most `limit`."""
        return [_public(v) for v in self._store.versions(model, tags, limit)]

    def get(self, model: str, version: int) -> ModelVersion:
        """Raises `NotFound`."""
        return _public(self._store.get(model, version))

    def register(self, model: str, folder: Path, digest: str, tags: Mapping[str, str]) -> ModelVersion:
        """A version of the artifact in `folder`, below a run of its own; made once for each digest.

        Raises `IntegrityError` when the folder holds anything but regular files.
        """
        artifact_files(folder)
        if known := self._store.find(model, digest):
            return _public(known)
        run_id = self._tracker.create_parent(model, "register", {**tags, DIGEST: digest})
        try:
            self._tracker.log_artifacts(run_id, folder, ARTIFACT)
            registered = self._store.register(model, run_id, ARTIFACT, digest, tags)
        except MlopsError:
            self._tracker.finish(run_id, "FAILED")
            raise
        self._tracker.finish(run_id, "FINISHED")
        return _public(registered)

    def share(self, model: str, version: int) -> None:
        """Nothing to do: every environment reads this registry."""

    def fetch(self, model: str, version: int, digest: str) -> Path:
        """A folder with the artifact; raises `IntegrityError` when it is not what `digest` says."""
        record = _public(self._store.get(model, version))
        return fetched(self._cache, record, digest, lambda to: self._store.download(model, version, to))

    def artifacts(self, run_id: str, path: str) -> Path:
        """A local copy of a run's artifact; raises `NotFound`. Fetched anew: a verdict can be given again."""
        to = self._cache.parent / "fetched" / run_id
        to.mkdir(parents=True, exist_ok=True)
        return self._tracker.download(run_id, path, to)

    def add_artifacts(self, run_id: str, folder: Path, path: str) -> None:
        """Copy the files of `folder` below `path` of a run's artifacts, over what is there."""
        self._tracker.log_artifacts(run_id, folder, path)

    def tag(self, model: str, version: int, tags: Mapping[str, str | None]) -> None:
        """Set tags; None removes one. Idempotent; raises `NotFound`."""
        self._store.tag(model, version, tags)

    def seal(self, make: bool = False) -> Seal | None:
        """As it was opened with; None: who may write tags is the server's business."""
        return self._seal

    def set_alias(self, model: str, alias: str, version: int | None) -> None:
        """Mirror where something is in the server's own aliases; nothing happens where it has none."""
        self._store.mirror_alias(model, alias, version)

    def delete(self, model: str, version: int) -> None:
        """Raises `Blocked` while the version is live or an environment's file names it."""
        self._refuse_live(model, version)
        self._store.delete(model, version)

    def _refuse_live(self, model: str, version: int) -> None:
        tags = self._store.get(model, version).tags
        if live := live_in(tags):
            raise Blocked(
                f"{model} version {version} is live in {', '.join(live)} and cannot be deleted; "
                "release another version there first"
            )
        if named := self._named(model, version):
            raise Blocked(
                f"{model} version {version} cannot be deleted: {', '.join(named)} names it; "
                "change the file first"
            )

    def _named(self, model: str, version: int) -> list[str]:
        if self._root is None:
            return []
        naming = []
        for folder in sorted(p for p in (self._root / "environments").glob("*") if p.is_dir()):
            desired = load_desired(self._root, folder.name, model)
            if desired is not None and version in (desired.release, desired.replaces):
                naming.append(desired_path(folder.name, model))
        return naming


def fetched(cache: Path, record: ModelVersion, digest: str, download: Callable[[Path], None]) -> Path:
    """The artifact of `record` in `cache`, downloaded into it when it is not there, verified each time.

    Raises `IntegrityError` when the registry records, or the files have, another digest than `digest`.
    """
    what = f"{record.model} version {record.version}"
    recorded = record.tags.get(DIGEST)
    if recorded != digest:
        raise IntegrityError(
            f"the registry records {recorded or 'no digest'} for {what}, but {digest} is expected; "
            "nothing was fetched"
        )
    final = cache / digest.removeprefix("sha256:")
    if final.is_dir():
        verify(final, digest, f"{what} in the cache", f"delete {final} and run again")
        return final
    with whole(final) as fresh:
        download(fresh)
        verify(fresh, digest, f"the artifact of {what} at {record.source}", "register the model again")
    return final


def verify(folder: Path, digest: str, what: str, advice: str) -> None:
    """Raises `IntegrityError` when the files of `folder` have another digest, or are no artifact at all."""
    try:
        actual = tree_digest(folder)
    except IntegrityError as error:
        raise IntegrityError(f"{what}: {error}; {advice}") from None
    if actual != digest:
        raise IntegrityError(f"{what} has the digest {actual}, but {digest} is expected; {advice}")


def _public(record: RegisteredVersion) -> ModelVersion:
    return ModelVersion(
        model=record.model,
        version=record.version,
        run_id=record.run_id,
        source=record.source,
        tags=record.tags,
        created=record.created,
    )

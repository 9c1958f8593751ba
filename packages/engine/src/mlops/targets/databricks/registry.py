"""Versions are made and numbered in the catalog that trains; each environment's catalog has copies.

A version's tags in the catalog that trains are the truth of what is where: a release is known by the
number it has there. What an environment serves is a copy in its own catalog, so that who may read or
change production's models is said by the grants of one catalog. The copy carries the same tags, and its
number of the other one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from mlops.errors import NotFound
from mlops.spec.files import load_policy
from mlops.spec.release import Release
from mlops.targets._mlflow_registry import DIGEST, MlflowRegistry, verify
from mlops.targets._record_seal import record_seal
from mlops.targets.base import TrainingRun
from mlops.targets.databricks.connect import TRACKING, Connection
from mlops.tracking import PipelineTracker, Run, RunStatus
from mlops.tracking.databricks_errors import databricks_sentences
from mlops.tracking.unity import VERSION, UnityModels, UnitySchema

RUN = "mlops.run_id"
"""Tag of a copy: the run that made the version. Another workspace may not see it."""


class WorkspaceTracker(PipelineTracker):
    """MLflow of the workspace that trains, whose experiments have paths."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(TRACKING)
        self._connection = connection

    def create_parent(self, experiment: str, name: str, tags: Mapping[str, str]) -> str:
        """See `PipelineTracker.create_parent`."""
        self._connection.mlflow()
        return super().create_parent(self._connection.experiment(experiment), name, tags)

    def find_runs(
        self,
        experiment: str,
        tags: Mapping[str, str] | None = None,
        status: RunStatus | None = None,
        limit: int | None = None,
    ) -> list[Run]:
        """See `PipelineTracker.find_runs`."""
        self._connection.mlflow()
        return super().find_runs(self._connection.experiment(experiment), tags, status, limit)

    def get(self, run_id: str) -> Run:
        """See `PipelineTracker.get`."""
        self._connection.mlflow()
        return super().get(run_id)

    def download(self, run_id: str, path: str, to: Path) -> Path:
        """See `PipelineTracker.download`."""
        self._connection.mlflow()
        return super().download(run_id, path, to)

    def log_artifacts(self, run_id: str, folder: Path, path: str) -> None:
        """See `PipelineTracker.log_artifacts`."""
        self._connection.mlflow()
        super().log_artifacts(run_id, folder, path)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """See `PipelineTracker.set_tags`."""
        self._connection.mlflow()
        super().set_tags(run_id, tags)


class Catalogs(UnitySchema):
    """Models in Unity Catalog by environment, under the names that the lifecycle knows."""

    def __init__(self, connection: Connection, environment: str | None = None) -> None:
        super().__init__("")
        self._connection = connection
        self._environment = environment

    def name(self, model: str) -> str:
        """The name of three levels."""
        return self._connection.place(self._environment).model(model)

    @property
    def models(self) -> UnityModels:
        """The registry, once MLflow's clients go to the workspace that trains."""
        self._connection.mlflow()
        return super().models


class DatabricksRegistry(MlflowRegistry):
    """Implements `mlops.targets.base.Registry`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        super().__init__(
            WorkspaceTracker(connection),
            connection.state / "models",
            connection.root,
            Catalogs(connection),
            record_seal(connection.root, connection.settings),
        )

    def runs(self, experiment: str, tags: Mapping[str, str], limit: int) -> list[TrainingRun]:
        """See `mlops.targets.base.Registry.runs`."""
        with databricks_sentences(f"list the runs of {experiment}"):
            return super().runs(experiment, tags, limit)

    def share(self, model: str, version: int) -> None:
        """Nothing to do: `mlops apply` copies it to the catalog of its environment, see `served_version`."""

    def set_alias(self, model: str, alias: str, version: int | None) -> None:
        """Point an alias at a version where it was trained, and at its copy in the environment's catalog."""
        super().set_alias(model, alias, version)
        if alias not in load_policy(self._connection.root).order or alias == self._connection.training:
            return
        catalog = Catalogs(self._connection, alias)
        if version is None:
            catalog.mirror_alias(model, "live", None)
        elif copies := catalog.versions(model, {VERSION: str(version)}, 1):
            catalog.mirror_alias(model, "live", copies[0].version)

    def delete(self, model: str, version: int) -> None:
        """See `mlops.targets.base.Registry.delete`; its copies in other catalogs go first."""
        self._refuse_live(model, version)
        for environment in load_policy(self._connection.root).order:
            if environment == self._connection.training:
                continue
            catalog = Catalogs(self._connection, environment)
            if catalog.name(model) == Catalogs(self._connection).name(model):
                continue
            for copy in catalog.versions(model, {VERSION: str(version)}):
                catalog.delete(model, copy.version)
        super().delete(model, version)


def served_version(
    connection: Connection, environment: str, release: Release, artifact: Path
) -> tuple[str, int]:
    """Name and number in the environment's catalog of what a release is, copied there when it is not yet.

    Raises `IntegrityError` when the copy is not what was released. A version that was trained elsewhere is
    uploaded from `artifact`, which the caller has verified.
    """
    model, version, digest = release.model, release.version, release.digest
    source, target = Catalogs(connection), Catalogs(connection, environment)
    source_name, name = source.name(model), target.name(model)
    try:
        trained = source.get(model, version)
    except NotFound:
        tags = {VERSION: str(version), DIGEST: digest}
        models = target.models
        upload = models.find(name, digest) or models.upload(name, artifact, digest, tags)
        return name, upload.version
    if source_name == name:
        return name, version
    tags = {**trained.tags, RUN: trained.run_id}
    copy = target.models.copy(source_name, version, name, artifact, tags)
    _verify(connection, target, model, copy.version, digest)
    return name, copy.version


def _verify(connection: Connection, catalog: Catalogs, model: str, version: int, digest: str) -> None:
    connection.state.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=connection.state) as folder:
        catalog.download(model, version, Path(folder))
        verify(
            Path(folder),
            digest,
            f"the copy {catalog.name(model)} version {version}",
            "it must not be served; delete the copy, and apply again",
        )

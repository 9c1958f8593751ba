"""Versions are made and numbered in the training workspace; what passed its gates is shared with everybody.

Before it is shared, a version's tags are the workspace's; afterwards the registry's are the truth, because
every environment's identity can read and write them there. A promoter need not see the training workspace.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mlops.errors import Blocked, Forbidden, NotFound, TargetError
from mlops.spec.seal import Seal
from mlops.targets._mlflow_registry import DIGEST, MlflowRegistry, fetched, verify
from mlops.targets._record_seal import record_seal
from mlops.targets.azure.connect import Connection
from mlops.targets.azure.shared import RUN, SharedModels
from mlops.targets.base import ModelVersion, TrainingRun
from mlops.tracking import PipelineTracker


class AzureRegistry:
    """Implements `mlops.targets.base.Registry`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._shared = SharedModels(connection)
        self._cache = connection.state / "models"

    def uri(self, model: str, version: int) -> str:
        """What a deployment names: the registry's model, or the workspace's where there is no registry."""
        return self._shared.uri(model, version) if self._shared.there else f"azureml:{model}:{version}"

    def runs(self, experiment: str, tags: Mapping[str, str], limit: int) -> list[TrainingRun]:
        """At most `limit` runs of `experiment` that ended well and carry all of `tags`, newest first."""
        return self._workspace(f"list the runs of {experiment}").runs(experiment, tags, limit)

    def versions(
        self, model: str, tags: Mapping[str, str] | None = None, limit: int | None = None
    ) -> list[ModelVersion]:
        """Versions that carry all of `tags`, highest number first; at most `limit`."""
        by_number = {v.version: v for v in self._own.versions(model)} if self._own is not None else {}
        for shared in self._shared.versions(model):
            by_number[shared.version] = _merged(by_number.get(shared.version), shared)
        wanted = (tags or {}).items()
        return [by_number[n] for n in sorted(by_number, reverse=True) if wanted <= by_number[n].tags.items()][
            :limit
        ]

    def get(self, model: str, version: int) -> ModelVersion:
        """Raises `NotFound`."""
        shared = self._shared.get(model, version)
        if self._own is None:
            if shared is None:
                raise NotFound(
                    f"the registry {self._connection.registry} has no version {version} of the model "
                    f"{model!r}, and this identity does not see the workspace that trains; "
                    "share it with: mlops release"
                )
            return shared
        try:
            own = self._own.get(model, version)
        except NotFound:
            if shared is None:
                raise
            return shared
        return own if shared is None else _merged(own, shared)

    def register(self, model: str, folder: Path, digest: str, tags: Mapping[str, str]) -> ModelVersion:
        """The version of the artifact in `folder`, in the training workspace; made once for each digest."""
        return self._workspace("register a model").register(model, folder, digest, tags)

    def share(self, model: str, version: int) -> None:
        """Copy a version with all its tags to the registry, and verify that the copy has the same digest.

        Idempotent. Raises `IntegrityError` when the copy differs.
        """
        if not self._shared.there:
            return
        original = self.get(model, version)
        self._shared.add(model, version)
        copy = self._shared.get(model, version)
        missing = {
            k: v
            for k, v in {**original.tags, RUN: original.run_id}.items()
            if copy is None or k not in copy.tags
        }
        if missing:
            self._shared.tag(model, version, missing)
        digest = original.tags.get(DIGEST, "")
        self._cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._cache) as folder:
            self._shared.download(model, version, Path(folder))
            verify(
                Path(folder),
                digest,
                f"the copy of {model} version {version} at {self._shared.uri(model, version)}",
                "it must not be released; train a new version",
            )

    def fetch(self, model: str, version: int, digest: str) -> Path:
        """A folder with the artifact; raises `IntegrityError` when it is not what `digest` says."""
        shared = self._shared.get(model, version)
        if shared is None:
            return self._workspace(f"fetch {model} {version}").fetch(model, version, digest)
        return fetched(
            self._cache, shared, digest, lambda folder: self._shared.download(model, version, folder)
        )

    def tag_run(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run, for whoever looks at runs; nothing is decided by them."""
        self._workspace(f"tag run {run_id}").tag_run(run_id, tags)

    def run_tags(self, run_id: str) -> Mapping[str, str]:
        """What a run says of itself. Raises `NotFound`."""
        return self._workspace(f"read the tags of run {run_id}").run_tags(run_id)

    def params(self, run_id: str) -> dict[str, str]:
        """What the steps of a run have logged as parameters so far."""
        return self._workspace(f"read the parameters of run {run_id}").params(run_id)

    def artifacts(self, run_id: str, path: str) -> Path:
        """A local copy of a run's artifact; raises `NotFound`."""
        return self._workspace(f"read {path} of run {run_id}").artifacts(run_id, path)

    def add_artifacts(self, run_id: str, folder: Path, path: str) -> None:
        """Copy the files of `folder` below `path` of a run's artifacts, over what is there."""
        self._workspace(f"write {path} of run {run_id}").add_artifacts(run_id, folder, path)

    def tag(self, model: str, version: int, tags: Mapping[str, str | None]) -> None:
        """Set tags where they are the truth; None removes one. Idempotent; raises `NotFound`."""
        if self._shared.get(model, version) is not None:
            self._shared.tag(model, version, tags)
        else:
            self._workspace(f"tag {model} {version}").tag(model, version, tags)

    def seal(self, make: bool = False) -> Seal | None:
        """By the key of the identities that train, see docs/security.md."""
        return record_seal(self._connection.root, self._connection.settings)

    def set_alias(self, model: str, alias: str, version: int | None) -> None:
        """Mirror where something is in the workspace's aliases, should Azure ML come to have them."""
        if self._own is not None:
            self._own.set_alias(model, alias, version)

    def delete(self, model: str, version: int) -> None:
        """Raises `Blocked` for a version that was shared: releases name it, and a registry keeps all."""
        if self._shared.get(model, version) is not None:
            raise Blocked(
                f"{model} version {version} is shared in the registry {self._connection.registry}, where "
                "releases find it, and cannot be deleted; hide it with: az ml model archive "
                f"--registry-name {self._connection.registry} --name {model} --version {version}"
            )
        self._workspace(f"delete {model} {version}").delete(model, version)

    @functools.cached_property
    def _own(self) -> MlflowRegistry | None:
        """The training workspace; None for an identity that may not see it and has the registry."""
        try:
            tracker = PipelineTracker(self._connection.tracking_uri())
        except Forbidden:
            if not self._shared.there:
                raise
            return None
        return MlflowRegistry(tracker, self._cache, self._connection.root)

    def _workspace(self, what: str) -> MlflowRegistry:
        if self._own is None:
            place = self._connection.place(self._connection.training)
            raise TargetError(f"cannot {what}: this identity does not see the workspace {place.workspace}")
        return self._own


def _merged(own: ModelVersion | None, shared: ModelVersion) -> ModelVersion:
    """The workspace knows where a version comes from, the registry what has become of it."""
    return shared if own is None else replace(own, tags=shared.tags)

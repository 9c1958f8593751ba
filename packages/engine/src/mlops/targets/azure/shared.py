"""The Azure ML registry that all environments read: versions that passed, immutable but for their tags."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, NotFound, TargetError
from mlops.targets.azure.connect import Connection
from mlops.targets.base import ModelVersion
from mlops.tracking.azure_errors import azure_sentences

RUN = "mlops.run_id"
"""Tag of a shared version: the run that made it. A registry knows no runs."""
_ATTEMPTS = 3


class SharedModels:
    """The models of the shared registry, by `azure-ai-ml`. Methods raise `TargetError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def there(self) -> bool:
        """Whether there is a registry at all."""
        return self._connection.registry is not None

    def uri(self, model: str, version: int) -> str:
        """What a deployment in any workspace names."""
        return f"azureml://registries/{self._connection.registry}/models/{model}/versions/{version}"

    def versions(self, model: str) -> list[ModelVersion]:
        """All versions, in no order; none when the model was never shared."""
        if not self.there:
            return []
        try:
            with azure_sentences(f"list the versions of {model} in the registry {self._connection.registry}"):
                return [_public(entity) for entity in self._models.list(name=model)]
        except NotFound:
            return []

    def get(self, model: str, version: int) -> ModelVersion | None:
        """None when this version was not shared."""
        resource = self._get(model, version) if self.there else None
        return None if resource is None else _public(resource)

    def add(self, model: str, version: int) -> None:
        """Copy a version of the training workspace; nothing happens when it is there already."""
        if self._get(model, version) is not None:
            return
        with azure_sentences(f"share {model} {version} with the registry {self._connection.registry}"):
            self._connection.client().models.share(
                name=model,
                version=str(version),
                share_with_name=model,
                share_with_version=str(version),
                registry_name=self._connection.registry,
            )

    def tag(self, model: str, version: int, tags: Mapping[str, str | None]) -> None:
        """Set tags; None removes one. Raises `NotFound`.

        A registry replaces all tags at once and checks no ETag, so what was written is read again: an apply
        of another environment may have written in between.
        """
        for _ in range(_ATTEMPTS):
            resource = self._get(model, version)
            if resource is None:
                raise NotFound(f"{self._connection.registry} has no version {version} of {model!r}")
            now = dict(resource.tags or {})
            wanted = {**now, **{k: v for k, v in tags.items() if v is not None}}
            for key in (k for k, v in tags.items() if v is None):
                wanted.pop(key, None)
            if wanted == now:
                return
            resource.tags = wanted
            with azure_sentences(f"tag {model} {version} in the registry {self._connection.registry}"):
                self._models.create_or_update(resource)
        resource = self._get(model, version)
        if resource is None or any((resource.tags or {}).get(k) != v for k, v in tags.items()):
            raise TargetError(
                f"somebody else changes the tags of {model} {version} in {self._connection.registry} at the "
                "same time; run the same command again"
            )

    def download(self, model: str, version: int, to: Path) -> None:
        """Copy the artifact's files into the existing folder `to`."""
        with tempfile.TemporaryDirectory(dir=to.parent) as scratch:
            with azure_sentences(f"download {model} {version} from the registry {self._connection.registry}"):
                self._models.download(model, str(version), download_path=scratch)
            root = min(Path(scratch).rglob("MLmodel"), key=lambda p: len(p.parts), default=None)
            if root is None:
                raise InvalidInput(f"{self.uri(model, version)} is no MLflow model: it has no file MLmodel")
            for entry in list(root.parent.iterdir()):
                entry.rename(to / entry.name)

    @property
    def _models(self) -> Any:
        client = self._connection.registry_client()
        assert client is not None, "only called where there is a registry"  # noqa: S101
        return client.models

    def _get(self, model: str, version: int) -> Any:
        try:
            with azure_sentences(f"read {model} {version} in the registry {self._connection.registry}"):
                return self._models.get(model, str(version))
        except NotFound:
            return None


def _public(entity: Any) -> ModelVersion:
    tags = {str(k): str(v) for k, v in (entity.tags or {}).items()}
    context = entity.creation_context
    created = (
        context.created_at if context is not None and context.created_at else datetime.fromtimestamp(0, UTC)
    )
    return ModelVersion(
        model=str(entity.name),
        version=int(entity.version),
        run_id=tags.get(RUN, ""),
        source=str(entity.path or ""),
        tags=tags,
        created=created,
    )

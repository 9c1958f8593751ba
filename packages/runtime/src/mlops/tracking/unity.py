"""Registered models in Unity Catalog, by MLflow's own store `databricks-uc`.

Three things are different there. A search tells no tags, so each version is read; keys of tags may not have
some characters, so they are written in others; a version is made in several requests, so one that nobody has
ended stays `PENDING_REGISTRATION` when its maker dies, and is none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from mlops.errors import InvalidInput, NotFound
from mlops.tracking._connection import quiet, room_in
from mlops.tracking._version import RegisteredVersion, created
from mlops.tracking.databricks_errors import databricks_sentences
from mlops.tracking.models import ModelStore

TRACKING, REGISTRY = "databricks", "databricks-uc"
SCHEMA = "MODEL_SCHEMA"
"""Variable of a step on Databricks: the schema in Unity Catalog that takes its models."""
DIGEST = "mlops.digest"
VERSION = "mlops.version"
"""Tag of a copy in another catalog: the number that the version has where it was trained."""
_ILLEGAL = ".,-=/:"
_LONGEST, _MOST = 1000, 50
"""Characters of a tag's value, and tags of a version."""
_PAGE = 200
_READS = 8


class Sentences(Protocol):
    """What turns the client's errors into refusals, while it tries to do something."""

    def __call__(self, what: str) -> AbstractContextManager[None]: ...


def key_of(tag: str) -> str:
    """A tag's key as Unity Catalog takes it: `mlops.digest` is `mlops__digest`. Raises `InvalidInput`."""
    if "__" in tag or tag.startswith("_") or tag.endswith("_"):
        raise InvalidInput(
            f"the tag {tag!r} cannot be kept in Unity Catalog: it has two underscores in a row"
        )
    return "".join("__" if c == "." else f"__x{ord(c):02x}__" if c in _ILLEGAL else c for c in tag)


def tag_of(key: str) -> str:
    """The tag that `key_of` made a key of."""
    for char in _ILLEGAL:
        key = key.replace(f"__x{ord(char):02x}__", char)
    return key.replace("__", ".")


class UnityModels:
    """The models of one registry, each by its name of three levels. `sentences` speaks for its errors."""

    def __init__(self, tracking_uri: str, sentences: Sentences, registry_uri: str = REGISTRY) -> None:
        self._tracking, self._registry = tracking_uri, registry_uri
        self._sentences = sentences
        self._client: Any = None

    @property
    def api(self) -> Any:
        """MLflow's client."""
        if self._client is None:
            quiet()
            from mlflow.tracking import MlflowClient

            quiet()  # importing MLflow configures its loggers
            self._client = MlflowClient(tracking_uri=self._tracking, registry_uri=self._registry)
        return self._client

    def versions(
        self, model: str, tags: Mapping[str, str] | None = None, limit: int | None = None
    ) -> list[RegisteredVersion]:
        """Versions that carry all of `tags`, highest number first, at most `limit`; none without a model."""
        wanted = (tags or {}).items()
        found: list[RegisteredVersion] = []
        numbers = self._numbers(model)
        step = max(limit or 0, _READS)
        for first in range(0, len(numbers), step):
            if limit is not None and len(found) >= limit:
                break
            with ThreadPoolExecutor(_READS) as pool:
                read = list(pool.map(lambda n: self._read(model, n), numbers[first : first + step]))
            found += [v for v in read if v is not None and wanted <= v.tags.items()]
        return found[:limit]

    def get(self, model: str, version: int) -> RegisteredVersion:
        """Raises `NotFound`."""
        found = self._read(model, version)
        if found is None:
            raise NotFound(f"Unity Catalog has no version {version} of the model {model!r}")
        return found

    def find(self, model: str, digest: str) -> RegisteredVersion | None:
        """The first version whose artifact has `digest`."""
        return min(self.versions(model, {DIGEST: digest}), key=lambda v: v.version, default=None)

    def register(
        self, model: str, run_id: str, path: str, digest: str, tags: Mapping[str, str]
    ) -> RegisteredVersion:
        """The version of the artifact that lies at `path` of the run; made once for each `digest`."""
        with self._sentences(f"read run {run_id}"):
            root = self.api.get_run(run_id).info.artifact_uri
        return self._made(model, f"{root}/{path}", digest, tags, run_id)

    def upload(self, model: str, folder: Path, digest: str, tags: Mapping[str, str]) -> RegisteredVersion:
        """The version of the artifact in `folder`, which no run of this workspace has made."""
        return self._made(model, str(folder), digest, tags, None)

    def _made(
        self, model: str, source: str, digest: str, tags: Mapping[str, str], run_id: str | None
    ) -> RegisteredVersion:
        told = _told({**tags, DIGEST: digest})
        self._model(model)
        if known := self.find(model, digest):
            return known
        with self._sentences(f"register a version of {model}"):
            made = self.api.create_model_version(model, source, run_id=run_id, tags=told)
        return self.get(model, int(made.version))

    def copy(
        self, model: str, version: int, to: str, folder: Path, tags: Mapping[str, str]
    ) -> RegisteredVersion:
        """The copy of a version, whose files are in `folder`, as a version of the model `to`; made once.

        What `copy_model_version` of MLflow asks of its store, but for two things: that fails for a version
        without a logged model (mlflow#22012), and it puts a file of its own among those of the artifact,
        which then has another digest.
        """
        marks = {VERSION: str(version)}
        if known := self.versions(to, marks):
            return known[-1]
        told = _told({**tags, **marks})
        self._model(to)
        with self._sentences(f"copy {model} version {version} to {to}"):
            made = self.api._create_model_version(
                to, f"models:/{model}/{version}", tags=told, local_model_path=str(folder)
            )
        return self.get(to, int(made.version))

    def tag(self, model: str, version: int, tags: Mapping[str, str | None]) -> None:
        """Set tags; None removes one, also one that is not there. Raises `NotFound`."""
        present = self.get(model, version).tags
        _told({**present, **{k: v for k, v in tags.items() if v is not None}})
        with self._sentences(f"tag {model} version {version}"):
            for name, value in tags.items():
                if value is not None and present.get(name) != value:
                    self.api.set_model_version_tag(model, str(version), key_of(name), value)
                elif value is None and name in present:
                    self.api.delete_model_version_tag(model, str(version), key_of(name))

    def mirror_alias(self, model: str, alias: str, version: int | None) -> bool:
        """Point the alias at `version`, or remove it."""
        with self._sentences(f"set the alias {alias} of {model}"):
            if version is None:
                self.api.delete_registered_model_alias(model, alias)
            else:
                self.api.set_registered_model_alias(model, alias, str(version))
        return True

    def delete(self, model: str, version: int) -> None:
        """Raises `NotFound`. Whether it may be deleted is the caller's business."""
        self.get(model, version)
        with self._sentences(f"delete {model} version {version}"):
            self.api.delete_model_version(model, str(version))

    def download(self, model: str, version: int, to: Path) -> None:
        """Copy the artifact's files into the existing folder `to`."""
        with self._sentences(f"download {model} version {version}"), room_in(to):
            from mlflow.store.artifact.unity_catalog_models_artifact_repo import (
                UnityCatalogModelsArtifactRepository,
            )

            files = UnityCatalogModelsArtifactRepository(f"models:/{model}/{version}", self._registry)
            files.download_artifacts("", str(to))

    def _numbers(self, model: str) -> list[int]:
        found: list[int] = []
        token: str | None = None
        try:
            with self._sentences(f"list the versions of {model}"):
                while True:
                    page = self.api.search_model_versions(
                        f"name='{model}'", max_results=_PAGE, page_token=token
                    )
                    found += [int(entity.version) for entity in page]
                    token = page.token or None
                    if token is None:
                        break
        except NotFound:
            return []
        return sorted(found, reverse=True)

    def _read(self, model: str, version: int) -> RegisteredVersion | None:
        """None when it is not there, or was begun and never ended."""
        try:
            with self._sentences(f"read {model} version {version}"):
                entity = self.api.get_model_version(model, str(version))
        except NotFound:
            return None
        if str(entity.status) != "READY":
            return None
        return RegisteredVersion(
            model=entity.name,
            version=int(entity.version),
            run_id=entity.run_id or "",
            source=entity.source or "",
            tags={tag_of(key): value for key, value in (entity.tags or {}).items()},
            created=created(entity.creation_timestamp),
        )

    def _model(self, model: str) -> None:
        from mlflow.exceptions import MlflowException

        with self._sentences(f"make the registered model {model}"):
            try:
                self.api.create_registered_model(model)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise


class UnitySchema:
    """What `ModelStore` is, with the models of one schema by names of one level."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._models = UnityModels(TRACKING, databricks_sentences)

    def name(self, model: str) -> str:
        """The name of three levels; Unity Catalog has no hyphens."""
        return f"{self._schema}.{model.replace('-', '_')}"

    @property
    def models(self) -> UnityModels:
        """The registry."""
        return self._models

    def versions(
        self, model: str, tags: Mapping[str, str] | None = None, limit: int | None = None
    ) -> list[RegisteredVersion]:
        return [replace(v, model=model) for v in self.models.versions(self.name(model), tags, limit)]

    def get(self, model: str, version: int) -> RegisteredVersion:
        return replace(self.models.get(self.name(model), version), model=model)

    def find(self, model: str, digest: str) -> RegisteredVersion | None:
        found = self.models.find(self.name(model), digest)
        return None if found is None else replace(found, model=model)

    def register(
        self, model: str, run_id: str, path: str, digest: str, tags: Mapping[str, str]
    ) -> RegisteredVersion:
        return replace(self.models.register(self.name(model), run_id, path, digest, tags), model=model)

    def tag(self, model: str, version: int, tags: Mapping[str, str | None]) -> None:
        self.models.tag(self.name(model), version, tags)

    def mirror_alias(self, model: str, alias: str, version: int | None) -> bool:
        return self.models.mirror_alias(self.name(model), alias, version)

    def delete(self, model: str, version: int) -> None:
        self.models.delete(self.name(model), version)

    def download(self, model: str, version: int, to: Path) -> None:
        self.models.download(self.name(model), version, to)


def models_of(uri: str) -> ModelStore | UnitySchema:
    """Where a step registers: beside its tracking, or in the schema that its job was told."""
    schema = os.environ.get(SCHEMA, "")
    return UnitySchema(schema) if uri == TRACKING and schema else ModelStore(uri)


def _told(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as Unity Catalog takes them; raises `InvalidInput` for what it would refuse or cut."""
    if len(tags) > _MOST:
        raise InvalidInput(f"a version in Unity Catalog has at most {_MOST} tags; these are {len(tags)}")
    if long := [name for name, value in tags.items() if len(value) > _LONGEST]:
        raise InvalidInput(
            f"the tag {long[0]} has {len(tags[long[0]])} characters; Unity Catalog keeps at most {_LONGEST}"
        )
    return {key_of(name): value for name, value in tags.items()}

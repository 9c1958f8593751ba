"""Registered models by the calls that every server answers. Version tags are the truth, aliases a mirror."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlops.errors import NotFound, TargetError
from mlops.tracking._connection import absent, artifacts_of, client, lost, room_in, translated

DIGEST = "mlops.digest"
_PAGE = 200
_ATTEMPTS = 3
_RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


@dataclass(frozen=True)
class RegisteredVersion:
    """One version as the registry stores it."""

    model: str
    version: int
    run_id: str
    source: str
    tags: Mapping[str, str]
    created: datetime


class ModelStore:
    """The registry at `uri`. Every method raises `TargetError` when the registry cannot do it."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def versions(self, model: str) -> list[RegisteredVersion]:
        """All versions, highest number first; none when the model is not registered."""
        found: list[RegisteredVersion] = []
        with translated(self.uri, f"list the versions of {model}"):
            api = client(self.uri)
            token: str | None = ""
            while token is not None:
                page = api.search_model_versions(
                    f"name='{model}'", max_results=_PAGE, page_token=token or None
                )
                found += [_version(entity) for entity in page]
                token = page.token or None
        return sorted(found, key=lambda v: v.version, reverse=True)

    def get(self, model: str, version: int) -> RegisteredVersion:
        """Raises `NotFound`."""
        try:
            with translated(self.uri, f"read {model} version {version}"):
                return _version(client(self.uri).get_model_version(model, str(version)))
        except NotFound as error:
            raise NotFound(f"the registry has no version {version} of the model {model!r}") from error

    def find(self, model: str, digest: str) -> RegisteredVersion | None:
        """The first version whose artifact has `digest`."""
        same = [v for v in self.versions(model) if v.tags.get(DIGEST) == digest]
        return min(same, key=lambda v: v.version, default=None)

    def register(
        self, model: str, run_id: str, path: str, digest: str, tags: Mapping[str, str]
    ) -> RegisteredVersion:
        """The version of the artifact that lies at `path` of the run; made once for each `digest`.

        The artifact is there before, and the version comes with all its tags in one request: a process that
        dies leaves at most files that no version names. A lost connection is answered by looking whether the
        version exists, never by sending the request again blindly.
        """
        api = client(self.uri)
        from mlflow.exceptions import MlflowException

        with translated(self.uri, f"register {model}"):
            _create_model(api, model)
            root = api.get_run(run_id).info.artifact_uri
            for attempt in range(1, _ATTEMPTS + 1):
                if known := self.find(model, digest):
                    return known
                try:
                    with _sent_once():
                        made = api.create_model_version(
                            model, f"{root}/{path}", run_id=run_id, tags={**tags, DIGEST: digest}
                        )
                    return _version(made)
                except MlflowException as error:
                    if attempt == _ATTEMPTS or not lost(error):
                        raise
                    time.sleep(0.5 * attempt)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def tag(self, model: str, version: int, tags: Mapping[str, str | None]) -> None:
        """Set tags; None removes one, also one that is not there. Raises `NotFound`."""
        present = self.get(model, version).tags
        with translated(self.uri, f"tag {model} version {version}"):
            api = client(self.uri)
            for key, value in tags.items():
                if value is not None:
                    api.set_model_version_tag(model, str(version), key, value)
                elif key in present:
                    api.delete_model_version_tag(model, str(version), key)

    def mirror_alias(self, model: str, alias: str, version: int | None) -> bool:
        """Point the native alias at `version`, or remove it; False where the server has no aliases."""
        api = client(self.uri)
        from mlflow.exceptions import MlflowException

        try:
            if version is None:
                api.delete_registered_model_alias(model, alias)
            else:
                api.set_registered_model_alias(model, alias, str(version))
        except MlflowException as error:
            if absent(error):
                return False
            with translated(self.uri, f"set the alias {alias!r} of {model}"):
                raise
        return True

    def delete(self, model: str, version: int) -> None:
        """Raises `NotFound`. Whether it may be deleted is the caller's business."""
        self.get(model, version)
        with translated(self.uri, f"delete {model} version {version}"):
            client(self.uri).delete_model_version(model, str(version))

    def download(self, model: str, version: int, to: Path) -> None:
        """Copy the artifact's files into the existing folder `to`."""
        record = self.get(model, version)
        marker = "/artifacts/"
        with translated(self.uri, f"download {model} version {version}"):
            api = client(self.uri)
            root = api.get_run(record.run_id).info.artifact_uri if record.run_id else ""
            if root and record.source.startswith(f"{root}/"):
                path = record.source.removeprefix(f"{root}/")
            elif record.run_id and marker in record.source:
                path = record.source.rpartition(marker)[2]
            else:
                raise TargetError(
                    f"{model} version {version} comes from {record.source}, which is no artifact of a run; "
                    "register it by `mlops register`"
                )
            _download(artifacts_of(self.uri, record.run_id), path, to)


def _download(files: Any, path: str, to: Path) -> None:
    with room_in(to):
        folder = Path(files.download_artifacts(path, str(to)))
    # MLflow keeps the artifact's path below `to`; a caller wants the files themselves.
    for entry in list(folder.iterdir()):
        entry.rename(to / entry.name)
    while folder != to:
        folder.rmdir()
        folder = folder.parent


def _create_model(api: Any, model: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        api.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


@contextmanager
def _sent_once() -> Iterator[None]:
    """Keep MLflow from sending a request again when its answer is lost: it would make a second version."""
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES as RETRIES

    before = RETRIES.get()
    RETRIES.set(0)
    try:
        yield
    finally:
        RETRIES.set(before)


def _version(entity: Any) -> RegisteredVersion:
    return RegisteredVersion(
        model=entity.name,
        version=int(entity.version),
        run_id=entity.run_id or "",
        source=entity.source or "",
        tags=dict(entity.tags or {}),
        created=datetime.fromtimestamp((entity.creation_timestamp or 0) / 1000, UTC),
    )

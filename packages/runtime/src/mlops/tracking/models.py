"""Registered models by the calls that every server answers. Version tags are the truth, aliases a mirror."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlops.errors import NotFound, TargetError
from mlops.tracking import _local
from mlops.tracking._connection import absent, artifacts_of, client, lost, room_in, translated
from mlops.tracking._version import RegisteredVersion as RegisteredVersion  # noqa: PLC0414 (told by this module)
from mlops.tracking._version import created

DIGEST = "mlops.digest"
_PAGE = 200
_ATTEMPTS = 3
_RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


class ModelStore:
    """The registry at `uri`. Every method raises `TargetError` when the registry cannot do it."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def versions(
        self, model: str, tags: Mapping[str, str] | None = None, limit: int | None = None
    ) -> list[RegisteredVersion]:
        """Versions that carry all of `tags`, highest number first, at most `limit`.

        None when the model is not registered. The store is asked for these alone where it can be.
        """
        wanted = dict(tags or {})
        if (local := _local.opened(self.uri)) is not None:
            return local.versions(model, wanted, limit)
        matching = self._asked(model, wanted, limit) if wanted or limit is not None else None
        if matching is None:
            matching = self._listed([f"name='{model}'"], None)
        matching = [v for v in matching if wanted.items() <= v.tags.items()]
        return sorted(matching, key=lambda v: v.version, reverse=True)[:limit]

    def _asked(
        self, model: str, tags: Mapping[str, str], limit: int | None
    ) -> list[RegisteredVersion] | None:
        """What a server that can search by tag answers; None where it cannot, as Azure ML."""
        from mlflow.exceptions import MlflowException

        if not self.uri.startswith("http") or any("'" in text for pair in tags.items() for text in pair):
            return None
        terms = [f"name='{model}'", *(f"tags.`{key}` = '{value}'" for key, value in tags.items())]
        try:
            return self._listed(terms, limit)
        except TargetError as error:
            if isinstance(error.__cause__, MlflowException) and not lost(error.__cause__):
                return None
            raise

    def _listed(self, terms: list[str], limit: int | None) -> list[RegisteredVersion]:
        listed: list[RegisteredVersion] = []
        order = {} if limit is None else {"order_by": ["version_number DESC"]}
        with translated(self.uri, f"search the registry for {' and '.join(terms)}"):
            api = client(self.uri)
            token: str | None = ""
            while token is not None and (limit is None or len(listed) < limit):
                page = api.search_model_versions(
                    " and ".join(terms),
                    max_results=_PAGE if limit is None else min(_PAGE, limit - len(listed)),
                    page_token=token or None,
                    **order,
                )
                listed += [_version(entity) for entity in page]
                token = page.token or None
        return listed

    def get(self, model: str, version: int) -> RegisteredVersion:
        """Raises `NotFound`."""
        if (local := _local.opened(self.uri)) is not None:
            return local.get(model, version)
        try:
            with translated(self.uri, f"read {model} version {version}"):
                return _version(client(self.uri).get_model_version(model, str(version)))
        except NotFound as error:
            raise NotFound(f"the registry has no version {version} of the model {model!r}") from error

    def find(self, model: str, digest: str) -> RegisteredVersion | None:
        """The first version whose artifact has `digest`."""
        return min(self.versions(model, {DIGEST: digest}), key=lambda v: v.version, default=None)

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
                        registered = api.create_model_version(
                            model, f"{root}/{path}", run_id=run_id, tags={**tags, DIGEST: digest}
                        )
                    return _version(registered)
                except MlflowException as error:
                    if attempt == _ATTEMPTS or not lost(error):
                        raise
                    time.sleep(0.5 * attempt)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def tag(self, model: str, version: int, tags: Mapping[str, str | None]) -> None:
        """Set tags; None removes one, also one that is not there. Raises `NotFound`."""
        if (local := _local.opened(self.uri)) is not None:
            local.tag(model, version, tags)
            return
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
        if (local := _local.opened(self.uri)) is not None:
            local.alias(model, alias, version)
            return True
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
        if (local := _local.opened(self.uri)) is not None and record.run_id:
            root = local.artifact_uri(record.run_id)
            there = _local.folder(root)
            if there is not None and record.source.startswith(f"{root}/"):
                _local.copy(
                    there / record.source.removeprefix(f"{root}/"), to, f"download {model} version {version}"
                )
                return
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
        created=created(entity.creation_timestamp),
    )

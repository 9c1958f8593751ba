"""Batch jobs of Databricks: a release scores a folder of a volume, by the code that `mlops batch` runs.

A release that is deployed lies in the volume of its environment, so a job reads nothing of the catalog that
trains. The job is a pipeline of one step (`mlops.serving.batch`), submitted as all others are.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, NotFound, Problem, TargetError
from mlops.pipeline.run.values import AssetResolver
from mlops.serving.score.core import verify
from mlops.spec.release import Release
from mlops.spec.settings import FILE
from mlops.targets.databricks.connect import Connection
from mlops.targets.databricks.data import SCHEME, upload
from mlops.targets.databricks.jobs import DatabricksJobs
from mlops.targets.databricks.store import Volume

_COMMAND = (
    "python -m mlops.serving.batch --model ${{inputs.model}} --digest ${{inputs.digest}} "
    "--input ${{inputs.data}} --output ${{outputs.predictions}}"
)
_MODEL, _DATA = "mlops-model", "mlops-data"
"""What the step's inputs are called as data assets."""
STEP, PREDICTIONS = "score", "predictions"


class DatabricksBatch:
    """Implements `mlops.targets.base.Batch`. A job's name is the id of its MLflow run."""

    def __init__(self, connection: Connection, resolve: AssetResolver) -> None:
        self._connection, self._resolve = connection, resolve

    def deploy(self, environment: str, release: Release, artifact: Path, *, pipeline: bool = False) -> str:
        """Make `release` what jobs score by; its name. Idempotent; nothing costs between jobs.

        Raises `IntegrityError` when the artifact is not what was released.
        """
        if pipeline:
            raise InvalidInput(
                "on Databricks a batch job scores, and has no other step; leave out --pipeline, or submit "
                "the pipeline itself: mlops pipeline run FILE --target databricks"
            )
        self._refuse_what_it_cannot(environment)
        verify(artifact, release.digest)
        volume, folder = Volume(self._connection, environment), _folder(release.model)
        place = f"{folder}/{release.version}"
        note = {"release": release.version, "digest": release.digest}
        recorded = _read(volume, f"{place}.json")
        if recorded is None:
            upload(volume, artifact, place)
            volume.create(f"{place}.json", json.dumps(note).encode())
        elif recorded.get("digest") != release.digest:
            raise TargetError(
                f"{volume.path(place)} has the digest {recorded.get('digest', 'none')}, the release "
                f"{release.digest}; a release never changes, so somebody else made it: delete the folder and "
                f"{release.version}.json, and deploy again"
            )
        if _read(volume, f"{folder}/default.json") != note:
            volume.replace(f"{folder}/default.json", json.dumps(note).encode())
        return f"release-{release.version}"

    def start(
        self, environment: str, model: str, data: str, release: int | None = None, *, pipeline: bool = False
    ) -> str:
        """A job over the folder `data` (`/Volumes/...` or `azureml:<name>:<version>`); its name."""
        self._refuse_what_it_cannot(environment)
        volume, folder = Volume(self._connection, environment), _folder(model)
        note = _read(volume, f"{folder}/{'default' if release is None else release}.json")
        if note is None:
            what = "no release" if release is None else f"not release {release}"
            raise NotFound(f"{volume.path(folder)} has {what}; deploy it to {environment} first")
        with tempfile.TemporaryDirectory(dir=_made(self._connection.state)) as scratch:
            path = Path(scratch) / f"{model}-batch.yml"
            path.write_text(self._pipeline(path, model, note), encoding="utf-8")
            artifact = f"{SCHEME}{volume.path(folder)}/{note['release']}"
            inputs = {_MODEL: artifact, _DATA: self._address(data)}
            jobs = DatabricksJobs(self._connection, lambda name, version: inputs[name], environment)
            return jobs.submit(path, {}, {"mlops.batch": f"{environment}/{model}"})

    def wait(self, environment: str, job: str) -> None:
        """Until it has ended. Raises `StepFailed` with the last lines of its log."""
        DatabricksJobs(self._connection, self._resolve, environment).wait(job, lambda event: None)

    def predictions(self, environment: str, job: str) -> str:
        """The folder of a job's predictions."""
        return Volume(self._connection, environment).path(f"runs/{job}/{STEP}/{PREDICTIONS}")

    def _address(self, data: str) -> str:
        if data.startswith("/Volumes/"):
            return f"{SCHEME}{data}"
        name, _, version = data.removeprefix("azureml:").partition(":")
        if data.startswith("azureml:") and name and version:
            return self._resolve(name, version)
        raise InvalidInput(
            f"{data!r} is no folder that a job of Databricks reads; name one of a volume "
            "(/Volumes/<catalog>/<schema>/<volume>/...), or a data asset (azureml:<name>:<version>)"
        )

    def _pipeline(self, path: Path, model: str, note: dict[str, Any]) -> str:
        described = self._connection.root / "pipelines" / model / "environment" / "batch.yml"
        if not described.is_file():
            name = described.relative_to(self._connection.root).as_posix()
            raise InvalidInput(Problem(name, "does not exist; it is the environment of batch jobs"))
        step = {
            "type": "command",
            "component": {
                "type": "command",
                "inputs": {
                    "data": {"type": "uri_folder"},
                    "model": {"type": "uri_folder"},
                    "digest": {"type": "string"},
                },
                "outputs": {PREDICTIONS: {"type": "uri_folder"}},
                "command": _COMMAND,
                "environment": f"file:{os.path.relpath(described, path.parent)}",
            },
            "inputs": {
                "data": {"type": "uri_folder", "path": f"azureml:{_DATA}:1"},
                "model": {"type": "uri_folder", "path": f"azureml:{_MODEL}:1"},
                "digest": note["digest"],
            },
            "outputs": {PREDICTIONS: {"type": "uri_folder"}},
            "environment_variables": {"MLOPS_MODEL_VERSION": str(note["release"])},
        }
        settings = {"default_compute": "azureml:serverless"}  # the file's form; compute is mlops.toml's
        job = {
            "type": "pipeline",
            "experiment_name": f"{model}-batch",
            "settings": settings,
            "jobs": {STEP: step},
        }
        return json.dumps(job, indent=2)  # which is YAML too

    def _refuse_what_it_cannot(self, environment: str) -> None:
        here, there = self._connection.place(environment), self._connection.place()
        if here.host != there.host:
            raise InvalidInput(
                Problem(
                    FILE,
                    f"is another workspace than the one that trains ({there.host}), where the runs of jobs "
                    "are kept; batch jobs need both in one. `mlops batch` scores a folder of this machine",
                    f"databricks.environments.{environment}.host",
                )
            )
        if self._connection.settings.signing.required:
            raise InvalidInput(
                "mlops.toml requires signed models (signing.required), and a job of Databricks asks for no "
                "signature; score on another target, or do not require signatures"
            )


def _folder(model: str) -> str:
    return f"batch/{model}"


def _read(volume: Volume, name: str) -> dict[str, Any] | None:
    try:
        note = json.loads(volume.read(name))
    except (NotFound, ValueError):
        return None
    return note if isinstance(note, dict) else None


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder

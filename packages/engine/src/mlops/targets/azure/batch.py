"""Batch endpoints of Azure ML: a release as a deployment, and jobs over folders of files.

The endpoint is Pulumi's (`<model>-b-<env>-<digest>`), its deployments are made here: of the model, with the
entry script of `pipelines/<model>/batch.yml` (`mlops.serving.azure.batch`; `mlops batch` has its core), or
of the whole pipeline in that file, as a component that may have more steps than scoring.
"""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mlops.errors import InvalidInput, NotFound, Problem, StepFailed, TargetError
from mlops.serving.score.core import verify
from mlops.serving.score.signing import variables
from mlops.spec._yaml import Document
from mlops.spec.digest import data_digest, tree_digest
from mlops.spec.engine import STEPS, export
from mlops.spec.release import Release
from mlops.spec.signing import signed_release
from mlops.targets.azure._online import DIGEST, RELEASE
from mlops.targets.azure.connect import Connection, silent
from mlops.targets.azure.shared import SharedModels
from mlops.tracking.azure_errors import azure_sentences

SCRIPT = "batch.py"
COMPUTE = "cpu-cluster"
"""What runs the jobs where `batch.yml` names nothing."""
PIPELINE, MODEL = "pipeline", "release"
"""How the names of deployments begin."""
_INSTANCES = 2
_ENDED = ("Completed", "Failed", "Canceled", "NotResponding")
_PAUSE = 10.0


class AzureBatch:
    """Batch deployments and their jobs. Methods raise `TargetError`, and `NotFound` without an endpoint."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._shared = SharedModels(connection)

    def deploy(self, environment: str, release: Release, artifact: Path, *, pipeline: bool = False) -> str:
        """Make `release` what the endpoint's jobs score by; the deployment's name. Idempotent.

        Older deployments stay, and so do their jobs; nothing runs, and nothing costs, between jobs.
        """
        verify(artifact, release.digest)
        name = _name(release.version, pipeline)
        endpoint = self._endpoint(environment, release.model)
        if not self._made(environment, endpoint.name, name, release):
            entity = (self._pipeline if pipeline else self._scoring)(endpoint.name, name, release)
            with azure_sentences(f"make the batch deployment {name} of {endpoint.name}"), silent():
                _ended(self._client(environment).batch_deployments.begin_create_or_update(entity))
        if _default(endpoint) != name:
            endpoint.defaults = {"deployment_name": name}
            with azure_sentences(f"make {name} the default of {endpoint.name}"):
                _ended(self._client(environment).batch_endpoints.begin_create_or_update(endpoint))
        return name

    def _scoring(self, endpoint: str, name: str, release: Release) -> Any:
        """A deployment of the model."""
        from azure.ai.ml import load_environment
        from azure.ai.ml.entities import (
            BatchRetrySettings,
            CodeConfiguration,
            ModelBatchDeployment,
            ModelBatchDeploymentSettings,
            ResourceConfiguration,
        )

        root = self._connection.root
        described = f"pipelines/{release.model}/environment/batch.yml"
        if not (root / described).is_file():
            raise InvalidInput(Problem(described, "does not exist; it is the environment of batch jobs"))
        return ModelBatchDeployment(
            name=name,
            endpoint_name=endpoint,
            model=self._model(release.model, release.version),
            environment=load_environment(root / described),
            code_configuration=CodeConfiguration(code=str(export(root) / STEPS), scoring_script=SCRIPT),
            compute=compute_of(root, release.model),
            resources=ResourceConfiguration(instance_count=_INSTANCES),
            settings=ModelBatchDeploymentSettings(
                mini_batch_size=1,
                max_concurrency_per_instance=4,
                output_action="append_row",
                output_file_name="scored.txt",
                retry_settings=BatchRetrySettings(max_retries=2, timeout=3600),
                environment_variables={
                    "MLOPS_MODEL_DIGEST": release.digest,
                    "MLOPS_MODEL_VERSION": str(release.version),
                    "OMP_NUM_THREADS": "1",
                    **self._signature(release),
                },
                # A quarantined file is missing from the lines that run() returns, and counts here.
                error_threshold=0,
                logging_level="Info",
            ),
            tags={RELEASE: str(release.version), DIGEST: release.digest},
        )

    def _pipeline(self, endpoint: str, name: str, release: Release) -> Any:
        """A deployment of the pipeline in `batch.yml`, for this release; a job is told its data."""
        from azure.ai.ml import load_component
        from azure.ai.ml.entities import PipelineComponentBatchDeployment

        path = f"pipelines/{release.model}/batch.yml"
        model = self._model(release.model, release.version)
        text = described(self._connection.root, path, release, model, self._signature(release))
        with azure_sentences(f"read {path}"), silent():
            component = load_component(io.StringIO(text), relative_origin=str(self._connection.root / path))
        return PipelineComponentBatchDeployment(
            name=name,
            endpoint_name=endpoint,
            component=component,
            settings={
                "default_compute": compute_of(self._connection.root, release.model),
                "continue_on_step_failure": "False",
            },
            tags={RELEASE: str(release.version), DIGEST: release.digest},
        )

    def _signature(self, release: Release) -> dict[str, str]:
        signing = self._connection.settings.signing
        signed = signed_release(self._connection.root, signing, release.model, release.version)
        return variables(signed) if signed is not None else {}

    def start(
        self, environment: str, model: str, data: str, release: int | None = None, *, pipeline: bool = False
    ) -> str:
        """A job over the folder `data` (a URI or `azureml:<name>:<version>`); its name."""
        from azure.ai.ml import Input

        endpoint = self._endpoint(environment, model)
        deployment = _name(release, pipeline) if release is not None else _default(endpoint)
        if not deployment:
            raise NotFound(f"{endpoint.name} has no deployment; deploy a release to it first")
        with azure_sentences(f"start a job of {endpoint.name}"):
            job = self._client(environment).batch_endpoints.invoke(
                endpoint_name=endpoint.name,
                deployment_name=deployment,
                inputs={"data": Input(type="uri_folder", path=data)},
            )
        return str(job.name)

    def wait(self, environment: str, job: str) -> None:
        """Until it has ended. Raises `StepFailed` with where to look when it failed."""
        while True:
            with azure_sentences(f"ask for the job {job}"):
                running = self._client(environment).jobs.get(job)
            status = str(getattr(running.status, "value", running.status))  # an enumeration of the client
            if status in _ENDED:
                break
            time.sleep(_PAUSE)
        if status != "Completed":
            raise StepFailed(
                f"the batch job {job} ended as {status}; {running.studio_url or 'its log'} says why"
            )

    def _client(self, environment: str) -> Any:
        return self._connection.client(environment)

    def _endpoint(self, environment: str, model: str) -> Any:
        name = self._connection.place(environment).endpoint("batch_endpoint", model)
        try:
            with azure_sentences(f"ask for the batch endpoint {name}"):
                return self._client(environment).batch_endpoints.get(name)
        except NotFound:
            raise NotFound(
                f"the batch endpoint {name} does not exist; it belongs to the infrastructure: list {model} "
                f"under `endpoints` of environments/Pulumi.{environment}.yaml and run `pulumi up`"
            ) from None

    def _made(self, environment: str, endpoint: str, name: str, release: Release) -> bool:
        try:
            with azure_sentences(f"ask for the batch deployment {name}"):
                deployment = self._client(environment).batch_deployments.get(
                    name=name, endpoint_name=endpoint
                )
        except NotFound:
            return False
        recorded = (deployment.tags or {}).get(DIGEST)
        if recorded != release.digest:
            raise TargetError(
                f"{name} of {endpoint} has the digest {recorded or 'none'}, the release {release.digest}; "
                "a release never changes, so somebody else made it: delete it, and deploy again"
            )
        told = getattr(deployment, "provisioning_state", None)  # the client does not show that of a pipeline
        return str(told or "Succeeded").lower().endswith("succeeded")

    def _model(self, model: str, version: int) -> str:
        return self._shared.uri(model, version) if self._shared.there else f"azureml:{model}:{version}"


def described(root: Path, path: str, release: Release, model: str, environment: Mapping[str, str]) -> str:
    """The pipeline job of a file as a pipeline component, in YAML, with the release's model and digest in it.

    A client hands nothing but data to a job of a batch endpoint, so what is the release's is the component's.
    Raises `InvalidInput` when the file is not there or has no inputs `data`, `model` and `digest`.
    """
    if not (root / path).is_file():
        raise InvalidInput(Problem(path, "does not exist; it is the pipeline of batch jobs"))
    job = json.loads(json.dumps(Document.read(root / path, path).value))
    given = job.get("inputs") or {}
    if missing := [name for name in ("data", "model", "digest") if name not in given]:
        why = f"has no input {', '.join(missing)}; a deployment sets model and digest, a job its data"
        raise InvalidInput(Problem(path, why, "inputs"))
    fixed = {
        "${{parent.inputs.model}}": {**given["model"], "path": model},
        "${{parent.inputs.digest}}": release.digest,
    }
    for step in job["jobs"].values():
        step["inputs"] = {name: fixed.get(str(v), v) for name, v in (step.get("inputs") or {}).items()}
        step["environment_variables"] = {**(step.get("environment_variables") or {}), **environment}
    component = {
        "$schema": "https://azuremlschemas.azureedge.net/latest/pipelineComponent.schema.json",
        "type": "pipeline",
        "name": f"{release.model}_batch".replace("-", "_"),
        "inputs": {
            name: {"type": value["type"]}
            if isinstance(value, dict)
            else {"type": "string", "default": str(value)}
            for name, value in given.items()
            if name not in ("model", "digest")
        },
        "outputs": {name: {"type": value["type"]} for name, value in (job.get("outputs") or {}).items()},
        "jobs": job["jobs"],
    }
    # A version is never changed: another code, another file or another release is another version.
    code = tree_digest(export(root) / STEPS)
    component["version"] = f"{release.version}-{data_digest([component, code])[7:19]}"
    return yaml.safe_dump(component, sort_keys=False)


def compute_of(root: Path, model: str) -> str:
    """What `pipelines/<model>/batch.yml` runs on: the jobs of both kinds of deployment run there too."""
    name = f"pipelines/{model}/batch.yml"
    if not (root / name).is_file():
        return COMPUTE
    settings = (Document.read(root / name, name).value or {}).get("settings")
    given = settings.get("default_compute") if isinstance(settings, dict) else None
    return given.removeprefix("azureml:") if isinstance(given, str) and given else COMPUTE


def _name(version: int, pipeline: bool) -> str:
    return f"{PIPELINE if pipeline else MODEL}-{version}"


def _default(endpoint: Any) -> str:
    """The deployment that jobs use when they name none; empty when there is none."""
    return str(getattr(endpoint.defaults, "deployment_name", None) or "")


def _ended(poller: Any) -> None:
    """Wait for a long operation, without what the client prints to standard output meanwhile."""
    with contextlib.redirect_stdout(io.StringIO()):
        poller.result()

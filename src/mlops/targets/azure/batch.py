"""Batch endpoints of Azure ML: a release as a deployment, and jobs over folders of files.

The endpoint is Pulumi's (`<model>-b-<env>-<digest>`), its deployments are made here. A deployment runs the
entry script of `pipelines/<model>/batch.yml`, `mlops/serving/batch_azure.py`; `mlops batch` has its core.
"""

from __future__ import annotations

import contextlib
import io
import time
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, NotFound, Problem, StepFailed, TargetError
from mlops.serving.core import verify
from mlops.spec.release import Release
from mlops.targets.azure._online import DIGEST, RELEASE
from mlops.targets.azure.connect import Connection
from mlops.targets.azure.shared import SharedModels
from mlops.tracking.azure_errors import azure_sentences

SCRIPT = "mlops/serving/batch_azure.py"
COMPUTE = "cpu-cluster"
_ENDED = ("Completed", "Failed", "Canceled", "NotResponding")
_PAUSE = 10.0


class AzureBatch:
    """Batch deployments and their jobs. Methods raise `TargetError`, and `NotFound` without an endpoint."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._shared = SharedModels(connection)

    def deploy(self, environment: str, release: Release, artifact: Path, instances: int = 2) -> str:
        """Make `release` what the endpoint's jobs score by; the deployment's name. Idempotent.

        Older deployments stay, and so do their jobs; nothing runs, and nothing costs, between jobs.
        """
        from azure.ai.ml import load_environment
        from azure.ai.ml.entities import (
            BatchRetrySettings,
            CodeConfiguration,
            ModelBatchDeployment,
            ModelBatchDeploymentSettings,
            ResourceConfiguration,
        )

        verify(artifact, release.digest)
        root, name = self._connection.root, f"release-{release.version}"
        endpoint = self._endpoint(environment, release.model)
        described = f"pipelines/{release.model}/environment/batch.yml"
        if not (root / described).is_file():
            raise InvalidInput(Problem(described, "does not exist; it is the environment of batch jobs"))
        if not self._made(environment, endpoint.name, name, release):
            entity = ModelBatchDeployment(
                name=name,
                endpoint_name=endpoint.name,
                model=self._model(release),
                environment=load_environment(root / described),
                code_configuration=CodeConfiguration(code=str(root / "src"), scoring_script=SCRIPT),
                compute=COMPUTE,
                resources=ResourceConfiguration(instance_count=instances),
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
                    },
                    # A quarantined file is missing from the lines that run() returns, and counts here.
                    error_threshold=0,
                    logging_level="Info",
                ),
                tags={RELEASE: str(release.version), DIGEST: release.digest},
            )
            with azure_sentences(f"make the batch deployment {name} of {endpoint.name}"):
                _ended(self._client(environment).batch_deployments.begin_create_or_update(entity))
        if _default(endpoint) != name:
            endpoint.defaults = {"deployment_name": name}
            with azure_sentences(f"make {name} the default of {endpoint.name}"):
                _ended(self._client(environment).batch_endpoints.begin_create_or_update(endpoint))
        return name

    def start(self, environment: str, model: str, data: str, release: int | None = None) -> str:
        """A job over the folder `data` (a URI or `azureml:<name>:<version>`); its name."""
        from azure.ai.ml import Input

        endpoint = self._endpoint(environment, model)
        if release is None and not _default(endpoint):
            raise NotFound(f"{endpoint.name} has no deployment; deploy a release to it first")
        deployment = f"release-{release}" if release is not None else None
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
                found = self._client(environment).jobs.get(job)
            status = str(getattr(found.status, "value", found.status))  # an enumeration of the client
            if status in _ENDED:
                break
            time.sleep(_PAUSE)
        if status != "Completed":
            raise StepFailed(
                f"the batch job {job} ended as {status}; {found.studio_url or 'its log'} says why"
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
                found = self._client(environment).batch_deployments.get(name=name, endpoint_name=endpoint)
        except NotFound:
            return False
        recorded = (found.tags or {}).get(DIGEST)
        if recorded != release.digest:
            raise TargetError(
                f"{name} of {endpoint} has the digest {recorded or 'none'}, the release {release.digest}; "
                "a release never changes, so somebody else made it: delete it, and deploy again"
            )
        return str(found.provisioning_state or "Succeeded").lower().endswith("succeeded")

    def _model(self, release: Release) -> str:
        if self._shared.there:
            return self._shared.uri(release.model, release.version)
        return f"azureml:{release.model}:{release.version}"


def _default(endpoint: Any) -> str:
    """The deployment that jobs use when they name none; empty when there is none."""
    return str(getattr(endpoint.defaults, "deployment_name", None) or "")


def _ended(poller: Any) -> None:
    """Wait for a long operation, without what the client prints to standard output meanwhile."""
    with contextlib.redirect_stdout(io.StringIO()):
        poller.result()

"""Jobs of a workspace. A pipeline job is really run: its steps are child processes with the code, the inputs
and the variables that the client sent, and they log to this workspace's MLflow with a token of the run.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.pipeline.run.executor import PRELOAD, StepServer

from .arm import Kind, Operation, Resource
from .http import Answer, Refused, Request
from .pipelines import AutoMLRun, CommandRun, PipelineRun, SweepRun
from .workspaces import Workspace

if TYPE_CHECKING:
    from .server import Emulator

ENDED = ("Completed", "Failed", "Canceled")
_MLFLOW = {"Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED"}
_RUNNERS: dict[str, type[PipelineRun]] = {
    "Pipeline": PipelineRun,
    "Sweep": SweepRun,
    "Command": CommandRun,
    "AutoML": AutoMLRun,
}
HEAVY = (
    *PRELOAD,
    "azureml.mlflow._store.tracking.store",
    "azureml.mlflow._store.model_registry.model_registry",
    "azureml.mlflow._store.artifact.artifact_repo",
)
"""What the steps of a real pipeline import, for `Jobs.preload`."""


@dataclass
class Job:
    """A job or one of its steps. `outputs` maps a name to its type and its datastore URI."""

    workspace: Workspace
    name: str
    display: str
    experiment: str
    parent: str = ""
    status: str = "NotStarted"
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, tuple[str, str]] = field(default_factory=dict)
    error: str = ""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None

    def record(self) -> dict[str, Any]:
        """As run history describes it."""
        found: dict[str, Any] = {
            "runId": self.name,
            "displayName": self.display,
            "status": self.status,
            "experimentId": self.experiment,
            "parentRunId": self.parent or None,
            "rootRunId": self.parent or self.name,
            "createdUtc": self.started.isoformat(),
            "lastModifiedUtc": (self.ended or datetime.now(UTC)).isoformat(),
            "startTimeUtc": self.started.isoformat(),
            "endTimeUtc": self.ended.isoformat() if self.ended else None,
            "tags": self.tags,
            "properties": self.properties,
            "runTypeV2": {"orchestrator": "Execution", "traits": []},
        }
        if self.error:
            found["error"] = {"error": {"code": "UserError", "message": self.error}}
        return found


class Jobs:
    """`hold`: set it before a job is submitted, and its first step waits until `release` is called."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.preload: tuple[str, ...] = ()
        """Modules that steps find imported already: worth it for more than one step that needs them."""
        self.jobs: dict[str, Job] = {}
        self.reusable: dict[str, Job] = {}
        """Finished steps by what they ran."""
        self._runs: dict[str, PipelineRun] = {}
        self._server: StepServer | None = None
        self._gate = threading.Event()
        self._gate.set()
        self._lock = threading.Lock()
        kind = Kind(self.submitted, actions={"cancel": self._cancel})
        emulator.arm.kind("workspaces/jobs", kind)

    def hold(self) -> None:
        """Let jobs that are submitted from now on wait before their next step."""
        self._gate.clear()

    def release(self) -> None:
        """Let them go on."""
        self._gate.set()

    def passed(self, stopped: threading.Event) -> bool:
        """Wait until steps may start; False when the job was cancelled meanwhile."""
        while not self._gate.wait(0.05):
            if stopped.is_set():
                return False
        return not stopped.is_set()

    def find(self, name: str) -> Job:
        found = self.jobs.get(name)
        if found is None:
            raise Refused(404, "UserError", f"the run {name} was not found")
        return found

    def children(self, name: str) -> list[Job]:
        return [job for job in list(self.jobs.values()) if job.parent == name]

    def finish(self, job: Job, status: str, error: str = "") -> None:
        """End a job or a step, and its run."""
        job.status, job.error, job.ended = status, error, datetime.now(UTC)
        self.emulator.tracking.end_run(job.name, _MLFLOW[status])
        self._show(job)

    def server(self) -> StepServer:
        """One process that forks steps, for all jobs: imports cost seconds."""
        with self._lock:
            if self._server is None:
                self._server = StepServer(self.preload)
                self._server.warm()
            return self._server

    def environment(self, job: Job, experiment_id: str) -> dict[str, str]:
        """What Azure ML sets for a step's process."""
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("AZURE", "MLFLOW", "MLOPS", "_MLFLOW"))
        }
        workspace = job.workspace
        proxy = {k: v for k, v in self.emulator.env.items() if not k.startswith("AZURE_")}
        return {
            **kept,
            **proxy,
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
            "MLFLOW_TRACKING_URI": f"azureml://{workspace.host}/mlflow/v1.0{workspace.id}",
            "MLFLOW_TRACKING_TOKEN": self.emulator.entra.token("https://ml.azure.com", seconds=3600),
            "MLFLOW_RUN_ID": job.name,
            "MLFLOW_EXPERIMENT_ID": experiment_id,
            "MLFLOW_EXPERIMENT_NAME": job.experiment,
            **self.emulator.entra.identity,
            "AZUREML_RUN_ID": job.name,
            "AZUREML_ARM_SUBSCRIPTION": workspace.subscription,
            "AZUREML_ARM_RESOURCEGROUP": workspace.group,
            "AZUREML_ARM_WORKSPACE_NAME": workspace.name,
            "MPLBACKEND": "agg",
        }

    def close(self) -> None:
        """End whatever still runs."""
        for run in self._runs.values():
            run.stop()
        self.release()
        for run in self._runs.values():
            run.join()
        if self._server is not None:
            self._server.close()

    # --- requests

    def submitted(self, resource: Resource, before: Resource | None, request: Request) -> None:
        properties, name = resource["properties"], resource["name"]
        workspace = self.emulator.workspaces.of(request.path)
        if before is not None:
            properties["status"] = before["properties"]["status"]
            properties["services"] = before["properties"]["services"]
            return
        properties["status"] = "Preparing"
        studio = f"https://ml.azure.com/runs/{name}?wsid={workspace.id}"
        tracking = f"azureml://{workspace.host}/mlflow/v1.0{workspace.id}?"
        properties["services"] = {
            "Tracking": {"endpoint": tracking, "jobServiceType": "Tracking", "port": None, "status": None},
            "Studio": {"endpoint": studio, "jobServiceType": "Studio", "port": None, "status": None},
        }
        properties.setdefault("properties", {})
        properties.setdefault("tags", {})
        runner = _RUNNERS.get(properties.get("jobType", ""))
        if runner is None:
            return
        job = Job(
            workspace,
            name,
            properties.get("displayName") or name,
            properties.get("experimentName") or "Default",
            tags=dict(properties.get("tags") or {}),
        )
        job.status = "Preparing"
        self.jobs[name] = job
        self._runs[name] = runner(self, job, properties)
        self._runs[name].start()

    def _cancel(self, request: Request, path: str) -> Answer:
        name = path.rsplit("/", 1)[-1]
        self.find(name)
        self._runs[name].stop()
        headers = self.emulator.arm.operation(request, Operation(then=self._runs[name].join))
        del headers["azure-asyncoperation"]
        return Answer(202, None, headers)

    def _show(self, job: Job) -> None:
        """The ARM resource says what the job does."""
        resource = self.emulator.arm.get(f"{job.workspace.id}/jobs/{job.name}")
        if resource is not None and resource["properties"] is not None:
            resource["properties"]["status"] = job.status

    def give_up(self, job: Job) -> None:
        """The emulator itself has failed; nobody must wait for the job."""
        job.status = "Failed"
        self._show(job)

    def began(self, job: Job) -> None:
        """A job's status has changed to Running."""
        job.status = "Running"
        self._show(job)


def install(emulator: Emulator) -> Jobs:
    """Behaviour of jobs; their routes are those of `arm.py`."""
    return Jobs(emulator)

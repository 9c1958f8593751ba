"""A workspace's MLflow: a real MLflow server over SQLite, cut down to what Azure ML answers.

It runs in this process, without a port. A job's run has the job's name as its id, as in Azure ML.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.servers.azure_like_proxy import verdict

from .arm import ML
from .http import Answer, Request
from .workspaces import Workspace

if TYPE_CHECKING:
    from .server import Emulator

_ROOT = re.compile(r"mlflow-artifacts:/(\d+)/([\w-]+)/artifacts")
_SOURCE = re.compile(r"azureml://.+/runs/(?P<run>[^/]+)/artifacts/(?P<path>.+)")


class Tracking:
    """`log_inputs`: whether data-set inputs are answered, which nobody knows of Azure ML."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._app: Any = None
        self.log_inputs = False

    def start(self, uri: str) -> None:
        """Open the SQLite store `uri`. The first request is slow otherwise: this imports MLflow's server."""
        from mlflow.server import app, handlers

        # Opened here, because tests change the variables that the server would read at its first request.
        handlers._tracking_store = handlers._model_registry_store = None
        handlers._get_tracking_store(uri, "mlflow-artifacts:/")
        handlers._get_model_registry_store(uri)
        self._app = app

    @property
    def store(self) -> Any:
        from mlflow.server.handlers import _get_tracking_store

        return _get_tracking_store()

    def handle(self, request: Request, scope: str, call: str) -> Answer:
        self._emulator.entra.check(request)
        workspace = self._emulator.workspaces.of(scope)
        parts = urlsplit(request.target)
        refused = verdict(call, parts.query, request.body, self.log_inputs)
        if refused is not None:
            return Answer(refused[0], refused[1] or None, {"content-type": refused[2]})
        answer = self._app.test_client().open(
            call,
            method=request.method,
            query_string=parts.query,
            data=request.body,
            headers={"content-type": request.headers.get("content-type", "application/json")},
        )
        text = _ROOT.sub(lambda m: artifact_root(workspace, m[1], m[2]), answer.get_data(as_text=True))
        if answer.status_code == 200 and "/model-versions/" in call and request.method != "GET":
            asked = request.json or {}
            made = json.loads(text).get("model_version", {})
            self._mirror(
                workspace, call, asked.get("name", ""), str(asked.get("version") or made.get("version"))
            )
        return Answer(answer.status_code, text.encode(), {"content-type": "application/json"})

    def create_run(
        self, workspace: Workspace, experiment: str, run_id: str, name: str, tags: dict[str, str]
    ) -> str:
        """A running run of this id; returns the id of its experiment."""
        from mlflow.entities import LifecycleStage, RunStatus, RunTag
        from mlflow.store.tracking.dbmodels.models import SqlRun

        store = self.store
        known = store.get_experiment_by_name(experiment)
        experiment_id = known.experiment_id if known is not None else store.create_experiment(experiment)
        with store.ManagedSessionMaker(read_only=False) as session:
            session.add(
                SqlRun(
                    run_uuid=run_id,
                    name=name,
                    experiment_id=int(experiment_id),
                    user_id="emulator",
                    status=RunStatus.to_string(RunStatus.RUNNING),
                    start_time=int(time.time() * 1000),
                    lifecycle_stage=LifecycleStage.ACTIVE,
                    artifact_uri=f"mlflow-artifacts:/{experiment_id}/{run_id}/artifacts",
                    source_type="UNKNOWN",
                    source_name="",
                    entry_point_name="",
                    source_version="",
                )
            )
        for key, value in {"mlflow.runName": name, **tags}.items():
            store.set_tag(run_id, RunTag(key, value))
        return str(experiment_id)

    def end_run(self, run_id: str, status: str) -> None:
        """`status` is MLflow's: FINISHED, FAILED or KILLED."""
        from mlflow.entities import RunStatus

        store = self.store
        name = store.get_run(run_id).info.run_name
        store.update_run_info(run_id, RunStatus.from_string(status), int(time.time() * 1000), name)

    def run(self, run_id: str) -> Any:
        """MLflow's run."""
        return self.store.get_run(run_id)

    def _mirror(self, workspace: Workspace, call: str, name: str, version: str) -> None:
        """What MLflow registers is a model of the workspace too."""
        path = f"{workspace.id}/models/{name}/versions/{version}"
        if call.endswith("/delete"):
            self._emulator.arm.remove(path)
            return
        from mlflow.server.handlers import _get_model_registry_store

        found = _get_model_registry_store().get_model_version(name, version)
        source = _SOURCE.fullmatch(found.source)
        uri = (
            f"azureml://subscriptions/{workspace.subscription}/resourceGroups/{workspace.group}/workspaces/"
            f"{workspace.name}/datastores/workspaceartifactstore/paths/ExperimentRun/dcid.{source['run']}/{source['path']}"
            if source
            else found.source
        )
        properties = {
            "modelUri": uri,
            "modelType": "mlflow_model",
            "jobName": found.run_id,
            "tags": dict(found.tags),
            "properties": {},
            "flavors": {"python_function": {"data": {}}},
            "isArchived": False,
            "isAnonymous": False,
        }
        self._emulator.arm.put(path, {"properties": properties})
        container = {"latestVersion": version, "nextVersion": str(int(version) + 1), "isArchived": False}
        self._emulator.arm.put(f"{workspace.id}/models/{name}", {"properties": container})


def artifact_root(workspace: Workspace, experiment: str, run_id: str) -> str:
    """Where Azure ML says that a run's artifacts are."""
    return f"azureml://{workspace.host}/mlflow/v2.0{workspace.id}/experiments/{experiment}/runs/{run_id}/artifacts"


def install(emulator: Emulator) -> Tracking:
    """The workspace's MLflow routes."""
    tracking = Tracking(emulator)
    scope = (
        rf"(?P<scope>/subscriptions/[^/]+/resourceGroups/[^/]+/providers/{re.escape(ML)}/workspaces/[^/]+)"
    )
    emulator.router.add(
        "*", r".+\.api\.azureml\.ms", rf"/mlflow/v[12]\.0{scope}(?P<call>/api/.*)", tracking.handle
    )
    return tracking

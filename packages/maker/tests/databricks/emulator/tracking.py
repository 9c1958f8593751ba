"""The workspace's MLflow: a real MLflow server over SQLite, in this process and without a port.

Experiments have absolute paths, as in a workspace; files of runs go by the Files API.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .http import Answer, Refused, Request

if TYPE_CHECKING:
    from .server import Emulator

_ROOT = re.compile(r"mlflow-artifacts:/(\d+)/([\w-]+)/artifacts")
_CALLS = re.compile(
    r"(experiments/(create|get|get-by-name|search|set-experiment-tag)"
    r"|runs/(create|get|update|delete|search|set-tag|delete-tag|log-metric|log-parameter|log-batch|log-inputs)"
    r"|metrics/get-history)"
)


class Tracking:
    def __init__(self, emulator: Emulator) -> None:
        self._app: Any = None

    def start(self, uri: str) -> None:
        """Open the SQLite store `uri`."""
        from mlflow.server import app, handlers

        handlers._tracking_store = handlers._model_registry_store = None
        handlers._get_tracking_store(uri, "mlflow-artifacts:/")
        self._app = app

    @property
    def store(self) -> Any:
        from mlflow.server.handlers import _get_tracking_store

        return _get_tracking_store()

    def handle(self, request: Request, call: str) -> Answer:
        if not _CALLS.fullmatch(call):
            raise Refused(404, "ENDPOINT_NOT_FOUND", f"No API found for {request.method} {request.path}")
        if call == "experiments/create" and not str(request.json.get("name", "")).startswith("/"):
            raise Refused(
                400, "INVALID_PARAMETER_VALUE", f"Got an invalid experiment name {request.json.get('name')!r}"
            )
        answer = self._app.test_client().open(
            request.path,
            method=request.method,
            query_string=urlsplit(request.target).query,
            data=request.body,
            headers={"content-type": request.headers.get("content-type", "application/json")},
        )
        text = _ROOT.sub(r"dbfs:/databricks/mlflow-tracking/\1/\2/artifacts", answer.get_data(as_text=True))
        headers = {"content-type": "application/json", "x-databricks-org-id": "77"}
        return Answer(answer.status_code, text.encode(), headers)


def install(emulator: Emulator) -> Tracking:
    tracking = Tracking(emulator)
    emulator.router.add("*", r"/api/2\.0/mlflow/(?P<call>(experiments|runs|metrics)/.+)", tracking.handle)
    return tracking

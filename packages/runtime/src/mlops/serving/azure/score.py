"""Entry script for Azure's inference server (`azureml-inference-server-http`): the same core, its shell.

Environment of the deployment: `AZUREML_MODEL_DIR` (set by Azure ML), `MLOPS_MODEL_DIGEST` (of the
release; verified before anything is loaded), `MLOPS_MODEL_VERSION` (named in each answer) and
`MLOPS_CAPTURE` (what is captured, see `mlops.spec.capture`). The server itself authenticates, limits and
drains; `--host` it cannot: it listens on all addresses.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import tempfile
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from azureml_inference_server_http.api.aml_request import rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse

from mlops.errors import MlopsError
from mlops.serving.capture.recorder import FOLDER, SETTINGS, Capture, Origin, open_capture, settings_from
from mlops.serving.score.core import Scorer, find_artifact, load
from mlops.serving.score.request import RequestError, RequestParser, check_content_type
from mlops.serving.score.signing import signed_from, verify_apart
from mlops.spec.capture import check_capture

log = logging.getLogger("mlops.serving")


class _Loaded(NamedTuple):
    scorer: Scorer
    parser: RequestParser
    headers: dict[str, str]
    origin: Origin
    capture: Capture | None


_loaded: _Loaded | None = None


def init() -> None:
    """Load the model once a worker. Any refusal ends the worker: Azure then marks the deployment failed."""
    global _loaded  # noqa: PLW0603 - the server's interface is two functions of a module
    folder = find_artifact(Path(os.environ["AZUREML_MODEL_DIR"]))
    if (signed := signed_from()) is not None:
        verify_apart(folder, signed)
    scorer = load(folder, digest=os.environ.get("MLOPS_MODEL_DIGEST") or None)
    version = os.environ.get("MLOPS_MODEL_VERSION", "0")
    deployment = os.environ.get("MLOPS_DEPLOYMENT", "")
    origin = Origin(scorer.schema, deployment, int(version) if version.isdecimal() else 0)
    headers = {"x-model-version": version}
    _loaded = _Loaded(scorer, RequestParser(scorer.schema), headers, origin, _capture(scorer))


@rawhttp  # type: ignore[untyped-decorator]
def run(request: Any) -> Any:
    """Answer one request. The server turns an exception into a 500 for the client, so none may escape
    for a request that is the client's mistake."""
    if _loaded is None:
        return _answer(503, {"error": {"message": "the model is not loaded"}}, {})
    try:
        kind = request.headers.get("content-type")
        check_content_type(kind.encode("latin-1", "replace") if kind else None)
        rows = _loaded.parser.parse(request.get_data(), "score")
    except RequestError as error:
        return _answer(error.status, error.body(), _loaded.headers)
    try:
        predictions = _loaded.scorer.predict_rows(rows)
    except MlopsError as error:
        log.error("the model failed: %s", error)  # noqa: TRY400 - the reason is the message
        return _failed(_loaded.headers)
    if not np.isfinite(predictions).all():
        log.error("the model answered with NaN or infinity")
        return _failed(_loaded.headers)
    # Captured beforehand, because Azure's server sends the answer after this function has returned.
    if _loaded.capture is not None:
        given = request.headers.get("x-request-id") or uuid.uuid4().hex
        size = request.content_length or 0
        _loaded.capture.record(_loaded.origin, given.encode(), rows, predictions, size)
    return _answer(200, _loaded.scorer.answer(predictions), _loaded.headers)


def _capture(scorer: Scorer) -> Capture | None:
    settings = settings_from()
    if settings is None:
        return None
    check_capture(settings, scorer.names, SETTINGS)
    folder = Path(os.environ.get("MLOPS_CAPTURE_DIR", tempfile.gettempdir())) / FOLDER
    capture = open_capture(folder, settings)
    if capture is not None:
        atexit.register(capture.close)
    return capture


def _failed(headers: dict[str, str]) -> Any:
    error = {"message": "the model failed on this request; its operator finds the reason in the log"}
    return _answer(500, {"error": error}, headers)


def _answer(status: int, body: dict[str, Any], headers: dict[str, str]) -> Any:
    # With a content type of its own, AMLResponse keeps one header and leaves the bytes alone.
    return AMLResponse(json.dumps(body), status, {"Content-Type": "application/json", **headers})

"""Which tracking stores are accepted: a typing error must be a sentence at once, not minutes of retries."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mlops.errors import TargetError
from mlops.tracking import PipelineTracker, _connection


@pytest.mark.parametrize(
    "uri", ["databricks", "databricks://team", "azureml://westeurope.api.azureml.ms/mlflow/x"]
)
def test_stores_that_are_looked_up_by_a_login_are_accepted(uri: str):
    _connection._check(uri)


@pytest.mark.parametrize("uri", ["databrick", "ftp://server/mlflow", "./mlruns", ""])
def test_other_kinds_are_refused_with_what_is_allowed(uri: str):
    with pytest.raises(TargetError, match=r"not supported; give sqlite:///<file>, .*databricks://<profile>"):
        _connection._check(uri)


class _Refuses(BaseHTTPRequestHandler):
    """A server that answers everything with one status."""

    def do_GET(self) -> None:
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.end_headers()
        self.wfile.write(b"You are not authenticated. <secret of the server>")

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (
            401,
            r"does not know this login; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or M",
        ),
        (403, r"this login may not do that on http://127\.0\.0\.1:\d+; ask its administrator"),
    ],
)
def test_a_login_that_is_refused_is_said(status: int, sentence: str):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refuses)
    server.status = status  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(TargetError, match=sentence) as error:
            PipelineTracker(f"http://127.0.0.1:{server.server_port}").create_parent("e", "a", {})
        assert "secret" not in str(error.value)
    finally:
        server.shutdown()
        server.server_close()

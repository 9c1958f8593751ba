"""A CI job's login is renewed while the job runs: training outlives the assertion that it began with."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from mlops.errors import TargetError
from mlops.spec.settings import load_settings
from mlops.targets.azure import login
from mlops.targets.azure.connect import Connection
from tests.azure.conftest import ROOT
from tests.azure.emulator import Emulator
from tests.azure.emulator.entra import CLIENT, TENANT, assertion


class Runner:
    """GitHub's endpoint for OIDC tokens inside a job. `status` is what it answers."""

    def __init__(self) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.status = 200
        runner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                runner.asked.append(parse_qs(urlsplit(self.path).query))
                good = self.headers["Authorization"] == "Bearer job-token" and runner.status == 200
                body = json.dumps({"value": assertion()} if good else {}).encode()
                self.send_response(200 if good else 403)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def runner(logged_in: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    """This process is a job of GitHub Actions."""
    made = Runner()
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    monkeypatch.delenv("AZURE_FEDERATED_TOKEN_FILE")
    url = f"http://127.0.0.1:{made.server.server_port}/token?api-version=2.0"
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", url)
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job-token")
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_github_job_asks_for_a_new_assertion_for_every_new_token(runner: Runner, logged_in: Emulator):
    logged_in.entra.lifetime = 5
    connection = Connection(ROOT, load_settings(ROOT))
    connection.tracking_uri("dev")
    time.sleep(5.1)
    before = len(runner.asked)
    connection.tracking_uri("staging")
    assert len(runner.asked) > before >= 1, "the first token has expired"
    assert runner.asked[0]["audience"] == ["api://AzureADTokenExchange"]


def test_a_github_job_without_the_permission(runner: Runner, logged_in: Emulator):
    runner.status = 403
    with pytest.raises(TargetError, match="the job needs `permissions: id-token: write`"):
        Connection(ROOT, load_settings(ROOT)).tracking_uri()


def test_azure_pipelines_logs_in_by_its_service_connection(monkeypatch: pytest.MonkeyPatch):
    from azure.identity import AzurePipelinesCredential

    for name, value in {
        "SYSTEM_OIDCREQUESTURI": "https://dev.azure.com/org/_apis/oidc",
        "SYSTEM_ACCESSTOKEN": "token",
        "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": "connection",
        "AZURESUBSCRIPTION_TENANT_ID": TENANT,
        "AZURESUBSCRIPTION_CLIENT_ID": CLIENT,
    }.items():
        monkeypatch.setenv(name, value)
    assert isinstance(login.credential(), AzurePipelinesCredential)


def test_a_job_on_a_cluster_is_the_identity_that_was_assigned_to_it(
    logged_in: Emulator, monkeypatch: pytest.MonkeyPatch
):
    for name in logged_in.entra.login:
        monkeypatch.delenv(name)
    for name, value in logged_in.entra.identity.items():
        monkeypatch.setenv(name, value)
    uri = Connection(ROOT, load_settings(ROOT)).tracking_uri()
    assert uri.endswith("/workspaces/mlw-flights-mlops-dev-we")
    assert not logged_in.calls("POST", "login.microsoftonline.com"), "no assertion was exchanged"

"""Every failure of Databricks that matters reaches the user as a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.errors import Forbidden, InvalidInput, MlopsError, NotFound, TargetError
from mlops.targets.databricks.connect import Connection
from mlops.targets.databricks.endpoints import DatabricksEndpoints
from tests.contracts.endpoints import ENV, MODEL, create
from tests.databricks.bench import DatabricksBench, write_artifacts
from tests.databricks.emulator import Answer, Emulator


def _answers(status: int, code: str, message: str) -> Callable[[Emulator], None]:
    answer = Answer(status, {"error_code": code, "message": message}, {"retry-after": "1"})
    return lambda workspace: workspace.fail("GET", "/serving-endpoints/", answer, times=50)


ANSWERS = {
    "401": (
        _answers(401, "UNAUTHENTICATED", "The token is expired."),
        TargetError,
        "does not accept the login (The token is expired); log in with `az login`",
    ),
    "403": (
        _answers(403, "PERMISSION_DENIED", "No CAN MANAGE on endpoint."),
        Forbidden,
        "No CAN MANAGE on endpoint. An owner of it gives the right; docs/databricks.md says who needs which",
    ),
    "429": (
        _answers(429, "REQUEST_LIMIT_EXCEEDED", "Too many."),
        TargetError,
        "Databricks limits the rate of requests; run the same command again in a minute",
    ),
    "503": (
        _answers(503, "TEMPORARILY_UNAVAILABLE", "Try later."),
        TargetError,
        "Databricks failed by itself (Try later); run the same command again",
    ),
    "dropped": (
        lambda workspace: workspace.fail("GET", "/serving-endpoints/", ConnectionError, times=50),
        TargetError,
        "Databricks cannot be reached or broke the connection",
    ),
}


@pytest.fixture
def bench(tracked: Emulator, tmp_path: Path) -> DatabricksBench:
    return DatabricksBench(tracked, write_artifacts(tmp_path / "artifacts"), tmp_path / "fork")


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_no_answer(name: str, bench: DatabricksBench, tracked: Emulator):
    provoke, kind, sentence = ANSWERS[name]
    bench.connection.client()
    provoke(tracked)
    with pytest.raises(MlopsError) as failure:
        bench.endpoints.state(ENV, MODEL)
    assert isinstance(failure.value, kind)
    said = str(failure.value)
    assert said.startswith("cannot ask for the endpoint flights-mlops-freight-prod: ") and sentence in said


def test_an_assertion_that_no_policy_admits(
    bench: DatabricksBench, tracked: Emulator, monkeypatch: pytest.MonkeyPatch
):
    tracked.login.subject = "repo:somebody/else"
    monkeypatch.setenv("DATABRICKS_OIDC_TOKEN", tracked.login.assertion(600))
    with pytest.raises(TargetError, match=r"admits the subject repo:somebody/else.*az login"):
        bench.endpoints.state(ENV, MODEL)


def test_a_login_that_cannot_be_renewed(
    bench: DatabricksBench, tracked: Emulator, monkeypatch: pytest.MonkeyPatch
):
    """The token has expired, and the job has no identity to get another one by."""
    tracked.login.lifetime = 1
    bench.connection.client()
    monkeypatch.delenv("DATABRICKS_OIDC_TOKEN")
    with pytest.raises(TargetError, match=r"the login does not work \(Missing env var .*az login"):
        bench.endpoints.state(ENV, MODEL)


def test_nobody_is_logged_in(bench: DatabricksBench, monkeypatch: pytest.MonkeyPatch):
    for name in ("DATABRICKS_CLIENT_ID", "DATABRICKS_OIDC_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(TargetError, match=r"nothing says who works there; log in with `az login`"):
        bench.endpoints.state(ENV, MODEL)


def test_a_personal_access_token_is_refused(bench: DatabricksBench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DATABRICKS_CLIENT_ID")
    monkeypatch.setenv("DATABRICKS_TOKEN", "dapi0123")
    with pytest.raises(TargetError, match=r"is a personal access token, which lives long") as failure:
        bench.endpoints.state(ENV, MODEL)
    assert "dapi0123" not in str(failure.value)


def test_no_workspace_is_named(bench: DatabricksBench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DATABRICKS_HOST")
    with pytest.raises(InvalidInput, match=r"mlops.toml: databricks.host: names no workspace"):
        DatabricksEndpoints(Connection(bench.root, bench.settings)).state(ENV, MODEL)


def test_a_workspace_that_is_not_there_is_told_at_once(
    bench: DatabricksBench, monkeypatch: pytest.MonkeyPatch
):
    """The SDK alone would ask again for five minutes."""
    monkeypatch.setenv("DATABRICKS_HOST", "http://127.0.0.1:9")
    with pytest.raises(TargetError, match=r"the workspace http://127.0.0.1:9 cannot be reached"):
        DatabricksEndpoints(Connection(bench.root, bench.settings)).state(ENV, MODEL)


def test_a_catalog_that_is_not_there(bench: DatabricksBench, tracked: Emulator):
    tracked.unity.catalogs.discard("prod")
    with pytest.raises(NotFound, match="Catalog 'prod' does not exist"):
        create(bench, "blue", 1, "one")


def test_a_catalog_that_may_not_be_used(bench: DatabricksBench, tracked: Emulator):
    tracked.unity.denied.add("prod")
    with pytest.raises(Forbidden, match="User does not have USE CATALOG on Catalog 'prod'"):
        create(bench, "blue", 1, "one")


def test_a_quota_that_is_used_up(bench: DatabricksBench, tracked: Emulator):
    tracked.serving.most = 0
    with pytest.raises(TargetError, match=r"a quota is used up \(.*no provisioned concurrency left\)"):
        create(bench, "blue", 1, "one")


def test_an_update_that_does_not_end(
    bench: DatabricksBench, tracked: Emulator, monkeypatch: pytest.MonkeyPatch
):
    create(bench, "blue", 1, "one")
    conflict = {"error_code": "RESOURCE_CONFLICT", "message": "is being updated."}
    tracked.fail("PUT", "/config", Answer(409, conflict), times=100)
    monkeypatch.setattr("mlops.targets.databricks.endpoints._BUSY_TRIES", 3)
    with pytest.raises(TargetError, match=r"something else changes it at the same time \(is being updated\)"):
        create(bench, "green", 2, "two")

"""Every failure of Databricks that matters reaches the user as a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.errors import InvalidInput, MlopsError, TargetError
from mlops.targets.databricks.connect import Connection
from mlops.targets.databricks.endpoints import DatabricksEndpoints
from tests.contracts.endpoints import ENV, MODEL, create
from tests.contracts.failures import Failure, failures
from tests.databricks.bench import DatabricksBench, write_artifacts
from tests.databricks.emulator import Emulator
from tests.databricks.failures import FILE, PROVOKED, Provoke, steady


@pytest.fixture
def bench(tracked: Emulator, tmp_path: Path) -> DatabricksBench:
    return DatabricksBench(tracked, write_artifacts(tmp_path / "artifacts"), tmp_path / "fork")


@pytest.fixture
def actions(bench: DatabricksBench, tracked: Emulator) -> dict[str, Callable[[Provoke], None]]:
    """What a user does, by the name in the table; each provokes the failure when all before it went well."""

    def ask(provoke: Provoke) -> None:
        bench.connection.client()
        provoke(tracked)
        bench.endpoints.state(ENV, MODEL)

    def deploy(artifact: str) -> Callable[[Provoke], None]:
        def run(provoke: Provoke) -> None:
            provoke(tracked)
            create(bench, "blue", 1, artifact)

        return run

    def change(provoke: Provoke) -> None:
        create(bench, "blue", 1, "one")
        provoke(tracked)
        create(bench, "green", 2, "two")

    return {
        "ask": ask,
        "deploy": deploy("one"),
        "deploy a model that does not load": deploy("dead"),
        "change": change,
    }


@pytest.mark.parametrize("failure", failures(FILE), ids=lambda f: f.name)
def test_the_sentence(
    failure: Failure,
    actions: dict[str, Callable[[Provoke], None]],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("mlops.targets.databricks.endpoints._BUSY_TRIES", 3)
    with pytest.raises(MlopsError) as told:
        actions[failure.during](PROVOKED[failure.name])
    assert type(told.value).__name__ == failure.error
    said, _, log = steady(str(told.value)).partition("\n")
    assert said == failure.sentence
    assert bool(log) is failure.log


def test_each_failure_of_the_table_is_provoked():
    assert [failure.name for failure in failures(FILE)] == list(PROVOKED)


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

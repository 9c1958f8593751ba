"""A team's MLflow server, PostgreSQL and blob storage, as docs/tracking-server.md sets them up: the lifecycle
on them. A recipe that nobody runs is wrong by the next release of any of its three servers."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import recipe as page

from mlops.targets.local.registry import local_tracker
from tests.e2e.template_copy import MODEL, Repository, mlops_command

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(page.missing()), reason=page.missing() or "the servers are there"),
]
WINDOWS = (("2013-01..2013-02", "2013-03"), ("2013-01..2013-03", "2013-04"))


@pytest.fixture(scope="module")
def servers() -> Iterator[page.Recipe]:
    with page.Recipe() as running:
        yield running


@pytest.fixture(scope="module")
def team(
    servers: page.Recipe, raw_sample: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Repository]]:
    """Two people's clones, which share nothing but the server."""
    made = []
    for name in ("ann", "bea"):
        repository = Repository.make(tmp_path_factory.mktemp(name), raw_sample)
        with (repository.root / "mlops.toml").open("a") as settings:
            settings.write('\n[local]\ntracking_uri = "$MLFLOW_TRACKING_URI"\n')
        repository.commit("Share a tracking server")
        repository.env |= {
            "MLFLOW_TRACKING_URI": servers.url,
            "MLFLOW_TRACKING_USERNAME": "admin",
            "MLFLOW_TRACKING_PASSWORD": servers.secret("admin-password"),
        }
        made.append(repository)
    yield made
    for repository in made:
        with repository.environment():
            repository.stop()


@pytest.fixture(scope="module")
def trained(team: list[Repository]) -> list[Repository]:
    """Both have trained at the same time, on other months."""
    running = [
        subprocess.Popen(
            mlops_command("train", "--window", window, "--test-window", test),
            cwd=repository.root,
            env=repository.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for repository, (window, test) in zip(team, WINDOWS, strict=True)
    ]
    said = [process.communicate(timeout=600)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], "\n".join(said)
    return team


def test_two_trainings_at_the_same_time_make_two_versions(trained: list[Repository]) -> None:
    lists = [repository.call("versions", "list", "--json").ok().json for repository in trained]
    assert lists[0] == lists[1], "both see the same registry"
    assert sorted(v["version"] for v in lists[0]) == [1, 2]
    assert {v["window"] for v in lists[0]} == {window for window, _ in WINDOWS}
    assert not (trained[0].root / ".mlops" / "mlflow.db").exists()


def test_files_are_blobs_and_rows_are_in_postgresql(trained: list[Repository], servers: page.Recipe) -> None:
    import psycopg2
    from azure.storage.blob import ContainerClient

    container = ContainerClient.from_connection_string(servers.secret("blob-connection"), "artifacts")
    names = [blob.name for blob in container.list_blobs()]
    assert sum(name.endswith("/artifacts/model/serving.json") for name in names) == 2
    where = f"host=127.0.0.1 port={servers.ports['database']} user=mlflow dbname=mlflow"
    with closing(psycopg2.connect(where, password=servers.secret("db-password"))) as connection:
        cursor = connection.cursor()
        cursor.execute("select version from model_versions where name = %s", [MODEL])
        rows = cursor.fetchall()
    assert sorted(version for (version,) in rows) == [1, 2]


def test_from_gate_to_a_served_release(trained: list[Repository]) -> None:
    """Of her own version: the commit of the other one is in the other's repository only."""
    repository, (window, _) = trained[0], WINDOWS[0]
    listed = repository.call("versions", "list", "--json").ok().json
    (number,) = [row["version"] for row in listed if row["window"] == window]
    assert repository.call("gate", str(number), "--json").ok().json["passed"]
    assert repository.call("release", str(number), "--json").ok().json["release"] == number
    repository.commit(f"Release {MODEL} {number} to staging")
    repository.git("push", "--quiet")
    repository.spawn("apply", "staging").ok()
    live = {row["version"]: row["live"] for row in repository.call("versions", "list", "--json").ok().json}
    assert live == {number: ["staging"], 3 - number: []}


def test_a_wrong_password_is_said(team: list[Repository]) -> None:
    wrong = {"MLFLOW_TRACKING_PASSWORD": "guess"}
    for words in (("train",), ("versions", "list")):
        done = team[0].spawn(*words, env=wrong)
        done.refused(6, "does not know this login", "MLFLOW_TRACKING_PASSWORD")
        assert "guess" not in done.out + done.err


def test_an_address_that_is_not_set_is_said(team: list[Repository]) -> None:
    team[0].spawn("versions", "list", env={"MLFLOW_TRACKING_URI": ""}).refused(
        5, "mlops.toml", "the variable MLFLOW_TRACKING_URI is not set"
    )


def test_a_server_that_dies_under_a_training_is_said_and_the_work_goes_on(
    trained: list[Repository], servers: page.Recipe
) -> None:
    repository = trained[1]
    options = ("train", "--window", "2013-02..2013-04", "--test-window", "2013-05")
    process = subprocess.Popen(
        mlops_command(*options),
        cwd=repository.root,
        env=repository.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    running = _wait_for_step(repository, "validate", process)
    servers.kill("server")
    said = process.communicate(timeout=300)[0]
    assert process.returncode in (6, 8), said
    assert f"the tracking server {servers.url} does not answer" in said
    assert "start it" in said
    assert "Traceback" not in said
    repository.spawn("versions", "list").refused(6, "does not answer")

    servers.start_server()
    done = repository.spawn(*options, "--json").ok()
    assert done.json["reused_steps"] >= 1
    assert done.json["version"] == 3
    with repository.environment():
        tracker = local_tracker(repository.root / ".mlops", servers.url)
        assert tracker.get(running).status == "KILLED", "nobody is left waiting for the run that was cut off"


def test_a_database_that_was_away_is_found_again(trained: list[Repository], servers: page.Recipe) -> None:
    stop = page.blocks("Stop")[0].splitlines()
    servers.run("\n".join(line for line in stop if not line.startswith("kill")), servers.user)
    trained[0].spawn("versions", "list").refused(6, "cannot list the versions of flights")
    servers.run(page.blocks("Database")[1], servers.user)
    assert len(trained[0].call("versions", "list", "--json").ok().json) >= 2


def _wait_for_step(repository: Repository, step: str, process: subprocess.Popen[str]) -> str:
    """Until a training of this clone writes the log of `step`; its run."""
    known = {p.parent.name for p in (repository.root / ".mlops" / "runs").glob(f"*/{step}.log")}
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        logs = (repository.root / ".mlops" / "runs").glob(f"*/{step}.log")
        if new := [p.parent.name for p in logs if p.parent.name not in known]:
            return new[0]
        time.sleep(0.05)
    raise AssertionError(f"the step {step} did not start: {process.communicate()[0]}")

"""`mlops --target databricks`: from a committed file to an endpoint of Model Serving, by the verbs that
people use; a canary that fails, the way back, and a process that is killed in between."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mlops.spec.settings import load_settings
from mlops.targets.databricks.connect import Connection
from mlops.targets.databricks.registry import DatabricksRegistry
from tests.contracts.endpoints import MODEL
from tests.contracts.released import ReleasedFork
from tests.databricks.bench import write_artifacts, write_usecase
from tests.databricks.emulator import Answer, Emulator, Refused
from tests.databricks.emulator.http import Request
from tests.emulated.server import Exchange

pytestmark = pytest.mark.e2e

NAME = "flights-mlops-freight-staging"
SETTINGS = f"""
target = "databricks"
[project]
name = "flights-mlops"
[models.{MODEL}]
usecase = "freight_usecase"
"""


_QUICK = """\
import mlops.targets.databricks._metrics as metrics, mlops.targets.databricks.endpoints as endpoints
from mlops.cli.__main__ import main
endpoints._PAUSE, metrics.PAUSE = 0.05, 0.1
main()
"""
"""`mlops`, as impatient as this process."""


class Repository(ReleasedFork):
    """Versions are registered in the catalog that trains."""

    def __init__(self, folder: Path, emulator: Emulator) -> None:
        super().__init__(folder, SETTINGS)
        write_usecase(self.root)
        self.commit("A use case")
        self.emulator = emulator

    @property
    def registry(self) -> DatabricksRegistry:
        return DatabricksRegistry(Connection(self.root, load_settings(self.root)))


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_artifacts(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture
def fork(
    tmp_path: Path, tracked: Emulator, artifacts: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> Repository:
    """Two releases, of which staging serves the first."""
    # As long as the slow tests may take: a CI system hands out another one for each job.
    monkeypatch.setenv("DATABRICKS_OIDC_TOKEN", tracked.login.assertion(7200))
    made = Repository(tmp_path, tracked)
    made.release(1, artifacts["one"])
    made.release(2, artifacts["alike"])
    made.ask_for("staging", 1, None)
    made.done("apply", "staging")
    assert made.served("staging") == {1: 100}
    return made


def test_a_release_takes_over_step_by_step(fork: Repository) -> None:
    fork.ask_for("staging", 2, 1)
    assert fork.mlops("diff", "staging").exit_code == 2
    fork.done("apply", "staging")
    assert fork.served("staging") == {2: 100}
    assert fork.mlops("diff", "staging").exit_code == 0
    unity = fork.emulator.unity.models
    assert unity["staging.ml.freight"].aliases == {"live": 2}
    steps = [dict(c.routes) for c in fork.emulator.serving.history[NAME]]
    assert {"blue": 50, "green": 50} in steps, "half of the requests were the canary's"


def test_a_canary_that_fails_under_traffic_goes_back_and_the_hold_stays(fork: Repository) -> None:
    def breaks_under_traffic(request: Request) -> Answer | None:
        if request.method == "PUT" and request.path.endswith("/config"):
            routes = request.json["traffic_config"]["routes"]
            if any(r["served_entity_name"] == "green" and r["traffic_percentage"] for r in routes):
                fork.emulator.serving.broken.add("2")
        return None

    fork.emulator.faults.append(breaks_under_traffic)
    fork.ask_for("staging", 2, 1)
    failed = fork.mlops("apply", "staging")
    assert failed.exit_code == 3, failed.output
    assert any(c.routes.get("green") for c in fork.emulator.serving.history[NAME]), "its smoke test passed"
    served = fork.served("staging")
    assert served[1] == 100 and not served.get(2)
    # A person decides: until then nothing moves, and the pull request that undoes the commit is one verb.
    held = fork.mlops("apply", "staging")
    assert held.exit_code == 3, held.output
    assert "pull request" in fork.done("rollback", "staging", "--reason", "errors")
    fork.ask_for("staging", 1, None)
    fork.done("apply", "staging")
    assert fork.served("staging")[1] == 100


def test_a_canary_that_predicts_something_else_goes_back(
    fork: Repository, artifacts: dict[str, Path]
) -> None:
    fork.release(3, artifacts["two"])
    fork.ask_for("staging", 3, 1)
    failed = fork.mlops("apply", "staging")
    assert failed.exit_code == 3, failed.output
    assert "the distribution of predictions moved" in failed.output.replace("\n", " ")
    assert fork.served("staging")[1] == 100


def test_a_model_that_fails_its_smoke_test_gets_no_request(fork: Repository) -> None:
    fork.emulator.serving.broken.add("2")
    fork.ask_for("staging", 2, 1)
    failed = fork.mlops("apply", "staging")
    assert failed.exit_code == 3, failed.output
    assert all(not c.routes.get("green") for c in fork.emulator.serving.history[NAME])
    assert fork.served("staging")[1] == 100


class Death:
    """Kills a process at the n-th change that it asks for: before it is made, or after, its answer lost."""

    def __init__(self, emulator: Emulator, after: bool) -> None:
        self.emulator, self.after = emulator, after
        self.process: subprocess.Popen[bytes] | None = None
        self.left = 0
        self.lock = threading.Lock()
        emulator.faults.append(self)

    def __call__(self, request: Request) -> Answer | None:
        if self.process is None or request.method == "GET" or not self._changes(request):
            return None
        with self.lock:
            self.left -= 1
            if self.left:
                return None
        if self.after:
            with contextlib.suppress(Refused):
                self.emulator.route(request, Exchange(request))
        self.process.send_signal(signal.SIGKILL)
        raise ConnectionError(f"{request.path}: the client was killed")

    @staticmethod
    def _changes(request: Request) -> bool:
        asked = ("/oidc/", "/invocations", "search", "get-")
        return not any(part in request.path for part in asked)

    def strikes(self, fork: Repository, at: int) -> bool:
        """Run `apply staging` until it is killed; False when it ended before."""
        self.left = at
        command = [sys.executable, "-c", _QUICK, "-C", str(fork.root), "apply", "staging"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = self.process.communicate(timeout=120)[0].decode()
        code, self.process = self.process.returncode, None
        assert code in (0, -signal.SIGKILL), f"apply ended by {code} at change {at}: {said}"
        return code != 0


@pytest.mark.slow
@pytest.mark.timeout(3600)  # some forty processes, five seconds of CPU each
@pytest.mark.parametrize("after", [False, True], ids=["before-the-change", "after-the-change"])
def test_apply_that_is_killed_at_any_change_is_ended_by_the_next(fork: Repository, after: bool) -> None:
    """From release 1 to 2 and back, again and again: one serves all the time, and the file comes true."""
    death = Death(fork.emulator, after)
    live, wanted, at, kills = 1, 2, 1, 0
    while True:
        fork.ask_for("staging", wanted, live)
        died = death.strikes(fork, at)
        if not died:
            break
        kills += 1
        config = fork.emulator.serving.endpoints[NAME].config
        assert config is not None and sum(config.routes.values()) == 100
        for path in (fork.emulator.files.root / "Volumes").rglob("lock/*.json"):
            os.utime(path, (time.time() - 3600,) * 2)  # as long ago as it takes
        ended = fork.mlops("apply", "staging")
        assert ended.exit_code == 0, f"after the kill at change {at}: {ended.output}"
        assert fork.served("staging") == {wanted: 100}, f"after the kill at change {at}"
        live, wanted, at = wanted, live, at + 1
    assert kills > 8

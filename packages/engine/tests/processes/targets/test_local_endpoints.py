"""Local endpoints against real server processes and real models.

What is served must be what was asked for, through kills and under load: an endpoint that loses a request
while its traffic changes, or calls a dead server ready, makes every rollout built on it a lie.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from mlops.errors import Blocked, Inconclusive, IntegrityError, InvalidInput, NotFound, TargetError
from mlops.lifecycle.apply.start import start
from mlops.serving import testing
from mlops.serving.http.state import FOLLOWING, KEYS, STATE, read_keys
from mlops.serving.score.lock import owner
from mlops.spec.capture import CaptureSettings
from mlops.spec.digest import tree_digest
from mlops.spec.release import Data, Release, Source
from mlops.targets.local import down
from mlops.targets.local.endpoints import LocalEndpoints

ENV, MODEL = "prod", "freight"


def release(version: int, digest: str) -> Release:
    """A release record of one version; only model, version and digest matter to an endpoint."""
    source = Source(commit="0" * 40, actor="a", run_id="r", pipeline="p", pipeline_digest=digest)
    data = Data(name="d", version="1", digest=digest, window="2013-01..2013-03", test_window="2013-04")
    return Release.model_construct(
        model=MODEL, version=version, digest=digest, created=datetime.now(UTC), source=source, data=data,
        environment=digest, metrics={}, gates=[],
    )  # fmt: skip


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("artifacts")
    testing.write_onnx(root / "one")
    testing.write_onnx(root / "two", bias=2.0)
    testing.write_onnx(root / "slow", work=1000)
    testing.write_onnx(root / "failing", fails_from=2)
    testing.write_pyfunc(root / "python", "slow", seconds=0.3)
    return {p.name: p for p in root.iterdir()}


class Bench:
    """The endpoints under test with short names for what the tests do."""

    def __init__(self, root: Path, artifacts: dict[str, Path]) -> None:
        self.root = root
        self.endpoints = LocalEndpoints(root)
        self.artifacts = artifacts
        self.folder = root / ENV / MODEL

    def create(self, name: str, version: int, artifact: str) -> None:
        folder = self.artifacts[artifact]
        self.endpoints.create(ENV, name, release(version, tree_digest(folder)), folder)

    def traffic(self, mirror: dict[str, int] | None = None, **shares: int) -> None:
        self.endpoints.set_traffic(ENV, MODEL, shares, mirror)

    def shares(self) -> dict[str, int]:
        return {d.name: d.traffic for d in self.endpoints.state(ENV, MODEL).deployments}

    def kill(self) -> None:
        server = owner(self.folder)
        assert server is not None
        os.kill(server.pid, signal.SIGKILL)
        while owner(self.folder) is not None:
            time.sleep(0.01)

    def post(
        self, body: Any = None, key: str | None = "", path: str = "/score", **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        """One request; `key` "" means the right one."""
        server, keys = owner(self.folder), read_keys(self.folder)
        assert server is not None and keys is not None
        sent = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if key is not None:
            sent["authorization"] = f"Bearer {key or keys.primary}"
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request("POST", path, json.dumps(body or testing.body()), sent)
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        return answer.status, dict(answer.headers), json.loads(raw)


@pytest.fixture
def bench(tmp_path: Path, artifacts: dict[str, Path]) -> Iterator[Bench]:
    made = Bench(tmp_path / "endpoints", artifacts)
    yield made
    if owner(made.folder) is not None:
        made.kill()


class Load:
    """Constant traffic on keep-alive connections; remembers who answered and every failure."""

    def __init__(self, bench: Bench, clients: int = 4) -> None:
        self._bench = bench
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self.told_to_close = 0
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        server, keys = owner(self._bench.folder), read_keys(self._bench.folder)
        assert server is not None and keys is not None
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        headers = {"content-type": "application/json", "authorization": f"Bearer {keys.primary}"}
        body = json.dumps(testing.body())
        while not self._end.is_set():
            try:
                connection.request("POST", "/score", body, headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                return
            if answer.status != 200:
                self.failures.append(str(answer.status))
            self.answers[answer.headers["azureml-model-deployment"]] += 1
            if answer.headers.get("connection") == "close":
                self.told_to_close += 1
                return


def test_what_is_not_there_has_no_url_and_no_deployments(bench: Bench) -> None:
    assert bench.endpoints.state(ENV, MODEL).url == ""
    assert bench.endpoints.list() == []
    bench.endpoints.stop(ENV, MODEL)
    bench.endpoints.delete(ENV, MODEL, "blue")
    with pytest.raises(NotFound, match="mlops apply prod"):
        bench.traffic(blue=100)
    with pytest.raises(NotFound):
        bench.endpoints.score(ENV, MODEL, testing.body())
    with pytest.raises(Inconclusive):
        bench.endpoints.sample(ENV, MODEL, "blue")


def test_the_first_deployment_gets_all_traffic_and_the_second_none(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    bench.create("green", 2, "two")
    bench.create("green", 2, "two")  # again: nothing changes
    state = bench.endpoints.state(ENV, MODEL)
    assert bench.endpoints.list() == [state]
    assert [(d.name, d.release, d.traffic, d.state) for d in state.deployments] == [
        ("blue", 1, 100, "ready"),
        ("green", 2, 0, "ready"),
    ]
    assert state.live is not None and state.live.name == "blue"
    answer = bench.endpoints.score(ENV, MODEL, testing.body(2))
    assert answer["predictions"] == pytest.approx([testing.expected("AA", 500)] * 2, abs=1e-6)
    named = bench.endpoints.score(ENV, MODEL, testing.body(), "green")
    assert named["predictions"] == pytest.approx([testing.expected("AA", 500, 2.0)], abs=1e-6)
    with pytest.raises(TargetError, match=r"404.*does not exist"):
        bench.endpoints.score(ENV, MODEL, testing.body(), "red")


def test_an_answer_names_model_version_deployment_and_request(bench: Bench) -> None:
    bench.create("blue", 7, "one")
    status, headers, _ = bench.post(x_request_id="abc-1")
    assert status == 200
    assert headers["x-request-id"] == "abc-1"
    assert (headers["x-model-version"], headers["azureml-model-deployment"]) == ("7", "blue")
    ids = {bench.post()[1]["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


def test_keys_are_private_and_needed(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    assert (bench.folder / KEYS).stat().st_mode & 0o777 == 0o600
    keys = read_keys(bench.folder)
    assert keys is not None
    assert bench.post(key=None)[0] == 401
    assert bench.post(key="wrong")[0] == 403
    assert bench.post(key=keys.admin)[0] == 403, "the control key is no caller's key"
    assert bench.post(key=keys.secondary)[0] == 200
    assert bench.post(key=keys.primary, path="/-/traffic", body={"traffic": {}})[0] == 403
    assert bench.post(key=None, path="/-/traffic", body={"traffic": {}})[0] == 401


def test_traffic_is_split_by_weight(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    bench.create("green", 2, "two")
    bench.traffic(blue=80, green=20)
    with Load(bench) as load:
        while sum(load.answers.values()) < 2000 and not load.failures:
            time.sleep(0.02)
    total = sum(load.answers.values())
    # Six standard deviations of a binomial at 20 %: one false alarm in a billion runs.
    tolerance = 6 * (0.2 * 0.8 / total) ** 0.5
    assert load.failures == []
    assert abs(load.answers["green"] / total - 0.2) < tolerance


def test_traffic_changes_under_load_without_a_failed_request(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    with Load(bench) as load:
        for version in range(2, 8):
            idle, live = ("green", "blue") if version % 2 == 0 else ("blue", "green")
            bench.create(idle, version, "two" if version % 2 == 0 else "one")
            bench.traffic(**{live: 50, idle: 50})
            time.sleep(0.05)
            bench.traffic(**{live: 0, idle: 100})
            served = bench.post()[1]["azureml-model-deployment"]
            assert served == idle, "the next request after set_traffic goes where it was sent"
            bench.endpoints.delete(ENV, MODEL, live)
    assert load.failures == []
    assert sum(load.answers.values()) > 100
    assert set(load.answers) == {"blue", "green"}


def test_a_mirror_sees_copies_and_never_answers(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    bench.create("green", 2, "failing")
    bench.traffic(blue=100, mirror={"green": 50})
    answers = Counter(bench.post()[1]["azureml-model-deployment"] for _ in range(60))
    assert answers == {"blue": 60}
    deadline = time.monotonic() + 5
    while (mirrored := bench.endpoints.sample(ENV, MODEL, "green")).requests < 10:
        assert time.monotonic() < deadline, "half of 60 requests should have been copied"
        time.sleep(0.05)
    assert mirrored.errors == mirrored.requests < 60
    live = bench.endpoints.sample(ENV, MODEL, "blue")
    assert (live.requests, live.errors) == (60, 0)


def test_counters_tell_errors_latency_and_predictions_apart(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    bench.create("green", 2, "failing")
    for _ in range(5):
        assert bench.post(testing.body(3))[0] == 200
    for _ in range(4):
        status, headers, answer = bench.post(azureml_model_deployment="green")
        assert status == 500
        assert answer["request_id"] == headers["x-request-id"]
        assert "Traceback" not in json.dumps(answer) and "out of" not in json.dumps(answer)
    assert bench.post({"data": [{"carrier": 1}]})[0] == 422
    blue, green = (bench.endpoints.sample(ENV, MODEL, name) for name in ("blue", "green"))
    assert (blue.requests, blue.errors) == (5, 0), "a client's mistake is no request of the model"
    assert (green.requests, green.errors) == (4, 4)
    assert blue.latency[float("inf")] == 5
    assert list(blue.latency.values()) == sorted(blue.latency.values()), "cumulative, as in Prometheus"
    assert blue.predictions[0.45] == 0 and blue.predictions[0.5] == 15
    log = (bench.folder / "server.log").read_text()
    assert log.count("out of data bounds") == 1, "the reason is logged once"


def test_a_slow_python_model_does_not_delay_its_neighbour_or_the_probes(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    bench.create("green", 2, "python")
    slow = [
        threading.Thread(target=bench.post, kwargs={"azureml_model_deployment": "green"}) for _ in range(8)
    ]
    for thread in slow:
        thread.start()
    time.sleep(0.05)
    taken = []
    for _ in range(20):
        start = time.perf_counter()
        assert bench.post()[0] == 200
        taken.append(time.perf_counter() - start)
    for thread in slow:
        thread.join()
    assert sorted(taken)[10] < 0.1


def test_a_wrong_digest_is_an_integrity_error_and_changes_nothing(bench: Bench) -> None:
    with pytest.raises(IntegrityError, match="nothing was loaded"):
        bench.endpoints.create(ENV, "blue", release(1, "sha256:" + "0" * 64), bench.artifacts["one"])
    assert bench.endpoints.list() == []
    assert owner(bench.folder) is None, "no server is left behind for an endpoint that never was"
    bench.create("blue", 1, "one")
    before = bench.endpoints.state(ENV, MODEL)
    with pytest.raises(IntegrityError):
        bench.endpoints.create(ENV, "green", release(2, "sha256:" + "0" * 64), bench.artifacts["two"])
    assert bench.endpoints.state(ENV, MODEL) == before


def test_a_model_that_does_not_load_gives_its_reason_and_changes_nothing(
    bench: Bench, tmp_path: Path
) -> None:
    bench.create("blue", 1, "one")
    before = bench.endpoints.state(ENV, MODEL)
    broken = tmp_path / "broken"
    testing.write_onnx(broken)
    (broken / "onnx" / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(TargetError, match="cannot be loaded by ONNX Runtime"):
        bench.endpoints.create(ENV, "green", release(2, tree_digest(broken)), broken)
    (broken / "sample.json").write_text('{"data": [{"carrier": 1}]}')
    testing.write_onnx(broken)
    (broken / "sample.json").write_text('{"data": [{"carrier": 1}]}')
    with pytest.raises(TargetError, match=r"sample\.json is no valid request"):
        bench.endpoints.create(ENV, "green", release(2, tree_digest(broken)), broken)
    assert bench.endpoints.state(ENV, MODEL) == before
    assert bench.post()[0] == 200


def test_impossible_changes_are_refused(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    with pytest.raises(Blocked, match="serves release 1 with 100 %"):
        bench.create("blue", 2, "two")
    with pytest.raises(Blocked, match="move it away first"):
        bench.endpoints.delete(ENV, MODEL, "blue")
    with pytest.raises(NotFound, match="green"):
        bench.traffic(blue=50, green=50)
    with pytest.raises(InvalidInput, match="sum to 100"):
        bench.traffic(blue=99)
    with pytest.raises(InvalidInput, match="mirror"):
        bench.traffic(blue=100, mirror={"blue": 10})
    assert bench.shares() == {"blue": 100}


def test_an_idle_colour_is_replaced_and_removed(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    bench.create("green", 2, "two")
    bench.create("green", 3, "one")
    found = bench.endpoints.state(ENV, MODEL).deployment("green")
    assert found is not None and (found.release, found.traffic) == (3, 0)
    bench.endpoints.delete(ENV, MODEL, "green")
    bench.endpoints.delete(ENV, MODEL, "green")
    assert bench.shares() == {"blue": 100}


def test_a_killed_server_is_not_ready_and_comes_back_with_its_state_port_and_keys(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    bench.create("green", 2, "two")
    bench.traffic(blue=30, green=70)
    url, keys = bench.endpoints.state(ENV, MODEL).url, read_keys(bench.folder)
    bench.kill()
    dead = bench.endpoints.state(ENV, MODEL)
    assert {d.state for d in dead.deployments} == {"failed"}
    assert "it ended or was killed" in dead.deployments[0].detail
    assert "mlops start" in dead.deployments[0].detail
    with pytest.raises(TargetError, match="not running"):
        bench.endpoints.score(ENV, MODEL, testing.body())
    with pytest.raises(Inconclusive):
        bench.endpoints.sample(ENV, MODEL, "blue")
    bench.create("green", 2, "two")
    assert bench.shares() == {"blue": 30, "green": 70}
    assert {d.state for d in bench.endpoints.state(ENV, MODEL).deployments} == {"ready"}
    assert (bench.endpoints.state(ENV, MODEL).url, read_keys(bench.folder)) == (url, keys)
    assert bench.post()[0] == 200


def test_a_restart_serves_what_still_loads(bench: Bench, tmp_path: Path) -> None:
    doomed = tmp_path / "doomed"
    digest = testing.write_onnx(doomed, bias=1.0)
    bench.create("blue", 1, "one")
    bench.endpoints.create(ENV, "green", release(2, digest), doomed)
    bench.traffic(blue=50, green=50)
    bench.kill()
    (doomed / "onnx" / "model.onnx").write_bytes(b"tampered")
    bench.create("blue", 1, "one")
    state = {d.name: d for d in bench.endpoints.state(ENV, MODEL).deployments}
    assert (state["blue"].state, state["green"].state) == ("ready", "failed")
    assert "nothing was loaded" in state["green"].detail
    assert {bench.post()[1]["azureml-model-deployment"] for _ in range(20)} == {"blue"}
    with pytest.raises(Inconclusive, match="nothing was loaded"):
        bench.endpoints.sample(ENV, MODEL, "green")


def test_after_a_reboot_every_endpoint_comes_back_as_it_was_and_what_cannot_is_said(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doomed = tmp_path / "doomed"
    testing.write_onnx(doomed, bias=3.0)
    bench.create("blue", 1, "one")
    bench.create("green", 2, "two")
    bench.traffic(blue=30, green=70)
    bench.endpoints.create("staging", "blue", release(3, tree_digest(doomed)), doomed)
    places = [("staging", MODEL), ("prod", MODEL), ("prod", "never-made")]
    up = {place.env: place for place in start(bench.endpoints, places)}
    assert {p.outcome for p in up.values()} == {"up"} and up["prod"].release == 2
    bench.kill()
    Bench.kill(SimpleNamespace(folder=bench.root / "staging" / MODEL))  # type: ignore[arg-type]
    monkeypatch.setattr(down, "booted", lambda: time.time() + 3600)
    assert "the machine was started anew" in bench.endpoints.state(ENV, MODEL).deployments[0].detail
    (doomed / "onnx" / "model.onnx").unlink()
    found = {place.env: place for place in start(bench.endpoints, places)}
    assert found["prod"] == replace(up["prod"], outcome="started")
    assert bench.shares() == {"blue": 30, "green": 70} and bench.post()[0] == 200
    assert found["staging"].outcome == "down" and "blue (release 3) is failed" in found["staging"].why
    bench.endpoints.stop("staging", MODEL)
    assert [place.env for place in start(bench.endpoints, places)] == ["prod"], "what was stopped stays so"


def test_a_recycled_process_id_is_left_alone(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    bench.kill()
    (bench.folder / "server.lock").write_text(f"{os.getpid()} 1")
    bench.endpoints.stop(ENV, MODEL)  # would end this test if it believed the file
    assert bench.endpoints.list() == []


def test_stop_ends_the_endpoint_and_the_next_one_keeps_port_and_keys(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    url, keys = bench.endpoints.state(ENV, MODEL).url, read_keys(bench.folder)
    bench.endpoints.stop(ENV, MODEL)
    bench.endpoints.stop(ENV, MODEL)
    assert owner(bench.folder) is None
    assert bench.endpoints.state(ENV, MODEL).deployments == ()
    bench.create("blue", 2, "two")
    assert (bench.endpoints.state(ENV, MODEL).url, read_keys(bench.folder)) == (url, keys)
    assert bench.shares() == {"blue": 100}


def test_an_endpoint_whose_state_nobody_can_read_is_stopped_and_made_anew(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    (bench.folder / STATE).write_text("{")
    with pytest.raises(InvalidInput, match="run `mlops stop prod`, then `mlops apply prod`"):
        bench.endpoints.state(ENV, MODEL)
    bench.endpoints.stop(ENV, MODEL)
    assert owner(bench.folder) is None
    assert bench.endpoints.list() == []
    bench.create("blue", 2, "two")
    assert bench.shares() == {"blue": 100}


def test_the_server_survives_whoever_started_it(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    server = owner(bench.folder)
    assert server is not None
    assert os.getsid(server.pid) == server.pid != os.getsid(0)


def test_a_drain_under_load_answers_everything_and_resets_nothing(bench: Bench) -> None:
    bench.create("blue", 1, "slow")
    with Load(bench, clients=8) as load:
        while sum(load.answers.values()) < 8:
            time.sleep(0.01)
        bench.endpoints.stop(ENV, MODEL)
    assert load.failures == []
    assert load.told_to_close == 8, "every client was told, and none was cut off"


def test_capture_writes_what_was_asked_and_answered(bench: Bench) -> None:
    bench.endpoints = LocalEndpoints(bench.root, {MODEL: CaptureSettings(enabled=True, exclude=["carrier"])})
    bench.create("blue", 3, "one")
    _, _, answer = bench.post(testing.body(2), x_request_id="known")
    bench.endpoints.stop(ENV, MODEL)
    (file,) = (bench.folder / "capture").glob("*.parquet")
    rows = pq.read_table(file).to_pylist()
    assert [r["_prediction"] for r in rows] == answer["predictions"]
    assert {(r["_request_id"], r["_version"], r["distance"]) for r in rows} == {("known", 3, 500.0)}
    assert "carrier" not in rows[0]


def test_a_running_endpoint_takes_over_other_capture_settings_with_its_next_change(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    bench.post(testing.body(1))
    bench.endpoints = LocalEndpoints(bench.root, {MODEL: CaptureSettings(enabled=True)})
    bench.create("green", 2, "two")
    bench.post(testing.body(1), x_request_id="seen")
    bench.endpoints = LocalEndpoints(bench.root, {MODEL: CaptureSettings(enabled=False)})
    bench.traffic(blue=50, green=50)
    bench.post(testing.body(1))
    bench.endpoints.stop(ENV, MODEL)
    tables = [pq.read_table(file) for file in (bench.folder / "capture").glob("*.parquet")]
    assert [row["_request_id"] for table in tables for row in table.to_pylist()] == ["seen"]


def test_other_capture_settings_make_what_is_served_outdated_until_it_has_them(bench: Bench) -> None:
    bench.endpoints = LocalEndpoints(bench.root, {MODEL: CaptureSettings()})
    bench.create("blue", 1, "one")
    state = bench.endpoints.state(ENV, MODEL)
    assert not state.outdated(state.deployments[0])
    bench.endpoints = LocalEndpoints(bench.root, {MODEL: CaptureSettings(enabled=True)})
    state = bench.endpoints.state(ENV, MODEL)
    assert state.outdated(state.deployments[0])
    bench.create("green", 1, "one")
    state = bench.endpoints.state(ENV, MODEL)
    assert not any(state.outdated(d) for d in state.deployments)
    unknown = LocalEndpoints(bench.root).state(ENV, MODEL)
    assert not any(unknown.outdated(d) for d in unknown.deployments), "it was given no settings to compare"


def test_a_column_to_leave_out_that_the_model_lacks_is_refused_before_anything_is_served(
    bench: Bench,
) -> None:
    bench.endpoints = LocalEndpoints(bench.root, {MODEL: CaptureSettings(enabled=True, exclude=["carier"])})
    with pytest.raises(InvalidInput, match=r"models.freight.capture.exclude: 'carier' is no input.*carrier"):
        bench.create("blue", 1, "one")
    assert not bench.endpoints.state(ENV, MODEL).deployments


def test_concurrent_changes_do_not_interleave(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    bench.create("green", 2, "two")
    errors: list[BaseException] = []

    def change(share: int) -> None:
        try:
            LocalEndpoints(bench.root).set_traffic(ENV, MODEL, {"blue": share, "green": 100 - share})
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=change, args=(share,)) for share in range(10, 100, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sum(bench.shares().values()) == 100
    stored = json.loads((bench.folder / STATE).read_text())
    assert {d["name"]: d["traffic"] for d in stored["deployments"]} == bench.shares()


# --- keys -------------------------------------------------------------------------------------------


def damaged(folder: Path) -> None:
    (folder / KEYS).write_text("{")


def removed(folder: Path) -> None:
    (folder / KEYS).unlink()


def not_text(folder: Path) -> None:
    (folder / KEYS).write_bytes(b"\xff\xfe")


def of_another(folder: Path) -> None:
    (folder / KEYS).write_text(json.dumps({"primary": "a", "secondary": "b", "admin": "c"}))


@pytest.mark.parametrize("breaks", [damaged, removed, not_text, of_another], ids=lambda f: f.__name__)
@pytest.mark.parametrize("stops", [False, True], ids=["apply", "stop, apply"])
def test_apply_makes_new_keys_where_those_of_the_file_are_no_use(
    bench: Bench, breaks: Callable[[Path], None], stops: bool
) -> None:
    bench.create("blue", 1, "one")
    server = owner(bench.folder)
    breaks(bench.folder)
    state = bench.endpoints.state(ENV, MODEL)
    assert [d.state for d in state.deployments] == ["failed"]
    assert f"mlops apply {ENV}" in state.deployments[0].detail
    if stops:
        bench.endpoints.stop(ENV, MODEL)
    bench.create("blue", 1, "one")
    assert [d.state for d in bench.endpoints.state(ENV, MODEL).deployments] == ["ready"]
    assert bench.post()[0] == 200
    if not stops:
        assert owner(bench.folder) == server, "the server went on serving"


def test_a_file_of_keys_that_is_none_is_told_with_its_cure(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    damaged(bench.folder)
    with pytest.raises(
        InvalidInput, match=rf"keys\.json: is no key file; `mlops apply {ENV}` makes new keys"
    ):
        bench.endpoints.key(ENV, MODEL)
    removed(bench.folder)
    with pytest.raises(TargetError, match=f"has no keys; `mlops apply {ENV}` makes new ones"):
        bench.endpoints.score(ENV, MODEL, testing.body())
    assert not (bench.folder / KEYS).exists(), "asking makes no keys that the server does not know"


def test_no_request_fails_while_keys_rotate(bench: Bench) -> None:
    bench.create("blue", 1, "one")
    first = read_keys(bench.folder)
    assert first is not None
    answers: list[int] = []
    done = threading.Event()

    def ask_on() -> None:
        """A caller that takes the new key a moment after each rotation."""
        while not done.is_set():
            keys = read_keys(bench.folder)
            assert keys is not None
            answers.append(bench.post(key=keys.primary)[0])

    callers = [threading.Thread(target=ask_on) for _ in range(2)]
    for caller in callers:
        caller.start()
    held = first.primary
    try:
        for _ in range(4):
            bench.endpoints.rotate(ENV, MODEL)
            assert bench.post(key=held)[0] == 200, "who still has the key before is let in"
            held = bench.endpoints.key(ENV, MODEL)
            time.sleep(0.05)
    finally:
        done.set()
        for caller in callers:
            caller.join()
    assert bench.post(key=first.primary)[0] == 403, "an old key ends"
    assert len(answers) > 20 and set(answers) == {200}
    assert not (bench.folder / FOLLOWING).exists()

"""Local endpoints against real server processes and real models.

What is served must be what was asked for, through kills and under load: an endpoint that loses a request
while its traffic changes, or calls a dead server ready, makes every rollout built on it a lie.
"""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from local_bench import ENV, MODEL, Bench, release

from mlops.errors import Blocked, Inconclusive, IntegrityError, InvalidInput, NotFound, TargetError
from mlops.lifecycle.apply.start import start
from mlops.serving import testing
from mlops.serving.http.state import STATE, read_keys
from mlops.serving.score.lock import owner
from mlops.spec.capture import CaptureSettings
from mlops.spec.digest import tree_digest
from mlops.targets.local import down
from mlops.targets.local.endpoints import LocalEndpoints


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


def test_a_wrong_digest_is_an_integrity_error_and_changes_nothing(bench: Bench) -> None:
    with pytest.raises(IntegrityError):
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

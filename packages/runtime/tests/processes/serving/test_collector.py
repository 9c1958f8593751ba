"""Capture through Azure ML's own data collector package, against a stand-in for its agent on loopback.

Its agent joins inputs and outputs by correlation id; if ours differed, or one of the two were sampled away,
monitoring on Azure would compare nothing with nothing.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_score import end, start

from mlops.errors import TargetError
from mlops.serving import testing
from mlops.serving.capture import collector
from mlops.serving.capture.collector import CollectorSink
from mlops.serving.capture.recorder import Capture, Origin, open_capture
from mlops.serving.http.client import Unreachable, call
from mlops.spec.capture import CaptureSettings
from mlops.spec.schema import ModelSchema

SCHEMA = ModelSchema(model="freight", task="binary", columns=testing.columns(), classes=["0", "1"])
ORIGIN = Origin(SCHEMA, "green", 7)


class Agent(ThreadingHTTPServer):
    """What runs beside a deployment in Azure and takes payloads."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[tuple[dict[str, str], Any]] = []
        self.answering = threading.Event()
        self.answering.set()
        self.pause = 0.0
        self.daemon_threads = True


class Handler(BaseHTTPRequestHandler):
    server: Agent

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert self.path == "/modeldata/log"
        self.server.answering.wait(30)
        time.sleep(self.server.pause)
        self.server.received.append(({k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    from azureml.ai.monitoring.init import teardown

    server = Agent()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AZUREML_MDC_ENABLED", "true")
    monkeypatch.setenv("AZUREML_MDC_HOST", "127.0.0.1")
    monkeypatch.setenv("AZUREML_MDC_PORT", str(server.server_address[1]))
    yield server
    server.answering.set()
    teardown()
    server.shutdown()
    server.server_close()


def started(folder: Path, **settings: Any) -> Capture:
    capture = open_capture(folder, CaptureSettings(enabled=True, **settings))
    assert capture is not None
    return capture


def record(capture: Capture, name: str) -> None:
    rows = [("AA", 1.0), ("DL", None)]
    capture.record(ORIGIN, name.encode(), rows, np.array([0.25, 0.75]), 50)


def wait(agent: Agent, payloads: int) -> None:
    deadline = time.monotonic() + 30
    while len(agent.received) < payloads:
        assert time.monotonic() < deadline, f"{len(agent.received)} of {payloads} arrived"
        time.sleep(0.01)


def test_inputs_and_outputs_arrive_under_one_request_without_what_is_left_out(
    agent: Agent, tmp_path: Path
) -> None:
    capture = started(tmp_path, exclude=["carrier"])
    record(capture, "first")
    record(capture, "second")
    wait(agent, 4)
    capture.close()
    assert capture.written == 4
    found = {(h["ce-type"], h["ce-x-request-id"]): body for h, body in agent.received}
    for request in ("first", "second"):
        inputs = found["azureml.inference.model_inputs", request]
        outputs = found["azureml.inference.model_outputs", request]
        (at,) = {row.pop("_time") for row in [*inputs, *outputs]}
        assert abs((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()) < 60
        # Rows say themselves whose they are: the agent puts several requests into one event.
        keys = [{"correlationid": request, "_row": row} for row in range(2)]
        assert inputs == [{"distance": 1.0, **keys[0]}, {"distance": None, **keys[1]}]
        assert outputs == [
            {"_prediction": 0.25, "_version": 7, "_deployment": "green", **keys[0]},
            {"_prediction": 0.75, "_version": 7, "_deployment": "green", **keys[1]},
        ]
    assert not list(tmp_path.iterdir()), "no files where the collector is on"


def test_a_burst_beyond_the_backlog_waits_for_a_slow_agent(agent: Agent, tmp_path: Path) -> None:
    agent.pause = 0.005
    capture = started(tmp_path)
    for n in range(3 * collector.BACKLOG):
        record(capture, str(n))
    wait(agent, 6 * collector.BACKLOG)
    capture.close()
    assert (capture.written, capture.dropped) == (6 * collector.BACKLOG, 0)


def test_an_agent_that_hangs_costs_rows_and_not_memory(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "PATIENCE", 0.5)
    agent.answering.clear()
    capture = started(tmp_path)
    for n in range(500):
        record(capture, str(n))
    capture.close()
    assert collector._waiting() <= collector.BACKLOG
    assert capture.dropped >= 1000 - 2 * collector.BACKLOG
    assert capture.written + capture.dropped == 1000


def test_an_agent_that_is_not_there_does_not_stop_capture(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZUREML_MDC_PORT", "9")
    capture = started(tmp_path)
    record(capture, "lost")
    deadline = time.monotonic() + 10
    while collector._waiting() and time.monotonic() < deadline:
        time.sleep(0.01)
    record(capture, "next")
    capture.close()
    assert capture._queue == type(capture._queue)()


def test_a_collector_without_our_collections_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azureml.ai.monitoring.init import teardown

    config = tmp_path / "config.json"
    config.write_text(json.dumps({"collections": {"something_else": {"enabled": True}}}))
    monkeypatch.setenv("AZUREML_MDC_CONFIG_PATH", str(config))
    try:
        with pytest.raises(TargetError, match="model_inputs is not enabled"):
            CollectorSink(CaptureSettings(enabled=True))
    finally:
        teardown()


def test_azures_own_server_hands_requests_to_the_collector(agent: Agent, tmp_path: Path) -> None:
    digest = testing.write_onnx(tmp_path / "mounted" / "model")
    # The agent's address is in the environment, as Azure puts it there for a deployment with a collector.
    process, port = start(tmp_path / "mounted", digest, tmp_path / "log")
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                call(port, "GET", "/", timeout=2)
                break
            except Unreachable:
                assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.1)
        status, answer = call(
            port, "POST", "/score", testing.body(1, "DL", 42.0), headers={"x-request-id": "known"}
        )
        assert status == 200
        wait(agent, 2)
    finally:
        end(process)
    found = {h["ce-type"]: (h["ce-x-request-id"], body) for h, body in agent.received}
    asked, (given,) = found["azureml.inference.model_inputs"]
    request, (output,) = found["azureml.inference.model_outputs"]
    keys = {"correlationid": "known", "_row": 0, "_time": output["_time"]}
    assert (asked, given) == ("known", {"distance": 42.0, **keys})
    assert (request, output["_version"]) == ("known", 7)
    assert output["_prediction"] == pytest.approx(answer["predictions"][0])
    assert not list(tmp_path.glob("capture/*")), "no files where the collector is on"

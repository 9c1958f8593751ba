"""Too much work is refused at once and with a time to come back; an end is announced before it comes.

A queue without bound turns a burst into minutes of waiting for everybody, and a server that dies with
requests in flight turns every release of a node into errors.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlops.serving import testing
from mlops.serving.http.client import call
from mlops.serving.http.deployment import QUEUE
from tests.serving.harness import Line, Reply, Server, serving

SMALL = json.dumps(testing.body()).encode()


def test_more_requests_than_may_wait_are_told_when_to_come_back(tmp_path: Path) -> None:
    """A model that takes some milliseconds a call, and twice as many callers as may wait."""
    testing.write_onnx(tmp_path / "model", work=500)
    # Each asks for more rows than fit into one batch with a neighbour, so that nothing is predicted together.
    body = json.dumps(testing.body(300)).encode()
    callers = 2 * QUEUE
    start = threading.Barrier(callers + 1)

    def ask(server: Server) -> tuple[Reply, float]:
        with Line(server.port, server.keys.primary, timeout=120) as line:
            assert line.post("/score", b"[]").status == 422, "connected"
            start.wait()
            begun = time.monotonic()
            return line.post("/score", body), time.monotonic() - begun

    with serving(tmp_path, model=tmp_path / "model") as server, ThreadPoolExecutor(callers) as threads:
        asked = [threads.submit(ask, server) for _ in range(callers)]
        start.wait()
        begun = time.monotonic()
        assert call(server.port, "GET", "/readyz")[0] == 200
        assert time.monotonic() - begun < 5, "a slow model does not keep a probe waiting"
        replies = [done.result() for done in asked]
        seen = Counter(reply.status for reply, _ in replies)
        counters = server.control("GET", "state")["deployments"][0]["counters"]
    assert set(seen) == {200, 429}
    # Beside what waits, up to two calls of the model run.
    assert seen[200] >= QUEUE - 1
    assert counters["rejected"] == seen[429] and counters["errors"] == 0
    for reply, _ in replies:
        if reply.status == 429:
            assert int(reply.headers["retry-after"]) >= 1
            assert "come back later" in reply.json()["error"]["message"]
        else:
            assert reply.json()["predictions"] == pytest.approx([testing.expected("AA", 500)] * 300, abs=1e-6)
    served = max(seconds for reply, seconds in replies if reply.status == 200)
    refused = sorted(seconds for reply, seconds in replies if reply.status == 429)
    assert refused[len(refused) // 2] < served, "a refusal does not wait in the queue"


@pytest.mark.parametrize("work", [0, 600], ids=["on the event loop", "in threads"])
def test_sigterm_under_load_loses_no_request(tmp_path: Path, work: int) -> None:
    testing.write_onnx(tmp_path / "model", work=work)
    gone = threading.Event()
    wrong: list[str] = []

    def ask(server: Server, chunked: bool) -> tuple[int, bool]:
        """Answers, and whether the end was announced by `connection: close`."""
        answers = 0
        with Line(server.port, server.keys.primary, timeout=60) as line:
            while True:
                try:
                    reply = line.post("/score", SMALL, chunked=chunked)
                except ConnectionRefusedError:
                    return answers, gone.is_set()
                except OSError as error:
                    wrong.append(f"after {answers} answers: {error!r}")
                    return answers, False
                if reply.status != 200:
                    wrong.append(f"{reply.status} {reply.body[:200]!r}")
                answers += 1
                if gone.is_set() and reply.headers.get("connection") == "close":
                    return answers, True

    with serving(tmp_path, model=tmp_path / "model") as server, ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(ask, server, n % 4 == 0) for n in range(8)]
        time.sleep(1)
        gone.set()
        server.process.terminate()
        found = [done.result() for done in asked]
        assert server.process.wait(20) == 0
    assert not wrong, wrong
    assert all(answers > 0 and told for answers, told in found)


@pytest.mark.parametrize("chunked", [False, True], ids=["lane", "asgi"])
def test_more_rows_than_the_limit_are_refused_with_the_limit(tmp_path: Path, chunked: bool) -> None:
    with serving(tmp_path) as server, Line(server.port, server.keys.primary) as line:
        reply = line.post("/score", json.dumps(testing.body(10_001)).encode(), chunked=chunked)
        error = reply.json()["error"]
        assert (reply.status, error["value"], error["allowed"]) == (413, 10_001, "at most 10000 rows")
        assert line.post("/score", SMALL, chunked=chunked).status == 200


def test_each_answer_names_version_deployment_and_request(tmp_path: Path) -> None:
    with serving(tmp_path) as server, Line(server.port, server.keys.primary) as line:
        ids = set()
        for path, body in (("/score", SMALL), ("/score", b"{}"), ("/invocations", b"{}")):
            for chunked in (False, True):
                reply = line.post(path, body, chunked=chunked)
                named = (reply.headers["x-model-version"], reply.headers["azureml-model-deployment"])
                assert named == ("1", "blue")
                ids.add(reply.headers["x-request-id"])
        assert len(ids) == 6
        assert line.post("/score", SMALL, "x-request-id: mine").headers["x-request-id"] == "mine"


def test_capture_sees_the_rows_and_answers_of_both_ways(tmp_path: Path) -> None:
    """The lane and ASGI feed the same capture: what one of them forgot, monitoring would never see."""
    import pyarrow.parquet as pq

    from mlops.spec.capture import CaptureSettings

    with serving(tmp_path, capture=CaptureSettings(enabled=True)) as server:
        with Line(server.port, server.keys.primary) as line:
            for n in range(20):
                line.post("/score", SMALL, f"x-request-id: r{n}", chunked=n % 2 == 0)
        server.process.terminate()
        assert server.process.wait(20) == 0
        rows = [
            row
            for file in (server.folder / "capture").rglob("*.parquet")
            for row in pq.ParquetFile(file).read().to_pylist()
        ]
    assert {row["_request_id"] for row in rows} == {f"r{n}" for n in range(20)}
    assert {row["carrier"] for row in rows} == {"AA"}
    for row in rows:
        assert row["_prediction"] == pytest.approx(testing.expected("AA", 500), abs=1e-6)

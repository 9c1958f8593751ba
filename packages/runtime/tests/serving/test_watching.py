"""What operators see: metrics that the official parsers accept, and one id that follows a request through
its answer, the log and the captured rows.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as newer

from mlops.serving import testing
from mlops.serving.http.metrics import Captured, Counters, render
from mlops.spec.capture import CaptureSettings
from mlops.spec.schema import ModelSchema, Task
from tests.serving.harness import Line, Server, serving

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
BODY = json.dumps(testing.body(2)).encode()


def parse(text: str, *, open_metrics: bool) -> dict[str, object]:
    read = newer.text_string_to_metric_families if open_metrics else parser.text_string_to_metric_families
    return {family.name: family for family in read(text)}


@pytest.mark.parametrize("open_metrics", [False, True])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_every_kind_of_model_has_metrics_that_parse(task: Task, open_metrics: bool) -> None:
    classes = [] if task == "regression" else ["a", "b", "c"][: 2 if task == "binary" else 3]
    schema = ModelSchema(model="freight", task=task, columns=testing.columns(), classes=classes)
    counters = Counters(schema)
    values = {"binary": [0.1, 0.9], "multiclass": [[0.1, 0.2, 0.7]] * 2, "regression": [-3.5, 1e9]}[task]
    for rows in (1, 100):
        counters.predicted(np.array(values * rows, dtype=np.float32))
    counters.answered("ok", 0.002)
    at = {"model": "freight", "deployment": "blue"}
    text = render([(at, counters)], Captured(at, {"written": 2, "dropped": 0}), open_metrics=open_metrics)
    families = parse(text.decode(), open_metrics=open_metrics)
    assert set(families) == {
        "mlops_requests", "mlops_rows", "mlops_mirrored", "mlops_mirror_dropped", "mlops_capture_rows",
        "mlops_latency_seconds", "mlops_prediction",
    }  # fmt: skip
    buckets = [s for s in families["mlops_prediction"].samples if s.name.endswith("_bucket")]  # type: ignore[attr-defined]
    assert buckets[-1].labels["le"] == "+Inf" and buckets[-1].value == 202


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("watching")


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[Server]:
    testing.write_onnx(root / "model", fails_from=5000)
    settings = CaptureSettings(enabled=True, file_seconds=0.5)
    with serving(root, model=root / "model", capture=settings) as made:
        yield made


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ],
)
def test_the_endpoint_speaks_the_format_that_is_asked_for(server: Server, accept: str, kind: str) -> None:
    with Line(server.port, server.keys.primary) as line:
        line.post("/score", BODY)
        asked = ["GET /metrics HTTP/1.1", "host: x", f"accept: {accept}"]
        asked.append(f"authorization: Bearer {server.keys.primary}\r\n\r\n")
        reply = line.say("\r\n".join(asked).encode())
    assert (reply.status, reply.headers["content-type"]) == (200, kind)
    families = parse(reply.body.decode(), open_metrics="openmetrics" in kind)
    ok = [s.value for s in families["mlops_requests"].samples if s.labels["outcome"] == "ok"]  # type: ignore[attr-defined]
    assert ok[0] >= 1


@pytest.mark.parametrize("chunked", [False, True], ids=["lane", "asgi"])
def test_a_w3c_trace_is_the_request_id_of_answer_and_capture(server: Server, chunked: bool) -> None:
    trace = TRACE[:-1] + ("1" if chunked else "2")
    parent = PARENT.replace(TRACE, trace)
    with Line(server.port, server.keys.primary) as line:
        reply = line.post("/score", BODY, f"traceparent: {parent}", chunked=chunked)
        named = line.post("/score", BODY, f"traceparent: {parent}", "x-request-id: mine", chunked=chunked)
    assert (reply.headers["x-request-id"], reply.headers["traceparent"]) == (trace, parent)
    assert (named.headers["x-request-id"], named.headers["traceparent"]) == ("mine", parent)
    deadline = time.monotonic() + 20
    while True:
        files = (server.folder / "capture").rglob("*.parquet")
        ids = {i for f in files for i in pq.ParquetFile(f).read(["_request_id"])["_request_id"].to_pylist()}
        if trace in ids:
            break
        assert time.monotonic() < deadline, f"{trace} was not captured among {ids}"
        time.sleep(0.1)


@pytest.mark.parametrize(
    "parent",
    [
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-b7ad6b7169203331-01",
        f"00-{TRACE.upper()}-b7ad6b7169203331-01",
        f"00-{TRACE}-b7ad6b7169203331",
        "nonsense",
        "",
    ],
)
def test_a_void_trace_is_ignored(server: Server, parent: str) -> None:
    with Line(server.port, server.keys.primary) as line:
        reply = line.post("/score", BODY, f"traceparent: {parent}")
    assert reply.status == 200 and "traceparent" not in reply.headers
    assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", reply.headers["x-request-id"])


def test_a_failed_request_can_be_found_in_the_log(server: Server, root: Path) -> None:
    body = json.dumps(testing.body(1, distance=6000.0)).encode()
    with Line(server.port, server.keys.primary) as line:
        reply = line.post("/score", body, f"traceparent: {PARENT}")
    assert reply.status == 500 and reply.json()["request_id"] == TRACE
    assert "operator" in reply.json()["error"]["message"], "the reason is for the log, not for the caller"
    log = (root / "log").read_text()
    assert f"request {TRACE} was answered 500 by deployment blue" in log
    assert "the ONNX graph failed" in log and "Traceback" not in log

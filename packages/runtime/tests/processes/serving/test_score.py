"""`score.py` inside the real inference server of Azure ML: the same numbers and refusals as the endpoint."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import mlops.serving.azure
from mlops.errors import InvalidInput
from mlops.serving import testing
from mlops.serving.http.client import Unreachable, call

SCRIPT = Path(mlops.serving.azure.__file__).with_name("score.py")
SERVER = Path(sys.executable).with_name("azmlinfsrv")


def start(folder: Path, digest: str, log: Path) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    environment = {
        **os.environ,
        "AZUREML_MODEL_DIR": str(folder),
        "MLOPS_MODEL_DIGEST": digest,
        "MLOPS_MODEL_VERSION": "7",
        "WORKER_COUNT": "1",
        "MLOPS_CAPTURE": json.dumps({"enabled": True, "exclude": ["carrier"], "file_seconds": 0.5}),
        "MLOPS_CAPTURE_DIR": str(log.parent),
    }
    command = [str(SERVER), "--entry_script", str(SCRIPT), "--port", str(port)]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, env=environment, cwd=folder.parent, stdout=stream, stderr=stream, start_new_session=True
        )
    return process, port


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    process.wait(15)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("azure")


@pytest.fixture(scope="module")
def port(root: Path) -> Iterator[int]:
    # As Azure ML mounts it: <model>/<version>/<folder>.
    mounted = root / "freight" / "7"
    digest = testing.write_onnx(mounted / "model", fails_from=5000)
    process, chosen = start(mounted, digest, root / "log")
    deadline = time.monotonic() + 60
    while True:
        try:
            call(chosen, "GET", "/", timeout=2)
            break
        except Unreachable:
            assert process.poll() is None and time.monotonic() < deadline, (root / "log").read_text()
            time.sleep(0.1)
    yield chosen
    end(process)


def test_what_was_asked_and_answered_is_captured(port: int, root: Path) -> None:
    call(port, "POST", "/score", testing.body(2, "DL", 42.0), headers={"x-request-id": "known"})
    deadline = time.monotonic() + 10
    rows: list[dict[str, Any]] = []
    while not rows:
        assert time.monotonic() < deadline
        for file in (root / "capture").glob("*.parquet"):
            rows += [r for r in pq.read_table(file).to_pylist() if r["_request_id"] == "known"]
        time.sleep(0.05)
    assert [(r["_row"], r["_version"], r["distance"], "carrier" in r) for r in rows] == [
        (0, 7, 42.0, False),
        (1, 7, 42.0, False),
    ]
    assert rows[0]["_prediction"] == pytest.approx(testing.expected("DL", 42.0), abs=1e-6)


def test_the_number_is_the_endpoints_number(port: int) -> None:
    status, answer = call(port, "POST", "/score", testing.body(2))
    assert status == 200
    assert answer["predictions"] == pytest.approx([testing.expected("AA", 500)] * 2, abs=1e-6)
    assert answer["labels"] == testing.labels(answer["predictions"])


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"data": [{"carrier": 1, "distance": 1}]}, 422),
        ({"data": [{"carrier": "AA"}]}, 422),
        ({"data": []}, 422),
        ([], 422),
        ({"input_data": {"columns": ["carrier", "distance"], "data": [["AA", "3"]]}}, 422),
        ({"data": [{"carrier": "AA", "distance": float("nan")}]}, 400),
    ],
)
def test_a_bad_request_is_the_clients_mistake(port: int, body: Any, wanted: int) -> None:
    status, answer = call(port, "POST", "/score", body)
    assert (status, set(answer["error"])) == (wanted, {"field", "row", "value", "allowed", "message"})


def test_a_wrong_content_type_is_refused(port: int) -> None:
    assert call(port, "POST", "/score", testing.body(), headers={"content-type": "text/csv"})[0] == 415


def test_a_failing_model_is_a_500_without_its_reason(port: int) -> None:
    status, answer = call(port, "POST", "/score", testing.body(distance=6000))
    assert status == 500
    assert "operator" in answer["error"]["message"] and "bounds" not in json.dumps(answer)


def test_one_content_type_and_the_model_version_are_sent(port: int) -> None:
    body = json.dumps(testing.body()).encode()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        head = b"POST /score HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n"
        sock.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
    headers = answer.partition(b"\r\n\r\n")[0].lower()
    assert headers.count(b"content-type:") == 1
    assert b"x-model-version: 7" in headers


def test_a_tampered_model_is_never_served(tmp_path: Path) -> None:
    testing.write_onnx(tmp_path / "model")
    process, chosen = start(tmp_path, "sha256:" + "0" * 64, tmp_path / "log")
    try:
        process.wait(60)
        assert "nothing was loaded" in (tmp_path / "log").read_text()
        with pytest.raises(Unreachable):
            call(chosen, "GET", "/", timeout=2)
    finally:
        end(process)


def test_the_artifact_is_found_where_azure_mounts_it(tmp_path: Path) -> None:
    from mlops.serving.azure.score import find_artifact

    with pytest.raises(InvalidInput, match="no model artifact"):
        find_artifact(tmp_path)
    for depth in ("one", "two"):
        testing.write_onnx(tmp_path / depth / "model")
    assert find_artifact(tmp_path / "one") == tmp_path / "one" / "model"
    assert find_artifact(tmp_path / "one" / "model") == tmp_path / "one" / "model"
    with pytest.raises(InvalidInput, match="2 model artifacts"):
        find_artifact(tmp_path)

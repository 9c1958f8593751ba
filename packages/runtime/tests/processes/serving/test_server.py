"""The server process under hostile and unlucky clients: only refusals, never a 5xx, never a blocked door.

One slow client must not hold a connection for ever, and no bytes at all may end in a server error.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops.serving import testing
from mlops.serving.http.client import call
from mlops.serving.http.state import read_state
from mlops.serving.score.lock import owner
from tests.serving.harness import Server, drain, start, status


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = start(tmp_path_factory.mktemp("server"), "--header-seconds", "1", "--body-seconds", "1")
    yield made
    made.process.kill()
    made.process.wait()


def test_probes_need_no_key_and_the_rest_does(server: Server) -> None:
    for path in ("/", "/livez", "/readyz"):
        assert call(server.port, "GET", path)[0] == 200
    for path in ("/metrics", "/swagger.json", "/openapi.json"):
        assert call(server.port, "GET", path)[0] == 401
        assert server.ask("GET", path)[0] == 200


def test_an_answer_is_one_segment_and_head_has_no_body(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        for _ in range(20):
            sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert sock.recv(65536).endswith(b"\r\n\r\nHealthy"), "head and body were sent apart"
            sock.sendall(b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert sock.recv(65536).endswith(b"\r\n\r\n")


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    asked = [b"GET /livez HTTP/1.1\r\nhost: x\r\nx-request-id: r%d\r\n\r\n" % n for n in range(5)]
    last = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-request-id: r5\r\n\r\n"
    answer = server.raw(b"".join(asked) + last)
    assert [line for line in answer.split(b"\r\n") if line.startswith(b"x-request-id")] == [
        b"x-request-id: r%d" % n for n in range(6)
    ]


def test_the_descriptions_are_generated_from_the_schema(server: Server) -> None:
    for path, version in (
        ("/swagger.json", "2.0"),
        ("/openapi.json", "3.0.3"),
        ("/swagger.json?version=3", "3.0.3"),
    ):
        _, document = server.ask("GET", path)
        assert version in (document.get("swagger"), document.get("openapi"))
        text = json.dumps(document)
        assert '"maximum": 10000' in text and '"carrier"' in text
        assert set(document["paths"]) == {"/score", "/invocations"}


def test_metrics_are_prometheus_text(server: Server) -> None:
    server.ask("POST", "/score", testing.body())
    answer = server.raw(server.request(b"", path="/metrics", method="GET"))
    text = answer.partition(b"\r\n\r\n")[2].decode()
    at = 'environment="prod",model="freight",deployment="blue",version="1"'
    assert f'mlops_requests_total{{{at},outcome="ok"}}' in text
    buckets = [line for line in text.splitlines() if line.startswith("mlops_latency_seconds_bucket")]
    counts = [int(line.rsplit(" ", 1)[1]) for line in buckets]
    assert counts == sorted(counts) and counts[-1] > 0 and 'le="+Inf"' in buckets[-1]


@pytest.mark.parametrize(
    ("lines", "body", "wanted"),
    [
        (["content-type: text/csv"], b"carrier,distance\nAA,1", 415),
        (["content-type: application/json", "content-encoding: gzip"], b"\x1f\x8b", 415),
        (["content-type: application/json", "azureml-model-deployment: red"], b"{}", 404),
        (["content-type: application/json", "azureml-model-deployment: \xff"], b"{}", 404),
        (["content-type: application/json"], b"", 400),
        (["content-type: application/json"], b"{" * 1000, 400),
        ([], b"[]", 422),
        (["x-request-id: a b"], b"[]", 422),
        (["transfer-encoding: chunked"], b"", 400),
        (["expect: 100-continue"], b"[]", 422),
        (["upgrade: websocket", "connection: upgrade"], b"[]", 400),
    ],
)
def test_a_bad_request_is_refused_as_one(server: Server, lines: list[str], body: bytes, wanted: int) -> None:
    answer = server.raw(server.request(body, *lines))
    assert status(answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")) == wanted


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [("GET", "/score", 405), ("PUT", "/invocations", 405), ("POST", "/", 405), ("GET", "/nothing", 404),
     ("GET", "/-/state", 403), ("POST", "/score/", 404), ("GET", "/%ff%00", 404), ("DELETE", "/readyz", 405)],
)  # fmt: skip
def test_unknown_paths_and_methods_are_refused(server: Server, method: str, path: str, wanted: int) -> None:
    assert status(server.raw(server.request(b"", path=path, method=method))) == wanted


def test_a_body_over_the_limit_is_refused_with_a_readable_answer(server: Server) -> None:
    big = b'{"data": "' + b"x" * (3 << 20) + b'"}'
    assert status(server.raw(server.request(big))) == 413
    chunked = b"POST /score HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nauthorization: Bearer "
    chunked += server.keys.primary.encode() + b"\r\n\r\n" + (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 48
    assert status(server.raw(chunked + b"0\r\n\r\n")) == 413


def test_enormous_headers_are_refused(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nx: " + b"y" * 60_000)
        time.sleep(0.1)
        sock.sendall(b"y" * 6_000)
        assert status(drain(sock)) == 431


def test_garbage_is_a_client_error(server: Server) -> None:
    for data in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n\x00"):
        assert status(server.raw(data)) in (400, 408)


SLOW = {
    "silence": b"",
    "half a header": b"POST /score HTTP/1.1\r\nhost: x\r\n",
    "half a body": b"POST /score HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW.keys())
def test_a_slow_client_is_cut_off_at_the_deadline(server: Server, sent: bytes) -> None:
    if b"100\r\n" in sent:
        sent = sent.replace(b"host: x", b"host: x\r\nauthorization: Bearer " + server.keys.primary.encode())
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        begun = time.monotonic()
        sock.sendall(sent)
        answer = drain(sock)
        taken = time.monotonic() - begun
    assert 0.9 < taken < 5
    assert status(answer) == 408


def test_a_dripping_client_cannot_stretch_the_deadline_and_others_are_served(server: Server) -> None:
    drips = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(60)]
    begun, alive = time.monotonic(), len(drips)
    while time.monotonic() - begun < 3 and alive:
        alive = 0
        for sock in drips:
            try:
                sock.sendall(b"G" if time.monotonic() - begun < 0.1 else b"E")
                alive += 1
            except OSError:
                continue
        assert server.ask("POST", "/score", testing.body())[0] == 200
        time.sleep(0.1)
    assert alive == 0, "all 60 slow connections should have been closed"
    for sock in drips:
        sock.close()


def test_a_thousand_damaged_requests_give_only_client_errors(server: Server) -> None:
    chance = random.Random(7)  # noqa: S311
    good = json.dumps(testing.body(2)).encode()
    seen = set()
    for _ in range(1000):
        body = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(body))
            kind = chance.randrange(3)
            if kind == 0:
                body[at] = chance.randrange(256)
            elif kind == 1:
                del body[at : at + chance.randint(1, 8)]
            else:
                body[at:at] = chance.choice([b"null", b"NaN", b"[", b"}", b'"', b"1e999", b"true", b","])
        seen.add(status(server.raw(server.request(bytes(body)))))
    assert seen <= {200, 400, 422} and 400 in seen and 422 in seen
    assert server.process.poll() is None


def test_sigterm_while_idle_ends_at_once_and_cleanly(tmp_path: Path) -> None:
    made = start(tmp_path)
    with socket.create_connection(("127.0.0.1", made.port)) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        first = b""
        while b"Healthy" not in first:
            first += idle.recv(65536)
        made.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        answer = made.raw(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert status(answer) == 503 and b"connection: close" in answer, "said before the door is shut"
        assert drain(idle) == b"", "the idle connection is closed, not reset"
    assert made.process.wait(10) == 0


def test_a_second_server_on_the_same_state_refuses(server: Server) -> None:
    command = [sys.executable, "-m", "mlops.serving.http.server", "--state", str(server.folder)]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 6
    assert "another server already serves" in second.stderr and "Traceback" not in second.stderr


def test_a_taken_port_is_replaced_and_remembered(tmp_path: Path) -> None:
    first = start(tmp_path)
    first.process.kill()
    first.process.wait()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", first.port))
        stranger.listen()
        command = [sys.executable, "-m", "mlops.serving.http.server", "--state", str(first.folder)]
        with open(os.devnull, "wb") as null:  # noqa: PTH123
            second = subprocess.Popen(command, stderr=null)
        try:
            deadline = time.monotonic() + 20
            while (found := owner(first.folder)) is None or found.port in (0, first.port):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            state = read_state(first.folder)
            assert state is not None and state.port == found.port
        finally:
            second.kill()
            second.wait()

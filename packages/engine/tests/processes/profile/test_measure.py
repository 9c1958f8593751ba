"""What is measured is what happened: rates, latencies and failures of servers whose behaviour is known."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlops.errors import InvalidInput, TargetError
from mlops.profile import report
from mlops.profile.client import Load, drive, request
from mlops.profile.measure import measure, quantiles
from mlops.profile.model import Profile, Recommendation, Wish
from mlops.profile.server import ServerProcess


class Server:
    """An HTTP server in a thread: a fixed delay, every n-th answer a 500, every n-th connection closed."""

    def __init__(self, delay: float, fail_every: int, close_every: int) -> None:
        self.delay, self.fail_every, self.close_every = delay, fail_every, close_every
        self.requests: list[bytes] = []
        self.ready = threading.Event()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self.ready.wait()

    def _run(self) -> None:
        self.loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self.stopped = asyncio.Event()
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/score"
        self.ready.set()
        await self.stopped.wait()
        server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                count = len(self.requests)
                await asyncio.sleep(self.delay)
                failed = self.fail_every and count % self.fail_every == 0
                close = self.close_every and count % self.close_every == 0
                status = b"500 no" if failed else b"200 OK"
                extra = b"connection: close\r\n" if close else b""
                writer.write(b"HTTP/1.1 " + status + b"\r\n" + extra + b"content-length: 2\r\n\r\nok")
                if close:
                    writer.close()
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@contextmanager
def serving(delay: float = 0.005, fail_every: int = 0, close_every: int = 0) -> Iterator[Server]:
    server = Server(delay, fail_every, close_every)
    try:
        yield server
    finally:
        server.loop.call_soon_threadsafe(server.stopped.set)
        server.thread.join()


def driven(server: Server, least: int) -> Load:
    """Two connections, for as long as a machine needs that is as busy as this one."""
    seconds = 0.2
    while True:
        server.requests.clear()
        load = drive(request(server.url, b"{}", None), 2, seconds)
        if len(server.requests) >= least:
            return load
        seconds *= 2


def test_rate_and_latency_are_those_of_the_server() -> None:
    with serving(delay=0.02) as server:
        load = drive(request(server.url, b"{}", "key"), 4, 0.6)
    assert load.failures == 0
    # A busy machine gives fewer, nothing gives more; what was begun is always waited for.
    assert 4 <= len(load.latencies) <= 4 * 0.6 / 0.02 + 4
    assert min(load.latencies) >= 0.02
    assert b"authorization: Bearer key\r\n" in server.requests[0]
    assert server.requests[0].endswith(b"\r\n\r\n{}")
    assert load.client_cpu > 0


def test_failures_are_counted_and_not_timed() -> None:
    with serving(delay=0.001, fail_every=3) as server:
        load = driven(server, 9)
        answered = len(server.requests)
    assert load.reason == "answer 500"
    assert load.failures == answered // 3
    assert len(load.latencies) == answered - answered // 3


def test_a_server_that_closes_costs_a_connection_and_no_failure() -> None:
    with serving(delay=0.001, close_every=5) as server:
        load = driven(server, 21)
        answered = len(server.requests)
    assert load.failures == 0
    assert len(load.latencies) == answered


def test_what_cannot_be_reached_is_said() -> None:
    with serving() as server:
        url = server.url
    with pytest.raises(TargetError, match="cannot be reached"):
        drive(request(url, b"{}", None), 1, 0.1)
    with pytest.raises(InvalidInput, match="no http or https URL"):
        request("ftp://x/y", b"", None)
    with serving(fail_every=1) as server, pytest.raises(TargetError, match="a sample request: answer 500"):
        measure(request(server.url, b"{}", None), None, connections=[1], seconds=0.1)


def test_it_ends_early_when_latency_is_far_beyond_what_is_wished() -> None:
    with serving(delay=0.05) as server:
        points = measure(
            request(server.url, b"{}", None), None, connections=[4, 1, 2], seconds=0.2, enough=0.01
        )
    assert [p.connections for p in points] == [1]
    assert points[0].cpu is None


def test_cpu_and_memory_are_of_the_process_that_listens() -> None:
    with serving(delay=0.0) as server:
        found = ServerProcess.behind(server.url)
        assert found is not None, "this very process"
        before = found.usage()
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass
        after = found.usage()
    used = sum(after.cpu_seconds.values()) - sum(before.cpu_seconds.values())
    assert 0.15 < used < 1
    assert after.memory_bytes > 10 << 20
    assert ServerProcess.behind("https://freight.westeurope.inference.ml.azure.com/score") is None


def test_cpu_that_others_use_is_theirs() -> None:
    # Python's start is none of what is measured.
    loop = "print('on', flush=True)\nwhile True: pass"
    spin = subprocess.Popen([sys.executable, "-c", loop], stdout=subprocess.PIPE)
    assert spin.stdout is not None
    try:
        assert spin.stdout.readline() == b"on\n"
        with serving(delay=0.02) as server:
            one = request(server.url, b"{}", None)
            (point,) = measure(one, ServerProcess.behind(server.url), connections=[1], seconds=1.0)
    finally:
        spin.kill()
        spin.communicate()
    assert point.cpu is not None
    assert point.others_cpu > 0.3


def test_quantiles_are_nearest_ranks() -> None:
    values = [i / 100 for i in range(100, 0, -1)]
    assert quantiles(values) == {"p50": 0.5, "p90": 0.9, "p99": 0.99, "worst": 1.0}
    assert quantiles([0.3]) == {"p50": 0.3, "p90": 0.3, "p99": 0.3, "worst": 0.3}
    assert quantiles([])["p99"] == 0


def test_a_report_has_the_figures_in_three_forms(tmp_path: Path) -> None:
    with serving(delay=0.002) as server:
        points = measure(request(server.url, b"{}", None), None, connections=[1, 2], seconds=0.2)
    points = [points[0], points[1].model_copy(update={"client_cpu": 0.99})]
    profile = Profile(
        model="freight", environment="prod", release=3, rows=1, body_bytes=2, seconds=0.2,
        made=datetime.now(UTC), machine="2 x test", points=points,
    )  # fmt: skip
    wish = Wish(rate=500, p99=0.05)
    made = Recommendation(
        size="Standard_F2s_v2", instances=2, vcpus=2, memory=4, capacity=900, without_one=450,
        max_concurrent_requests_per_instance=8, quota_vcpus=5, cpu_milliseconds=1.0, based_on=2,
        notes=["a note"],
    )  # fmt: skip
    paths = report.write(tmp_path / "out", profile, wish, made)
    assert [p.name for p in paths] == ["profile.json", "profile.md", "profile.png"]
    assert json.loads(paths[0].read_text())["recommendation"]["instances"] == 2
    text = paths[1].read_text()
    assert f"| 1 | {points[0].rate:.0f} | " in text
    assert f"| 2 | {points[1].rate:.0f} * | " in text
    assert "2 instances of Standard_F2s_v2" in text
    assert "a note" in text
    assert paths[2].read_bytes().startswith(b"\x89PNG")
    assert paths[2].stat().st_size > 10_000

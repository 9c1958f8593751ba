"""Deployments come, take traffic in steps, and go, while callers do not notice: no failed request, no lost
connection, and each prediction is that of the version which the answer names.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlops.serving import testing
from tests.serving.harness import Line, Server, serving

CALLERS = 4
COLOURS = ("blue", "green")


def bias(release: int) -> float:
    """Far enough apart that no two neighbours are mixed up."""
    return (release % 7) * 0.5


@dataclass
class Seen:
    """What the callers met."""

    versions: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0


def call_until(server: Server, stop: Callable[[], bool], seen: Seen, seed: int) -> None:
    """One caller with a connection of its own; notes every answer that is not right."""
    chance = random.Random(seed)  # noqa: S311
    with Line(server.port, server.keys.primary) as line:
        while not stop():
            carrier, miles = chance.choice([*testing.CARRIERS, "??"]), chance.uniform(0, 4000)
            rows = chance.choice((1, 1, 1, 5, 100))
            body = json.dumps(testing.body(rows, carrier, miles)).encode()
            begun = time.monotonic()
            try:
                reply = line.post("/score", body, chunked=chance.random() < 0.1)
            except OSError as error:
                seen.wrong.append(f"connection: {error!r}")
                line.close()
                continue
            seen.slowest = max(seen.slowest, time.monotonic() - begun)
            if reply.status != 200:
                seen.wrong.append(f"{reply.status} {reply.body[:200]!r}")
                continue
            version = int(reply.headers["x-model-version"])
            seen.versions[version] += 1
            wanted = testing.expected(carrier, miles, bias(version))
            found = reply.json()["predictions"]
            if len(found) != rows or any(abs(p - wanted) > 1e-5 for p in found):
                seen.wrong.append(f"version {version} answered {found[:3]}, not {wanted}")


def roll(server: Server, root: Path, until: float) -> int:
    """Replace the deployment again and again as `mlops apply` does; the number of releases that went live."""
    live = 1
    for release in itertools.count(2):
        if time.monotonic() >= until:
            return live
        old, new = COLOURS[release % 2], COLOURS[(release + 1) % 2]
        folder = root / f"model-{release}"
        digest = testing.write_onnx(folder, bias=bias(release))
        wish = {"release": release, "digest": digest, "folder": str(folder)}
        server.control("PUT", f"deployments/{new}", wish)
        server.control("PUT", "traffic", {"traffic": {old: 100}, "mirror": {new: 50}})
        for share in (10, 50, 0, 100):
            # 0 in between is the analysis that sends traffic back.
            server.control("PUT", "traffic", {"traffic": {old: 100 - share, new: share}})
            time.sleep(0.2)
        server.control("DELETE", f"deployments/{old}")
        live = release
    raise AssertionError


def memory(server: Server) -> float:
    """Resident memory of the server in MB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


@pytest.mark.parametrize(
    "seconds",
    [15, pytest.param(600, marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
    ids=["a quarter of a minute", "ten minutes"],
)
def test_no_request_fails_while_releases_roll(tmp_path: Path, seconds: float) -> None:
    testing.write_onnx(tmp_path / "model-1", bias=bias(1))
    seen, done = Seen(), False

    async def run(server: Server) -> int:
        nonlocal done
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for seed in range(CALLERS):
                group.create_task(asyncio.to_thread(call_until, server, lambda: done, seen, seed))
            try:
                return await asyncio.to_thread(roll, server, tmp_path, until)
            finally:
                done = True

    with serving(tmp_path, model=tmp_path / "model-1") as server:
        early = memory(server)
        releases = asyncio.run(run(server))
        late = memory(server)
        assert server.process.poll() is None
    assert not seen.wrong, f"{len(seen.wrong)} of {seen.versions.total()} requests: {seen.wrong[:5]}"
    assert releases >= seconds / 10, "the releases did roll"
    assert set(seen.versions) == set(range(1, releases + 1)), "and each of them answered"
    assert seen.versions.total() > 50 * seconds
    assert late < early + 60, f"memory grew from {early:.0f} to {late:.0f} MB"
    assert seen.slowest < 5


def test_the_callers_would_notice(tmp_path: Path) -> None:
    """The check itself can fail: a model that fails, and one that answers for another version."""
    testing.write_onnx(tmp_path / "model", bias=2.0, fails_from=2000)
    seen = Seen()
    with serving(tmp_path, model=tmp_path / "model") as server:
        until = time.monotonic() + 1
        call_until(server, lambda: time.monotonic() > until, seen, 0)
    assert any(text.startswith("500") for text in seen.wrong)
    assert any(text.startswith("version 1 answered") for text in seen.wrong)

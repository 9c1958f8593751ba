"""Rows about an endpoint: connections that ask nothing, and traffic that is kept for ever."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import time
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

from mlops.serving import testing
from mlops.serving.capture import capture_files
from mlops.serving.capture.capture_files import FileSink
from mlops.serving.capture.recorder import Origin, Record
from mlops.serving.http.client import call
from mlops.serving.http.guard import CONNECTIONS
from mlops.serving.http.state import read_keys
from mlops.serving.score.lock import owner
from mlops.spec.capture import CaptureSettings
from mlops.spec.digest import tree_digest
from mlops.spec.schema import ModelSchema
from mlops.targets.local.endpoints import LocalEndpoints

MEGABYTE = 1 << 20


def idle_connections(times: int, folder: Path) -> dict[str, int]:
    """So many connections say nothing; within the bound a caller is answered at once, and after them too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    times = min(times, hard - 300)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, times + 200)), hard))
    testing.write_onnx(folder / "model")
    release: Any = SimpleNamespace(
        model="freight", version=1, digest=tree_digest(folder / "model"), created=datetime.now(UTC)
    )
    endpoints = LocalEndpoints(folder / "endpoints")
    endpoints.create("prod", "blue", release, folder / "model")
    place = folder / "endpoints/prod/freight"
    server, keys = owner(place), read_keys(place)
    assert server is not None and keys is not None
    try:
        within = min(times, CONNECTIONS - 10)
        with contextlib.ExitStack() as stack:
            held = [
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
                for _ in range(within)
            ]
            began = time.monotonic()
            status, _ = call(server.port, "POST", "/score", testing.body(), keys.primary)
            waited = time.monotonic() - began
            assert status == 200 and waited < 5, (status, waited)
            for _ in range(times - within):
                held.append(stack.enter_context(socket.create_connection(("127.0.0.1", server.port))))
        deadline = time.monotonic() + 30
        while call(server.port, "POST", "/score", testing.body(), keys.primary)[0] != 200:
            assert time.monotonic() < deadline, "the endpoint does not answer after the storm"
        rows = Path(f"/proc/{server.pid}/status").read_text().splitlines()
        resident = next(int(line.split()[1]) for line in rows if line.startswith("VmRSS")) // 1024
        return {"connections": times, "answered within ms": round(waited * 1000), "MB of memory": resident}
    finally:
        os.kill(server.pid, signal.SIGKILL)


def captured_traffic(times: int, folder: Path) -> dict[str, int]:
    """So many thousand requests are kept in the room that the settings give, and the newest are there."""
    settings = CaptureSettings(enabled=True, disk_megabytes=1, file_megabytes=0.25, file_seconds=1e6)
    sink = FileSink(folder / "capture", settings)
    schema = ModelSchema(model="freight", task="binary", columns=testing.columns(), classes=["0", "1"])
    origin, answer = Origin(schema, "blue", 1), np.array([0.25], dtype=np.float32)
    chance = np.random.default_rng(1)
    most = 0
    for batch in range(times):
        rows = [(os.urandom(40).hex(), float(chance.random())) for _ in range(1000)]
        sink.add([Record(origin, f"{batch}-{i}", time.time(), [row], answer) for i, row in enumerate(rows)])
        most = max(most, sum(p.stat().st_size for p in (folder / "capture").glob("*")))
    sink.flush(end=True)
    assert most <= 1.3 * MEGABYTE, most
    return {"requests": times * 1000, "MB at most": round(most / MEGABYTE), "MB allowed": 1}


DAY = 86_400
FILE_SECONDS = 60


def captured_day(times: int, folder: Path) -> dict[str, int]:
    """A day by the clock, a file a minute, quiet and loud hours, a restart an hour: always in its room."""
    settings = CaptureSettings(enabled=True, disk_megabytes=1, file_seconds=FILE_SECONDS)
    schema = ModelSchema(model="freight", task="binary", columns=testing.columns(), classes=["0", "1"])
    origin, answer = Origin(schema, "blue", 1), np.array([0.25], dtype=np.float32)
    chance = np.random.default_rng(2)
    place, most, asked = folder / "capture", 0, 0
    now = [time.time()]

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.fromtimestamp(now[0], tz)

    with (
        mock.patch.object(capture_files, "datetime", Clock),
        mock.patch.object(capture_files, "time") as fast,
    ):
        fast.monotonic.side_effect = lambda: now[0]
        sink = FileSink(place, settings)
        for minute in range(DAY // FILE_SECONDS):
            if minute % 60 == 59:
                sink = FileSink(place, settings)  # killed: what was open is lost, what lies there counts
            count = times * (1 + 9 * (minute // 60 % 24 in range(8, 18)))
            rows = [(os.urandom(40).hex(), float(chance.random())) for _ in range(count)]
            sink.add([Record(origin, f"{minute}-{i}", now[0], [r], answer) for i, r in enumerate(rows)])
            asked += count
            now[0] += FILE_SECONDS
            sink.flush(end=False)
            most = max(most, sum(p.stat().st_size for p in place.glob("*")))
    files = sorted(place.glob("*.parquet"))
    assert most <= 1.3 * MEGABYTE, most
    assert len(files) <= DAY // FILE_SECONDS and not list(place.glob("*.tmp"))
    newest = datetime.fromtimestamp(now[0] - FILE_SECONDS, UTC)
    assert files[-1].name[:13] >= f"{newest:%Y%m%dT%H%M}", "the newest are there"
    return {"requests": asked, "files left": len(files), "kB at most": most >> 10, "kB allowed": 1024}

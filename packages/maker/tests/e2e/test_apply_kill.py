"""SIGKILL at random points of a rollout under traffic: no request fails, and the next apply finishes.

A deployment tool is trusted once it has been seen to die in the middle. These tests use the real endpoint,
the real journal and real signals; only git and the tracking server are left out.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from rollout_driver import ENV, MODEL, STRATEGY, STRICT, apply_release, target_of

from mlops.serving.http.client import Unreachable, call
from mlops.serving.http.state import read_keys
from mlops.serving.testing import write_onnx
from mlops.spec.desired import Strategy
from mlops.targets.base import EndpointState
from mlops.targets.local.endpoints import LocalEndpoints
from mlops.targets.local.store import LocalStore

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["rollout_driver"])
SEED = 20260301


class Traffic:
    """Clients that never stop asking; every answer that is not 200 is kept."""

    def __init__(self, port: int, key: str, threads: int = 2) -> None:
        self._port, self._key = port, key
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(threads)]
        self.answered = 0
        self.failures: list[str] = []
        for thread in self._threads:
            thread.start()

    def _run(self, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311  no secret is made of it
        while not self._stop.is_set():
            row = [chance.choice(["AA", "DL", "UA"]), float(chance.randrange(100, 3000))]
            payload = {"input_data": {"columns": ["carrier", "distance"], "index": [0], "data": [row]}}
            try:
                status, answer = call(self._port, "POST", "/score", payload, self._key)
            except Unreachable as error:
                self.failures.append(str(error))
                continue
            self.answered += 1
            if status != 200:
                self.failures.append(f"{status}: {answer}")
            time.sleep(0.004)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


class Place:
    """A local endpoint with release 1 live, and as many releases as a test asks for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.artifacts: dict[int, Path] = {}

    def add(self, **faults: object) -> int:
        version = len(self.artifacts) + 1
        self.artifacts[version] = self.folder / "artifacts" / str(version)
        write_onnx(self.artifacts[version], **faults)  # type: ignore[arg-type]
        return version

    def apply(
        self,
        version: int,
        replaces: int | None,
        kill_after: tuple[int, float] | None = None,
        strategy: Strategy = STRATEGY,
    ) -> str:
        """What apply said at its end; empty when it was killed `kill_after` (events, seconds) before that."""
        here, there = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(
            target=apply_release,
            args=(self.folder, self.artifacts, version, replaces, there),
            kwargs={"strategy": strategy},
        )
        process.start()
        there.close()
        last, seen = "", 0
        with contextlib.suppress(EOFError):
            while True:
                if kill_after is not None and seen >= kill_after[0]:
                    time.sleep(kill_after[1])
                    process.kill()
                    break
                last, seen = here.recv(), seen + 1
        process.join(60)
        return last if process.exitcode == 0 else ""

    @property
    def state(self) -> EndpointState:
        return LocalEndpoints(self.folder / "endpoints").state(ENV, MODEL)

    def shares(self) -> dict[int, int]:
        return {d.release: d.traffic for d in self.state.deployments}

    @contextlib.contextmanager
    def traffic(self) -> Iterator[Traffic]:
        key = read_keys(self.folder / "endpoints" / ENV / MODEL).primary
        running = Traffic(urlsplit(self.state.url).port or 0, key)
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    made.add()
    assert made.apply(1, None) == "finished"
    yield made
    LocalEndpoints(tmp_path / "endpoints").stop(ENV, MODEL)


def survive(place: Place, kills: int) -> None:
    chance = random.Random(SEED)  # noqa: S311  no secret is made of it
    done, live = 0, 1
    with place.traffic() as traffic:
        while done < kills:
            wanted = place.add(bias=0.001 * (done % 5))
            point = (chance.randrange(0, 18), chance.random() * 0.05)
            while (said := place.apply(wanted, live, kill_after=point)) == "" and done < kills:
                done += 1
                assert place.state.live is not None, f"dark after kill {done} at {point}"
                point = (chance.randrange(0, 18), chance.random() * 0.05)
            if said != "finished":
                said = place.apply(wanted, live)
            assert said == "finished", said
            assert place.shares() == {wanted: 100}, f"not converged after kill {done}"
            target, _ = target_of(place.folder, place.artifacts)
            tagged = target.registry.versions(MODEL, {f"mlops.env.{ENV}": "live"})
            assert [v.version for v in tagged] == [wanted]
            assert not traffic.failures, traffic.failures[:3]
            live = wanted
    assert traffic.answered > 20 * kills, "there was hardly any traffic"
    assert not traffic.failures, traffic.failures[:3]


def test_twenty_kills_under_traffic(place: Place):
    survive(place, 20)


@pytest.mark.slow
def test_two_hundred_kills_under_traffic(place: Place):
    survive(place, 200)


@pytest.mark.parametrize(
    ("faults", "says"),
    [
        ({"work": 1500}, "latency p99"),
        ({"fails_from": 50.0}, "error rate"),
        ({"bias": 4.0}, "distribution of predictions"),
    ],
    ids=["slow", "failing", "shifted"],
)
def test_a_bad_release_is_caught_and_sent_back(place: Place, faults: dict[str, object], says: str):
    bad = place.add(**faults)
    with place.traffic():
        said = place.apply(bad, 1, strategy=STRICT)
    assert said.startswith("Blocked:"), said
    assert says in said
    assert place.shares() == {1: 100}
    assert [e.kind for e in LocalStore(place.folder).entries(ENV)].count("analysis.failed") == 1
    assert "is not tried again" in place.apply(bad, 1)


def test_two_applies_at_once_do_not_interleave(place: Place):
    first, second = place.add(), place.add()
    here, there = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=apply_release, args=(place.folder, place.artifacts, first, 1, there))
    process.start()
    assert here.recv() == "step"
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)  # it holds the lock, however slow this machine is
    said = place.apply(second, 1)
    os.kill(process.pid, signal.SIGCONT)
    process.join(60)
    assert said.startswith(f"Locked: {ENV} is locked: bot (apply release {first} of {MODEL}"), said
    assert place.shares() == {first: 100}

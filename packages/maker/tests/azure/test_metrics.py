"""A canary is judged by what Azure Monitor says: counted wrongly, a broken model goes to everybody."""

from __future__ import annotations

import math
import threading

import pytest

from mlops.errors import Inconclusive
from mlops.spec.online import OnlineSettings
from mlops.targets.azure import _metrics
from mlops.targets.azure._metrics import Counters, counts_as
from tests.azure.emulator import Emulator
from tests.azure.online_bench import AzureBench, settings_with


class _Watched:
    """Counters of one endpoint of the emulator, whose requests the test invents."""

    def __init__(self, emulator: Emulator) -> None:
        bench = AzureBench(emulator, {}, settings_with(OnlineSettings()))
        self.monitor = emulator.monitor
        self.endpoint = str(emulator.online.add(bench.workspace.id, bench.name)["id"])
        self.counters = Counters(bench.endpoints._monitor)

    def record(self, status: int, model: int, seconds: float = 0.01, deployment: str = "blue") -> None:
        self.monitor.record(self.endpoint, deployment, status, model, seconds)

    def read(self) -> _metrics.TrafficSample:
        return self.counters.read("prod", self.endpoint, "blue", (0.5, 1.0))


@pytest.fixture
def watched(logged_in: Emulator, monkeypatch: pytest.MonkeyPatch) -> _Watched:
    monkeypatch.setattr(_metrics, "PAUSE", 0.1)
    return _Watched(logged_in)


@pytest.mark.parametrize(
    ("status", "model", "kind"),
    [
        (200, 200, "answered"),
        (424, 500, "failed"),  # the model raised
        (424, 422, ""),  # the client's mistake, which our server refuses
        (424, 0, "failed"),  # the container died
        (408, 0, "failed"),
        (502, 0, "failed"),
        (429, 0, ""),
        (401, 0, ""),
    ],
)
def test_what_counts(status: int, model: int, kind: str) -> None:
    assert counts_as(status, model) == kind


def test_requests_errors_and_latency(watched: _Watched) -> None:
    assert watched.read().requests == 0
    for number in range(100):
        watched.record(200, 200, seconds=0.25 if number >= 90 else 0.01)
    for _ in range(5):
        watched.record(424, 500)
        watched.record(424, 422)
        watched.record(200, 200, deployment="green")
    found = watched.read()
    assert (found.requests, found.errors) == (105, 5)
    counts = sorted(found.latency.items())
    assert counts[-1] == (math.inf, 105)
    assert [n for _, n in counts] == sorted(n for _, n in counts)
    fast = max(n for bound, n in counts if bound <= 0.1)
    assert fast / 105 == pytest.approx(0.9, abs=0.06), "about nine of ten were fast"
    assert found.predictions == {0.5: 0, 1.0: 0}, "known bounds, unknown counts"


def test_it_waits_for_requests_that_it_has_sent_itself(watched: _Watched) -> None:
    watched.counters.started(watched.endpoint, "blue")
    for _ in range(3):
        watched.counters.sent(watched.endpoint, "blue", 200, 0)
    timer = threading.Timer(0.6, lambda: [watched.record(200, 200) for _ in range(3)])
    timer.start()
    assert watched.read().requests == 3


def test_metrics_that_never_come_are_no_verdict(watched: _Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_metrics, "PATIENCE", 0.3)
    watched.counters.sent(watched.endpoint, "blue", 200, 0)
    with pytest.raises(Inconclusive, match="Azure Monitor shows 0 of the 1 requests"):
        watched.read()


def test_counters_only_grow_while_the_percentiles_of_a_minute_move(watched: _Watched) -> None:
    """Azure gives the percentiles of the minute so far; a bucket that shrinks would look like a restart."""
    last: dict[float, int] = dict.fromkeys(watched.read().latency, 0)
    total = 0
    for seconds in (0.2, 0.01, 0.5, 0.001, 0.03):
        for _ in range(20):
            watched.record(200, 200, seconds=seconds)
        total += 20
        found = watched.read().latency
        grown = [found[bound] - last[bound] for bound in sorted(found)]
        assert grown == sorted(grown), "each bucket grows, so their cumulative differences do"
        assert found[math.inf] == total
        last = dict(found)

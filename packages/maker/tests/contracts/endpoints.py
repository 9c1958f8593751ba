"""What every `Endpoints` promises. What is served must be what was asked for: an endpoint that loses a
request while its traffic changes, or calls a dead deployment ready, makes every rollout on it a lie."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest

from mlops.errors import Blocked, Inconclusive, IntegrityError, MlopsError, NotFound, TargetError
from mlops.serving import testing
from mlops.spec.digest import tree_digest
from mlops.spec.release import Data, Release, Source
from mlops.targets.base import Endpoints, TrafficSample

ENV, MODEL = "prod", "freight"
ONE, TWO = testing.expected("AA", 500), testing.expected("AA", 500, 2.0)
"""What the artifacts `one` and `two` answer to `testing.body()`."""


def release(version: int, digest: str) -> Release:
    """A release record of one version; only model, version and digest matter to an endpoint."""
    source = Source(commit="0" * 40, actor="a", run_id="r", pipeline="p", pipeline_digest=digest)
    data = Data(name="d", version="1", digest=digest, window="2013-01..2013-03", test_window="2013-04")
    return Release.model_construct(
        model=MODEL, version=version, digest=digest, created=datetime.now(UTC), source=source, data=data,
        environment=digest, metrics={}, gates=[],
    )  # fmt: skip


def write_artifacts(root: Path) -> dict[str, Path]:
    """Models that answer, answer otherwise, fail from two rows on, and do not load."""
    testing.write_onnx(root / "one")
    testing.write_onnx(root / "two", bias=2.0)
    testing.write_onnx(root / "failing", fails_from=2)
    testing.write_onnx(root / "dead")
    (root / "dead" / "onnx" / "model.onnx").write_bytes(b"no graph")
    for folder in root.iterdir():
        (folder / "MLmodel").write_text("flavors: {}\n")
    return {p.name: p for p in root.iterdir()}


class Bench(Protocol):
    """An endpoint that is about to be tried."""

    endpoints: Endpoints
    artifacts: Mapping[str, Path]

    def publish(self, version: int, artifact: Path) -> None:
        """Let the target know this version, as training and gates would have done."""


def create(bench: Bench, name: str, version: int, artifact: str) -> None:
    folder = bench.artifacts[artifact]
    bench.publish(version, folder)
    bench.endpoints.create(ENV, name, release(version, tree_digest(folder)), folder)


def shares(bench: Bench) -> dict[str, int]:
    return {d.name: d.traffic for d in bench.endpoints.state(ENV, MODEL).deployments}


def ask(bench: Bench, deployment: str | None = None, rows: int = 1) -> str:
    """Which model answered: `one`, `two` or `error`."""
    try:
        answer = bench.endpoints.score(ENV, MODEL, testing.body(rows), deployment)
    except TargetError:
        return "error"
    value = answer["predictions"][0]
    return "one" if value == pytest.approx(ONE, abs=1e-6) else "two"


def eventually(
    bench: Bench, deployment: str, enough: Callable[[TrafficSample], bool], seconds: float = 20
) -> TrafficSample:
    until = time.monotonic() + seconds
    while not enough(sample := bench.endpoints.sample(ENV, MODEL, deployment)):
        assert time.monotonic() < until, f"the counters stay at {sample}"
        time.sleep(0.05)
    return sample


class EndpointsContract:
    """Mixed into a test class with a fixture `bench`."""

    url_end = "/score"
    """How the address of an endpoint ends."""
    mistake = "422"
    """What a request with missing columns is answered."""
    mistakes = 0
    """How many requests of the model a client's mistake counts as: where 1, also as an error of it."""

    def test_what_is_not_there(self, bench: Bench) -> None:
        assert bench.endpoints.state(ENV, MODEL).deployments == ()
        assert bench.endpoints.list() == []
        bench.endpoints.stop(ENV, MODEL)
        bench.endpoints.delete(ENV, MODEL, "blue")
        with pytest.raises(NotFound, match="mlops apply prod"):
            bench.endpoints.set_traffic(ENV, MODEL, {"blue": 100})
        with pytest.raises(TargetError):
            bench.endpoints.score(ENV, MODEL, testing.body())
        with pytest.raises(Inconclusive):
            bench.endpoints.sample(ENV, MODEL, "blue")

    def test_two_deployments(self, bench: Bench) -> None:
        """The first gets all traffic, the second none; weights, retiring, stopping."""
        create(bench, "blue", 1, "one")
        create(bench, "green", 2, "two")
        create(bench, "green", 2, "two")  # again: nothing changes
        state = bench.endpoints.state(ENV, MODEL)
        assert bench.endpoints.list() == [state]
        assert state.url.endswith(self.url_end)
        rows = [(d.name, d.release, d.traffic, d.state) for d in state.deployments]
        assert rows == [("blue", 1, 100, "ready"), ("green", 2, 0, "ready")]
        assert state.deployments[0].digest == tree_digest(bench.artifacts["one"])
        assert (ask(bench), ask(bench, "green")) == ("one", "two")
        with pytest.raises(TargetError, match="404"):
            bench.endpoints.score(ENV, MODEL, testing.body(), "red")

        with pytest.raises(Blocked, match="traffic"):
            bench.endpoints.delete(ENV, MODEL, "blue")
        with pytest.raises(Blocked, match="blue serves release 1"):
            create(bench, "blue", 3, "two")

        bench.endpoints.set_traffic(ENV, MODEL, {"blue": 50, "green": 50})
        answers = Counter(ask(bench) for _ in range(60))
        assert set(answers) == {"one", "two"}, "sixty draws of one half each"
        bench.endpoints.set_traffic(ENV, MODEL, {"blue": 0, "green": 100})
        assert {ask(bench) for _ in range(5)} == {"two"}, "in effect when set_traffic returns"
        bench.endpoints.delete(ENV, MODEL, "blue")
        bench.endpoints.delete(ENV, MODEL, "blue")
        assert shares(bench) == {"green": 100}
        bench.endpoints.stop(ENV, MODEL)
        assert bench.endpoints.state(ENV, MODEL).deployments == ()

    def test_wrong_splits_change_nothing(self, bench: Bench) -> None:
        create(bench, "blue", 1, "one")
        create(bench, "green", 2, "two")
        wrong: list[tuple[dict[str, int], dict[str, int] | None]] = [
            ({"blue": 60, "green": 60}, None),
            ({"blue": 120, "green": -20}, None),
            ({"blue": 90, "red": 10}, None),
            ({"blue": 50, "green": 50}, {"green": 10}),
        ]
        for traffic, mirror in wrong:
            with pytest.raises(MlopsError):
                bench.endpoints.set_traffic(ENV, MODEL, traffic, mirror)
        assert shares(bench) == {"blue": 100, "green": 0}

    def test_a_mirror_sees_copies_and_never_answers(self, bench: Bench) -> None:
        create(bench, "blue", 1, "one")
        create(bench, "green", 2, "two")
        bench.endpoints.set_traffic(ENV, MODEL, {"blue": 100}, {"green": 50})
        assert bench.endpoints.state(ENV, MODEL).deployments[1].mirror == 50
        before = bench.endpoints.sample(ENV, MODEL, "green").requests
        assert {ask(bench) for _ in range(40)} == {"one"}
        eventually(bench, "green", lambda s: s.requests - before >= 5)
        bench.endpoints.delete(ENV, MODEL, "green")
        assert shares(bench) == {"blue": 100}

    def test_counters_tell_errors_and_latency_apart(self, bench: Bench) -> None:
        create(bench, "blue", 1, "one")
        create(bench, "green", 2, "failing")
        ask(bench, "green")  # its first request, of one row, it answers
        blue, green = (bench.endpoints.sample(ENV, MODEL, name) for name in ("blue", "green"))
        assert [ask(bench, "blue", rows=3) for _ in range(5)] == ["one"] * 5
        assert [ask(bench, "green", rows=3) for _ in range(4)] == ["error"] * 4
        with pytest.raises(TargetError, match=self.mistake):
            bench.endpoints.score(ENV, MODEL, {"data": [{"carrier": 1}]}, "blue")
        blue_now = eventually(bench, "blue", lambda s: s.requests - blue.requests >= 5 + self.mistakes)
        green_now = eventually(bench, "green", lambda s: s.requests - green.requests >= 4)
        counted = (blue_now.requests - blue.requests, blue_now.errors - blue.errors)
        assert counted == (5 + self.mistakes, self.mistakes)
        assert (green_now.requests - green.requests, green_now.errors - green.errors) == (4, 4)
        grown = {b: n - blue.latency.get(b, 0) for b, n in blue_now.latency.items()}
        assert grown[float("inf")] == 5
        assert list(grown.values()) == sorted(grown.values()), "cumulative, as in Prometheus"

    def test_a_wrong_digest_changes_nothing(self, bench: Bench) -> None:
        bench.publish(1, bench.artifacts["one"])
        with pytest.raises(IntegrityError):
            bench.endpoints.create(ENV, "blue", release(1, "sha256:" + "0" * 64), bench.artifacts["one"])
        assert bench.endpoints.list() == []

    def test_a_model_that_does_not_load_leaves_the_endpoint_as_it_was(self, bench: Bench) -> None:
        create(bench, "blue", 1, "one")
        before = bench.endpoints.state(ENV, MODEL)
        with pytest.raises(TargetError):
            create(bench, "green", 2, "dead")
        assert bench.endpoints.state(ENV, MODEL) == before
        assert ask(bench) == "one"
        create(bench, "green", 3, "two")
        assert shares(bench) == {"blue": 100, "green": 0}

    def test_it_has_a_key(self, bench: Bench) -> None:
        create(bench, "blue", 1, "one")
        assert len(bench.endpoints.key(ENV, MODEL)) > 20

    def test_new_keys_are_others_and_asking_goes_on(self, bench: Bench) -> None:
        create(bench, "blue", 1, "one")
        known = [bench.endpoints.key(ENV, MODEL)]
        for _ in range(2):
            bench.endpoints.rotate(ENV, MODEL)
            known.append(bench.endpoints.key(ENV, MODEL))
            assert ask(bench) == "one"
        assert len(set(known)) == 3

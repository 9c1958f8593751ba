"""Endpoints of Model Serving keep the contract of all targets, as far as Databricks can; what it cannot,
is said.

Where the contract's own tests name keys, mirrors or our server's answers, they are here in Databricks' words.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from mlops.errors import Blocked, Inconclusive, InvalidInput, NotFound, TargetError
from mlops.serving import testing
from mlops.spec.digest import tree_digest
from tests.contracts.endpoints import (
    ENV,
    MODEL,
    Bench,
    EndpointsContract,
    ask,
    create,
    eventually,
    release,
    shares,
)
from tests.databricks.bench import DatabricksBench, write_artifacts
from tests.databricks.emulator import Answer, Emulator

NAME = "flights-mlops-freight-prod"


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_artifacts(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture
def bench(tracked: Emulator, artifacts: dict[str, Path], tmp_path: Path) -> DatabricksBench:
    return DatabricksBench(tracked, artifacts, tmp_path / "fork")


class TestDatabricksEndpoints(EndpointsContract):
    """`DatabricksEndpoints`."""

    def test_two_deployments(self, bench: Bench) -> None:
        create(bench, "blue", 1, "one")
        create(bench, "green", 2, "two")
        create(bench, "green", 2, "two")  # again: nothing changes
        state = bench.endpoints.state(ENV, MODEL)
        assert bench.endpoints.list() == [state]
        assert state.url.endswith(f"/serving-endpoints/{NAME}/invocations")
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
        assert set(Counter(ask(bench) for _ in range(40))) == {"one", "two"}
        bench.endpoints.set_traffic(ENV, MODEL, {"blue": 0, "green": 100})
        assert {ask(bench) for _ in range(5)} == {"two"}, "in effect when set_traffic returns"
        bench.endpoints.delete(ENV, MODEL, "blue")
        bench.endpoints.delete(ENV, MODEL, "blue")
        assert shares(bench) == {"green": 100}
        bench.endpoints.stop(ENV, MODEL)
        assert bench.endpoints.state(ENV, MODEL).deployments == ()

    def test_a_mirror_sees_copies_and_never_answers(self, bench: Bench) -> None:
        """It is refused by name: Model Serving has none."""
        create(bench, "blue", 1, "one")
        create(bench, "green", 2, "two")
        with pytest.raises(InvalidInput, match="Model Serving mirrors no traffic"):
            bench.endpoints.set_traffic(ENV, MODEL, {"blue": 100}, {"green": 50})
        assert shares(bench) == {"blue": 100, "green": 0}

    def test_counters_tell_errors_and_latency_apart(self, bench: Bench) -> None:
        create(bench, "blue", 1, "one")
        create(bench, "green", 2, "failing")
        ask(bench, "green")  # this model answers its first request
        blue, green = (bench.endpoints.sample(ENV, MODEL, name) for name in ("blue", "green"))
        assert [ask(bench, "blue", rows=3) for _ in range(5)] == ["one"] * 5
        assert [ask(bench, "green", rows=3) for _ in range(4)] == ["error"] * 4
        with pytest.raises(TargetError, match="400"):
            bench.endpoints.score(ENV, MODEL, {"data": [{"carrier": 1}]}, "blue")
        blue_now = eventually(bench, "blue", lambda s: s.requests - blue.requests >= 6)
        green_now = eventually(bench, "green", lambda s: s.requests - green.requests >= 4)
        assert (blue_now.requests - blue.requests, blue_now.errors - blue.errors) == (6, 1), (
            "a client's mistake is a 400, as is a model that fails: MLflow's server tells neither from "
            "the other"
        )
        assert (green_now.requests - green.requests, green_now.errors - green.errors) == (4, 4)
        grown = {b: n - blue.latency.get(b, 0) for b, n in blue_now.latency.items()}
        assert grown[float("inf")] == 5
        assert list(grown.values()) == sorted(grown.values()), "cumulative, as in Prometheus"

    def test_new_keys_are_others_and_asking_goes_on(self, bench: Bench) -> None:
        """There are none: callers log in."""
        with pytest.raises(NotFound, match="there is no endpoint"):
            bench.endpoints.rotate(ENV, MODEL)
        create(bench, "blue", 1, "one")
        with pytest.raises(TargetError, match="knows no keys: callers log in"):
            bench.endpoints.rotate(ENV, MODEL)


def test_what_an_environment_serves_is_a_copy_in_its_catalog(bench: DatabricksBench) -> None:
    """A release is known by its number where it was trained; the copy has one of its own, and says which."""
    bench.publish(1, bench.artifacts["two"])
    create(bench, "blue", 2, "one")
    create(bench, "blue", 2, "one")
    copy = bench.workspace.unity.version("prod.ml.freight", 1)
    assert (copy.tags["mlops__version"], copy.tags["mlops__digest"]) == (
        "2",
        tree_digest(bench.artifacts["one"]),
    )
    assert copy.tags["mlops__commit"] == "c" * 40, "with all lineage"
    assert list(bench.workspace.unity.models["prod.ml.freight"].versions) == [1], "copied once"
    bench.registry.set_alias(MODEL, "prod", 2)
    aliases = {name: model.aliases for name, model in bench.workspace.unity.models.items()}
    assert aliases == {"dev.ml.freight": {"prod": 2}, "prod.ml.freight": {"live": 1}}


def test_a_process_that_dies_while_an_update_goes_on_is_followed_by_the_next(bench: DatabricksBench) -> None:
    """Databricks goes on without it; the next one waits, and finds what was asked for."""
    create(bench, "blue", 1, "one")
    bench.publish(2, bench.artifacts["two"])
    serving = bench.workspace.serving
    serving.hold()
    dying = threading.Thread(target=lambda: create(bench, "green", 2, "two"), daemon=True)
    dying.start()
    while serving.endpoints[NAME].update != "IN_PROGRESS":
        time.sleep(0.02)
    coming = bench.again().state(ENV, MODEL).deployment("green")
    assert coming is not None and (coming.state, coming.release, coming.traffic) == ("creating", 2, 0)
    threading.Timer(0.2, serving.release).start()
    folder = bench.artifacts["two"]
    bench.again().create(ENV, "green", release(2, tree_digest(folder)), folder)
    dying.join(10)
    assert shares(bench) == {"blue": 100, "green": 0}
    assert len(bench.workspace.calls("PUT", "/config")) == 1, "it was made once"


def test_an_update_of_somebody_else_is_waited_for(bench: DatabricksBench) -> None:
    create(bench, "blue", 1, "one")
    conflict = {"error_code": "RESOURCE_CONFLICT", "message": "is being updated"}
    bench.workspace.fail("PUT", "/config", Answer(409, conflict), times=2)
    create(bench, "green", 2, "two")
    assert shares(bench) == {"blue": 100, "green": 0}


def test_a_first_model_that_does_not_load_leaves_no_endpoint(bench: DatabricksBench) -> None:
    with pytest.raises(
        TargetError, match=r"the update failed: Failed to deploy blue.*the last lines of its log:"
    ):
        create(bench, "blue", 1, "dead")
    assert bench.workspace.serving.endpoints == {}
    create(bench, "blue", 2, "one")
    assert ask(bench) == "one"


def test_metrics_that_do_not_tell_entities_apart_are_no_verdict(bench: DatabricksBench) -> None:
    create(bench, "blue", 1, "one")
    bench.workspace.serving.labelled = False
    ask(bench)
    with pytest.raises(Inconclusive, match="do not say which served entity they are of"):
        bench.endpoints.sample(ENV, MODEL, "blue")


def test_a_signature_that_nobody_would_check_is_refused(bench: DatabricksBench) -> None:
    signing = bench.settings.signing.model_copy(update={"required": True})
    bench.connection.settings = bench.settings.model_copy(update={"signing": signing})
    with pytest.raises(InvalidInput, match="loads a model without asking for its signature"):
        create(bench, "blue", 1, "one")
    assert bench.workspace.serving.endpoints == {}


def test_a_version_that_was_trained_elsewhere_is_uploaded(bench: DatabricksBench) -> None:
    """Training on another target: the catalog that trains does not have its number."""
    folder = bench.artifacts["one"]
    bench.endpoints.create(ENV, "blue", release(7, tree_digest(folder)), folder)
    copy = bench.workspace.unity.version("prod.ml.freight", 1)
    assert copy.tags == {"mlops__version": "7", "mlops__digest": tree_digest(folder)}
    assert ask(bench) == "one"

"""Endpoints of Model Serving keep the contract of all targets, as far as Databricks can; what it cannot,
is said.

Where the contract's own tests name keys, mirrors or our server's answers, they are here in Databricks' words.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from mlops.errors import Inconclusive, InvalidInput, NotFound, TargetError
from mlops.spec.digest import tree_digest
from tests.contracts.endpoints import (
    ENV,
    MODEL,
    Bench,
    EndpointsContract,
    ask,
    create,
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

    url_end = f"/serving-endpoints/{NAME}/invocations"
    # A client's mistake is a 400, as is a model that fails: MLflow's server tells neither from the other.
    mistake, mistakes = "400", 1

    def test_a_mirror_sees_copies_and_never_answers(self, bench: Bench) -> None:
        """It is refused by name: Model Serving has none."""
        create(bench, "blue", 1, "one")
        create(bench, "green", 2, "two")
        with pytest.raises(InvalidInput, match="Model Serving mirrors no traffic"):
            bench.endpoints.set_traffic(ENV, MODEL, {"blue": 100}, {"green": 50})
        assert shares(bench) == {"blue": 100, "green": 0}

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

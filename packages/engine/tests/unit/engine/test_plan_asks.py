"""A plan asks the rules of a move about this model, in this environment, with all that is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from engine_world import MODEL, START, make_release

from mlops.lifecycle.decide.intent import Intent
from mlops.lifecycle.decide.journal import Facts, Served
from mlops.lifecycle.decide.plan import Plan, Scene, plan
from mlops.lifecycle.decide.transitions import Weaker
from mlops.spec.desired import DesiredState
from mlops.spec.policy import EnvironmentPolicy, Freeze, FreezeWindow, Policy
from mlops.targets.base import EndpointState

ENV = "prod"
INTENT = Intent(
    env=ENV,
    model=MODEL,
    desired=DesiredState(release=2, replaces=1),
    release=make_release(2),
    policy=Policy(order=[ENV], environments={ENV: EnvironmentPolicy(loosened_approvals=1)}),
    freeze=Freeze(),
    commit="c" * 40,
    file_commit="d" * 40,
    lineage=frozenset({1, 2}),
)
FACTS = Facts(served=(Served(1, START - timedelta(days=1), "bot", "c" * 40),), commit="c" * 40)


def planned(intent: Intent = INTENT, weaker: Weaker | None = None) -> Plan:
    nothing = EndpointState(ENV, MODEL)
    return plan(intent, nothing, FACTS, tagged=frozenset(), upstream=None, now=START, weaker=weaker)


@pytest.mark.parametrize(
    ("env", "model", "frozen"), [(ENV, MODEL, True), (ENV, "trains", False), ("staging", MODEL, False)]
)
def test_a_freeze_of_this_model_here_stops_it(env: str, model: str, frozen: bool):
    local = START.replace(tzinfo=None)
    window = FreezeWindow(
        environments=[env],
        models=[model],
        start=local - timedelta(hours=1),
        end=local + timedelta(hours=1),
        timezone="UTC",
        reason="audit",
        by="ann",
    )
    found = planned(replace(INTENT, freeze=Freeze(windows=[window])))
    assert found.refusal.startswith("freeze: ") == frozen


@pytest.mark.parametrize(("approved", "refused"), [((), True), (("ann",), False)])
def test_gates_that_are_weaker_are_known_to_it(approved: tuple[str, ...], refused: bool):
    found = planned(weaker=Weaker(("size: 20 to 40",), approved))
    assert found.refusal.startswith("approvals: ") == refused


def test_nothing_is_left_to_do_and_nothing_is_served_where_it_is_not_said():
    assert Plan("none", (), ()) == Plan("none", (), (), recovery=(), served=None)


@pytest.mark.parametrize("kind", [Plan, Scene])
def test_what_decides_is_changed_by_nobody(kind: type):
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]

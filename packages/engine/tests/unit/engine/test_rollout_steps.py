"""Each step by its name in the journal, and in words. A name that changes makes old journals unreadable."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from mlops.lifecycle.decide import rollout_steps as steps
from mlops.lifecycle.decide.rollout_steps import (
    Analyse,
    CoolDown,
    Create,
    Finish,
    Retire,
    Shift,
    Smoke,
    StopEndpoint,
)

STEPS: list[tuple[Any, str, str]] = [
    (Create("green", 2), "create", "start release 2 as green, without traffic"),
    (
        Create("green", 2, "blue"),
        "create",
        "start release 2 as green, without traffic, because the settings of blue have changed",
    ),
    (Smoke("green"), "smoke", "ask green to score the release's sample"),
    (Shift((("green", 10), ("blue", 90))), "shift", "send 10 % to green, 90 % to blue"),
    (
        Analyse("green", "blue", 10, 90.0),
        "analyse",
        "compare green with blue for 90 s at 10 %",
    ),
    (Finish(2), "finish", "tag release 2 as live"),
    (CoolDown("blue", 60.5), "cool-down", "keep blue warm for 60.5 s"),
    (Retire("blue"), "retire", "retire blue"),
    (StopEndpoint(), "stop", "stop the endpoint: its only deployment does not answer correctly"),
    (StopEndpoint("no place"), "stop", "stop the endpoint: no place"),
]


@pytest.mark.parametrize(("step", "kind", "text"), STEPS)
def test_a_step_has_a_name_and_words(step: Any, kind: str, text: str):
    assert (step.kind, step.text) == (kind, text)


def test_every_kind_of_step_is_here():
    assert {type(step) for step, *_ in STEPS} == set(steps.Step.__args__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("step", [step for step, *_ in STEPS])
def test_a_step_is_plain_data_that_nobody_changes(step: Any):
    with pytest.raises(FrozenInstanceError):
        step.colour = "red"
    assert {step: 1}[step] == 1


def test_a_step_of_a_release_replaces_nothing_unless_it_says_so():
    assert (Create("green", 2).replaces, Smoke("green").replaces) == ("", "")

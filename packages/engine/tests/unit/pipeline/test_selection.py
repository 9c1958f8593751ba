"""What `--only`, `--from` and `--here` mean for a pipeline, and which of them are refused."""

from __future__ import annotations

import pytest

from mlops.errors import InvalidInput
from mlops.pipeline.run.selection import Plan, Selection, plan

STEPS = {"prep": set(), "left": {"prep"}, "right": {"prep"}, "join": {"left", "right"}, "alone": set()}
ALL = frozenset(STEPS)
NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), Plan(ALL, NONE, NONE)),
        (Selection(only=("left",)), Plan(frozenset({"prep", "left"}), frozenset({"left"}), NONE)),
        (
            Selection(only=("prep", "alone")),
            Plan(frozenset({"prep", "alone"}), frozenset({"prep", "alone"}), NONE),
        ),
        (Selection(start=("right",)), Plan(ALL, frozenset({"right", "join"}), NONE)),
        (Selection(until=("left",)), Plan(frozenset({"prep", "left"}), NONE, NONE)),
        (Selection(here=True), Plan(ALL, NONE, ALL)),
        (Selection(first=("left",)), Plan(ALL, NONE, NONE, frozenset({"prep", "left"}))),
        (Selection(first=("elsewhere",)), Plan(ALL, NONE, NONE)),
        (
            Selection(only=("left",), here=True),
            Plan(frozenset({"prep", "left"}), frozenset({"left"}), frozenset({"left"})),
        ),
    ],
)
def test_what_runs_what_runs_anew_and_what_runs_here(selection, expected):
    assert plan(selection, STEPS) == expected


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"only": ("lft",)},
            "--only lft: the pipeline has no such step; it has prep, left, right, join, alone",
        ),
        ({"start": ("lft",)}, "--from lft: the pipeline has no such step"),
        ({"only": ("left",), "start": ("prep",)}, "--only and --from exclude each other"),
        ({"debug": True}, "--pdb needs --here"),
    ],
)
def test_what_cannot_be_is_refused(given, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        plan(Selection(**given), STEPS)

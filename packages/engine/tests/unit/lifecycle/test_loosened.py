"""A gate that its own pull request loosens lets a worse model through, and the table of verdicts is green. So
whoever lets the release in is told, and the bot does not let it in alone."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from mlops.lifecycle.decide.loosened import loosened
from mlops.lifecycle.propose.proposal import loosened_words
from mlops.lifecycle.propose.release import merges_by_itself
from mlops.spec.gatepolicy import GatePolicy
from mlops.spec.policy import EnvironmentPolicy

POLICY: dict[str, Any] = {
    "metrics": {"roc_auc": {"min": 0.7}, "brier": {"max": 0.2}},
    "champion": {"metric": "roc_auc", "direction": "higher", "max_drop": 0.01, "confidence": 0.95},
    "slices": [
        {
            "column": "origin", "metric": "roc_auc", "direction": "higher", "min_rows": 100, "min": 0.6,
            "max": 0.99, "max_drop": 0.02, "confidence": 0.95,
        }
    ],
    "onnx": {"required": True, "max_abs_difference": 0.001, "max_label_flips": 1},
    "size": {"max_megabytes": 10},
    "latency": {"max_ratio": 1.5, "max_milliseconds": 5},
    "contract": {"max_violations": 1},
    "signature": {"compatible_with_live": True},
}  # fmt: skip

LOOSER: list[tuple[str, Any]] = [
    ("metrics.roc_auc.min", 0.69),
    ("metrics.brier.max", 0.21),
    ("champion.metric", "f1"),
    ("champion.direction", "lower"),
    ("champion.max_drop", 0.02),
    ("champion.confidence", 0.9),
    ("champion.seed", 7),
    ("champion.resamples", 200),
    ("slices.0.seed", 1),
    ("slices.0.resamples", 200),
    ("slices.0.min_rows", 101),
    ("slices.0.min", 0.5),
    ("slices.0.min", None),
    ("slices.0.max", 1.0),
    ("slices.0.max_drop", 0.03),
    ("slices.0.max_drop", None),
    ("slices.0.confidence", 0.99),
    ("slices.0.metric", "f1"),
    ("onnx.required", False),
    ("onnx.max_abs_difference", 0.01),
    ("onnx.max_label_flips", 2),
    ("size.max_megabytes", 11),
    ("latency.max_ratio", 1.6),
    ("latency.max_milliseconds", 6),
    ("latency.max_milliseconds", None),
    ("contract.max_violations", 2),
    ("signature.compatible_with_live", False),
    ("allow_code", {"reason": "no other file can hold it", "approver": "Ada"}),
    ("believe", {"what": "report", "reason": "no rows may leave it", "approver": "Ada"}),
]


def changed(path: str, value: Any) -> GatePolicy:
    plain = copy.deepcopy(POLICY)
    holder: Any = plain
    *parts, last = [int(p) if p.isdigit() else p for p in path.split(".")]
    for part in parts:
        holder = holder[part]
    holder[last] = value
    return GatePolicy.model_validate(plain)


OLD = GatePolicy.model_validate(POLICY)


@pytest.mark.parametrize(("path", "value"), LOOSER)
def test_each_way_to_ask_for_less_is_told_once_and_the_way_back_is_none(path: str, value: Any) -> None:
    new = changed(path, value)
    assert len(loosened(OLD, new)) == 1
    both = ("metric", "direction", "seed", "resamples")
    if not path.endswith(both):
        assert loosened(new, OLD) == [], "asking for more is no reason to stop"


def test_to_believe_a_report_after_predictions_is_told_and_the_way_back_is_not() -> None:
    allowed = {"reason": "no rows may leave it", "approver": "Ada"}
    predictions, report = (changed("believe", {"what": w, **allowed}) for w in ("predictions", "report"))
    assert loosened(OLD, predictions) == ["believe: was none, is predictions by Ada: no rows may leave it"]
    assert loosened(predictions, report) == [
        "believe: was predictions, is report by Ada: no rows may leave it"
    ]
    assert loosened(report, predictions) == loosened(report, OLD) == []


def test_a_limit_or_a_slice_that_is_left_out_is_told() -> None:
    less = {**POLICY, "metrics": {"brier": {"max": 0.2}}, "slices": []}
    assert loosened(OLD, GatePolicy.model_validate(less)) == [
        "metrics.roc_auc.min: was 0.7, is gone",
        "slices.origin.roc_auc.higher: removed",
    ]


def test_of_two_gates_of_one_slice_none_is_lost_behind_the_other() -> None:
    one = POLICY["slices"][0]
    two = [{**one, "max_drop": None}, {**one, "min": None, "max": None, "min_rows": 30}]
    old = GatePolicy.model_validate({**POLICY, "slices": two})
    assert loosened(old, old) == []
    for left in two:
        told = loosened(old, GatePolicy.model_validate({**POLICY, "slices": [left]}))
        assert told and all(line.startswith("slices.origin.roc_auc.higher.") for line in told)
    assert loosened(old, GatePolicy.model_validate({**POLICY, "slices": two[::-1]})) == []


def test_the_same_gates_in_another_order_and_more_of_them_are_not_loosened() -> None:
    assert loosened(OLD, OLD) == []
    more = {**POLICY, "metrics": {"brier": {"max": 0.2}, "f1": {"min": 0.1}, "roc_auc": {"min": 0.7}}}
    assert loosened(OLD, GatePolicy.model_validate(more)) == []


@pytest.mark.parametrize(
    ("auto", "anyway", "weaker", "wanted"),
    [
        (True, False, [], True),
        (True, False, ["x"], False),
        (True, True, ["x"], True),
        (False, True, [], False),
    ],
)
def test_the_bot_lets_in_what_was_not_loosened(
    auto: bool, anyway: bool, weaker: list[str], wanted: bool
) -> None:
    assert merges_by_itself(EnvironmentPolicy(auto_merge=auto, merge_loosened=anyway), weaker) is wanted


def test_a_reviewer_reads_each_of_them() -> None:
    assert loosened_words([]) == ""
    told = loosened_words(loosened(OLD, changed("size.max_megabytes", 11)))
    assert "- `size.max_megabytes: was 10, is 11`" in told


def limits_of(model: type[BaseModel], before: str = "") -> set[str]:
    """Every field that a gates file may have, `*` for a name or a number of its own."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        inner = [t for t in parts_of(field.annotation) if isinstance(t, type) and issubclass(t, BaseModel)]
        star = ".*" if get_origin(field.annotation) in (dict, list, tuple, Mapping) else ""
        for one in inner:
            found |= limits_of(one, f"{before}{name}{star}.")
        if not inner:
            found.add(before + name)
    return found


def parts_of(annotation: Any) -> list[Any]:
    return [t for a in get_args(annotation) for t in parts_of(a)] or [annotation]


SECTIONS = {"allow_code": set[str](), "believe": {"believe.what"}}
"""Sections that let something through by being there, and what in them is a limit besides."""

NO_LIMITS = {
    # who allows it and why
    "allow_code.reason", "allow_code.approver", "believe.reason", "believe.approver",
    "slices.*.column",  # of another column it is another gate: the old one counts as removed
    "slices.*.direction",  # likewise
}  # fmt: skip


def test_no_limit_of_a_gates_file_is_forgotten() -> None:
    """Whoever adds a gate says here which way its limit is looser. `monitoring` lets no release in."""
    tried = {re.sub(r"^(metrics|slices)\.\w+", r"\1.*", path) for path, _ in LOOSER} | NO_LIMITS
    for section, limits in SECTIONS.items():
        assert section in tried
        tried = (tried - {section}) | limits
    assert {path for path in limits_of(GatePolicy) if not path.startswith("monitoring.")} == tried

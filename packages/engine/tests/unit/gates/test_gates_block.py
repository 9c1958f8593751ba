"""Every gate can block, alone, and only for its reason. A gate that cannot say no is worse than none:
people trust it. The meta tests fail when a gate is taken out of `decide` or loses its blocking cases."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from gate_cases import (
    BLOCKING,
    CANDIDATE,
    POLICY,
    SCHEMA,
    Given,
    believe,
    column,
    evaluation,
    measured,
    policy,
    reported,
    reshaped,
)

from mlops.lifecycle.decide import gates
from mlops.lifecycle.decide.gates import GATES, decide
from mlops.spec.gates import GateReport

IDS = [f"{gate}: {what}" for gate, what, *_ in BLOCKING]


def judged(given: Given) -> GateReport:
    return decide(given.candidate, given.champion, given.policy, given.live_schema)


def test_a_good_candidate_passes_every_gate():
    report = judged(Given())
    assert report.passed, report.blocking
    assert {gate.verdict for gate in report.gates} == {"pass"}, "a gate was skipped though all is known"
    assert report.metrics["roc_auc"].champion == pytest.approx(report.metrics["roc_auc"].value)


@pytest.mark.parametrize(("gate", "what", "given", "words"), BLOCKING, ids=IDS)
def test_it_blocks_with_a_sentence(gate: str, what: str, given: Callable[[], Given], words: str):
    report = judged(given())
    assert not report.passed
    texts = [f"{g.observed} {g.detail}" for g in report.blocking]
    assert any(re.search(words, text) for text in texts), texts
    assert all(g.limit for g in report.blocking)


@pytest.mark.parametrize(("gate", "what", "given", "words"), BLOCKING, ids=IDS)
def test_only_that_gate_blocks_it(
    gate: str, what: str, given: Callable[[], Given], words: str, monkeypatch: pytest.MonkeyPatch
):
    """The mutation: with the gate switched off the version passes, so the test above would fail."""
    monkeypatch.setattr(gates, "GATES", {name: g for name, g in GATES.items() if name != gate})
    report = judged(given())
    assert report.passed, f"other gates block it too, so the case proves nothing of {gate}: {report.blocking}"


def test_every_gate_has_a_blocking_case():
    assert {gate for gate, *_ in BLOCKING} == set(GATES)


def test_every_gate_answers_in_the_report():
    names = " ".join(gate.name for gate in judged(Given()).gates)
    words = ("limit", "champion", "slice", "onnx", "size", "latency", "contract", "signature")
    assert [w for w in words if w not in names] == []


def test_the_first_model_skips_comparisons_and_says_so():
    report = judged(Given(champion=None, live_schema=None))
    skipped = {gate.name: gate.detail for gate in report.gates if gate.verdict == "skipped"}
    assert report.passed and report.champion is None
    assert set(skipped) == {"champion roc_auc", "signature"}
    assert all("nothing is live" in why for why in skipped.values())


def test_the_first_model_is_still_held_to_absolute_limits():
    report = judged(Given(champion=None, live_schema=None, policy=policy(metrics={"roc_auc": {"min": 0.99}})))
    assert [gate.name for gate in report.blocking] == ["limit roc_auc"]


def test_without_a_report_nothing_passes_that_needs_it():
    report = judged(Given(candidate=replace(CANDIDATE, evaluation=None)))
    blocked = {gate.name for gate in report.blocking}
    assert blocked == {"limit roc_auc", "limit brier", "onnx parity", "artifact size", "data contract"}


@pytest.mark.parametrize(
    "given",
    [
        reshaped(
            [*(c.model_dump() for c in SCHEMA.columns), {"name": "seats", "type": "number", "nullable": True}]
        ),
        column(1, type="number"),
        column(1, minimum=None, maximum=48),
        column(0, categories=["EWR", "JFK", "LGA"]),
    ],
    ids=["new nullable column", "integer to number", "wider bounds", "more categories"],
)
def test_what_breaks_no_client_passes(given: Given):
    assert judged(given).passed


def test_a_breaking_change_that_the_policy_admits_passes_and_is_told():
    given = replace(column(1, type="string"), policy=policy(signature={"compatible_with_live": False}))
    found = next(gate for gate in judged(given).gates if gate.name == "signature")
    assert found.verdict == "pass" and "was of type integer" in found.detail


def test_a_model_without_onnx_passes_where_the_policy_allows_it():
    given = measured(onnx=None)
    schema = SCHEMA.model_copy(update={"onnx": None, "no_graph": "it answers 2 where the model answers 1"})
    lenient = policy(onnx={"required": False, "max_abs_difference": 0})
    report = judged(replace(given, candidate=replace(given.candidate, schema=schema), policy=lenient))
    assert report.passed
    gate = next(g for g in report.gates if g.name == "onnx parity")
    assert gate.verdict == "skipped" and "answers 2" in gate.detail
    strict = judged(replace(given, candidate=replace(given.candidate, schema=schema)))
    blocking = next(g for g in strict.gates if g.name == "onnx parity")
    assert blocking.verdict == "blocked" and "answers 2" in blocking.detail


def test_the_same_evidence_gives_the_same_report():
    assert judged(Given()) == judged(Given())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_evaluation_cannot_hold_what_is_not_a_number(value: float):
    with pytest.raises(ValueError, match="finite"):
        evaluation(metrics={"roc_auc": {"value": value, "low": 0, "high": 1}})


@pytest.mark.parametrize(
    "section", sorted(POLICY.model_dump().keys() - {"monitoring", "allow_code", "believe"})
)
def test_no_gate_can_be_left_out_of_the_policy(section: str):
    fields: dict[str, Any] = {k: v for k, v in POLICY.model_dump().items() if k != section}
    with pytest.raises(ValueError, match=section):
        type(POLICY).model_validate(fields)


def test_a_pickle_that_somebody_allows_passes_and_every_verdict_tells_who_and_why():
    schema = SCHEMA.model_copy(update={"runs_code": "its file is a pickle"})
    allowed = policy(allow_code={"reason": "statsmodels keeps its results in pickles", "approver": "Ada"})
    report = judged(Given(candidate=replace(CANDIDATE, schema=schema), policy=allowed))
    assert report.passed
    (told,) = [gate for gate in report.gates if gate.name == "code"]
    assert "allowed by Ada: statsmodels keeps its results in pickles" in told.detail


def test_the_word_of_a_pipeline_counts_where_somebody_says_so():
    champion = evaluation().metrics
    metric, drop = POLICY.champion.metric, POLICY.champion.max_drop
    values = {name: interval.value for name, interval in champion.items()}
    allowed = policy(believe=believe("report"))

    def told(**other: float):
        report = judged(replace(reported(**{**values, **other}), policy=allowed))
        return report, {gate.name: gate for gate in report.gates}

    report, gates = told()
    assert report.passed and "by Ada" in gates["evidence"].detail
    assert "without an interval" in gates[f"champion {metric}"].detail
    assert told(**{metric: values[metric] - drop})[0].passed, "the limit itself is allowed"
    report, gates = told(**{metric: values[metric] - drop - 0.001})
    assert gates[f"champion {metric}"].verdict == "blocked"


def test_own_classes_pass_and_are_told_and_a_model_of_data_has_no_line():
    library = {"format": "sklearn", "dtypes": {}, "code": "code"}
    schema = SCHEMA.model_validate({**SCHEMA.model_dump(), "library": library})
    report = judged(Given(candidate=replace(CANDIDATE, schema=schema)))
    assert report.passed
    assert [gate.observed for gate in report.gates if gate.name == "code"] == ["own classes"]
    assert [gate for gate in judged(Given()).gates if gate.name == "code"] == []

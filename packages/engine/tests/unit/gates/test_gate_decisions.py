"""Where each gate's line runs: on the limit, beside it, and what happens when one of two things is not known.

Resampling is replaced by differences that are written down, so that each threshold is exact."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gate_cases import (
    CANDIDATE,
    CHAMPION,
    POLICY,
    ROWS,
    SCHEMA,
    TRUTH,
    Given,
    evaluation,
    judged_champion,
    measured,
    policy,
    results,
    told,
    verdict,
)

from mlops.lifecycle.decide.gates import Evidence, decide
from mlops.metrics.scores import About
from mlops.spec.gates import GateResult

INF, NAN = float("inf"), float("nan")


# --- absolute limits ----------------------------------------------------------------------------------------


def limited(value: float, **limits: float) -> str:
    interval = {"value": value, "low": value - 0.2, "high": value + 0.2}
    given = measured(metrics={"roc_auc": interval})
    return verdict(replace(given, policy=policy(metrics={"roc_auc": limits})), "limit roc_auc")


@pytest.mark.parametrize(
    ("value", "limits", "expected"),
    [
        (0.6, {"min": 0.6}, "pass"),
        (0.5999, {"min": 0.6}, "blocked"),
        (0.6, {"max": 0.6}, "pass"),
        (0.6001, {"max": 0.6}, "blocked"),
        (0.6, {"min": 0.6, "max": 0.6}, "pass"),
        (0.7, {"min": 0.5, "max": 0.6}, "blocked"),
        (0.4, {"min": 0.5, "max": 0.6}, "blocked"),
    ],
)
def test_the_point_value_keeps_its_limits_bounds_included(
    value: float, limits: dict[str, float], expected: str
):
    assert limited(value, **limits) == expected


# --- the champion -------------------------------------------------------------------------------------------


GRID = np.arange(-100, 1) / 1000  # from -0.1 to 0; its 5 % quantile is -0.095


@pytest.mark.parametrize(
    ("direction", "confidence", "drop", "expected"),
    [
        ("higher", 0.95, 0.095, "pass"),
        ("higher", 0.95, 0.0949, "blocked"),
        ("higher", 0.9, 0.09, "pass"),
        ("higher", 0.9, 0.0899, "blocked"),
        ("lower", 0.95, 0.0, "pass"),
    ],
)
def test_the_lower_end_of_the_gain_is_held_against_the_drop(
    draws: Any, direction: str, confidence: float, drop: float, expected: str
):
    calls = draws(GRID)
    given = judged_champion(
        metric="brier", direction=direction, confidence=confidence, max_drop=round(drop + 1e-12, 13), seed=3
    )
    assert verdict(given, "champion brier") == expected
    assert calls == [{"metric": "brier", "rows": ROWS, "others": ROWS, "resamples": 200, "seed": 3}]


def test_a_loss_where_lower_is_better(draws: Any):
    draws(-GRID)  # the candidate's error is higher by up to 0.1
    lower = {"metric": "brier", "direction": "lower"}
    assert verdict(judged_champion(**lower, max_drop=0.094), "champion brier") == "blocked"
    assert verdict(judged_champion(**lower, max_drop=0.096), "champion brier") == "pass"


@pytest.mark.parametrize(("metric", "direction", "sign"), [("roc_auc", "higher", 1), ("brier", "lower", -1)])
def test_the_gain_is_the_candidates_over_the_champions(draws: Any, metric: str, direction: str, sign: int):
    draws(np.full(10, 0.0))
    worse = replace(CHAMPION, prediction=0.9 - 0.8 * TRUTH)
    mine, champions = (side.scores().value(metric) for side in (CANDIDATE, worse))  # type: ignore[union-attr]
    given = replace(judged_champion(metric=metric, direction=direction), champion=worse)
    found = results(given)[f"champion {metric}"]
    assert abs(mine - champions) > 0.1
    assert found.observed.startswith(f"{sign * (mine - champions):+.4f}, at least ")


@pytest.mark.parametrize("bad", [NAN, INF])
def test_one_resample_without_a_value_blocks(draws: Any, bad: float):
    draws([0.1] * 99 + [bad])
    assert verdict(judged_champion(), "champion roc_auc") == "blocked"


def test_a_difference_that_is_not_defined_blocks(draws: Any):
    draws([0.1] * 10)
    one_class = replace(CANDIDATE, truth=np.ones(ROWS))
    champion = replace(CHAMPION, truth=np.ones(ROWS))
    assert (
        verdict(replace(judged_champion(), candidate=one_class, champion=champion), "champion roc_auc")
        == "blocked"
    )


def test_another_task_cannot_be_compared(draws: Any):
    draws([0.1] * 10)
    schema = SCHEMA.model_copy(update={"task": "regression", "classes": []})
    given = replace(judged_champion(), champion=replace(CHAMPION, schema=schema))
    found = results(given)["champion roc_auc"]
    assert (found.verdict, "task is binary, the champion's regression" in found.detail) == ("blocked", True)


def test_the_champions_metrics_are_shown_where_they_are_numbers():
    own = replace(CHAMPION, about=About(extra=lambda *_: {"roc_auc": 0.1, "hits": NAN, "misses": 3.0}))
    both = evaluation(
        metrics={name: {"value": 1, "low": 0, "high": 2} for name in ("hits", "misses", "roc_auc", "others")}
    )
    found = decide(replace(CANDIDATE, evaluation=both), own, POLICY, SCHEMA).metrics
    assert {name: metric.champion for name, metric in found.items() if name != "roc_auc"} == {
        "hits": None,
        "misses": 3.0,
        "others": None,
    }
    assert found["roc_auc"].champion == pytest.approx(own.scores().value("roc_auc"))  # type: ignore[union-attr]
    reports = replace(own, evaluation=evaluation())
    assert decide(replace(CANDIDATE, evaluation=both), reports, POLICY, SCHEMA).metrics == found
    alone = decide(replace(CANDIDATE, evaluation=both), None, POLICY, SCHEMA).metrics
    assert {metric.champion for metric in alone.values()} == {None}


# --- slices -------------------------------------------------------------------------------------------------


def sliced(values: Any, *, champion: bool = True, prediction: Any = None, **gate: Any) -> GateResult:
    fields = {"column": "origin", "metric": "brier", "direction": "lower", "min_rows": 10, "resamples": 200}
    limits = {} if {"min", "max", "max_drop"} & gate.keys() else {"max": 1}
    candidate = replace(CANDIDATE, slices={"origin": np.asarray(values)})
    if prediction is not None:
        candidate = replace(candidate, prediction=prediction)
    given = Given(
        candidate=candidate,
        champion=CHAMPION if champion else None,
        policy=policy(slices=[{**fields, **limits, **gate}]),
    )
    return results(given)["slice origin brier"]


FOUR = np.repeat(["a", "b", "c", "d"], ROWS // 4)


def test_a_slice_is_judged_from_min_rows_on():
    values = np.array(["small"] * 9 + ["ten"] * 10 + ["rest"] * (ROWS - 19))
    found = sliced(values)
    assert "worst of 2" in found.observed
    assert "1 values with fewer than 10 rows not judged" in found.detail
    assert "worst of 3" in sliced(values, min_rows=9).observed


@pytest.mark.parametrize("limits", [{}, {"min": 0.0}, {"max": 1.0}, {"min": 0.0, "max": 1.0}])
def test_a_slice_that_keeps_its_limits_is_still_held_against_the_champion(
    draws: Any, limits: dict[str, float]
):
    draws(np.full(200, 0.5))
    bad = np.where(TRUTH > 0, 0.0, 1.0)
    assert sliced(FOUR, prediction=bad, max_drop=0.01, **limits).verdict == "blocked"
    assert sliced(FOUR, prediction=bad, max_drop=0.6, **limits).verdict == "pass"


@pytest.mark.parametrize(("judged", "level"), [(1, 0.95), (2, 0.975), (4, 0.9875)])
def test_the_confidence_is_divided_among_the_slices_that_are_judged(draws: Any, judged: int, level: float):
    """Bonferroni: with four slices each has a quarter of the error."""
    calls = draws(-np.arange(0, 10001) / 10000)  # gains from 0 to 1 where lower is better
    values = np.repeat(["a", "b", "c", "d"][:judged], ROWS // judged)
    small = np.concatenate([values[:-9], ["x"] * 9])  # a fifth value that is too small does not count
    bad = np.where(TRUTH > 0, 0.0, 1.0)  # as wrong as can be, so that each slice is resampled
    kept = sliced(small, prediction=bad, max_drop=0.0, seed=5, resamples=300)
    assert len(calls) == judged
    assert {(call["resamples"], call["seed"]) for call in calls} == {(300, 5)}
    assert sum(call["rows"] for call in calls) == ROWS - 9
    assert kept.verdict == "pass", "all gains are 0 or more"
    draws(-(np.arange(0, 10001) / 10000 - level + 0.0005))
    assert sliced(small, prediction=bad, max_drop=0.0).verdict == "pass"
    draws(-(np.arange(0, 10001) / 10000 - level - 0.0005))
    assert sliced(small, prediction=bad, max_drop=0.0).verdict == "blocked"


def test_a_loss_within_the_limit_is_not_resampled(draws: Any):
    calls = draws([NAN] * 10)
    assert sliced(FOUR, max_drop=0.0).verdict == "pass", "equal to the champion"
    bad = np.where(TRUTH > 0, 0.0, 1.0)
    assert sliced(FOUR, max_drop=1.0, prediction=bad).verdict == "pass", "worse, and within the limit"
    assert calls == []
    assert sliced(FOUR, max_drop=0.0, prediction=bad).verdict == "blocked"
    assert "not defined on every resample" in sliced(FOUR, max_drop=0.0, prediction=bad).detail
    assert sliced(FOUR, max_drop=0.0, prediction=bad, champion=False).verdict == "pass"


def test_the_upper_end_on_the_limit_is_no_proof(draws: Any):
    bad = np.where(TRUTH > 0, 0.0, 1.0)
    draws([0.25] * 10)
    assert sliced(FOUR, max_drop=0.25, prediction=bad).verdict == "pass"
    draws([0.2501] * 10)
    assert sliced(FOUR, max_drop=0.25, prediction=bad).verdict == "blocked"


def brier(value: str) -> float:
    return CANDIDATE.scores().subset(value == FOUR).value("brier")  # type: ignore[union-attr]


def test_every_slice_keeps_the_limits_bounds_included_also_beside_a_drop():
    each = {value: brier(value) for value in "abcd"}
    worst, best = max(each.values()), min(each.values())
    assert sliced(FOUR, max=worst).verdict == "pass"
    assert sliced(FOUR, max=worst - 1e-9).verdict == "blocked"
    assert sliced(FOUR, max=worst - 1e-9, max_drop=1, min=0).verdict == "blocked"
    assert sliced(FOUR, min=best).verdict == "pass"
    assert sliced(FOUR, min=best + 1e-9).verdict == "blocked"
    assert sliced(FOUR, max=worst).observed == f"worst of 4: {worst:.4f}"
    assert sliced(FOUR, max=worst, direction="higher").observed == f"worst of 4: {best:.4f}"


# --- onnx, size, latency, contract, signature ---------------------------------------------------------------


def parity(difference: float = 0.0, flips: int = 0, rows: int = ROWS, **gate: Any) -> str:
    onnx = {"max_abs_difference": difference, "label_flips": flips, "rows": rows}
    limits = {"required": True, "max_abs_difference": 0.5, "max_label_flips": 2, **gate}
    return verdict(replace(measured(onnx=onnx), policy=policy(onnx=limits)), "onnx parity")


def test_parity_of_the_graph():
    assert parity(0.5, 2) == "pass"
    assert parity(0.51, 0) == "blocked"
    assert parity(0.0, 3) == "blocked"
    assert parity(rows=ROWS - 1) == "blocked"
    assert parity(rows=ROWS + 1) == "blocked"
    assert parity(0.51, required=False) == "blocked", "one that is there is judged, asked for or not"


def test_what_nobody_measured_is_not_known():
    bare = Evidence(version=8, schema=SCHEMA, truth=TRUTH, prediction=None)
    assert (bare.slices, bare.evaluation, bare.latency, bare.problem) == ({}, None, None, "")
    assert told(Given(candidate=bare), "latency").endswith("it was not measured")
    assert told(Given(), "artifact size") == ""


def test_size_on_the_limit():
    assert verdict(measured(artifact_bytes=1_000_000), "artifact size") == "pass"
    assert verdict(measured(artifact_bytes=1_000_001), "artifact size") == "blocked"


@pytest.mark.parametrize(
    ("mine", "champions", "gate", "expected"),
    [
        (0.002, 0.001, {"max_ratio": 2}, "pass"),
        (0.0021, 0.001, {"max_ratio": 2}, "blocked"),
        (0.002, 0.002, {"max_ratio": 2, "max_milliseconds": 2}, "pass"),
        (0.0021, 0.002, {"max_ratio": 2, "max_milliseconds": 2}, "blocked"),
        (0.002, None, {"max_ratio": 2, "max_milliseconds": 2}, "pass"),
        (0.0021, None, {"max_ratio": 2, "max_milliseconds": 2}, "blocked"),
        (0.1, None, {"max_ratio": 2}, "skipped"),
        (INF, 0.001, {"max_ratio": 2}, "blocked"),
        (NAN, 0.001, {"max_ratio": 2}, "blocked"),
        (0.0, 0.001, {"max_ratio": 2}, "blocked"),
        (-1.0, 0.001, {"max_ratio": 2}, "blocked"),
        (NAN, None, {"max_ratio": 2}, "blocked"),
        (0.001, INF, {"max_ratio": 2}, "blocked"),
        (0.001, NAN, {"max_ratio": 2}, "blocked"),
        (0.001, 0.0, {"max_ratio": 2}, "blocked"),
        (0.001, -1.0, {"max_ratio": 2}, "blocked"),
    ],
)
def test_latency(mine: float, champions: float | None, gate: dict[str, float], expected: str):
    champion = replace(CHAMPION, latency=champions) if champions is not None else None
    given = Given(replace(CANDIDATE, latency=mine), champion, policy(latency=gate))
    found = results(given)["latency"]
    assert found.verdict == expected
    known = all(seconds is None or 0 < seconds < INF for seconds in (mine, champions))
    assert found.observed.startswith(
        "not judged" if expected == "skipped" else f"{mine * 1000:.3f} ms" if known else "unknown"
    )
    of = f", at most {gate['max_milliseconds']} ms" if "max_milliseconds" in gate else ""
    assert found.limit == f"at most 2 times the champion's{of}"


@pytest.mark.parametrize(
    ("found", "most", "expected"), [(0, 0, "pass"), (1, 0, "blocked"), (2, 2, "pass"), (3, 2, "blocked")]
)
def test_the_contract_on_the_limit(found: int, most: int, expected: str):
    given = measured(contract_violations=[f"rule {n}" for n in range(found)])
    assert (
        verdict(replace(given, policy=policy(contract={"max_violations": most})), "data contract") == expected
    )


def test_a_policy_that_admits_breaking_changes_says_so_only_when_there_is_one():
    given = Given(policy=policy(signature={"compatible_with_live": False}))
    assert "any" not in results(given)["signature"].limit


def test_the_report_names_both_and_what_it_is_about():
    report = decide(CANDIDATE, CHAMPION, POLICY, SCHEMA)
    assert (report.model, report.version, report.champion) == ("freight", 8, 7)
    assert (report.rows, report.confidence) == (ROWS, 0.95)
    bare = decide(replace(CANDIDATE, evaluation=None), None, POLICY, None)
    assert (bare.champion, bare.confidence, bare.metrics) == (None, 0.0, {})


# --- what is listed -----------------------------------------------------------------------------------------


def test_no_slices_are_said_to_be_none():
    found = results(Given(policy=policy(slices=[])))["slices"]
    assert (found.verdict, found.limit) == ("skipped", "none")


def test_every_slice_of_the_policy_is_a_line():
    one = POLICY.slices[0].model_dump()
    given = Given(policy=policy(slices=[one, {**one, "column": "carrier"}]))
    assert results(given)["slice carrier roc_auc"].verdict == "blocked"
    assert "they have origin" in told(given, "slice carrier roc_auc")
    bare = replace(given, candidate=replace(CANDIDATE, slices={}))
    assert "they have none" in told(bare, "slice carrier roc_auc")


def test_a_slice_of_a_model_that_cannot_score_says_why():
    given = Given(candidate=replace(CANDIDATE, prediction=None, problem="lacks seats"))
    found = results(given)["slice origin roc_auc"]
    assert (found.verdict, "lacks seats" in found.detail) == ("blocked", True)
    assert found.limit == "at least 0.55, not proven worse by more than 0.05"


def test_a_slice_without_a_value_hides_no_other():
    """Of one class there is no roc_auc; the slices behind it are judged all the same."""
    values = np.where(TRUTH > 0, "a", np.where(np.arange(ROWS) % 2, "b", "c"))
    mixed = np.where(np.arange(ROWS) < 200, "z", values)
    candidate = replace(CANDIDATE, slices={"origin": mixed}, prediction=1 - TRUTH)
    given = Given(candidate=candidate, champion=None)
    found = results(given)["slice origin roc_auc"]
    assert found.verdict == "blocked"
    for words in ("a: roc_auc is not defined", "b: roc_auc", "c: roc_auc", "z: 0.0000"):
        assert words in found.detail, found.detail
    assert found.observed == "worst of 4: 0.0000"


def test_where_no_slice_has_a_value_the_worst_is_unknown():
    own = replace(CANDIDATE, slices={"origin": np.where(TRUTH > 0, "a", "b")})
    found = results(Given(candidate=own, champion=None))["slice origin roc_auc"]
    assert (found.verdict, found.observed) == ("blocked", "unknown")


@pytest.mark.parametrize(
    ("told_why", "words"), [("a tree too deep", "a tree too deep"), ("", "the model has no ONNX graph")]
)
@pytest.mark.parametrize("required", [True, False])
def test_without_a_graph_it_says_why(told_why: str, words: str, *, required: bool):
    schema = SCHEMA.model_copy(update={"onnx": None, "no_graph": told_why})
    given = Given(
        candidate=replace(CANDIDATE, schema=schema),
        policy=policy(onnx={"required": required, "max_abs_difference": 1e-5}),
    )
    found = results(given)["onnx parity"]
    assert (found.verdict, words in found.detail) == ("blocked" if required else "skipped", True)


def test_a_slice_that_passes_tells_what_was_not_judged():
    small = np.concatenate([FOUR[:-9], ["x"] * 9])
    assert sliced(small).detail == "1 values with fewer than 10 rows not judged"
    alone = sliced(small, champion=False, max_drop=0.1).detail
    assert alone.startswith("1 values with fewer than 10 rows not judged; nothing is live")
    assert "nothing is live" not in sliced(small, champion=False).detail
    assert "nothing is live" not in sliced(small, max_drop=1.0).detail


def test_the_limit_of_a_slice_says_all_that_it_is_held_to():
    assert sliced(FOUR, min=0).limit == "at least 0"
    assert sliced(FOUR, min=0, max=1, max_drop=1).limit == (
        "at least 0, at most 1, not proven worse by more than 1"
    )


def test_two_violations_that_read_alike_are_two():
    given = measured(contract_violations=["rule 1", "rule 1"])
    for most, expected in ((1, "blocked"), (2, "pass")):
        found = verdict(replace(given, policy=policy(contract={"max_violations": most})), "data contract")
        assert found == expected


def test_five_violations_are_listed():
    given = measured(contract_violations=[f"rule {n}" for n in range(7)])
    assert told(given, "data contract") == "rule 0; rule 1; rule 2; rule 3; rule 4"


@pytest.mark.parametrize(("task", "units"), [("regression", True), ("binary", False)])
def test_a_graph_that_is_too_far_off_is_told_in_units_where_the_answer_has_some(task: str, units: bool):
    changes: dict[str, Any] = {"task": task, "classes": ["0", "1"] if task == "binary" else []}
    off = {"max_abs_difference": 9.0, "label_flips": 0, "rows": ROWS}
    near = {**off, "max_abs_difference": 0.0}
    own = replace(CANDIDATE, schema=SCHEMA.model_copy(update=changes))
    for onnx, expected in ((off, units), (near, False)):
        given = Given(candidate=replace(own, evaluation=evaluation(onnx=onnx)))
        detail = told(given, "onnx parity")
        assert ("units of the answer" in detail) if expected else detail == ""


def test_a_breaking_change_tells_the_way_out():
    other = SCHEMA.model_copy(update={"classes": ["1", "0"]})
    given = Given(candidate=replace(CANDIDATE, schema=other))
    assert "classes were 0, 1" in told(given, "signature")
    assert told(given, "signature").endswith("lets this release through")
    assert told(Given(), "signature") == ""


def test_what_is_live_anywhere_is_compared_also_without_a_champion():
    other = SCHEMA.model_copy(update={"classes": ["1", "0"]})
    given = Given(candidate=replace(CANDIDATE, schema=other), champion=None)
    assert verdict(given, "signature") == "blocked"


def test_code_that_runs_counts_also_where_there_is_a_graph_and_a_library():
    library = {"format": "sklearn", "dtypes": {}, "code": "code"}
    schema = type(SCHEMA).model_validate({**SCHEMA.model_dump(), "library": library, "runs_code": "a pickle"})
    assert verdict(Given(candidate=replace(CANDIDATE, schema=schema)), "code") == "blocked"
    plain = type(SCHEMA).model_validate({**SCHEMA.model_dump(), "library": {**library, "code": None}})
    assert "code" not in results(Given(candidate=replace(CANDIDATE, schema=plain)))

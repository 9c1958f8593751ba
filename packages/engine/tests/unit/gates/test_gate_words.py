"""What a gate says beside its verdict, and models that are known by the word of their pipeline."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gate_cases import (
    CANDIDATE,
    CHAMPION,
    ROWS,
    TRUTH,
    Given,
    believe,
    evaluation,
    judged_champion,
    measured,
    policy,
    results,
    told,
    verdict,
)

from mlops.lifecycle.decide import gates
from mlops.metrics.scores import About
from mlops.spec.gates import GateResult

INF, NAN = float("inf"), float("nan")


# --- what a report tells ------------------------------------------------------------------------------------


def limit_of(metrics: dict[str, float], undefined: tuple[str, ...] = (), believed: str = "") -> GateResult:
    intervals = {name: {"value": v, "low": v, "high": v} for name, v in metrics.items()}
    given = measured(metrics=intervals, undefined=list(undefined), believed=believed)
    limits = {"roc_auc": {"min": 0.5, "max": 0.6}}
    return results(replace(given, policy=policy(metrics=limits)))["limit roc_auc"]


@pytest.mark.parametrize(
    ("value", "words"), [(0.4, "0.1 too low"), (0.7, "0.1 too high"), (0.5, ""), (0.6, "")]
)
def test_a_limit_that_is_missed_tells_by_how_much(value: float, words: str):
    found = limit_of({"roc_auc": value})
    assert (found.detail, found.verdict) == (words, "blocked" if words else "pass")


def test_what_is_no_number_is_within_no_limit():
    assert gates._missed(NAN, 0.5, None) == gates._missed(NAN, None, 0.5) == "no number"
    assert gates._missed(INF, None, None) == "no number"


def test_a_metric_without_a_value_is_unknown_and_says_why():
    found = limit_of({"brier": 0.1, "hits": 1.0}, ("brier is odd", "roc_auc is not defined on one class"))
    assert (found.verdict, found.observed) == ("blocked", "unknown")
    assert found.detail == "roc_auc is not defined on one class"
    found = limit_of({"brier": 0.1, "hits": 1.0}, ("brier is odd",))
    assert "no value for roc_auc" in found.detail and "brier, hits" in found.detail


@pytest.mark.parametrize(("believed", "reports"), [("", False), ("predictions", False), ("report", True)])
def test_a_report_alone_has_no_interval(believed: str, reports: bool):
    assert ("as its pipeline reports" in limit_of({"roc_auc": 0.55}, believed=believed).observed) == reports


def test_a_model_that_could_not_score_blocks_also_without_a_reason():
    silent = replace(judged_champion(), candidate=replace(CANDIDATE, prediction=None))
    assert "the candidate (version 8)" in told(silent, "champion roc_auc") and "no predictions" in told(
        silent, "champion roc_auc"
    )
    assert verdict(silent, "champion roc_auc") == "blocked"
    told_why = replace(silent, candidate=replace(CANDIDATE, prediction=None, problem="lacks seats"))
    assert "lacks seats" in told(told_why, "champion roc_auc")


def test_predictions_that_are_infinite_are_not_compared():
    wild = replace(CANDIDATE, prediction=np.where(np.arange(ROWS) == 0, INF, CANDIDATE.prediction))
    assert "not numbers" in told(replace(judged_champion(), candidate=wild), "champion roc_auc")


def test_a_loss_beyond_the_drop_tells_by_how_much(draws: Any):
    draws(np.full(10, -0.08))
    assert told(judged_champion(), "champion roc_auc").startswith("0.03 more than that; paired bootstrap")
    draws(np.full(10, -0.05))
    assert told(judged_champion(), "champion roc_auc").startswith(
        "paired bootstrap, 200 resamples of 600 rows"
    )


def test_rows_that_belong_together_are_told_as_groups():
    about = About(groups=np.arange(ROWS) // 2)
    both = [replace(side, about=about) for side in (CANDIDATE, CHAMPION)]
    given = replace(judged_champion(), candidate=both[0], champion=both[1])
    assert "of 300 groups of 600 rows" in told(given, "champion roc_auc")


# --- a model that is known by its pipeline's word -----------------------------------------------------------


def told_by_reports(
    mine: dict[str, float], champions: dict[str, float] | None, direction: str = "higher"
) -> GateResult:
    def report(metrics: dict[str, float]) -> Any:
        found = {name: {"value": v, "low": v, "high": v} for name, v in metrics.items()}
        return evaluation(believed="report", metrics={**found, "rows": {"value": 1, "low": 1, "high": 1}})

    champion = {"metric": "brier", "direction": direction, "max_drop": 0.05}
    given = Given(
        candidate=replace(CANDIDATE, evaluation=report(mine), prediction=None),
        champion=replace(CHAMPION, evaluation=report(champions)) if champions is not None else None,
        policy=policy(champion=champion, slices=[], metrics={"rows": {"min": 0}}),
    )
    return results(given)["champion brier"]


@pytest.mark.parametrize(
    ("mine", "champions", "direction", "expected"),
    [
        ({"brier": 0.30}, {"brier": 0.35}, "higher", "pass"),
        ({"brier": 0.30}, {"brier": 0.36}, "higher", "blocked"),
        ({"brier": 0.35}, {"brier": 0.30}, "lower", "pass"),
        ({"brier": 0.36}, {"brier": 0.30}, "lower", "blocked"),
        ({"brier": 0.10}, {"brier": 0.30}, "lower", "pass"),
        ({}, {"brier": 0.30}, "lower", "blocked"),
        ({"brier": 0.30}, {}, "lower", "blocked"),
        ({"brier": 0.30}, None, "lower", "skipped"),
    ],
)
def test_two_reports_are_held_against_the_drop(
    mine: dict[str, float], champions: dict[str, float] | None, direction: str, expected: str
):
    found = told_by_reports(mine, champions, direction)
    assert (found.verdict, found.limit) == (
        expected, "not worse by more than 0.05 in the pipelines' own reports"
    )  # fmt: skip
    assert ("nothing is live" in found.detail) == (champions is None)
    if not mine or champions == {}:
        assert ("candidate (version 8)" if not mine else "champion (version 7)") in found.detail


def test_a_champion_without_a_report_is_no_report_to_compare_with():
    given = Given(
        candidate=replace(CANDIDATE, evaluation=evaluation(believed="report")),
        champion=replace(CHAMPION, evaluation=None),
        policy=policy(slices=[]),
    )
    assert verdict(given, "champion roc_auc") == "blocked"


@pytest.mark.parametrize("what", ["predictions", ""])
def test_who_gave_predictions_is_compared_on_them(draws: Any, what: str):
    own = replace(CANDIDATE, evaluation=evaluation(believed=what))
    given = replace(judged_champion(), candidate=own)
    for gain, expected in ((-1.0, "blocked"), (0.0, "pass")):
        draws(np.full(10, gain))
        assert verdict(given, "champion roc_auc") == expected


@pytest.mark.parametrize(
    ("what", "allowed", "expected"),
    [
        ("", None, None),
        ("", "report", None),
        ("predictions", None, "blocked"),
        ("predictions", "predictions", "pass"),
        ("predictions", "report", "pass"),
        ("report", None, "blocked"),
        ("report", "predictions", "blocked"),
        ("report", "report", "pass"),
    ],
)
def test_the_word_of_a_pipeline_counts_as_far_as_somebody_says(
    what: str, allowed: str | None, expected: str | None
):
    own = replace(CANDIDATE, evaluation=evaluation(believed=what))
    given = Given(candidate=own, policy=policy(believe=believe(allowed) if allowed else None))
    found = results(given).get("evidence")
    assert (found.verdict if found else None) == expected


# --- the baseline -------------------------------------------------------------------------------------------


def beside(draws: Any, low: float, **candidate: Any) -> Given:
    draws(np.full(10, low))
    own = replace(CANDIDATE, about=About(baseline=np.full(ROWS, 0.4)), **candidate)
    return replace(judged_champion(max_drop=0.05), candidate=own)


def test_a_trivial_model_must_not_be_better_at_all(draws: Any):
    assert verdict(beside(draws, 0.0), "baseline roc_auc") == "pass"
    found = results(beside(draws, -0.01))
    assert (found["baseline roc_auc"].verdict, found["champion roc_auc"].verdict) == ("blocked", "pass")


def test_the_baseline_needs_no_champion_and_no_answer_of_one(draws: Any):
    given = beside(draws, 0.0)
    strange = replace(CHAMPION, truth=1 - TRUTH, prediction=None)
    assert verdict(replace(given, champion=strange), "baseline roc_auc") == "pass"
    assert verdict(replace(given, champion=strange), "champion roc_auc") == "blocked"
    assert verdict(replace(given, champion=None), "baseline roc_auc") == "pass"
    silent = results(beside(draws, 0.0, prediction=None))["baseline roc_auc"]
    assert (silent.verdict, silent.limit) == ("blocked", "not worse, with 95% confidence")
    assert "no predictions" in silent.detail
    assert "baseline roc_auc" not in results(judged_champion())


@pytest.mark.parametrize("kind", [gates.Evidence, gates.Case])
def test_what_decides_is_changed_by_nobody(kind: type):
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]

"""A candidate that passes every gate, and for every gate at least one way to be blocked by it alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlops.lifecycle.decide.gates import Evidence, decide
from mlops.metrics.intervals import intervals
from mlops.metrics.scores import About, Scores
from mlops.spec.evaluation import Evaluation
from mlops.spec.gatepolicy import GatePolicy
from mlops.spec.gates import GateResult
from mlops.spec.schema import ModelSchema

ROWS = 600

POLICY = GatePolicy.model_validate(
    {
        "metrics": {"roc_auc": {"min": 0.6}, "brier": {"max": 0.3}},
        "champion": {"metric": "roc_auc", "direction": "higher", "max_drop": 0.01, "resamples": 200},
        "slices": [
            {
                "column": "origin",
                "metric": "roc_auc",
                "direction": "higher",
                "min_rows": 50,
                "min": 0.55,
                "max_drop": 0.05,
                "resamples": 200,
            }
        ],
        "onnx": {"required": True, "max_abs_difference": 1e-5},
        "size": {"max_megabytes": 1},
        "latency": {"max_ratio": 1.5, "max_milliseconds": 50},
        "contract": {"max_violations": 0},
        "signature": {"compatible_with_live": True},
    }
)

SCHEMA = ModelSchema.model_validate(
    {
        "model": "freight",
        "task": "binary",
        "classes": ["0", "1"],
        "columns": [
            {"name": "origin", "type": "string", "categories": ["EWR", "JFK"]},
            {"name": "hour", "type": "integer", "minimum": 0, "maximum": 23},
            {"name": "temp", "type": "number", "nullable": True},
        ],
        "onnx": {"strings": "strings", "floats": "floats", "output": "probabilities"},
    }
)


def rows() -> tuple[Any, Any, Any]:
    """Labels, a useful prediction and the origin of each row; the same every time."""
    generator = np.random.default_rng(7)
    truth = (generator.random(ROWS) < 0.4).astype(float)
    prediction = np.clip(0.4 + 0.15 * (truth - 0.4) + generator.normal(0, 0.15, ROWS), 0.01, 0.99)
    return truth, prediction, np.where(np.arange(ROWS) % 2 == 0, "EWR", "JFK")


TRUTH, PREDICTION, ORIGIN = rows()


def evaluation(truth: Any = TRUTH, prediction: Any = PREDICTION, **changes: Any) -> Evaluation:
    """What the evaluate step would have written for these predictions."""
    scores = Scores("binary", truth, prediction)
    fields: dict[str, Any] = {
        "task": "binary",
        "rows": len(truth),
        "confidence": 0.95,
        "resamples": 20,
        "seed": 1,
        "metrics": intervals(scores, confidence=0.95, resamples=20, seed=1),
        "onnx": {"max_abs_difference": 3.5e-7, "label_flips": 0, "rows": len(truth)},
        "artifact_bytes": 400_000,
        "latency": {"seconds": 2e-5, "repeats": 100, "reference_seconds": 5e-5},
        **changes,
    }
    return Evaluation(**fields)


CANDIDATE = Evidence(
    version=8,
    schema=SCHEMA,
    truth=TRUTH,
    prediction=PREDICTION,
    slices={"origin": ORIGIN},
    evaluation=evaluation(),
    latency=2e-5,
)
CHAMPION = replace(CANDIDATE, version=7, evaluation=None, slices={})


@dataclass(frozen=True)
class Given:
    """The arguments of `decide`."""

    candidate: Evidence = CANDIDATE
    champion: Evidence | None = CHAMPION
    policy: GatePolicy = POLICY
    live_schema: ModelSchema | None = SCHEMA


def policy(**changes: Any) -> GatePolicy:
    """`POLICY` with sections replaced."""
    return GatePolicy.model_validate({**POLICY.model_dump(), **changes})


def measured(**changes: Any) -> Given:
    """The good candidate with another report."""
    return Given(candidate=replace(CANDIDATE, evaluation=evaluation(**changes)))


def believe(what: str) -> dict[str, str]:
    """That the word of a pipeline counts."""
    return {"what": what, "reason": "the rows may not leave it", "approver": "Ada"}


def reported(**metrics: float) -> Given:
    """Both models are known by the report of their pipeline; `metrics` of the candidate."""
    found = {name: {"value": v, "low": v, "high": v} for name, v in metrics.items()}
    told = evaluation(believed="report", **({"metrics": found} if found else {}))
    return Given(
        candidate=replace(CANDIDATE, evaluation=told),
        champion=replace(CHAMPION, evaluation=evaluation(believed="report")),
    )


def predicted(prediction: Any) -> Given:
    """The good report, but other predictions on the test rows."""
    return Given(candidate=replace(CANDIDATE, prediction=prediction))


def column(index: int, **changes: Any) -> Given:
    """The candidate with one column of its signature changed."""
    columns = [c.model_dump() for c in SCHEMA.columns]
    columns[index] = {**columns[index], **changes}
    return reshaped(columns)


def reshaped(columns: list[dict[str, Any]]) -> Given:
    """The candidate with other columns."""
    schema = ModelSchema.model_validate({**SCHEMA.model_dump(), "columns": columns})
    return Given(candidate=replace(CANDIDATE, schema=schema))


def without_metric(name: str) -> Given:
    kept = {k: v for k, v in evaluation().metrics.items() if k != name}
    return measured(metrics=kept)


def against(baseline: Any) -> Given:
    """The good candidate, and no champion, beside what a trivial model would answer."""
    return Given(replace(CANDIDATE, about=About(baseline=baseline)), champion=None, policy=ONLY_CHAMPION)


def worse_everywhere() -> Any:
    return PREDICTION + np.random.default_rng(1).normal(0, 0.2, ROWS)


def worse_at_one_origin() -> Any:
    """Slightly better overall, useless at JFK: only the slice can tell."""
    generator = np.random.default_rng(1)
    better = np.where(ORIGIN == "EWR", PREDICTION + 1.5 * (TRUTH - 0.4), PREDICTION)
    return np.where(ORIGIN == "JFK", generator.permutation(better), better)


ONLY_CHAMPION = policy(slices=[])
NO_DROP = policy(slices=[{**POLICY.slices[0].model_dump(), "max_drop": None}])
NO_MIN = policy(slices=[{**POLICY.slices[0].model_dump(), "min": None}])
SPARE_JFK = np.where(ORIGIN == "JFK", np.nan, PREDICTION)

# gate of GATES -> (what is wrong, arguments of decide, words of the blocked gate's observed or detail)
BLOCKING: list[tuple[str, str, Callable[[], Given], str]] = [
    ("baseline", "worse than what is trivial", lambda: against(0.2 + 0.6 * TRUTH), "at least -0"),
    ("baseline", "the baseline is not known", lambda: against(SPARE_JFK), "no answer to some"),
    ("limits", "below a minimum", lambda: Given(policy=policy(metrics={"roc_auc": {"min": 0.99}})), r"0\."),
    ("limits", "above a maximum", lambda: Given(policy=policy(metrics={"brier": {"max": 0.01}})), r"0\."),
    ("limits", "a metric is missing", lambda: without_metric("roc_auc"), "no value for roc_auc"),
    (
        "champion",
        "worse",
        lambda: replace(predicted(worse_everywhere()), policy=ONLY_CHAMPION),
        "at least -0",
    ),
    (
        "champion",
        "worse where lower is better",
        lambda: replace(
            predicted(np.clip(worse_everywhere(), 0, 1)),
            policy=policy(
                slices=[],
                champion={"metric": "brier", "direction": "lower", "max_drop": 0.001, "resamples": 200},
            ),
        ),
        "at least -0",
    ),
    (
        "champion",
        "NaN predictions",
        lambda: replace(predicted(SPARE_JFK), policy=ONLY_CHAMPION),
        "not numbers",
    ),
    (
        "champion",
        "NaN predictions of the champion",
        lambda: Given(champion=replace(CHAMPION, prediction=SPARE_JFK), policy=ONLY_CHAMPION),
        r"champion \(version 7\) predicted values that are not numbers",
    ),
    (
        "champion",
        "the champion cannot score",
        lambda: Given(
            champion=replace(CHAMPION, prediction=None, problem="lacks the columns seats"),
            policy=ONLY_CHAMPION,
        ),
        "lacks the columns seats",
    ),
    (
        "champion",
        "other rows",
        lambda: Given(champion=replace(CHAMPION, truth=1 - TRUTH), policy=ONLY_CHAMPION),
        "not scored on the same rows",
    ),
    (
        "champion",
        "unknown metric",
        lambda: Given(
            policy=policy(slices=[], champion={"metric": "auc", "direction": "higher", "max_drop": 0})
        ),
        "auc is no metric",
    ),
    (
        "slices",
        "below the minimum",
        lambda: Given(candidate=replace(CANDIDATE, prediction=worse_at_one_origin()), policy=NO_DROP),
        "JFK: 0",
    ),
    (
        "slices",
        "proven worse than the champion",
        lambda: Given(candidate=replace(CANDIDATE, prediction=worse_at_one_origin()), policy=NO_MIN),
        "JFK: worse than the champion",
    ),
    ("slices", "no column", lambda: Given(candidate=replace(CANDIDATE, slices={})), "no slice column"),
    (
        "slices",
        "no value has enough rows",
        lambda: Given(policy=policy(slices=[{**POLICY.slices[0].model_dump(), "min_rows": ROWS}])),
        "lower min_rows",
    ),
    (
        "slices",
        "one class only",
        lambda: Given(candidate=replace(CANDIDATE, slices={"origin": np.where(TRUTH > 0, "EWR", "JFK")})),
        "not defined",
    ),
    (
        "onnx",
        "another answer",
        lambda: measured(onnx={"max_abs_difference": 2e-5, "label_flips": 0, "rows": ROWS}),
        "2e-05",
    ),
    (
        "onnx",
        "label flips",
        lambda: measured(onnx={"max_abs_difference": 1e-6, "label_flips": 1, "rows": ROWS}),
        "1 flips",
    ),
    (
        "onnx",
        "measured on a part",
        lambda: measured(onnx={"max_abs_difference": 1e-7, "label_flips": 0, "rows": 10}),
        "10 of 600",
    ),
    ("onnx", "not measured", lambda: measured(onnx=None), "not measured"),
    (
        "onnx",
        "not exported",
        lambda: Given(candidate=replace(CANDIDATE, schema=SCHEMA.model_copy(update={"onnx": None}))),
        "the policy requires a graph",
    ),
    ("size", "too large", lambda: measured(artifact_bytes=1_000_001), r"1\.00 MB"),
    (
        "latency",
        "slower than the champion",
        lambda: Given(candidate=replace(CANDIDATE, latency=3.1e-5)),
        r"1\.55 times",
    ),
    (
        "latency",
        "slow without a champion",
        lambda: Given(champion=None, candidate=replace(CANDIDATE, latency=0.051)),
        "51",
    ),
    ("latency", "not measured", lambda: Given(candidate=replace(CANDIDATE, latency=None)), "not measured"),
    ("latency", "NaN", lambda: Given(candidate=replace(CANDIDATE, latency=float("nan"))), "not known"),
    (
        "latency",
        "champion not measured",
        lambda: Given(champion=replace(CHAMPION, latency=None)),
        "champion's latency is not known",
    ),
    ("contract", "violations", lambda: measured(contract_violations=["hour 24 in 2 rows"]), "hour 24"),
    (
        "signature",
        "a column was removed",
        lambda: reshaped([c.model_dump() for c in SCHEMA.columns[:2]]),
        "temp",
    ),
    ("signature", "renamed", lambda: column(1, name="hours"), "'hours' is new and required"),
    ("signature", "another type", lambda: column(1, type="string"), "was of type integer and is string"),
    ("signature", "no longer null", lambda: column(2, nullable=False), "no longer can"),
    ("signature", "higher minimum", lambda: column(1, minimum=5), "higher than before"),
    ("signature", "lower maximum", lambda: column(1, maximum=22), "lower than before"),
    ("signature", "refuses", lambda: column(0, unknown_category="refuse"), "refuses values outside"),
    (
        "signature",
        "other classes",
        lambda: Given(candidate=replace(CANDIDATE, schema=SCHEMA.model_copy(update={"classes": ["1", "0"]}))),
        "classes were 0, 1",
    ),
    (
        "code",
        "a pickle that nobody has allowed",
        lambda: Given(
            candidate=replace(CANDIDATE, schema=SCHEMA.model_copy(update={"runs_code": "it is a pickle"}))
        ),
        "it is a pickle; allow_code",
    ),
    (
        "evidence",
        "only what its pipeline reports",
        reported,
        "believe: {what: report",
    ),
    (
        "evidence",
        "a report where only predictions count",
        lambda: replace(reported(), policy=policy(believe=believe("predictions"))),
        "believe: {what: report",
    ),
]


def results(given: Given) -> dict[str, GateResult]:
    report = decide(given.candidate, given.champion, given.policy, given.live_schema)
    return {gate.name: gate for gate in report.gates}


def verdict(given: Given, name: str) -> str:
    return results(given)[name].verdict


def told(given: Given, name: str) -> str:
    return results(given)[name].detail


def judged_champion(**gate: Any) -> Given:
    champion = {"metric": "roc_auc", "direction": "higher", "max_drop": 0.05, "resamples": 200, **gate}
    return Given(policy=policy(champion=champion, slices=[]))

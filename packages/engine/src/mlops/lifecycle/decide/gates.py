"""The gates: one pure function over plain data. Gathering that data is the work of `evidence`.

Each gate answers with results of its own; none of them can pass on what is not known: a metric that is
missing or not a number blocks, with a sentence that says which.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.lifecycle.decide.signature import breaking_changes
from mlops.metrics.intervals import paired_differences
from mlops.metrics.scores import NOTHING, About, Scores
from mlops.spec.evaluation import Evaluation
from mlops.spec.gatepolicy import ChampionGate, Direction, GatePolicy, SliceGate
from mlops.spec.gates import GateReport, GateResult, Interval, Verdict
from mlops.spec.schema import ModelSchema
from mlops.spec.tasks import is_values

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Evidence:
    """What is known of one model on the candidate's test rows."""

    version: int
    schema: ModelSchema
    truth: Array
    """[n], encoded by `mlops.metrics.truth.encode_truth`; the champion's must be the candidate's."""
    prediction: Array | None
    """[n] or [n, classes] from the scoring core; None when the model cannot score these rows."""
    slices: Mapping[str, Array] = field(default_factory=dict)
    """Values of the slice columns as text, [n] each; read of the candidate only."""
    evaluation: Evaluation | None = None
    """The report of its training run; of the candidate, and of a champion whose report is compared."""
    latency: float | None = None
    """Undisturbed seconds to score one row, both models measured in turns."""
    about: About = NOTHING
    """What else is known of these rows: groups, baseline, the use case's own metrics."""
    problem: str = ""
    """Why something above is missing: a sentence."""

    @property
    def believed(self) -> str:
        """What there is in place of a model that was asked: see `Evaluation.believed`."""
        return self.evaluation.believed if self.evaluation else ""

    def scores(self) -> Scores | None:
        """Its predictions on the test rows; None when there are none."""
        if self.prediction is None:
            return None
        return Scores.of(self.schema, self.truth, self.prediction, self.about)


@dataclass(frozen=True)
class Case:
    """What every gate looks at."""

    candidate: Evidence
    champion: Evidence | None
    policy: GatePolicy
    live_schema: ModelSchema | None


def decide(
    candidate: Evidence,
    champion: Evidence | None,
    policy: GatePolicy,
    live_schema: ModelSchema | None,
) -> GateReport:
    """The verdict on `candidate`. Pure: the same evidence gives the same report.

    `champion` is None when nothing is live in the last environment yet, `live_schema` when nothing is live
    anywhere; the gates that compare are then `skipped` and say so, the absolute ones still bind.
    """
    case = Case(candidate, champion, policy, live_schema)
    evaluation = candidate.evaluation
    return GateReport(
        model=candidate.schema.model,
        version=candidate.version,
        champion=champion.version if champion else None,
        rows=len(candidate.truth),
        confidence=evaluation.confidence if evaluation else 0.0,
        metrics=_metrics(candidate, champion),
        gates=[result for gate in GATES.values() for result in gate(case)],
    )


def _metrics(candidate: Evidence, champion: Evidence | None) -> dict[str, Interval]:
    if candidate.evaluation is None:
        return {}
    other: dict[str, float] = {}
    if champion is not None and (scores := champion.scores()) is not None:
        other = scores.values()
    return {
        name: interval.model_copy(update={"champion": _finite(other.get(name))})
        for name, interval in candidate.evaluation.metrics.items()
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


# --- the gates --------------------------------------------------------------------------------------


def _result(name: str, ok: bool, observed: str, limit: str, detail: str = "") -> GateResult:
    verdict: Verdict = "pass" if ok else "blocked"
    return GateResult(name=name, verdict=verdict, observed=observed, limit=limit, detail=detail)


def _skipped(name: str, limit: str, why: str) -> GateResult:
    return GateResult(name=name, verdict="skipped", observed="not judged", limit=limit, detail=why)


def _unknown(name: str, limit: str, why: str) -> GateResult:
    return _result(name, False, "unknown", limit, why)


_NO_REPORT = "the training run has no evaluation report, so there is nothing to judge; train again"
_UNITS = (
    "the limit is in units of the answer: training keeps a graph that differs by at most 0.00001 of the "
    "largest answer, which is what float32 holds; set onnx.max_abs_difference in model.yaml to fit it"
)
_NO_CHAMPION = "nothing is live in the last environment yet, so there is nothing to compare with"


def _bounds(low: float | None, high: float | None) -> str:
    parts = [f"at least {low:g}"] if low is not None else []
    parts += [f"at most {high:g}"] if high is not None else []
    return ", ".join(parts)


def _within(value: float, low: float | None, high: float | None) -> bool:
    return math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high)


def _limits(case: Case) -> list[GateResult]:
    """Each metric of the policy within its absolute limits."""
    results = []
    evaluation = case.candidate.evaluation
    for metric, limits in case.policy.metrics.items():
        name, limit = f"limit {metric}", _bounds(limits.min, limits.max)
        interval = evaluation.metrics.get(metric) if evaluation else None
        if evaluation is None:
            results.append(_unknown(name, limit, _NO_REPORT))
        elif interval is None:
            known = ", ".join(evaluation.metrics)
            why = next((s for s in evaluation.undefined if s.startswith(f"{metric} is ")), "")
            why = why or f"the evaluation has no value for {metric}; it has {known}"
            results.append(_unknown(name, limit, why))
        else:
            observed = f"{interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f})"
            if case.candidate.believed == "report":
                observed = f"{interval.value:.4f}, as its pipeline reports"
            missed = _missed(interval.value, limits.min, limits.max)
            results.append(_result(name, not missed, observed, limit, missed))
    return results


def _missed(value: float, low: float | None, high: float | None) -> str:
    """By how much a value misses its limits; empty when it keeps them."""
    if _within(value, low, high):
        return ""
    if low is not None and value < low:
        return f"{low - value:.2g} too low"
    return f"{value - high:.2g} too high" if high is not None and value > high else "no number"


class _UnfitError(Exception):
    """Why two models cannot be compared: a sentence for the gate's detail."""


def _scores(case: Case, metric: str) -> tuple[Scores, Scores | None]:
    """Both models' predictions, fit to be compared by `metric`; raises `_UnfitError`."""
    one, other = case.candidate, case.champion
    if other is not None and one.schema.task != other.schema.task:
        raise _UnfitError(f"the candidate's task is {one.schema.task}, the champion's {other.schema.task}")
    if other is not None and not np.array_equal(one.truth, other.truth):
        raise _UnfitError("candidate and champion were not scored on the same rows")
    both = []
    for label, evidence in (("candidate", one), ("champion", other)):
        if evidence is None:
            continue
        who = f"the {label} (version {evidence.version})"
        scores = evidence.scores()
        if scores is None:
            why = evidence.problem or "no predictions"
            raise _UnfitError(f"{who} could not score the test rows: {why}")
        if metric not in scores.metrics:
            raise _UnfitError(f"{metric} is no metric of this task; known: {', '.join(scores.metrics)}")
        if not np.isfinite(scores.prediction).all():
            raise _UnfitError(f"{who} predicted values that are not numbers (NaN or infinite)")
        both.append(scores)
    return both[0], both[1] if len(both) > 1 else None


def _gain(differences: Array, direction: Direction) -> Array:
    """Positive means that the candidate is better."""
    return differences if direction == "higher" else -differences


def _champion(case: Case) -> list[GateResult]:
    """Not worse than the champion on the same rows: see `mlops.spec.gatepolicy.ChampionGate`."""
    gate = case.policy.champion
    name = f"champion {gate.metric}"
    if case.candidate.believed == "report":
        return [_reported(case, name)]
    limit = f"not worse by more than {gate.max_drop:g}, with {gate.confidence:.0%} confidence"
    try:
        one, other = _scores(case, gate.metric)
    except _UnfitError as error:
        return [_unknown(name, limit, str(error))]
    if other is None:
        return [_skipped(name, limit, _NO_CHAMPION)]
    return [_not_worse(name, limit, gate, one, other, max_drop=gate.max_drop)]


def _reported(case: Case, name: str) -> GateResult:
    """Two reports, one beside the other: there are no rows that anything could be proven on."""
    gate = case.policy.champion
    limit = f"not worse by more than {gate.max_drop:g} in the pipelines' own reports"
    if case.champion is None:
        return _skipped(name, limit, _NO_CHAMPION)
    figures = []
    for who, one in (("candidate", case.candidate), ("champion", case.champion)):
        interval = one.evaluation.metrics.get(gate.metric) if one.evaluation else None
        if interval is None:
            return _unknown(name, limit, f"the {who} (version {one.version}) reports no {gate.metric}")
        figures.append(interval.value)
    gain = float(_gain(np.array(figures[0] - figures[1]), gate.direction))
    # What the two reports say in decimal is compared, not what their difference is in binary.
    ok = gain >= -gate.max_drop or math.isclose(gain, -gate.max_drop, rel_tol=0, abs_tol=1e-12)
    detail = "two figures, without an interval: nobody knows whether they are of the same rows"
    return _result(name, ok, f"{gain:+.4f}", limit, detail)


def _not_worse(
    name: str, limit: str, gate: ChampionGate, one: Scores, other: Scores, *, max_drop: float
) -> GateResult:
    difference = one.value(gate.metric) - other.value(gate.metric)
    point = float(_gain(np.array(difference), gate.direction))
    draws = paired_differences(gate.metric, one, other, resamples=gate.resamples, seed=gate.seed)
    if not (np.isfinite(draws).all() and math.isfinite(point)):
        return _unknown(name, limit, f"{gate.metric} is not defined on these rows: too few, or of one class")
    low = float(np.quantile(_gain(draws, gate.direction), 1 - gate.confidence))
    observed = f"{point:+.4f}, at least {low:+.4f}"
    of = f"{one.rows} rows" if one.groups is None else f"{one.groups} groups of {one.rows} rows"
    detail = f"paired bootstrap, {gate.resamples} resamples of {of}; + is better"
    if low < -max_drop:
        detail = f"{-low - max_drop:.2g} more than that; {detail}"
    return _result(name, low >= -max_drop, observed, limit, detail)


def _baseline(case: Case) -> list[GateResult]:
    """Not worse than the trivial model that the use case names, on the same rows; nothing where it names
    none."""
    if case.candidate.about.baseline is None:
        return []
    gate = case.policy.champion
    name, limit = f"baseline {gate.metric}", f"not worse, with {gate.confidence:.0%} confidence"
    try:
        one, _ = _scores(replace(case, champion=None), gate.metric)
    except _UnfitError as error:
        return [_unknown(name, limit, str(error))]
    other = one.baseline()
    if other is None or not np.isfinite(other.prediction).all():
        return [_unknown(name, limit, "the baseline has no answer to some of the test rows")]
    return [_not_worse(name, limit, gate, one, other, max_drop=0.0)]


def _slices(case: Case) -> list[GateResult]:
    """No slice below its limit, or proven worse than the champion's."""
    if not case.policy.slices:
        return [_skipped("slices", "none", "the policy names no slices")]
    return [_slice(case, gate) for gate in case.policy.slices]


def _slice(case: Case, gate: SliceGate) -> GateResult:
    name = f"slice {gate.column} {gate.metric}"
    drop = f"not proven worse by more than {gate.max_drop:g}" if gate.max_drop is not None else ""
    limit = ", ".join(part for part in (_bounds(gate.min, gate.max), drop) if part)
    if gate.column not in case.candidate.slices:
        known = ", ".join(case.candidate.slices) or "none"
        return _unknown(name, limit, f"the test rows have no slice column {gate.column!r}; they have {known}")
    try:
        one, other = _scores(case, gate.metric)
    except _UnfitError as error:
        return _unknown(name, limit, str(error))
    column = case.candidate.slices[gate.column]
    values, counts = np.unique(column, return_counts=True)
    judged = values[counts >= gate.min_rows]
    if not len(judged):
        return _unknown(name, limit, f"no value of {gate.column} has {gate.min_rows} rows; lower min_rows")
    problems, worst = [], math.nan
    sign = 1 if gate.direction == "higher" else -1
    for value in judged:
        rows = column == value
        mine = one.subset(rows)
        measured = mine.value(gate.metric)
        if not math.isfinite(measured):
            problems.append(f"{value}: {gate.metric} is not defined on its {mine.rows} rows")
            continue
        worst = measured if math.isnan(worst) else sign * min(sign * worst, sign * measured)
        if not _within(measured, gate.min, gate.max):
            problems.append(f"{value}: {measured:.4f}")
        if gate.max_drop is not None and other is not None:
            best = _best_case(mine, other.subset(rows), gate, len(judged))
            if math.isnan(best):
                problems.append(f"{value}: {gate.metric} is not defined on every resample of its rows")
            elif best < -gate.max_drop:
                problems.append(f"{value}: worse than the champion by at least {-best:.4f}")
    observed = f"worst of {len(judged)}: {worst:.4f}" if math.isfinite(worst) else "unknown"
    small = f"{len(values) - len(judged)} values with fewer than {gate.min_rows} rows not judged"
    if gate.max_drop is not None and case.champion is None:
        small += f"; {_NO_CHAMPION}"
    return _result(name, not problems, observed, limit, "; ".join(problems) or small)


def _best_case(one: Scores, other: Scores, gate: SliceGate, judged: int) -> float:
    """The upper end of the interval of the gain over the champion; NaN when it is not defined.

    A slice whose observed loss is within the limit cannot be proven worse than the limit: the upper end is at
    least as good as what was observed, so that is answered without seconds of resampling.
    """
    difference = np.array(one.value(gate.metric) - other.value(gate.metric))
    observed = float(_gain(difference, gate.direction))
    if gate.max_drop is None or not observed < -gate.max_drop:
        return observed
    draws = paired_differences(gate.metric, one, other, resamples=gate.resamples, seed=gate.seed)
    return float(np.quantile(_gain(draws, gate.direction), 1 - (1 - gate.confidence) / judged))


def _onnx(case: Case) -> list[GateResult]:
    """The exported graph answers what the trained model answers."""
    gate, evaluation = case.policy.onnx, case.candidate.evaluation
    name = "onnx parity"
    limit = f"difference at most {gate.max_abs_difference:g}, at most {gate.max_label_flips} label flips"
    if evaluation is None:
        return [_unknown(name, limit, _NO_REPORT)]
    if case.candidate.schema.onnx is None:
        why = case.candidate.schema.no_graph or "the model has no ONNX graph"
        if gate.required:
            return [_unknown(name, limit, f"{why}; the policy requires a graph (onnx.required)")]
        return [_skipped(name, limit, f"served by the model's own library: {why}")]
    parity = evaluation.onnx
    if parity is None:
        return [_unknown(name, limit, "parity of the ONNX export was not measured")]
    if parity.rows != evaluation.rows:
        why = f"parity was measured on {parity.rows} of {evaluation.rows} test rows"
        return [_unknown(name, limit, why)]
    ok = parity.max_abs_difference <= gate.max_abs_difference and parity.label_flips <= gate.max_label_flips
    observed = f"{parity.max_abs_difference:.2g}, {parity.label_flips} flips in {parity.rows} rows"
    why = "" if ok or not is_values(case.candidate.schema.task) else _UNITS
    return [_result(name, ok, observed, limit, why)]


def _size(case: Case) -> list[GateResult]:
    """The artifact is not larger than the serving instances were sized for."""
    most, evaluation = case.policy.size.max_megabytes, case.candidate.evaluation
    limit = f"at most {most:g} MB"
    if evaluation is None:
        return [_unknown("artifact size", limit, _NO_REPORT)]
    size = evaluation.artifact_bytes / 1e6
    return [_result("artifact size", size <= most, f"{size:.2f} MB", limit)]


def _latency(case: Case) -> list[GateResult]:
    """Single-row latency against the champion, and against an absolute limit if there is one."""
    gate, champion, name = case.policy.latency, case.champion, "latency"
    limit = f"at most {gate.max_ratio:g} times the champion's"
    if gate.max_milliseconds is not None:
        limit += f", at most {gate.max_milliseconds:g} ms"
    seconds = case.candidate.latency
    if seconds is None or not (math.isfinite(seconds) and seconds > 0):
        why = f"the candidate's latency is not known: {case.candidate.problem or 'it was not measured'}"
        return [_unknown(name, limit, why)]
    observed = f"{seconds * 1000:.3f} ms"
    slow = gate.max_milliseconds is not None and seconds * 1000 > gate.max_milliseconds
    if champion is None and gate.max_milliseconds is None:
        return [_skipped(name, limit, _NO_CHAMPION)]
    if champion is None:
        return [_result(name, not slow, observed, limit, _NO_CHAMPION)]
    base = champion.latency
    if base is None or not (math.isfinite(base) and base > 0):
        why = f"the champion's latency is not known: {champion.problem or 'it was not measured'}"
        return [_unknown(name, limit, why)]
    ratio = seconds / base
    observed += f", {ratio:.2f} times {base * 1000:.3f} ms"
    return [
        _result(name, ratio <= gate.max_ratio and not slow, observed, limit, "one row a call, lowest tenth")
    ]


def _contract(case: Case) -> list[GateResult]:
    """The test rows keep the data contract."""
    most, evaluation = case.policy.contract.max_violations, case.candidate.evaluation
    limit = f"at most {most} violations"
    if evaluation is None:
        return [_unknown("data contract", limit, _NO_REPORT)]
    violations = evaluation.contract_violations
    return [
        _result(
            "data contract", len(violations) <= most, f"{len(violations)}", limit, "; ".join(violations[:5])
        )
    ]


def _signature(case: Case) -> list[GateResult]:
    """A request that is valid today stays valid."""
    limit = "requests that are valid for the live model stay valid"
    if case.live_schema is None:
        return [_skipped("signature", limit, "nothing is live yet, so no client can break")]
    broken = breaking_changes(case.live_schema, case.candidate.schema)
    observed = f"{len(broken)} breaking changes"
    if broken and not case.policy.signature.compatible_with_live:
        why = "the policy admits a breaking change: " + "; ".join(broken)
        return [_result("signature", True, observed, "any (compatible_with_live: false)", why)]
    way_out = (
        "; is it meant? `signature: {compatible_with_live: false}` in model.yaml lets this release through"
    )
    return [
        _result("signature", not broken, observed, limit, "; ".join(broken) + (way_out if broken else ""))
    ]


def _code(case: Case) -> list[GateResult]:
    """Loading the model runs nothing that nobody has allowed; no line where it runs nothing at all."""
    schema, allowed = case.candidate.schema, case.policy.allow_code
    name, limit = "code", "no code but the use case's own classes runs when the model is loaded"
    if schema.runs_code:
        if allowed is None:
            why = (
                f"{schema.runs_code}; allow_code: {{reason, approver}} in the gates file would let it through"
            )
            return [_result(name, False, "runs code", limit, why)]
        told = f"{schema.runs_code}; allowed by {allowed.approver}: {allowed.reason}"
        return [_result(name, True, "runs code", "allowed (allow_code)", told)]
    library = schema.library
    if library is not None and library.code is not None:
        told = "it is made of classes of its use case, which travel with it and are in its digest"
        return [_result(name, True, "own classes", limit, told)]
    return []


def _believed(case: Case) -> list[GateResult]:
    """What a pipeline says of its own model counts only where somebody has said so; no line else."""
    what, allowed = case.candidate.believed, case.policy.believe
    if not what:
        return []
    name, limit = "evidence", "the model was asked about rows that it has not seen"
    said = f"only what its own pipeline says ({what})"
    if allowed is None or (what == "report" and allowed.what != "report"):
        why = (
            "give the rows it was tested on (an output `test` with the model's columns), or say in the gates "
            f"file that its word counts (believe: {{what: {what}, reason, approver}})"
        )
        return [_result(name, False, said, limit, why)]
    told = f"counts by {allowed.approver}: {allowed.reason}"
    return [_result(name, True, said, "allowed (believe)", told)]


GATES: Mapping[str, Callable[[Case], list[GateResult]]] = {
    "limits": _limits,
    "champion": _champion,
    "baseline": _baseline,
    "slices": _slices,
    "onnx": _onnx,
    "size": _size,
    "latency": _latency,
    "contract": _contract,
    "signature": _signature,
    "code": _code,
    "evidence": _believed,
}
"""All gates in the order of the report. A test proves for each that it alone can block."""

"""Sweep jobs and nodes: limits, search space, sampling, objective, early termination, trial."""

from __future__ import annotations

from collections.abc import Iterator

from mlops.lint.finding import Finding
from mlops.lint.machine import at_least, between
from mlops.lint.node import At, number_of
from mlops.lint.shape import unknown

_ENDS = ("min_value", "max_value")
_SHAPES: dict[str, tuple[str, ...]] = {
    "choice": ("values",),
    "randint": ("upper",),
    **dict.fromkeys(("uniform", "loguniform"), _ENDS),
    **dict.fromkeys(("quniform", "qloguniform"), (*_ENDS, "q")),
    **dict.fromkeys(("normal", "lognormal"), ("mu", "sigma")),
    **dict.fromkeys(("qnormal", "qlognormal"), ("mu", "sigma", "q")),
}
_BAYESIAN = ("choice", "uniform", "quniform")
_POSITIVE = ("upper", "q", "sigma")
_MOST_TRIALS = 1000


def check_sweep(sweep: At) -> Iterator[Finding]:
    """Problems of a sweep, in a file of its own or as a job of a pipeline."""
    yield from _limits(sweep["limits"])
    sampling = sweep["sampling_algorithm"]
    algorithm = sampling.word or sampling["type"].word
    for _, space in sweep["search_space"].fields():
        yield from check_space(space, algorithm)
    if not sweep["search_space"].names():
        yield sweep["search_space"].says("search-space", "needs at least one hyper-parameter")
    yield from _termination(sweep["early_termination"])
    metric = sweep.at("objective", "primary_metric")
    if metric.text is not None and not metric.text.strip():
        yield metric.says("wrong-value", "names no metric")


def _limits(limits: At) -> Iterator[Finding]:
    total, at_once = limits["max_total_trials"].number, limits["max_concurrent_trials"].number
    yield from between(limits["max_total_trials"], 1, _MOST_TRIALS, "sweep-limits")
    yield from between(limits["max_concurrent_trials"], 1, _MOST_TRIALS, "sweep-limits")
    if total is not None and at_once is not None and at_once > total:
        message = f"is more than max_total_trials ({total:g})"
        yield limits["max_concurrent_trials"].says("sweep-limits", message)
    whole, each = limits["timeout"].number, limits["trial_timeout"].number
    yield from at_least(limits["timeout"], 1, "sweep-limits")
    yield from at_least(limits["trial_timeout"], 1, "sweep-limits")
    if whole is not None and each is not None and each > whole:
        message = f"is longer than the sweep's timeout ({whole:g} s)"
        yield limits["trial_timeout"].says("sweep-limits", message)


def check_space(space: At, algorithm: str) -> Iterator[Finding]:
    """One distribution: its ends, and whether the sampling can draw it."""
    kind = space["type"].word
    if not kind:
        return
    fields = _SHAPES.get(kind)
    if fields is None:
        yield space["type"].says("search-space", unknown(kind, "distribution", _SHAPES))
        return
    if algorithm == "grid" and kind != "choice":
        yield space["type"].says("search-space", f"grid sampling knows only choice; got {kind}")
    if algorithm == "bayesian" and kind not in _BAYESIAN:
        known = ", ".join(_BAYESIAN)
        yield space["type"].says("search-space", f"bayesian sampling knows {known}; got {kind}")
    for field in fields:
        yield from _end(space, kind, field)
    low, high = number_of(space["min_value"].value), number_of(space["max_value"].value)
    if low is not None and high is not None and low >= high:
        message = f"must be less than max_value ({high:g}); got {low:g}"
        yield space["min_value"].says("search-space", message)


def _end(space: At, kind: str, field: str) -> Iterator[Finding]:
    place = space[field]
    if field == "values":
        if field not in space:
            yield space.says("search-space", f"{kind} needs `{field}`")
        elif place.value == []:
            yield place.says("search-space", "must be a list of at least one value")
    elif place.number is not None and field in _POSITIVE and place.number <= 0:
        yield place.says("search-space", f"must be more than 0; got {place.value!r}")


def _termination(policy: At) -> Iterator[Finding]:
    kind = policy["type"].word
    if kind == "bandit":
        factor, amount = policy["slack_factor"].number, policy["slack_amount"].number
        given = [number for number in (factor, amount) if number]
        if len(given) != 1:
            yield policy.says("termination", "bandit needs `slack_factor` or `slack_amount`, one of them")
        for name in ("slack_factor", "slack_amount"):
            number = policy[name].number
            if number is not None and number < 0:
                yield policy[name].says("termination", f"must be more than 0; got {policy[name].value!r}")
    percentage = policy["truncation_percentage"]
    yield from between(percentage, 1, 99, "termination")
    yield from at_least(policy["evaluation_interval"], 1, "termination")
    yield from at_least(policy["delay_evaluation"], 0, "termination")

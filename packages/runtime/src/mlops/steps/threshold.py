"""From which probability on a row is called positive: chosen by a rule that the use case states.

It is chosen on the last fifth of the training rows by a model that has not seen them; the test rows judge it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mlops.errors import InvalidInput

Array = np.ndarray[Any, np.dtype[Any]]
HELD_OUT = 0.2
"""Share of the training rows, the newest."""
_FORM = re.compile(r"(cost|f|rate):(\d+(?:\.\d+)?)")
_KINDS = (
    "`cost:5` (a miss costs as much as 5 false alarms), `f:1` (the F score with this beta), or `rate:0.1` "
    "(a tenth of the rows is called)"
)


@dataclass(frozen=True)
class Rule:
    """What a good threshold is."""

    kind: Literal["cost", "f", "rate"]
    value: float

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Raises `InvalidInput`."""
        match = _FORM.fullmatch(text)
        kind: Any = match[1] if match else ""
        value = float(match[2]) if match else 0.0
        if not kind or value <= 0 or (kind == "rate" and value >= 1):
            raise InvalidInput(f"`decision` of the use case is {text!r}; write {_KINDS}")
        return cls(kind, value)


def choose(rule: Rule, truth: Array, probability: Array, weights: Array | None = None) -> float:
    """The threshold: rows with this probability or more are called. Pure.

    `truth` is 0 or 1; a row counts for its weight. Equal thresholds by the rule: the highest, which calls
    the fewest.
    """
    order = np.argsort(-probability, kind="stable")
    each = np.ones(len(truth)) if weights is None else weights[order]
    ranked, hit = probability[order], truth[order] * each
    # A threshold calls whole groups of equal probabilities.
    ends = np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], True])
    called, hits = np.cumsum(each)[ends], np.cumsum(hit)[ends]
    if rule.kind == "rate":
        return float(ranked[ends[int(np.argmin(np.abs(called / each.sum() - rule.value)))]])
    missed, alarms = hit.sum() - hits, called - hits
    if rule.kind == "cost":
        return float(ranked[ends[int(np.argmin(rule.value * missed + alarms))]])
    beta = rule.value**2
    score = (1 + beta) * hits / ((1 + beta) * hits + beta * missed + alarms)
    return float(ranked[ends[int(np.argmax(score))]])


def decide(
    text: str, fitted: Callable[[Array], Any], inputs: Any, truth: Array, weights: Array | None = None
) -> float:
    """The threshold of a use case whose rule is `text`.

    `fitted(rows)` is a new estimator, fitted on these positions; rows are in the order of time. Raises
    `InvalidInput` for a rule that is none, and where the rows held out, or the others, are of one class.
    """
    rule = Rule.parse(text)
    cut = int(len(truth) * (1 - HELD_OUT))
    for part in (truth[:cut], truth[cut:]):
        if len(np.unique(part)) < 2:
            raise InvalidInput(
                f"`decision` {text!r} needs both classes in the newest {HELD_OUT:.0%} of the training rows "
                "and in the others; train on more rows"
            )
    model = fitted(np.arange(cut))
    probability = np.asarray(model.predict_proba(inputs.iloc[cut:]), dtype=np.float64)[:, 1]
    return choose(rule, truth[cut:], probability, None if weights is None else weights[cut:])

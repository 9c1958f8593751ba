"""Whether a version became better or worse than the one before it, metric by metric; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mlops.board.words import number
from mlops.lifecycle.train.runs import Way, goodness
from mlops.spec.gates import Interval

WAYS = {"higher": "higher is better", "lower": "lower is better", "zero": "nearer to 0 is better"}
UNKNOWN = "which way is better is not known"


@dataclass(frozen=True)
class Change:
    """A value against the champion's on the same rows, as the two numbers say it; a gate weighs chance."""

    word: Literal["better", "worse", "the same", "unknown"]
    by: str = ""
    within: bool = False
    """Whether the champion's value lies inside the interval: chance may be all that there is."""

    @property
    def text(self) -> str:
        if self.word == "unknown":
            return "differs"
        return f"{self.word} by {self.by}" if self.by else self.word


def way_of(way: Way | None) -> str:
    return f"nearer to {number(way)} is better" if isinstance(way, float) else WAYS.get(str(way), UNKNOWN)


def change(metric: Interval | None, way: Way | None) -> Change | None:
    """None where there is nothing to compare with. What four digits do not show is no change."""
    if metric is None or metric.champion is None:
        return None
    within = metric.low <= metric.champion <= metric.high
    apart = abs(metric.value - metric.champion)
    if way is not None:
        apart = abs(goodness(metric.value, way) - goodness(metric.champion, way))
    if round(apart, 4) == 0:
        return Change("the same", within=within)
    if way is None:
        return Change("unknown", within=within)
    ahead = goodness(metric.value, way) > goodness(metric.champion, way)
    return Change("better" if ahead else "worse", number(apart), within)


def worse(metrics: Mapping[str, Interval], ways: Mapping[str, Way | None]) -> list[str]:
    """Names of all metrics that became worse."""
    changes = {name: change(metric, ways.get(name)) for name, metric in metrics.items()}
    return [name for name, one in changes.items() if one is not None and one.word == "worse"]

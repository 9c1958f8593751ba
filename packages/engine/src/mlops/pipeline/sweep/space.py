"""The shapes of a search space as Azure ML defines them, and how a drawn number becomes a value.

Definitions: https://learn.microsoft.com/azure/machine-learning/how-to-tune-hyperparameters. Ends of the
logarithmic shapes are exponents of e, and quantised shapes round to a multiple of `q`, so that their two
ends are drawn half as often: both as there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from statistics import NormalDist
from typing import Any, Protocol

Number = int | float
Literal_ = str | int | float | bool

_EDGE = 1e-9
"""How near to 0 and 1 a probability is drawn: the normal shapes end at 6 standard deviations."""


@dataclass(frozen=True)
class Pick:
    """Draw one of `values`, each as often as the others."""

    values: tuple[Literal_, ...]


@dataclass(frozen=True)
class Draw:
    """Draw a number of [low, high], evenly, or evenly in its logarithm; `whole` numbers only."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


class Shape(Protocol):
    """One line of a search space."""

    @property
    def source(self) -> Pick | Draw:
        """What a sampler draws from."""

    def value(self, drawn: Any) -> Literal_:
        """What the trial is given for what was drawn."""


@dataclass(frozen=True)
class Choice:
    values: list[Any]

    @property
    def source(self) -> Pick:
        return Pick(tuple(self.values))

    def value(self, drawn: Any) -> Literal_:
        return drawn  # type: ignore[no-any-return]


@dataclass(frozen=True)
class RandInt:
    """Whole numbers from 0 to `upper`, without it."""

    upper: int

    @property
    def source(self) -> Draw:
        return Draw(0, self.upper - 1, whole=True)

    def value(self, drawn: Number) -> Literal_:
        return int(drawn)


@dataclass(frozen=True)
class Uniform:
    min_value: float
    max_value: float

    @property
    def source(self) -> Draw:
        return Draw(self.min_value, self.max_value)

    def value(self, drawn: Number) -> Literal_:
        return float(drawn)


@dataclass(frozen=True)
class QUniform(Uniform):
    q: float

    def value(self, drawn: Number) -> Literal_:
        return _quantised(drawn, self.q)


@dataclass(frozen=True)
class LogUniform:
    min_value: float
    max_value: float

    @property
    def source(self) -> Draw:
        return Draw(math.exp(self.min_value), math.exp(self.max_value), log=True)

    def value(self, drawn: Number) -> Literal_:
        return float(drawn)


@dataclass(frozen=True)
class QLogUniform(LogUniform):
    q: float

    def value(self, drawn: Number) -> Literal_:
        return _quantised(drawn, self.q)


@dataclass(frozen=True)
class Normal:
    mu: float
    sigma: float

    @property
    def source(self) -> Draw:
        return Draw(_EDGE, 1 - _EDGE)

    def value(self, drawn: Number) -> Literal_:
        return NormalDist(self.mu, self.sigma).inv_cdf(float(drawn))


@dataclass(frozen=True)
class QNormal(Normal):
    q: float

    def value(self, drawn: Number) -> Literal_:
        return _quantised(NormalDist(self.mu, self.sigma).inv_cdf(float(drawn)), self.q)


@dataclass(frozen=True)
class LogNormal(Normal):
    def value(self, drawn: Number) -> Literal_:
        return math.exp(NormalDist(self.mu, self.sigma).inv_cdf(float(drawn)))


@dataclass(frozen=True)
class QLogNormal(QNormal):
    def value(self, drawn: Number) -> Literal_:
        return _quantised(math.exp(NormalDist(self.mu, self.sigma).inv_cdf(float(drawn))), self.q)


SHAPES: dict[str, type[Any]] = {
    "choice": Choice,
    "randint": RandInt,
    "uniform": Uniform,
    "loguniform": LogUniform,
    "quniform": QUniform,
    "qloguniform": QLogUniform,
    "normal": Normal,
    "lognormal": LogNormal,
    "qnormal": QNormal,
    "qlognormal": QLogNormal,
}
"""By the `type` of a line; a class's fields are those of the YAML."""

BAYESIAN = ("choice", "uniform", "quniform")
"""What Azure ML's Bayesian sampling takes."""
POSITIVE = ("q", "sigma", "upper")
"""Fields that must be more than 0."""


def shape_fields(kind: str) -> tuple[str, ...]:
    """Fields of a shape beside `type`, all required."""
    return tuple(field.name for field in fields(SHAPES[kind]))


def shape_of(raw: Mapping[str, Any]) -> Shape:
    """The shape that a line of a search space (which lint has passed) describes."""
    return SHAPES[raw["type"]](**{k: v for k, v in raw.items() if k != "type"})  # type: ignore[no-any-return]


def _quantised(value: Number, q: float) -> float:
    # Through text: 3 * 0.1 is 0.30000000000000004, and a log that shows it helps nobody.
    return float(f"{round(float(value) / q) * q:.12g}")

"""Thresholds, features and window from `monitor.yml`, Azure ML's own format for a monitor.

Only the fields that `mlops monitor` uses are read here; the whole file is held to Azure ML's rules by
`mlops pipeline lint`. A threshold that would be ignored here is refused instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from mlops.errors import InvalidInput, Problem
from mlops.spec._yaml import Document

Kind = Literal["numerical", "categorical"]
KINDS: tuple[Kind, Kind] = ("numerical", "categorical")
_DRIFT: Mapping[str, tuple[str, ...]] = {
    "numerical": (
        "population_stability_index",
        "jensen_shannon_distance",
        "two_sample_kolmogorov_smirnov_test",
    ),
    "categorical": ("population_stability_index", "jensen_shannon_distance", "pearsons_chi_squared_test"),
}
PREDICTIONS: Mapping[Kind, Mapping[str, float]] = {
    "numerical": {"population_stability_index": 0.2, "two_sample_kolmogorov_smirnov_test": 0.01},
    "categorical": {"population_stability_index": 0.2, "pearsons_chi_squared_test": 0.01},
}
"""Limits of a `prediction_drift` that has none for what the model predicts, numbers or classes: a file that
names the signal wants it judged."""
_RATES = ("null_value_rate", "data_type_error_rate", "out_of_bounds_rate")
_QUALITY: Mapping[str, tuple[str, ...]] = {"numerical": _RATES, "categorical": _RATES}
_SIGNALS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "data_drift": _DRIFT,
    "prediction_drift": _DRIFT,
    "data_quality": _QUALITY,
}
_PERIOD = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?")
_DEFAULT = timedelta(days=1)
_TOP = "top_n_feature_importance"

Limits = Mapping[Kind, Mapping[str, float]]
"""Metric to threshold, for numbers and for categories."""


@dataclass(frozen=True)
class Rules:
    """One signal: what it looks at and when it is broken. `features` None means every input."""

    limits: Limits
    features: tuple[str, ...] | None = None
    top: int | None = None
    """Look at this many columns only, the most important ones: the release that is judged says which."""

    def admits(self, column: str) -> bool:
        return self.features is None or column in self.features


@dataclass(frozen=True)
class Thresholds:
    """All of `monitor.yml` that is judged here; a signal that the file lacks is not judged."""

    lookback: timedelta = _DEFAULT
    quality: Rules | None = None
    drift: Rules | None = None
    prediction: Rules | None = None
    ignored: tuple[str, ...] = field(default=())
    """Signals of other kinds, which only Azure ML evaluates."""

    @property
    def ranked(self) -> bool:
        """Whether a signal looks at the most important columns, so that their order must be known."""
        return any(rules and rules.top for rules in (self.quality, self.drift, self.prediction))

    def among(self, columns: Sequence[str]) -> Thresholds:
        """With the first of `columns`, the most important one first, for each signal that wants those."""

        def named(rules: Rules | None) -> Rules | None:
            if rules is None or rules.top is None:
                return rules
            return replace(rules, features=tuple(columns[: rules.top]), top=None)

        return replace(
            self, quality=named(self.quality), drift=named(self.drift), prediction=named(self.prediction)
        )


def monitor_path(model: str) -> str:
    """Relative to the repository."""
    return f"pipelines/{model}/monitor.yml"


def load_thresholds(root: Path, model: str) -> Thresholds:
    """Read `pipelines/<model>/monitor.yml`; raises `InvalidInput` with file, line and field."""
    name = monitor_path(model)
    document = Document.read(root / name, name)
    value: Any = document.value if isinstance(document.value, dict) else {}
    monitor = value.get("create_monitor")
    signals = monitor.get("monitoring_signals") if isinstance(monitor, dict) else None
    if not isinstance(signals, dict) or not signals:
        raise InvalidInput(document.problem(("create_monitor", "monitoring_signals"), "needs at least one"))
    problems: list[Problem] = []
    by_kind: dict[str, Rules] = {}
    ignored, lookbacks = [], {}
    for label, signal in signals.items():
        loc = ("create_monitor", "monitoring_signals", str(label))
        kind = signal.get("type") if isinstance(signal, dict) else None
        if not isinstance(kind, str) or kind not in _SIGNALS:
            ignored.append(str(label))
        elif kind in by_kind:
            problems.append(document.problem(loc, f"is the second signal of the type {kind}; give one"))
        else:
            reader = _Reader(document, loc, signal)
            by_kind[kind] = reader.rules(_SIGNALS[kind])
            lookbacks.update(reader.lookback())
            problems += reader.problems
    if len(set(lookbacks.values())) > 1:
        place = ("create_monitor", "monitoring_signals")
        problems.append(document.problem(place, "must have one lookback_window_size, not several"))
    if problems:
        raise InvalidInput(problems)
    return Thresholds(
        lookback=next(iter(lookbacks.values()), _DEFAULT),
        quality=by_kind.get("data_quality"),
        drift=by_kind.get("data_drift"),
        prediction=_filled(by_kind.get("prediction_drift")),
        ignored=tuple(ignored),
    )


def _filled(rules: Rules | None) -> Rules | None:
    if rules is None:
        return None
    return replace(rules, limits={kind: rules.limits.get(kind) or PREDICTIONS[kind] for kind in KINDS})


class _Reader:
    """One signal of the file, with every problem found in it."""

    def __init__(self, document: Document, loc: tuple[str, ...], signal: Mapping[str, Any]) -> None:
        self.problems: list[Problem] = []
        self._document, self._loc, self._signal = document, loc, signal

    def rules(self, known: Mapping[str, tuple[str, ...]]) -> Rules:
        limits = {kind: dict(self._limits(kind, known[kind])) for kind in KINDS}
        if not any(limits.values()) and not self.problems:
            self._say(("metric_thresholds",), "needs a threshold for numerical or categorical columns")
        features, top = self._features()
        return Rules(limits, features, top)

    def lookback(self) -> dict[str, timedelta]:
        """At most one entry: how far back production data are looked at."""
        window = (self._signal.get("production_data") or {}).get("data_window") or {}
        text = window.get("lookback_window_size")
        if text is None:
            return {}
        match = _PERIOD.fullmatch(str(text))
        days, hours, minutes = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
        period = timedelta(days=days, hours=hours, minutes=minutes)
        if not period:
            loc = ("production_data", "data_window", "lookback_window_size")
            self._say(loc, f"must be a period such as P7D or PT12H; got {text!r}")
            return {}
        return {self._loc[-1]: period}

    def _limits(self, kind: Kind, known: tuple[str, ...]) -> Iterator[tuple[str, float]]:
        thresholds = self._signal.get("metric_thresholds")
        section = thresholds.get(kind) if isinstance(thresholds, dict) else None
        for metric, limit in (section or {}).items():
            loc = ("metric_thresholds", kind, str(metric))
            if metric not in known:
                self._say(loc, f"is not computed by mlops monitor, which knows {', '.join(known)}")
            elif isinstance(limit, bool) or not isinstance(limit, int | float) or limit < 0:
                self._say(loc, f"must be a number of 0 or more; got {limit!r}")
            else:
                yield str(metric), float(limit)

    def _features(self) -> tuple[tuple[str, ...] | None, int | None]:
        """The columns by name, or how many of the most important ones."""
        given = self._signal.get("features")
        if given is None or given == "all_features":
            return None, None
        if isinstance(given, list) and given and all(isinstance(name, str) for name in given):
            return tuple(given), None
        if isinstance(given, dict) and given.keys() == {_TOP}:
            count = given[_TOP]
            if isinstance(count, int) and not isinstance(count, bool) and count > 0:
                return (), count
            self._say(("features", _TOP), f"must be a whole number of 1 or more; got {count!r}")
            return (), None
        self._say(
            ("features",), f"must be a list of input columns, all_features or {{{_TOP}: N}}; got {given!r}"
        )
        return (), None

    def _say(self, loc: tuple[str, ...], message: str) -> None:
        self.problems.append(self._document.problem((*self._loc, *loc), message))

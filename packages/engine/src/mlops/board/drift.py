"""Stored verdicts of `mlops monitor` as a table over time and, where labels came, as a chart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mlops.board import charts
from mlops.board.changes import way_of
from mlops.board.charts import Point
from mlops.board.facts import EnvironmentFacts, ModelFacts
from mlops.board.words import number
from mlops.lifecycle.watch.monitor import title
from mlops.spec.monitoring import MonitorReport, Signal

SIGNALS = 12
"""Rows of the table: what was ever beyond its limit comes first."""


@dataclass(frozen=True)
class Cell:
    """One signal in one window. `verdict` is empty when the window did not have it."""

    verdict: str
    text: str


@dataclass(frozen=True)
class Line:
    """One signal over all windows, oldest first."""

    name: str
    limit: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Drift:
    """One environment. `left` signals were always within their limit and are not shown."""

    env: str
    reports: Sequence[MonitorReport]
    lines: tuple[Line, ...]
    left: int
    chart: Markup | str
    metric: str

    @property
    def last(self) -> MonitorReport:
        return self.reports[-1]


def drift_of(env: EnvironmentFacts, model: ModelFacts) -> Drift:
    """Pure; `env.verdicts` are oldest first and not empty."""
    reports = list(env.verdicts)
    by_report = [{title(s): s for s in report.signals} for report in reports]
    names = sorted({name for signals in by_report for name in signals}, key=_weight(by_report))
    lines = tuple(_line(name, by_report) for name in names[:SIGNALS])
    return Drift(
        env=env.env,
        reports=reports,
        lines=lines,
        left=len(names) - len(lines),
        chart=_performance(env.env, model, reports),
        metric=model.metric,
    )


def _weight(by_report: Sequence[dict[str, Signal]]) -> Callable[[str], tuple[int, str]]:
    """Most often beyond its limit first, then by name."""

    def weight(name: str) -> tuple[int, str]:
        return -sum(s[name].verdict == "breach" for s in by_report if name in s), name

    return weight


def _line(name: str, by_report: Sequence[dict[str, Signal]]) -> Line:
    history = [signals.get(name) for signals in by_report]
    limit = next((s.limit for s in reversed(history) if s is not None and s.limit), "")
    return Line(name, limit, tuple(_cell(s) for s in history))


def _cell(signal: Signal | None) -> Cell:
    if signal is None:
        return Cell("", "")
    return Cell(signal.verdict, number(signal.observed) if signal.observed is not None else "")


def _performance(env: str, model: ModelFacts, reports: Sequence[MonitorReport]) -> Markup | str:
    points = []
    for report in reports:
        signal = next(
            (
                s
                for s in report.signals
                if s.kind == "performance" and model.metric in (s.metric, s.name) and s.observed is not None
            ),
            None,
        )
        if signal is None or signal.observed is None:
            continue
        points.append(
            Point(
                label=f"{report.window.end:%d %b}",
                value=signal.observed,
                low=signal.values.get("low"),
                high=signal.values.get("high"),
                kind="bad" if signal.verdict == "breach" else "good",
            )
        )
    if len(points) < 2:
        return ""
    said = ", ".join(f"{p.label}: {p.value:.3f}" for p in points)
    return charts.trend(
        points,
        f"{model.metric} of labelled rows in {env} over time: {said}",
        x="end of the window",
        y=f"{model.metric}, {way_of(model.ways.get(model.metric))}",
    )

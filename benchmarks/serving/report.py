"""What a series says: the table, the goals, and the table of docs/serving.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

Figures = dict[str, dict[str, float]]
"""By server: `<rows> x <connections>` with `rate`, `p99 ms`, `cpu us`, `failures`; `memory MB`, `start s`."""

SCENARIOS = [(rows, connections) for rows in (1, 100) for connections in (1, 8, 32)]
TITLES = {
    "ours": "**the endpoint**",
    "ours, library": "the same, answered by the model's own library",
    "ours, traced": "the same, each request with a trace id of its own",
    "no-op app": "no-op ASGI app on our server",
    "no-op scorer": "no-op scorer in the lane (the limit)",
    "azmlinfsrv+onnx": "azmlinfsrv, `score.py` with ONNX",
    "azmlinfsrv+sklearn": "azmlinfsrv, `score.py` with scikit-learn",
    "mlflow": "`mlflow models serve`",
    "mlflow+onnx": "`mlflow models serve`, ONNX flavour (control)",
}


@dataclass(frozen=True)
class Goal:
    """A ratio of one figure between ours and another server; more is better."""

    text: str
    other: str
    wanted: float
    measure: Callable[[dict[str, float], dict[str, float]], float]
    cpu: str = ""
    """The same comparison by CPU time a request."""


def _rates(text: str, other: str, wanted: float, place: str) -> Goal:
    return Goal(text, other, wanted, lambda a, b: a[f"{place} rate"] / b[f"{place} rate"], f"{place} cpu us")


GOALS = [
    _rates("requests/s over mlflow, 1 row, 8 connections", "mlflow", 120, "1 x 8"),
    Goal(
        "p99 of mlflow over ours, 1 row, 8 connections", "mlflow", 100,
        lambda a, b: b["1 x 8 p99 ms"] / a["1 x 8 p99 ms"],
    ),
    _rates("requests/s over azmlinfsrv with the same ONNX, 1 row, 8", "azmlinfsrv+onnx", 8, "1 x 8"),
    _rates("share of a no-op app on the same server, 1 row, 8", "no-op app", 0.7, "1 x 8"),
    _rates("requests/s over mlflow, 100 rows, 8 connections", "mlflow", 15, "100 x 8"),
    Goal("1 s over the time from start to first answer", "ours", 1.0, lambda a, _: 1 / a["start s"]),
    Goal("100 MB over the memory of a worker (PSS)", "ours", 1.0, lambda a, _: 100 / a["memory MB"]),
]  # fmt: skip


OF_KINDS = {"lightgbm": 100, "xgboost": 100, "text": 20, "torch": 20}
"""By kind: how many times mlflow's requests of one row, by the endpoint as by the library alone."""


def goals_of(kind: str | None) -> list[Goal]:
    """Of the example, or of a kind."""
    if kind is None:
        return GOALS
    wanted = OF_KINDS.get(kind, 1)
    return [_rates("requests/s over mlflow, 1 row, 8 connections", "mlflow", wanted, "1 x 8")]


def show(console: Console, figures: Figures) -> None:
    """Every figure of every server."""
    title = "requests/s (ours as a multiple), p99, CPU time of the server a request; rows x connections"
    table = Table(title=title)
    table.add_column("server")
    for rows, connections in SCENARIOS:
        table.add_column(f"{rows} x {connections}", justify="right")
    table.add_column("MB", justify="right")
    table.add_column("start s", justify="right")
    ours = figures.get("ours", {})
    for name, row in figures.items():
        cells = []
        for rows, connections in SCENARIOS:
            place = f"{rows} x {connections}"
            rate = row[f"{place} rate"]
            ratio = f" ({ours[f'{place} rate'] / rate:.2f}x)" if ours and name != "ours" and rate else ""
            failed = f"\n{row[f'{place} failures']:.0f} failed" if row[f"{place} failures"] else ""
            cells.append(
                f"{rate:.0f}{ratio}\n{row[f'{place} p99 ms']:.2f} ms\n{row[f'{place} cpu us']:.0f} us{failed}"
            )
        table.add_row(name, *cells, f"{row['memory MB']:.0f}", f"{row['start s']:.1f}", end_section=True)
    console.print(table)


def judge(console: Console, figures: Figures, goals: Sequence[Goal] = GOALS) -> bool:
    """Print each goal beside what was measured; whether all are reached."""
    table = Table(title="goals")
    for column in ("goal", "wanted", "measured", "in CPU time", ""):
        table.add_column(column, justify="left" if column == "goal" else "right")
    reached = True
    for goal in goals:
        if "ours" not in figures or goal.other not in figures:
            continue
        ours, other = figures["ours"], figures[goal.other]
        measured = goal.measure(ours, other)
        cpu = f"{other[goal.cpu] / ours[goal.cpu]:.2f}" if goal.cpu else ""
        good = measured >= goal.wanted
        reached &= good
        table.add_row(
            goal.text, f"{goal.wanted:g}", f"{measured:.2f}", cpu, "reached" if good else "[red]missed"
        )
    console.print(table)
    return reached


def markdown(figures: Figures) -> str:
    """The table of docs/serving.md."""
    ours = figures["ours"]
    lines = [
        "| requests/s, and ours as a multiple | 1 row, 1 conn. | 1 row, 8 | 1 row, 32 | 100 rows, 8 "
        "| p99 ms, 1 row, 8 | CPU µs, 1 row, 8 | MB | start s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in figures.items():
        cells = [TITLES[name]]
        for place in ("1 x 1", "1 x 8", "1 x 32", "100 x 8"):
            rate = row[f"{place} rate"]
            ratio = ours[f"{place} rate"] / rate
            digits = 0 if ratio >= 20 else 1 if ratio >= 2 else 2
            times = "" if name == "ours" else f" ({ratio:.{digits}f}x)"
            cells.append(f"{rate:,.0f}{times}")
        cells += [f"{row['1 x 8 p99 ms']:.1f}", f"{row['1 x 8 cpu us']:,.0f}"]
        cells += [f"{row['memory MB']:.0f}", f"{row['start s']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)

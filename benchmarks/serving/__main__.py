"""Compare servers with the same model and payload: `python benchmarks/serving`.

Every round measures each server once per scenario, one after the other, so that what else happens on the
machine hits all of them; figures are medians over the rounds. Quote the ratios, not the rates. On a busy
machine the CPU time that a server spends on a request is the steadier figure.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contenders import STARTERS, Contender, start_all
from rich.console import Console
from rich.table import Table

from load import drive, request


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
    Goal("starts a second, ours", "ours", 1.0, lambda a, _: 1 / a["start s"]),
    Goal("workers in 100 MB (PSS), ours", "ours", 1.0, lambda a, _: 100 / a["memory MB"]),
]  # fmt: skip
SCENARIOS = [(rows, connections) for rows in (1, 100) for connections in (1, 8, 32)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/serving", description=__doc__)
    parser.add_argument("--model", type=Path, help="a model artifact; without one the example is trained")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measurement")
    parser.add_argument("--only", nargs="*", choices=list(STARTERS), default=list(STARTERS))
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed")
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args()
    console = Console(width=150)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        model = (options.model or _train(work / "model")).resolve()
        contenders = start_all(model, work / "servers", options.only)
        try:
            figures = _measure(contenders, options.rounds, options.seconds, console)
        finally:
            for contender in contenders:
                contender.stop()
    _print(console, figures)
    reached = _judge(console, figures)
    console.print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", style="dim")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if reached or not options.check else 1


def _measure(
    contenders: list[Contender], rounds: int, seconds: float, console: Console
) -> dict[str, dict[str, float]]:
    samples: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in range(rounds):
        console.print(f"round {number + 1} of {rounds}", style="dim")
        for rows, connections in SCENARIOS:
            for contender in contenders:
                wires = [request(contender.path, b, contender.key) for b in contender.bodies[rows]]
                drive(contender.port, wires, connections, seconds / 10)
                spent = contender.cpu()
                result = drive(contender.port, wires, connections, seconds)
                spent = contender.cpu() - spent
                place = f"{rows} x {connections}"
                samples[contender.name, f"{place} rate"].append(result.rate)
                samples[contender.name, f"{place} cpu us"].append(spent / max(result.answers, 1) * 1e6)
                samples[contender.name, f"{place} p99 ms"].append(result.quantile(0.99) * 1000)
                samples[contender.name, f"{place} failures"].append(result.failures)
    figures: dict[str, dict[str, float]] = {}
    for contender in contenders:
        mine = {key: statistics.median(v) for (name, key), v in samples.items() if name == contender.name}
        figures[contender.name] = {
            **mine, "memory MB": contender.memory(), "start s": contender.start_seconds
        }  # fmt: skip
    return figures


def _print(console: Console, figures: dict[str, dict[str, float]]) -> None:
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


def _judge(console: Console, figures: dict[str, dict[str, float]]) -> bool:
    table = Table(title="goals")
    for column in ("goal", "wanted", "measured", "in CPU time", ""):
        table.add_column(column, justify="left" if column == "goal" else "right")
    reached = True
    for goal in GOALS:
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


def _train(folder: Path) -> Path:
    """The example use case on one month, through the step that every release goes through."""
    from mlops.spec.window import Window
    from mlops.steps.artifact import save
    from mlops.usecase import load_usecase

    usecase = load_usecase("flights")
    with tempfile.TemporaryDirectory() as raw:
        usecase.load(Path(raw))
        frame = usecase.features(Path(raw), Window.parse("2013-01..2013-01"))
    inputs = frame[list(usecase.contract().columns)]
    save(folder, usecase, usecase.build({}).fit(inputs, frame[usecase.target]), inputs)
    return folder


if __name__ == "__main__":
    sys.exit(main())

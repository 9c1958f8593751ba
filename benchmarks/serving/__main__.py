"""Compare servers with the same model and payload: `python benchmarks/serving`.

Every round measures each server once per scenario, one after the other, so that what else happens on the
machine hits all of them; figures are medians over the rounds. Quote the ratios, not the rates.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from contenders import STARTERS, Contender, start_all
from rich.console import Console
from rich.table import Table

from load import drive, request

SCENARIOS = [(rows, connections) for rows in (1, 100) for connections in (1, 8, 32)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/serving", description=__doc__)
    parser.add_argument("--model", type=Path, help="a model artifact; without one the example is trained")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measurement")
    parser.add_argument("--only", nargs="*", choices=list(STARTERS), default=list(STARTERS))
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
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def _measure(
    contenders: list[Contender], rounds: int, seconds: float, console: Console
) -> dict[str, dict[str, float]]:
    samples: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in range(rounds):
        console.print(f"round {number + 1} of {rounds}", style="dim")
        for rows, connections in SCENARIOS:
            for contender in contenders:
                wire = request(contender.path, contender.bodies[rows], contender.key)
                drive(contender.port, wire, connections, seconds / 10)
                result = drive(contender.port, wire, connections, seconds)
                place = f"{rows} x {connections}"
                samples[contender.name, f"{place} rate"].append(result.rate)
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
    ours = figures.get("ours", {})
    table = Table(title="requests/s (ours as a multiple) and p99 in ms; rows x connections")
    table.add_column("server")
    for rows, connections in SCENARIOS:
        table.add_column(f"{rows} x {connections}", justify="right")
    table.add_column("MB", justify="right")
    table.add_column("start s", justify="right")
    for name, row in figures.items():
        cells = []
        for rows, connections in SCENARIOS:
            place = f"{rows} x {connections}"
            rate = row[f"{place} rate"]
            ratio = f" ({ours[f'{place} rate'] / rate:.2f}x)" if ours and name != "ours" and rate else ""
            failed = f" {row[f'{place} failures']:.0f} failed" if row[f"{place} failures"] else ""
            cells.append(f"{rate:.0f}{ratio}\n{row[f'{place} p99 ms']:.2f} ms{failed}")
        table.add_row(name, *cells, f"{row['memory MB']:.0f}", f"{row['start s']:.1f}")
    console.print(table)


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

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
from pathlib import Path
from typing import Any

import report
from contenders import STARTERS, Contender, start_all
from load import drive, request
from rich.console import Console


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/serving", description=__doc__)
    parser.add_argument("--model", type=Path, help="a model artifact; without one the example is trained")
    parser.add_argument("--kind", help="a model of this kind of `mlops new-model`, instead of the example")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measurement")
    parser.add_argument("--only", nargs="*", choices=list(STARTERS), default=list(STARTERS))
    parser.add_argument("--markdown", action="store_true", help="print the table of docs/serving.md too")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed")
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args()
    console = Console(width=150)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        made = _scaffolded(options.kind, work) if options.kind else None
        model = (options.model or made or _train(work / "model")).resolve()
        contenders = start_all(model, work / "servers", options.only)
        try:
            figures = _measure(contenders, options.rounds, options.seconds, console)
        finally:
            for contender in contenders:
                contender.stop()
    report.show(console, figures)
    reached = report.judge(console, figures, report.goals_of(options.kind))
    console.print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", style="dim")
    if options.markdown:
        console.print(report.markdown(figures), soft_wrap=True, markup=False, highlight=False)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if reached or not options.check else 1


def _measure(contenders: list[Contender], rounds: int, seconds: float, console: Console) -> report.Figures:
    samples: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in range(rounds):
        console.print(f"round {number + 1} of {rounds}", style="dim")
        for rows, connections in report.SCENARIOS:
            for contender in contenders:
                wires = [
                    request(contender.path, body, contender.key, traced=contender.traced)
                    for body in contender.bodies[rows]
                ]
                drive(contender.port, wires, connections, seconds / 10)
                spent = contender.cpu()
                result = drive(contender.port, wires, connections, seconds)
                spent = contender.cpu() - spent
                place = f"{rows} x {connections}"
                samples[contender.name, f"{place} rate"].append(result.rate)
                samples[contender.name, f"{place} cpu us"].append(spent / max(result.answers, 1) * 1e6)
                samples[contender.name, f"{place} p99 ms"].append(result.quantile(0.99) * 1000)
                samples[contender.name, f"{place} failures"].append(result.failures)
    figures: report.Figures = {}
    for contender in contenders:
        mine = {key: statistics.median(v) for (name, key), v in samples.items() if name == contender.name}
        figures[contender.name] = {
            **mine, "memory MB": contender.memory(), "start s": contender.start_seconds
        }  # fmt: skip
    return figures


def _scaffolded(name: str, work: Path) -> Path:
    """What `mlops new-model --kind` makes, trained on the data that it comes with."""
    import shutil

    from mlops.scaffold.kinds import kind
    from mlops.scaffold.new_model import new_model
    from mlops.spec.settings import load_settings
    from mlops.steps.artifact import save
    from mlops.usecase import load_usecase

    root = Path(__file__).resolve().parents[2]
    for path in ("mlops.toml", "pyproject.toml", "uv.lock"):
        shutil.copy(root / path, work / path)
    shutil.copytree(root / "pipelines", work / "pipelines")
    new_model(work, load_settings(work), "contender", kind(name).tasks[0], name)
    usecase: Any = load_usecase("contender", work / "src")
    (work / "raw").mkdir()
    usecase.load(work / "raw")
    frame = usecase.features(work / "raw")
    inputs = frame[list(usecase.contract().columns)]
    estimator = usecase.build({}).fit(inputs, frame[usecase.target])
    save(work / "model", usecase, estimator, inputs, package="contender")
    return work / "model"


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

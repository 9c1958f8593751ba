"""What verbs cost as models, releases, versions, columns, rows and files grow: `python benchmarks/growth`.

Prints CPU seconds and peak memory at each size, what is wanted, and the exponent of the growth: 1 is linear.
Ends with 1 when something costs more than is wanted. `--only status check` measures some rows, `--quick` the
smaller sizes. Serving is measured by `python benchmarks/serving`.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import data
import lived
import worlds
from measure import Cost, Row, command, here
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
MLOPS = str(Path(sys.executable).with_name("mlops"))


class Bench:
    """Worlds of any size, each made once."""

    def __init__(self, work: Path, rounds: int, *, quick: bool) -> None:
        self.work, self.rounds, self.quick = work, rounds, quick

    def sizes(self, *sizes: int) -> tuple[int, ...]:
        """Without the largest where that takes minutes."""
        return sizes[:-1] if self.quick and len(sizes) > 1 else sizes

    def repository(self, models: int, releases: int) -> Path:
        root = self.work / f"{models}-{releases}"
        return root if root.exists() else worlds.repository(root, ROOT, models, releases)

    def clone(self) -> Path:
        """This repository, as it is committed."""
        root = self.work / "clone"
        return root if root.exists() else lived.clone(root, ROOT)

    def trained(self) -> Path:
        """The same, in which its model was trained."""
        root = self.work / "trained"
        return root if root.exists() else lived.trained(root, ROOT, MLOPS)

    def verb(self, root: Path, *words: str, codes: Sequence[int] = (0,)) -> tuple[float, float]:
        return command([MLOPS, *words], root, self.rounds, codes)


def helps(bench: Bench) -> Row:
    cost = Cost(1, *bench.verb(bench.repository(1, 1), "--help"))
    return Row("--help", "", [cost], {1: 0.2})


def status(bench: Bench) -> Row:
    sizes = bench.sizes(1, 50, 200)
    costs = [Cost(n, *bench.verb(bench.repository(n, n), "status")) for n in sizes]
    return Row("status", "models", costs, {1: 0.4, 200: 2.0})


def history(bench: Bench) -> Row:
    sizes = bench.sizes(10, 1000)
    costs = [Cost(n, *bench.verb(bench.repository(1, n), "history", "prod")) for n in sizes]
    return Row("history", "releases", costs, {10: 0.4})


def check(bench: Bench) -> Row:
    sizes = bench.sizes(10, 1000, 5000)
    costs = [Cost(n, *bench.verb(bench.repository(1, n), "check")) for n in sizes]
    return Row("check", "releases", costs, {10: 0.4, 1000: 2.0, 5000: 6.0})


def check_base(bench: Bench) -> Row:
    sizes = bench.sizes(10, 1000, 5000)
    costs = [Cost(n, *bench.verb(bench.repository(1, n), "check", "--base", "HEAD~1")) for n in sizes]
    return Row("check --base", "releases", costs, {1000: 2.0, 5000: 6.0})


def diff(bench: Bench) -> Row:
    costs = []
    for models in bench.sizes(1, 50, 200):
        words = ("diff", "staging", "--all")
        costs.append(Cost(models, *bench.verb(bench.repository(models, models), *words, codes=(0, 2))))
    return Row("diff --all", "models", costs, {200: 6.0})


def intervals(bench: Bench) -> Row:
    sizes = bench.sizes(10_000, 100_000, 826_000)
    costs = [Cost(n, here(lambda n=n: data.intervals(n), bench.rounds), 0) for n in sizes]
    return Row("evaluate: intervals", "rows", costs, {826_000: 8.0})


def batch(bench: Bench) -> Row:
    costs = []
    for files in bench.sizes(100, 1000, 10_000):
        words = data.batch(bench.work, files)
        costs.append(Cost(files, *command(words, bench.work, bench.rounds)))
    return Row("batch, files of 100 rows", "files", costs, {10_000: 12.0})


def lint(bench: Bench) -> Row:
    """The second call: the first one asks azure-ai-ml about each file that is new."""
    costs = []
    for models in bench.sizes(1, 50, 200):
        root = bench.repository(models, models)
        bench.verb(root, "pipeline", "lint")
        costs.append(Cost(models, *bench.verb(root, "pipeline", "lint")))
    return Row("pipeline lint", "models", costs, {200: 4.0})


def replay(bench: Bench) -> Row:
    from mlops.lifecycle.train.facts import moves
    from mlops.targets.local.store import LocalStore

    def told(root: Path) -> object:
        return moves("prod", LocalStore(root / ".mlops").entries("prod", "model000"), worlds.START)

    costs = []
    for releases in bench.sizes(100, 1000, 5000):
        root = bench.repository(1, releases)
        costs.append(Cost(releases, here(lambda root=root: told(root), bench.rounds), 0))
    return Row("events replay (fold)", "releases", costs, {1000: 1.0})


def versions(bench: Bench) -> Row:
    costs = []
    for count in bench.sizes(10, 10_000):
        root = bench.repository(1, 1)
        _register(root / ".mlops" / "mlflow.db", count)
        costs.append(Cost(count, *bench.verb(root, "versions", "list")))
    return Row("versions list", "versions", costs, {10: 1.2, 10_000: 1.2})


def _register(path: Path, count: int) -> None:
    from mlops.tracking import _sqlite

    path.unlink(missing_ok=True)
    _sqlite.prepare(path)
    tags = ("mlops.digest", "mlops.commit", "mlops.data.window", "mlops.gate", "mlops.actor")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO registered_models (name, workspace) VALUES ('model000', 'default')")
        connection.executemany(
            "INSERT INTO model_versions (name, version, creation_time, current_stage, source, run_id) "
            "VALUES ('model000', ?, 0, 'None', 's', 'r')",
            [(n,) for n in range(1, count + 1)],
        )
        connection.executemany(
            "INSERT INTO model_version_tags (key, value, name, version) VALUES (?, ?, 'model000', ?)",
            [(key, f"{n}", n) for n in range(1, count + 1) for key in tags],
        )


def records(bench: Bench) -> Row:
    """Microseconds a cell, in place of seconds: ten records a request, keys in another order."""
    costs = [Cost(n, _cell(n, bench.rounds), 0) for n in bench.sizes(20, 500, 2000)]
    return Row("records, shuffled keys (µs a cell)", "columns", costs, {500: 0.1, 2000: 0.1})


def _cell(count: int, rounds: int) -> float:
    from mlops.serving.score.request import RequestParser
    from mlops.spec.schema import Column, ModelSchema

    columns = [Column(name=f"column_{i}", type="number") for i in range(count)]
    parser = RequestParser(ModelSchema(model="model", task="regression", columns=columns))
    keys = [column.name for column in columns]
    random.Random(1).shuffle(keys)  # noqa: S311 (an order, no secret)
    rows = 10
    body = json.dumps({"data": [dict.fromkeys(keys, 1.5) for _ in range(rows)]}).encode()
    times = max(1, 20_000 // count)

    def parse() -> None:
        for _ in range(times):
            parser.parse(body, "score")

    return here(parse, rounds) / times / rows / count * 1e6


def gate(bench: Bench) -> Row:
    """A second call: the first one has to fetch the artifact."""
    root = bench.trained()
    bench.verb(root, "gate")
    cost = Cost(1, *bench.verb(root, "gate"))
    return Row("gate", "", [cost], {1: 1.2}, {1: 120})


def again(bench: Bench) -> Row:
    root = bench.trained()
    bench.verb(root, "train")
    return Row("train, all reused", "", [Cost(1, *bench.verb(root, "train"))], {1: 2.0})


def validate(bench: Bench) -> Row:
    return _step(bench, "validate", {10_000_000: 23.0}, {10_000_000: 1000})


def explain(bench: Bench) -> Row:
    return _step(bench, "explain", {}, {10_000_000: 1000})


def _step(bench: Bench, name: str, seconds: dict[int, float], megabytes: dict[int, float]) -> Row:
    root, costs = bench.trained(), []
    for rows in bench.sizes(100_000, 1_000_000, 10_000_000):
        costs.append(Cost(rows, *command(lived.step(root, rows, name), root, bench.rounds)))
        shutil.rmtree(root / f"rows-{rows}")
    return Row(f"step {name}", "rows", costs, seconds, megabytes)


def infra(bench: Bench) -> Row:
    """The program of this repository; how it grows with models, its tests tell."""
    root, costs = bench.clone(), []
    for stacks in bench.sizes(1, 4):
        chosen = ("--stack", "dev") if stacks == 1 else ()
        costs.append(Cost(stacks, *bench.verb(root, "infra", "plan", *chosen, codes=(0, 3))))
    return Row("infra plan", "stacks", costs, {4: 8.0})


def monitor(bench: Bench) -> Row:
    costs = []
    for files in bench.sizes(100, 1000, 10_000):
        state = bench.work / f"captured-{files}"
        lived.captured(state, files, 100)
        costs.append(Cost(files, here(lambda s=state, n=files: lived.hour(s, n), bench.rounds), 0))
    return Row("monitor: rows of one hour", "files", costs, {10_000: 0.5})


ROWS: dict[str, Callable[[Bench], Row]] = {
    "help": helps,
    "status": status,
    "history": history,
    "check": check,
    "check-base": check_base,
    "diff": diff,
    "lint": lint,
    "replay": replay,
    "versions": versions,
    "records": records,
    "gate": gate,
    "train": again,
    "validate": validate,
    "explain": explain,
    "intervals": intervals,
    "batch": batch,
    "monitor": monitor,
    "infra": infra,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/growth", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), help="measure these")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="leave out the largest size of each")
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.rounds, quick=options.quick)
        rows = [_apart(name, bench) for name in options.only]
    _print(rows)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return 1 if any(row.over for row in rows) else 0


def _apart(name: str, bench: Bench) -> Row:
    """A row, measured in a process of its own.

    A process that is started tells at least the peak memory of whoever started it: what one row has loaded
    must not show in another.
    """
    with get_context("fork").Pool(1) as pool:
        found = pool.apply(_row, (name, bench))
    if isinstance(found, Row):
        return found
    raise SystemExit(found)


def _row(name: str, bench: Bench) -> Row | str:
    try:
        return ROWS[name](bench)
    except SystemExit as error:  # it would end the process that is to answer
        return str(error)


def _print(rows: Sequence[Row]) -> None:
    table = Table(title="CPU seconds (peak MB), smallest of the rounds", title_justify="left")
    for title in ("what", "size", "cost", "wanted", "growth"):
        table.add_column(title)
    for row in rows:
        for cells in _cells(row):
            table.add_row(*cells)
    Console(highlight=False).print(table)


def _cells(row: Row) -> Iterator[tuple[str, ...]]:
    for index, cost in enumerate(row.costs):
        limit, most = row.limits.get(cost.size), row.memory.get(cost.size)
        memory = f" ({cost.megabytes:.0f})" if cost.megabytes else ""
        wanted = "" if limit is None else f"≤ {limit:g}"
        wanted += "" if most is None else f" (≤ {most:g})"
        wanted += " !" if cost in row.over else ""
        last = index == len(row.costs) - 1
        growth = f"size^{row.exponent:.2f}" if last and row.exponent is not None else ""
        size = f"{cost.size:,} {row.unit}".strip() if row.unit else ""
        yield (row.name if index == 0 else "", size, f"{cost.seconds:.2f}{memory}", wanted, growth)


if __name__ == "__main__":
    sys.exit(main())

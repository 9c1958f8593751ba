"""Batch scoring against ONNX Runtime alone, over the same file: `python benchmarks/batch`.

`raw` reads the file, shapes the graph's inputs and runs the graph, and does nothing else: no contract, no
check of the answer, no output. `ours` is what `mlops batch` runs for a file, to the predictions on disk.
Both use one thread and the same number of rows a call. Rounds are interleaved, so that what else happens on
the machine hits both; CPU time is what is compared, as it does not count the waiting for others.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from mlops.serving.batch.batch_file import OUTPUT, BatchJob, score_file
from mlops.serving.score.core import load
from mlops.serving.score.rows import ROWS
from mlops.spec.digest import tree_digest
from mlops.spec.schema import ModelSchema

GOAL = 0.8


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/batch", description=__doc__)
    parser.add_argument("--model", type=Path, help="a model artifact; without one the example is trained")
    parser.add_argument("--rows", type=int, default=500_000, help="rows of the file, at least")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        model, rows = _prepare(work, options.model, options.rows)
        figures = _measure(work, model, rows, options.rounds)
    _print(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if figures["ratio"] >= GOAL else 1


def _prepare(work: Path, model: Path | None, wanted: int) -> tuple[Path, int]:
    """The model, and `work/in/rows.parquet` with the flights of 2013 over and over."""
    import pandas as pd

    from mlops.spec.window import Window
    from mlops.steps.artifact import save
    from mlops.usecase import load_usecase

    usecase = load_usecase("flights")
    raw = work / "raw"
    raw.mkdir()
    usecase.load(raw)
    year = usecase.features(raw, Window.parse("2013-01..2013-12"))
    names = list(usecase.contract().columns)
    if model is None:
        model = work / "model"
        month = usecase.features(raw, Window.parse("2013-01..2013-01"))
        save(model, usecase, usecase.build({}).fit(month[names], month[usecase.target]), month[names])
    (work / "in").mkdir()
    frame = pd.concat([year[names]] * (1 + wanted // len(year)), ignore_index=True).iloc[:wanted]
    frame.to_parquet(work / "in" / "rows.parquet", index=False)
    return model, len(frame)


def _measure(work: Path, model: Path, rows: int, rounds: int) -> dict[str, Any]:
    scorer = load(model)
    source = work / "in" / "rows.parquet"
    job = BatchJob(model, tree_digest(model), work / "in", work / "out")
    raw = _raw(scorer.schema, model, source)

    def ours() -> None:
        result = score_file(scorer, job, Path(source.name))
        if (result.state, result.rows) != ("done", rows):
            raise RuntimeError(f"the file was not scored: {result.reason or result.rows}")

    contenders: dict[str, Callable[[], Any]] = {"raw": raw, "ours": ours}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, run in contenders.items():
            begun = time.process_time()
            run()
            if number:  # the first round warms the file's pages and the allocator
                times[name].append(time.process_time() - begun)
    written = pq.read_table(work / "out" / f"{source.name}{OUTPUT}")["_prediction"].to_numpy()
    difference = float(np.abs(written - raw()).max())
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratios = [r / o for r, o in zip(times["raw"], times["ours"], strict=True)]
    return {
        "rows": rows,
        "cpu_seconds": medians,
        "rows_per_cpu_second": {name: rows / seconds for name, seconds in medians.items()},
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "largest_difference": difference,
    }


def _raw(schema: ModelSchema, model: Path, source: Path) -> Callable[[], Any]:
    graph = schema.onnx
    if graph is None:
        raise RuntimeError("the model has no ONNX export")
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(model / graph.file), options, providers=["CPUExecutionProvider"])
    names = [c.name for c in schema.columns]
    texts = [c.name for c in schema.columns if c.type == "string"]
    numbers = [c.name for c in schema.columns if c.type != "string"]

    def run() -> Any:
        found = []
        with pq.ParquetFile(source) as file:
            for batch in file.iter_batches(ROWS, columns=names):
                feeds: dict[str, Any] = {}
                if graph.strings is not None:
                    columns = [batch[n].to_numpy(zero_copy_only=False) for n in texts]
                    feeds[graph.strings] = np.stack(columns, 1)
                if graph.floats is not None:
                    columns = [batch[n].to_numpy(zero_copy_only=False).astype(np.float32) for n in numbers]
                    feeds[graph.floats] = np.stack(columns, 1)
                found.append(session.run([graph.output], feeds)[0][:, -1])
        return np.concatenate(found)

    return run


def _print(figures: dict[str, Any]) -> None:
    table = Table(title=f"{figures['rows']:,} rows of one file, one thread; medians")
    for title in ("", "CPU seconds", "rows a CPU second"):
        table.add_column(title, justify="right")
    for name, seconds in figures["cpu_seconds"].items():
        table.add_row(name, f"{seconds:.2f}", f"{figures['rows_per_cpu_second'][name]:,.0f}")
    console = Console(width=110)
    console.print(table)
    spread = ", ".join(f"{ratio:.1%}" for ratio in figures["ratios"])
    console.print(f"ours / raw: {figures['ratio']:.1%} (rounds: {spread}); goal {GOAL:.0%}")
    console.print(f"largest difference of a prediction: {figures['largest_difference']:.1e}")


if __name__ == "__main__":
    sys.exit(main())

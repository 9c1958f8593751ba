"""Evidently's verdict on the same files, in its own environment, as one process: prints JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

began = time.perf_counter(), time.process_time()

import pandas as pd  # noqa: E402
from data import NUMBERS, WORDS  # noqa: E402
from evidently import DataDefinition, Dataset, Report  # type: ignore[import-not-found]  # noqa: E402
from evidently.presets import DataDriftPreset  # type: ignore[import-not-found]  # noqa: E402


def main() -> None:
    reference, captured, threshold = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    columns = [*NUMBERS, *WORDS]
    loaded = time.perf_counter(), time.process_time()
    definition = DataDefinition(numerical_columns=NUMBERS, categorical_columns=WORDS)
    old = pd.read_parquet(reference, columns=columns)
    new = pd.concat([pd.read_parquet(p, columns=columns) for p in sorted(captured.glob("*.parquet"))])
    report = Report([DataDriftPreset(method="psi", threshold=threshold)])
    result = report.run(
        Dataset.from_pandas(new, data_definition=definition),
        Dataset.from_pandas(old, data_definition=definition),
    )
    found = {
        m["config"]["column"]: float(m["value"])
        for m in result.dict()["metrics"]
        if m["config"].get("type", "").endswith("ValueDrift")
    }
    ended = time.perf_counter(), time.process_time()
    answer = {
        "rows": len(new),
        "drifted": sorted(name for name, value in found.items() if value >= threshold),
        "psi": found,
        "start": loaded[0] - began[0],
        "seconds": ended[0] - loaded[0],
        "cpu": ended[1] - loaded[1],
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    if len(sys.argv) > 4:
        page = Path(sys.argv[4])
        result.save_html(str(page))
        answer |= {
            "page_seconds": time.perf_counter() - ended[0],
            "page_megabytes": page.stat().st_size / 1e6,
        }
    sys.stdout.write(json.dumps(answer))


main()

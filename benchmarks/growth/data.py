"""What grows with rows and files: intervals of metrics, and batch scoring."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCORE = """\
import shutil, sys
from pathlib import Path
from mlops.serving.batch.job import score_folder
model, source, to = map(Path, sys.argv[1:])
shutil.rmtree(to, ignore_errors=True)
report = score_folder(model, source, to)
assert not report.quarantined and report.rows == 100 * len(report.files), report
"""
"""A run of `mlops batch` without a registry: two workers, predictions and manifest on disk."""

MAKE = """\
import sys
from pathlib import Path
import pyarrow as pa
import pyarrow.parquet as pq
from mlops.serving import testing
model, source, files = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
model.mkdir(exist_ok=True)
testing.write_onnx(model)
source.mkdir()
distance, carrier = [float(i) for i in range(100)], [("AA", "DL")[i % 2] for i in range(100)]
pq.write_table(pa.table({"distance": distance, "carrier": carrier}), source / "0.parquet")
content = (source / "0.parquet").read_bytes()
for number in range(1, files):
    (source / f"{number}.parquet").write_bytes(content)
"""
"""The model and the files of `SCORE`."""


def intervals(rows: int) -> None:
    """Ten metrics of a binary model with their intervals, as the step `evaluate` asks for them."""
    import numpy as np

    from mlops.metrics.intervals import intervals as of
    from mlops.metrics.scores import Scores
    from mlops.steps.evaluate import CONFIDENCE, RESAMPLES, SEED

    generator = np.random.default_rng(0)
    prediction = generator.beta(1, 3, rows)
    truth = (generator.random(rows) < prediction).astype(float)
    found = of(Scores("binary", truth, prediction), confidence=CONFIDENCE, resamples=RESAMPLES, seed=SEED)
    if len(found) != 10:
        raise SystemExit(f"ten metrics have an interval; {len(found)} were found")


def batch(work: Path, files: int) -> list[str]:
    """A command that scores `files` Parquet files of 100 rows."""
    model, source = work / "batch-model", work / f"batch-{files}"
    if not source.exists():
        # Apart, so that this process stays smaller than what it measures.
        subprocess.run([sys.executable, "-c", MAKE, str(model), str(source), str(files)], check=True)
    return [sys.executable, "-c", SCORE, str(model), str(source), str(work / "batch-out")]

"""A graph scores tables without pandas, which takes longer to import than most files to score."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def test_a_graph_scores_a_table_without_pandas(tmp_path: Path) -> None:
    table = pa.table({"distance": [1.0, 2.0], "carrier": ["AA", "DL"]})
    pq.write_table(table, tmp_path / "rows.parquet")
    (tmp_path / "model").mkdir()
    program = f"""
import sys
from pathlib import Path
import pyarrow.parquet as pq
from mlops.serving import testing
from mlops.serving.score.core import load
from mlops.serving.score.table import check_table
folder = Path({str(tmp_path)!r})
testing.write_onnx(folder / "model")
made = set(sys.modules) & {{"pandas"}}
scorer = load(folder / "model")
table = pq.ParquetFile(folder / "rows.parquet").read()
check_table(scorer.schema, table)
assert len(scorer.predict_frame(table)) == len(scorer.predict_frame(table.to_batches()[0])) == 2
assert made or "pandas" not in sys.modules, "pandas was imported"
print("without" if not made else "with")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "without"), done.stderr

"""What needs a model that was trained: the gates, its rows at any size, and what an endpoint has captured."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
STEP = """\
import importlib, sys
sys.path.insert(0, "src")
sys.exit(importlib.import_module(f"mlops.steps.{sys.argv[1]}").main(sys.argv[2:]))
"""
TILE = """\
import sys
import pyarrow.parquet as pq
source, to, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
table = pq.read_table(source)
with pq.ParquetWriter(to, table.schema) as writer:
    while rows:
        writer.write_table(table.slice(0, rows))
        rows -= min(rows, len(table))
"""
"""Apart, so that the process that measures stays smaller than what it measures."""


def clone(root: Path, template: Path) -> Path:
    """A clone of this repository."""
    subprocess.run(["git", "clone", "--quiet", str(template), str(root)], check=True)
    return root


def trained(root: Path, template: Path, mlops: str) -> Path:
    """A clone of this repository in which its model was trained once."""
    subprocess.run([mlops, "train"], cwd=clone(root, template), check=True, capture_output=True)
    return root


def step(root: Path, rows: int, name: str) -> list[str]:
    """A command that runs a step on so many prepared rows, with the test rows of the run beside them."""
    found = next(root.glob(".mlops/cache/*/outputs/train/data.parquet")).parents[1]
    to = root / f"rows-{rows}"
    if not to.exists():
        shutil.copytree(found, to)
        part = "test" if name in ("evaluate", "explain") else "train"
        source, target = found / part / "data.parquet", to / part / "data.parquet"
        subprocess.run([sys.executable, "-c", TILE, str(source), str(target), str(rows)], check=True)
        noted = to / part / "manifest.json"
        noted.write_text(json.dumps({**json.loads(noted.read_text()), "rows": rows}))
    words = [sys.executable, "-c", STEP, name, "--usecase", _usecase(root)]
    if name == "validate":
        return [*words, "--train", f"{to}/train", "--test", f"{to}/test", "--report", f"{to}/report"]
    output = {"explain": "explanation", "evaluate": "report"}[name]
    model = next(path.parent for path in root.glob(".mlops/models/*/serving.json"))
    return [*words, "--model", str(model), "--test", f"{to}/test", f"--{output}", f"{to}/{output}"]


def _usecase(root: Path) -> str:
    (model,) = tomllib.loads((root / "mlops.toml").read_text())["models"].values()
    return str(model["usecase"])


def captured(state: Path, files: int, rows: int) -> None:
    """`files` files of `rows` rows that an endpoint has closed, one a minute."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = state / "endpoints" / "prod" / "model" / "capture"
    folder.mkdir(parents=True)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"distance": [float(i) for i in range(rows)]}), sink)
    content = sink.getvalue().to_pybytes()
    for number in range(files):
        closed = FIRST + timedelta(minutes=number)
        (folder / f"{closed:%Y%m%dT%H%M%S%f}-1-blue.parquet").write_bytes(content)


def hour(state: Path, files: int) -> int:
    """The rows of the last hour's files."""
    import pyarrow.parquet as pq

    from mlops.targets.local.observations import LocalObservations

    until = FIRST + timedelta(minutes=files)
    found = LocalObservations(state).captured("prod", "model", until - timedelta(hours=1), until)
    return sum(pq.read_table(path).num_rows for path in found)

"""The entry script as Azure ML's parallel runner calls it: loaded by path, from the copy of the engine that
the job takes along, with program arguments among the runner's own, and mini-batches of absolute paths.

What runs there cannot be seen from here; if it needed this repository on the path, or lost a file because two
folders hold the same name, a job would fail on a cluster only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.serving import testing
from mlops.serving.score.core import load
from mlops.spec import engine

RUNNER = dedent("""
    import importlib.util, json, os, sys
    entry, work, *batches = json.loads(sys.argv[1])
    sys.argv = ["driver.py", *sys.argv[2:]]
    found = [p for p in sys.path if os.path.isdir(p) and "mlops" in os.listdir(p)]
    assert found == [os.path.dirname(entry)], "the path is not clean"
    os.chdir(work)
    spec = importlib.util.spec_from_file_location("user_entry", entry)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.init()
    results = []
    for batch in batches:
        results.append([str(line) for line in module.run(batch)])
    print(json.dumps(results))
""")


def azure(tmp_path: Path, batches: list[list[Path]], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run mini-batches in a process that knows the job's code folder and the libraries, as on a cluster."""
    code = engine.export(tmp_path) / engine.STEPS
    driver = tmp_path / "driver.py"
    given = json.dumps(
        [str(code / "batch.py"), str(tmp_path), *[[str(p) for p in batch] for batch in batches]]
    )
    # Its packages without the editable install of this repository.
    packages = [str(code), *(p for p in sys.path if p.endswith("site-packages"))]
    program = f"import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p] + {packages!r}\n"
    driver.write_text(program + RUNNER)
    return subprocess.run(
        [sys.executable, "-S", str(driver), given, "--amlbi_mini_batch_size", "2", *arguments],
        capture_output=True, text=True, check=False,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    )  # fmt: skip


def table(rows: int, start: int = 0) -> pa.Table:
    ids = range(start, start + rows)
    return pa.table({"id": list(ids), "distance": [float(i) for i in ids], "carrier": ["AA"] * rows})


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    """A model mounted two levels deep, and an input with equal names in two folders."""
    digest = testing.write_onnx(tmp_path / "mounted" / "freight" / "model")
    source = tmp_path / "in"
    for month, start in (("01", 0), ("02", 500)):
        (source / month).mkdir(parents=True)
        pq.write_table(table(500, start), source / month / "data.parquet")
    (source / "bad.parquet").write_bytes(b"nonsense")
    return {"digest": digest, "source": source, "model": tmp_path / "mounted", "out": tmp_path / "out"}


def options(job: dict[str, Any], *more: str) -> list[str]:
    return ["--model", str(job["model"]), "--output", str(job["out"]), "--digest", job["digest"], *more]


def test_mini_batches_are_scored_once_over_retries(job: dict[str, Any], tmp_path: Path) -> None:
    files = [job["source"] / "01" / "data.parquet", job["source"] / "bad.parquet"]
    last = [job["source"] / "02" / "data.parquet"]
    arguments = options(job, "--input", str(job["source"]), "--keep", "id")
    done = azure(tmp_path, [files, last, last], *arguments)
    assert done.returncode == 0, done.stderr
    *log, lines = done.stdout.splitlines()
    assert json.loads(lines) == [["01/data.parquet 500"], ["02/data.parquet 500"], ["02/data.parquet 500"]]
    assert any(line.startswith("quarantined bad.parquet: cannot be read") for line in log)
    found = pq.read_table(job["out"] / "02" / "data.parquet.predictions.parquet")
    assert found["id"].to_pylist() == list(range(500, 1000))
    wanted = load(job["model"] / "freight" / "model").predict_frame(table(500, 500))
    np.testing.assert_array_equal(found["_prediction"].to_numpy(), wanted)


def test_without_the_inputs_folder_equal_names_do_not_meet(job: dict[str, Any], tmp_path: Path) -> None:
    files = [job["source"] / month / "data.parquet" for month in ("01", "02")]
    done = azure(tmp_path, [files], *options(job))
    assert done.returncode == 0, done.stderr
    assert len(list(job["out"].rglob("data.parquet.predictions.parquet"))) == 2


def test_a_changed_model_is_not_loaded(job: dict[str, Any], tmp_path: Path) -> None:
    (job["model"] / "freight" / "model" / "note.txt").write_text("added")
    done = azure(tmp_path, [], *options(job))
    assert done.returncode != 0
    assert "IntegrityError" in done.stderr

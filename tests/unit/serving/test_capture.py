"""Capture tells the truth about what was asked and answered, and no request ever pays for it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mlops.serving import testing
from mlops.serving.capture import Capture, CaptureSettings, Origin
from mlops.spec.schema import ModelSchema

SCHEMA = ModelSchema(model="flights", task="binary", columns=testing.columns(), classes=["0", "1"])
ROWS = [("AA", 1.0), ("DL", None)]


def record(capture: Capture, times: int = 1, version: int = 1) -> None:
    origin = Origin(SCHEMA, "blue", version)
    for n in range(times):
        capture.record(origin, b"id-%d" % n, ROWS, np.array([0.25, 0.75], dtype=np.float32))


def test_rows_come_back_with_prediction_request_version_and_time(tmp_path: Path) -> None:
    before = time.time()
    capture = Capture(tmp_path, CaptureSettings())
    record(capture, 2)
    record(capture, 1, version=2)
    capture.close()
    assert (capture.written, capture.dropped) == (6, 0)
    files = sorted(tmp_path.iterdir())
    assert [f.name.split("-")[-1] for f in files] == ["v1.parquet", "v2.parquet"]
    rows = pq.read_table(files[0]).to_pylist()
    assert len(rows) == 4
    assert {k: v for k, v in rows[1].items() if k != "_time"} == {
        "_request_id": "id-0", "_deployment": "blue", "_version": 1, "_row": 1, "_prediction": 0.75,
        "carrier": "DL", "distance": None,
    }  # fmt: skip
    assert before - 1 <= rows[1]["_time"].timestamp() <= time.time() + 1


def test_excluded_columns_never_reach_the_disk(tmp_path: Path) -> None:
    capture = Capture(tmp_path, CaptureSettings(exclude=["carrier"]))
    record(capture)
    capture.close()
    (file,) = tmp_path.iterdir()
    assert "carrier" not in pq.read_table(file).column_names
    assert b"DL" not in file.read_bytes()


def test_a_fraction_is_sampled_by_request(tmp_path: Path) -> None:
    capture = Capture(tmp_path, CaptureSettings(fraction=0.25))
    record(capture, 2000)
    capture.close()
    assert 400 * 2 < capture.written < 600 * 2  # six standard deviations around 500 requests
    assert capture.written % 2 == 0, "a request is captured as a whole"


def test_a_full_queue_drops_rows_and_does_not_block(tmp_path: Path) -> None:
    capture = Capture(tmp_path, CaptureSettings(queue=10))
    start = time.perf_counter()
    record(capture, 5_000)
    assert time.perf_counter() - start < 1
    capture.close()
    assert capture.dropped > 0
    assert capture.written + capture.dropped == 10_000


def test_the_oldest_files_go_when_the_disk_bound_is_reached(tmp_path: Path) -> None:
    bound = 20_000
    capture = Capture(tmp_path, CaptureSettings(disk=bound, seconds=0.01))
    for _ in range(12):
        record(capture, 20)
        time.sleep(0.25)
    capture.close()
    files = sorted(tmp_path.iterdir())
    assert 0 < len(files) < 12
    assert sum(f.stat().st_size for f in files) <= bound
    assert capture.written == 12 * 40


def test_an_unwritable_disk_is_counted_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    capture = Capture(blocked / "capture", CaptureSettings(seconds=0.01))
    for _ in range(3):
        record(capture)
        time.sleep(0.3)
    capture.close()
    assert (capture.written, capture.dropped) == (0, 6)
    assert caplog.text.count("captured rows are lost") == 1

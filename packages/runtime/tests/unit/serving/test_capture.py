"""Capture tells the truth about what was asked and answered, and no request ever pays for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mlops.errors import InvalidInput
from mlops.serving import testing
from mlops.serving.capture.capture_files import FileSink
from mlops.serving.capture.recorder import Capture, Origin, Record, Sink, open_capture, settings_from
from mlops.spec.capture import CaptureSettings, check_capture, synthetic_id
from mlops.spec.schema import ModelSchema

SCHEMA = ModelSchema(model="freight", task="binary", columns=testing.columns(), classes=["0", "1"])
ROWS = [("AA", 1.0), ("DL", None)]
ORIGINS = {version: Origin(SCHEMA, "blue", version) for version in (1, 2)}
ANSWER = np.array([0.25, 0.75], dtype=np.float32)
MEGABYTE = 1 << 20


def started(folder: Path, **settings: Any) -> Capture:
    capture = open_capture(folder, CaptureSettings(enabled=True, **settings), {})
    assert capture is not None
    return capture


def record(capture: Capture, times: int = 1, version: int = 1, size: int = 100) -> None:
    for n in range(times):
        capture.record(ORIGINS[version], b"id-%d" % n, ROWS, ANSWER, size)


def settle(capture: Capture, rows: int) -> None:
    """Until the writer has dealt with `rows`."""
    deadline = time.monotonic() + 10
    while capture.written + capture.dropped < rows:
        assert time.monotonic() < deadline, (capture.written, capture.dropped)
        time.sleep(0.01)


def test_rows_come_back_with_prediction_request_version_and_time(tmp_path: Path) -> None:
    before = time.time()
    capture = started(tmp_path)
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


def test_nothing_is_captured_unless_asked_for(tmp_path: Path) -> None:
    assert open_capture(tmp_path, None) is None
    assert open_capture(tmp_path, CaptureSettings()) is None


def test_excluded_columns_never_reach_the_disk(tmp_path: Path) -> None:
    capture = started(tmp_path, exclude=["carrier"])
    record(capture)
    capture.close()
    (file,) = tmp_path.iterdir()
    assert "carrier" not in pq.read_table(file).column_names
    assert b"DL" not in file.read_bytes()


def test_a_column_to_leave_out_must_exist() -> None:
    check_capture(CaptureSettings(exclude=["carrier"]), ["carrier", "distance"])
    with pytest.raises(InvalidInput, match=r"'Carrier' is no input of the model.*carrier, distance"):
        check_capture(CaptureSettings(exclude=["Carrier"]), ["carrier", "distance"])


def test_a_share_is_sampled_by_request(tmp_path: Path) -> None:
    capture = started(tmp_path, sample_rate=0.25)
    record(capture, 2000)
    capture.close()
    assert 400 * 2 < capture.written < 600 * 2  # more than five standard deviations around 500 requests
    assert capture.written % 2 == 0, "a request is captured as a whole"


class Slow(Sink):
    """A sink that never has time."""

    def __init__(self) -> None:
        self.most = 0

    def add(self, group: Sequence[Record]) -> None:
        time.sleep(0.05)
        self.written += sum(len(r.rows) for r in group)

    def flush(self, *, end: bool) -> None:
        pass


def test_what_no_client_has_asked_is_not_captured(tmp_path: Path) -> None:
    capture = started(tmp_path)
    capture.record(ORIGINS[1], synthetic_id().encode(), ROWS, ANSWER, 100)
    record(capture, 1)
    capture.close()
    assert (capture.written, capture.dropped) == (2, 0)
    (file,) = tmp_path.iterdir()
    assert {row["_request_id"] for row in pq.read_table(file).to_pylist()} == {"id-0"}


def test_a_sink_that_is_behind_costs_rows_and_neither_time_nor_memory() -> None:
    capture = Capture(Slow(), CaptureSettings(enabled=True, queue_megabytes=1))
    # 400 MB of bodies are offered; one may wait.
    start = time.perf_counter()
    record(capture, 400, size=MEGABYTE)
    assert time.perf_counter() - start < 1
    assert len(capture._queue) <= 1
    capture.close()
    assert capture.dropped > 0
    assert capture.written + capture.dropped == 800


def test_the_size_of_bodies_bounds_the_queue_also_for_single_rows(tmp_path: Path) -> None:
    capture = started(tmp_path, queue_megabytes=1)
    record(capture, 1, size=2 * MEGABYTE)
    capture.close()
    assert (capture.written, capture.dropped) == (0, 2)


class Broken(Sink):
    def add(self, group: Sequence[Record]) -> None:
        raise RuntimeError("the foreign client is unwell")

    def flush(self, *, end: bool) -> None:
        raise ValueError("again")


def test_whatever_a_sink_raises_the_thread_goes_on_and_says_it_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    capture = Capture(Broken(), CaptureSettings(enabled=True))
    record(capture, 3)
    settle(capture, 6)
    record(capture, 3)
    settle(capture, 12)
    assert capture._writer.is_alive()
    capture.close()
    assert capture.dropped == 12
    assert caplog.text.count("captured rows are lost") == 1


def test_rows_that_arrow_refuses_cost_only_themselves(tmp_path: Path) -> None:
    capture = started(tmp_path)
    capture.record(ORIGINS[1], b"bad", [("\ud800", 1.0)], ANSWER[:1], 10)
    settle(capture, 1)
    record(capture)
    capture.close()
    assert (capture.written, capture.dropped) == (2, 1)


def test_a_file_is_closed_by_size(tmp_path: Path) -> None:
    capture = started(tmp_path, file_megabytes=0.01, file_seconds=3600)
    for _ in range(20):
        record(capture, 100)
        settle_queue(capture)
    assert len(list(tmp_path.glob("*.parquet"))) >= 3
    capture.close()
    assert capture.written == 20 * 200


def settle_queue(capture: Capture) -> None:
    while capture._queue:
        time.sleep(0.01)


def test_the_oldest_files_go_when_the_disk_bound_is_reached_also_those_of_earlier_servers(
    tmp_path: Path,
) -> None:
    bound = 20_000
    (tmp_path / "20000101T000000000000-000001-blue-v1.parquet").write_bytes(b"x" * 5000)
    (tmp_path / "half.tmp").write_bytes(b"killed")
    # Closed and opened again: a server that was restarted must know what is there.
    for _ in range(12):
        capture = started(tmp_path, disk_megabytes=bound / MEGABYTE)
        record(capture, 20)
        capture.close()
        assert capture.written == 40
    files = sorted(tmp_path.iterdir())
    assert 0 < len(files) < 12
    assert sum(f.stat().st_size for f in files) <= bound
    assert all(f.name.startswith("20") and f.suffix == ".parquet" for f in files)
    assert "20000101" not in files[0].name


def test_an_unwritable_disk_is_counted_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    settings = CaptureSettings(enabled=True, file_seconds=0.01)
    capture = Capture(FileSink(blocked / "capture", settings), settings)
    for n in range(1, 4):
        record(capture)
        settle(capture, 2 * n)
    capture.close()
    assert (capture.written, capture.dropped) == (0, 6)
    assert caplog.text.count("captured rows are lost") == 1


def test_settings_of_a_deployment_come_from_its_environment() -> None:
    assert settings_from({}) is None
    found = settings_from({"MLOPS_CAPTURE": '{"enabled": true, "sample_rate": 0.05, "exclude": ["carrier"]}'})
    assert found == CaptureSettings(enabled=True, sample_rate=0.05, exclude=["carrier"])
    assert settings_from({"AZUREML_MDC_ENABLED": "True"}) == CaptureSettings(enabled=True)
    with pytest.raises(InvalidInput, match=r"MLOPS_CAPTURE: sample_rate: .*less than or equal to 1"):
        settings_from({"MLOPS_CAPTURE": '{"sample_rate": 5}'})

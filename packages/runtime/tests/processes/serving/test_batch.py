"""Batch scoring counts every row once, whatever was killed or broken on the way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.errors import IntegrityError, InvalidInput, Locked
from mlops.serving import testing
from mlops.serving.batch import job as batch
from mlops.serving.score.table import check_table
from mlops.spec.schema import Column, ModelSchema


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    testing.write_onnx(folder)
    return folder


def table(rows: int, start: int = 0) -> pa.Table:
    ids = range(start, start + rows)
    return pa.table(
        {
            "id": list(ids),
            "distance": [float(i % 5000) if i % 7 else None for i in ids],
            "carrier": [("AA", "DL", "UA", "??")[i % 4] for i in ids],
        }
    )


def folder_of(root: Path, files: int, rows: int = 500) -> Path:
    root.mkdir()
    for i in range(files):
        pq.write_table(table(rows, i * rows), root / f"{i:03d}.parquet")
    return root


def score(*paths: Path, **options: Any) -> batch.BatchReport:
    """In this process unless a test asks for workers: starting them takes most of a second."""
    return batch.score_folder(*paths, **{"workers": 1, **options})


def predictions(folder: Path) -> dict[int, float]:
    found: dict[int, float] = {}
    for path in folder.rglob("*.predictions.parquet"):
        for row in pq.read_table(path).to_pylist():
            assert row["id"] not in found, "a row came twice"
            found[row["id"]] = row["_prediction"]
    return found


def wanted(rows: int) -> dict[int, float]:
    return {row["id"]: testing.expected(row["carrier"], row["distance"]) for row in table(rows).to_pylist()}


@pytest.mark.parametrize("workers", [1, 2])
def test_every_row_is_predicted_once_as_the_core_predicts_it(
    model: Path, tmp_path: Path, workers: int
) -> None:
    source, seen = folder_of(tmp_path / "in", 4), []
    report = score(
        model, source, tmp_path / "out", keep=["id"], workers=workers,
        progress=lambda result, done, total: seen.append((done, total)),
    )  # fmt: skip
    assert (report.rows, report.skipped, report.quarantined) == (2000, 0, ())
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    found, expected = predictions(tmp_path / "out"), wanted(2000)
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[k] for k in expected], list(expected.values()), atol=1e-6)


def test_csv_gives_what_parquet_gives(model: Path, tmp_path: Path) -> None:
    from pyarrow import csv

    (tmp_path / "in").mkdir()
    csv.write_csv(table(500), tmp_path / "in" / "a.csv")
    score(model, tmp_path / "in", tmp_path / "out", keep=["id"])
    found, expected = predictions(tmp_path / "out"), wanted(500)
    np.testing.assert_allclose([found[k] for k in expected], list(expected.values()), atol=1e-6)


def test_a_second_run_scores_only_what_is_new_or_changed(model: Path, tmp_path: Path) -> None:
    source, out = folder_of(tmp_path / "in", 2), tmp_path / "out"
    score(model, source, out, keep=["id"])
    assert score(model, source, out, keep=["id"]).skipped == 2
    pq.write_table(table(100, 5000), source / "new.parquet")
    pq.write_table(table(600), source / "000.parquet")
    (out / "001.parquet.predictions.parquet").unlink()
    assert score(model, source, out, keep=["id"]).skipped == 0
    assert score(model, source, out, keep=["id"]).skipped == 3


def test_another_model_scores_everything_anew(model: Path, tmp_path: Path) -> None:
    source, out = folder_of(tmp_path / "in", 1), tmp_path / "out"
    score(model, source, out, keep=["id"])
    before = predictions(out)
    testing.write_onnx(tmp_path / "other", bias=1.0)
    assert score(tmp_path / "other", source, out, keep=["id"]).skipped == 0
    assert predictions(out) != before


BAD: list[tuple[str, Any, str]] = [
    ("no column", {"carrier": ["AA"]}, "lacks the columns distance"),
    ("a text for a number", {"carrier": ["AA"], "distance": ["3"]}, "has the type string"),
    ("a number for a text", {"carrier": [1], "distance": [3.0]}, "has the type int64"),
    ("a null", {"carrier": ["AA", None], "distance": [3.0, 3.0]}, "'carrier', row 1: must be text; got None"),
    ("out of range", {"carrier": ["AA", "AA"], "distance": [3.0, -1.0]}, "row 1: must be a finite number"),
    ("infinity", {"carrier": ["AA"], "distance": [float("inf")]}, "got inf"),
    ("no rows", {"carrier": pa.array([], pa.string()), "distance": pa.array([], pa.float64())}, "no rows"),
]


@pytest.mark.parametrize(("values", "reason"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_a_bad_file_is_quarantined_with_its_reason_and_the_others_go_on(
    model: Path, tmp_path: Path, values: Any, reason: str
) -> None:
    source, out = folder_of(tmp_path / "in", 2), tmp_path / "out"
    pq.write_table(pa.table(values), source / "001.parquet")
    report = score(model, source, out)
    assert [f.state for f in report.files] == ["done", "quarantined"]
    assert reason in report.quarantined[0].reason
    assert sorted(p.name for p in out.glob("*")) == ["000.parquet.predictions.parquet", "_manifest"]
    assert score(model, source, out).quarantined == report.quarantined


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.parquet", b"nonsense"),
        ("x.parquet", b""),
        ("x.csv", b""),
        ("x.csv", b"carrier,distance\nAA,far"),
        ("x.csv", b"carrier,distance\nAA,1,2"),
        ("x.csv", b"carrier\nAA"),
        ("x.csv", b"carrier,distance\n\xff\xfe,1"),
    ],
)
def test_a_broken_file_is_quarantined(model: Path, tmp_path: Path, name: str, content: bytes) -> None:
    source = folder_of(tmp_path / "in", 1)
    (source / name).write_bytes(content)
    report = score(model, source, tmp_path / "out")
    assert [f.source for f in report.quarantined] == [name]
    assert report.quarantined[0].reason
    assert report.rows == 500


def test_na_is_a_text_and_not_a_null(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("carrier,distance\nNA,\nnull,5\n")
    report = score(model, tmp_path / "in", tmp_path / "out")
    assert report.rows == 2


def test_the_contract_of_categories_and_whole_numbers_holds_for_tables() -> None:
    schema = ModelSchema(
        model="freight",
        task="regression",
        columns=[
            Column(name="a", type="string", categories=["x"], unknown_category="refuse", nullable=True),
            Column(name="b", type="integer", nullable=True),
            Column(name="c", type="boolean"),
        ],
    )
    good = {"a": ["x", None], "b": [1.0, None], "c": [True, False]}
    check_table(schema, pa.table(good))
    check_table(schema, pa.table(good | {"a": pa.array(["x", None]).dictionary_encode()}))
    for change, words in (
        ({"a": ["x", "y"]}, "one of 'x'"),
        ({"b": [1.0, 1.5]}, "row 8.*whole"),
        ({"c": [1, 0]}, "type int64"),
    ):
        with pytest.raises(InvalidInput, match=words):
            check_table(schema, pa.table(good | change), first_row=7)


def test_a_wrong_digest_and_an_empty_folder_are_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="holds no file"):
        score(model, tmp_path / "empty", tmp_path / "out")
    with pytest.raises(IntegrityError):
        score(model, folder_of(tmp_path / "in", 1), tmp_path / "out", digest="sha256:" + "0" * 64)


def test_files_that_windows_named_are_scored_too(model: Path, tmp_path: Path) -> None:
    from pyarrow import csv

    source = tmp_path / "in"
    source.mkdir()
    pq.write_table(table(3), source / "A.PARQUET")
    csv.write_csv(table(4), source / "B.Csv")
    score(model, source, tmp_path / "out")
    rows = {p.name: pq.read_table(p).num_rows for p in (tmp_path / "out").glob("*.parquet")}
    assert rows == {"A.PARQUET.predictions.parquet": 3, "B.Csv.predictions.parquet": 4}


def test_a_file_is_shared_by_threads_in_order(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    pq.write_table(table(35_000), source / "one.parquet")
    score(model, source, tmp_path / "threads", keep=["id"], workers=3)
    score(model, source, tmp_path / "alone", keep=["id"])
    left, right = (
        pq.read_table(tmp_path / n / "one.parquet.predictions.parquet") for n in ("threads", "alone")
    )
    assert left.equals(right)
    assert left["_row"].to_pylist() == left["id"].to_pylist() == list(range(35_000))
    assert left.schema.metadata[b"mlops.digest"].startswith(b"sha256:")


def test_a_broken_row_is_named_by_its_place_in_the_file_with_threads_too(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    values = table(35_000).to_pydict()
    values["distance"][31_234] = -1.0
    pq.write_table(pa.table(values), source / "one.parquet")
    report = score(model, source, tmp_path / "out", workers=3)
    assert "'distance', row 31234" in report.quarantined[0].reason


def test_a_page_that_does_not_decompress_is_the_files_fault(model: Path, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", 2, rows=20_000)
    broken = source / "000.parquet"
    content = bytearray(broken.read_bytes())
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    content[4:footer] = b"\xaa" * (footer - 4)
    broken.write_bytes(content)
    report = score(model, source, tmp_path / "out")
    assert [f.state for f in report.files] == ["quarantined", "done"]
    assert report.quarantined[0].reason.startswith("cannot be read: ")


def test_other_columns_to_keep_score_anew(model: Path, tmp_path: Path) -> None:
    source, out = folder_of(tmp_path / "in", 1), tmp_path / "out"
    score(model, source, out)
    assert score(model, source, out, keep=["id"]).skipped == 0
    assert "id" in pq.read_schema(out / "000.parquet.predictions.parquet").names
    with pytest.raises(InvalidInput, match="'_row' cannot be kept"):
        score(model, source, out, keep=["_row"])


def test_folders_that_overlap_or_are_none_are_refused(model: Path, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", 1)
    with pytest.raises(InvalidInput, match="the next run would score predictions"):
        score(model, source, source / "out")
    with pytest.raises(InvalidInput, match="is no folder"):
        score(model, tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="predictions go to a folder"):
        score(model, source, tmp_path / "file")


def test_two_runs_never_write_to_one_output(model: Path, tmp_path: Path) -> None:
    import fcntl

    source, out = folder_of(tmp_path / "in", 1), tmp_path / "out"
    (out / "_manifest").mkdir(parents=True)
    with (out / "_manifest" / ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(Locked, match="another run writes to"):
            score(model, source, out)
    assert score(model, source, out).rows == 500


def test_small_files_are_forced_to_the_disk_together(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two forces a file took longer than its rows. What is noted was forced before."""
    source, out = folder_of(tmp_path / "in", 40, 10), tmp_path / "out"
    forced: list[str] = []
    monkeypatch.setattr(batch, "_TOGETHER", 1e9)
    monkeypatch.setattr(os, "fsync", lambda handle: forced.append("one"))
    monkeypatch.setattr(
        os, "sync", lambda: forced.append(f"all, {len(list(out.glob('_manifest/*.json')))} noted")
    )
    assert score(model, source, out, workers=1).rows == 400
    assert forced == ["all, 0 noted"]
    assert len(list(out.glob("_manifest/*.json"))) == 40
    (source / "000.parquet").touch()
    forced.clear()
    assert score(model, source, out, workers=1).skipped == 39
    assert forced == ["one", "one"], "a file and its folder: others on this machine need not wait"


RUN = (
    "import sys; from pathlib import Path; from mlops.serving.batch.job import score_folder\n"
    "if __name__ == '__main__':\n"
    "    score_folder(*map(Path, sys.argv[1:4]), keep=['id'], workers=int(sys.argv[4]))"
)


def children(pid: int) -> list[int]:
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(child) for child in found]


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_kills_at_random_moments_lose_and_double_nothing(model: Path, tmp_path: Path, seed: int) -> None:
    """Group and parent alone are killed in turn; whatever the moment hits (start, reading, predicting,
    writing, renaming, noting), every row is there once in the end and equals what the model says."""
    files, rows = 60, 3000
    source, out = folder_of(tmp_path / "in", files, rows), tmp_path / "out"
    moments = random.Random(seed)  # noqa: S311 - moments, no secret
    kills = 0
    for attempt in range(6):
        command = [sys.executable, "-c", RUN, str(model), str(source), str(out), str(1 + attempt % 2)]
        process = subprocess.Popen(command, start_new_session=True)
        started = len(list(out.glob("_manifest/*.json")))
        # Wait for the work to begin, then a random moment: a fixed one would always hit the same line.
        while process.poll() is None and len(list(out.glob("_manifest/*.json"))) <= started:
            time.sleep(0.001)
        time.sleep(moments.random() * 0.05)
        workers = children(process.pid)
        if process.poll() is None:
            kills += 1
            if attempt % 3:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()
        deadline = time.monotonic() + 10
        while any(map(alive, workers)):
            assert time.monotonic() < deadline, "workers outlive the run that was killed"
            time.sleep(0.01)
        for whole in out.glob("*.parquet"):
            assert pq.ParquetFile(whole).metadata.num_rows == rows, "half a file was published"
    assert kills >= 3
    report = score(model, source, out, keep=["id"], workers=2)
    assert report.skipped > 0
    assert report.rows == files * rows
    found, expected = predictions(out), wanted(files * rows)
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[k] for k in expected], list(expected.values()), atol=1e-6)
    assert not list(out.rglob("*.tmp"))

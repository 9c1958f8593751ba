"""Batch scoring counts every row once, whatever was killed or broken on the way."""

from __future__ import annotations

import os
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

from mlops.errors import IntegrityError, InvalidInput
from mlops.serving import batch, testing
from mlops.serving.core import load
from mlops.serving.table import check_table
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
        model="flights",
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
    with pytest.raises(InvalidInput, match="holds no file"):
        score(model, tmp_path, tmp_path / "out")
    with pytest.raises(IntegrityError):
        score(model, folder_of(tmp_path / "in", 1), tmp_path / "out", digest="sha256:" + "0" * 64)


def test_a_killed_run_is_finished_by_the_next_without_double_rows(model: Path, tmp_path: Path) -> None:
    source, out = folder_of(tmp_path / "in", 40, rows=2000), tmp_path / "out"
    code = (
        "import sys; from pathlib import Path; from mlops.serving.batch import score_folder\n"
        "if __name__ == '__main__': score_folder(*map(Path, sys.argv[1:]), keep=['id'], workers=1)"
    )
    kills = 0
    for after in (1, 4, 9, 15):
        command = [sys.executable, "-c", code, str(model), str(source), str(out)]
        process = subprocess.Popen(command, start_new_session=True)
        while process.poll() is None and len(list(out.glob("_manifest/*.json"))) < after:
            time.sleep(0.001)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills >= 2
    report = score(model, source, out, keep=["id"], workers=2)
    assert 0 < report.skipped < 40
    assert predictions(out).keys() == set(range(80_000))


def test_the_azure_parallel_entry_scores_its_mini_batches(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folder_of(tmp_path / "in", 3)
    (source / "001.parquet").write_bytes(b"nonsense")
    arguments = ["driver", "--model", str(model), "--output", str(tmp_path / "out"), "--of-azure", "1"]
    monkeypatch.setattr(sys, "argv", arguments)
    batch.init()
    assert batch.run([str(source / f"00{i}.parquet") for i in range(3)]) == [
        "000.parquet 500",
        "002.parquet 500",
    ]
    assert "quarantined 001.parquet" in capsys.readouterr().out
    found = pq.read_table(tmp_path / "out" / "002.parquet.predictions.parquet")["_prediction"].to_numpy()
    np.testing.assert_array_equal(found, load(model).predict_frame(table(500, 1000)))

"""Rows that Spark has written are a folder of files: steps that read them see one table."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from mlops.monitoring.profile import profile_file
from mlops.serving.score.core import read_schema
from mlops.steps import dataset, validate


@pytest.fixture
def parts(prepared: Path, tmp_path: Path) -> Path:
    """What prep wrote, with the rows in several files, as Spark names them, beside its hidden ones."""
    out = Path(shutil.copytree(prepared, tmp_path / "parts"))
    for part in ("train", "test"):
        file = out / part / dataset.ROWS
        frame = pd.read_parquet(file)
        file.unlink()
        file.mkdir()
        for number, start in enumerate(range(0, len(frame), 900)):
            rows = frame.iloc[start : start + 900]
            rows.to_parquet(file / f"part-{number:05d}-x.snappy.parquet", index=False, coerce_timestamps="us")
        (file / "_SUCCESS").write_text("")
        (file / ".part-00000-x.snappy.parquet.crc").write_bytes(b"crc")
    return out


def test_a_folder_of_files_is_the_table(prepared: Path, parts: Path) -> None:
    for part in ("train", "test"):
        (one, manifest), (many, other) = dataset.read(prepared / part), dataset.read(parts / part)
        pd.testing.assert_frame_equal(one, many)
        assert manifest == other


def test_the_contract_is_checked_on_all_files(parts: Path, tmp_path: Path) -> None:
    given = ["--usecase", "flights", "--train", f"{parts}/train", "--test", f"{parts}/test"]
    assert validate.main([*given, "--report", str(tmp_path / "report")]) == 0
    last = max((parts / "test" / dataset.ROWS).glob("part-*"))
    pd.read_parquet(last).assign(origin="SFO").to_parquet(last, index=False)
    assert validate.main([*given, "--report", str(tmp_path / "report")]) == 5


def test_test_rows_are_logged_as_one_file(prepared: Path, parts: Path, tmp_path: Path) -> None:
    dataset.copy_rows(parts / "test", tmp_path / "many.parquet")
    dataset.copy_rows(prepared / "test", tmp_path / "one.parquet")
    one, many = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("one", "many"))
    pd.testing.assert_frame_equal(one, many.astype({"scheduled_departure": "datetime64[ns]"}))


def test_the_profile_counts_all_files(prepared: Path, parts: Path, artifact: Path) -> None:
    columns = read_schema(artifact).columns
    one, many = (profile_file(folder / "train" / dataset.ROWS, columns, "s") for folder in (prepared, parts))
    assert one == many

"""A label is the class that the file names: no text in it is taken for nothing, nor for another number."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from mlops.errors import InvalidInput
from mlops.lifecycle.watch.labels import read_labels

LABELS = ["None", "NA", "nan", "late", "00700", "1"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_class_may_be_called_like_nothing(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"request_id": [f"r{i}" for i in range(len(LABELS))], "label": LABELS})
    path = tmp_path / f"labels.{suffix}"
    if suffix == "csv":
        frame.to_csv(path, index=False, encoding="utf-8-sig")
    elif suffix == "jsonl":
        path.write_text("".join(json.dumps(r) + "\n" for r in frame.to_dict("records")), encoding="utf-8")
    else:
        frame.to_parquet(path)
    assert read_labels(path)["label"].tolist() == LABELS


def test_whole_numbers_are_written_as_classes_are(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("request_id,label\nr1,1.0\nr2,0\nr3,-2.00\nr4,0.5\n", encoding="utf-8")
    assert read_labels(path)["label"].tolist() == ["1", "0", "-2", "0.5"]


def test_an_empty_label_is_none(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("request_id,label\nr1,\nr2,late\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"1 rows have no request_id or no label \(rows 1\)"):
        read_labels(path)

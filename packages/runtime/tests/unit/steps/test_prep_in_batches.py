"""`prep` writes the same rows batch by batch as it does at once, however they are split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from flights import usecase
from mlops.errors import InvalidInput
from mlops.spec.window import Window
from mlops.steps import prep, stored
from mlops.tables import embedded, frame

FLIGHTS: Any = usecase
JANUARY = Window.parse("2013-01")


def made(raw: Path, out: Path, *split: str) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    out.mkdir()
    given = ["--raw", str(raw), "--usecase", "flights", "--train", f"{out}/train", "--test", f"{out}/test"]
    assert prep.main([*given, *split]) == 0
    names = ("train", "test")
    return (
        {name: pd.read_parquet(out / name / "data.parquet") for name in names},
        {name: (out / name / "manifest.json").read_text() for name in names},
    )


SPLITS = {
    "time": ("--window", "2013-01..2013-02", "--test-window", "2013-03"),
    "random": ("--window", "2013-01..2013-03", "--split", "random:test=0.3,seed=4"),
    "group": ("--window", "2013-01..2013-03", "--split", "group:dest,test=0.3,seed=4"),
    "column": ("--window", "2013-01..2013-03", "--split", "column:origin,test=JFK"),
}


@pytest.mark.parametrize("split", SPLITS)
def test_batches_are_written_as_the_whole(
    raw_sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str
) -> None:
    whole: list[pd.DataFrame] = []
    features = usecase.features
    with monkeypatch.context() as patch:
        patch.setattr(embedded, "is_frame", lambda *_: False)
        rows, manifests = made(raw_sample, tmp_path / "whole", *SPLITS[split])
    monkeypatch.setattr(stored, "BATCH", 97)

    def counted(_: object, raw: Path, window: Window) -> pd.DataFrame:
        whole.append(features(raw, window))
        return whole[-1]

    monkeypatch.setattr(type(usecase), "features", counted)
    again, same = made(raw_sample, tmp_path / "batches", *SPLITS[split])
    assert manifests == same
    for name, table in rows.items():
        pd.testing.assert_frame_equal(table, again[name])
        files = [pq.ParquetFile(tmp_path / d / name / "data.parquet") for d in ("whole", "batches")]
        assert files[0].schema_arrow == files[1].schema_arrow
        assert files[1].num_row_groups > files[0].num_row_groups == 1
    # Each window was asked for once, and gave the empty table that says "nothing but frame".
    assert [table.shape for table in whole] == [(0, 0)] * (2 if split == "time" else 1)


class _Other:
    """A use case whose features do more than its rows."""

    name, time = "other", usecase.time

    def __init__(self, features: Any) -> None:
        self.features, self.rows = features, usecase.rows


def test_only_a_use_case_that_gives_the_table_on_is_read_in_batches(raw_sample: Path) -> None:
    def more(raw: Path, window: Window) -> pd.DataFrame:
        found = frame(usecase, raw, window)
        found["more"] = 1
        return found

    def own(raw: Path, window: Window) -> pd.DataFrame:
        return pd.DataFrame({"a": [1]})

    def copied(raw: Path, window: Window) -> pd.DataFrame:
        return frame(usecase, raw, window).sort_values(usecase.time)

    assert embedded.is_frame(usecase, raw_sample, JANUARY)
    for features in (more, own, copied):
        assert not embedded.is_frame(_Other(features), raw_sample, JANUARY)
    bare = _Other(lambda raw, window: frame(usecase, raw, window))
    assert embedded.is_frame(bare, raw_sample, JANUARY)
    del bare.rows
    assert not embedded.is_frame(bare, raw_sample, JANUARY)
    assert len(frame(usecase, raw_sample, JANUARY)) > 100, "asking leaves nothing behind"


def test_rows_out_of_order_are_found_between_batches(
    raw_sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "BATCH", 50)
    monkeypatch.setattr(embedded, "ordered", lambda lazy, time: lazy.sort(time, descending=True))
    with pytest.raises(InvalidInput, match="returned rows that are not sorted by"):
        list(prep.batches(FLIGHTS, raw_sample, JANUARY))
    monkeypatch.setattr(stored, "BATCH", 1)  # each batch alone is in order
    with pytest.raises(InvalidInput, match="returned rows that are not sorted by"):
        list(prep.batches(FLIGHTS, raw_sample, JANUARY))

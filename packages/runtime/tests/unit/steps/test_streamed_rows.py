"""Rows that are read in batches give what all of them at once give: types, contract, sample, labels.

A batch whose types differ from the whole table's would be judged by other rules than the model learned from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import examples
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st
from pandera.pandas import Check, Column, DataFrameSchema

from mlops.monitoring.contract import check
from mlops.monitoring.streamed import check_batches
from mlops.steps import dataset, evaluate, explain
from mlops.steps.stored import Held, Stored, Written, taken

MANIFEST = {"name": "raw", "version": "1", "digest": f"sha256:{1:064x}", "window": "2013-01", "rows": 1}
# What fails here has few rows anyway: to make it smaller would take minutes.
QUICK = examples(
    8,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def stored(folder: Path, table: pd.DataFrame | pa.Table, batch: int = 3, **options: Any) -> Stored:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / dataset.MANIFEST).write_text(json.dumps(MANIFEST))
    if isinstance(table, pd.DataFrame):
        table.to_parquet(folder / dataset.ROWS, index=False, **options)
    else:
        pq.write_table(table, folder / dataset.ROWS, **options)
    return Stored(folder, batch)


def together(batches: Iterator[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(list(batches), ignore_index=True)


whole_numbers = st.one_of(st.none(), st.integers(-3, 8))
floats = st.one_of(st.none(), st.sampled_from([0.0, 1.0, 2.5, -1.0, 1e39, float("inf"), 7.0]))
texts = st.one_of(st.none(), st.sampled_from(["a", "b", "zz", "", "A1"]))
ROW = st.fixed_dictionaries(
    {
        "whole": whole_numbers,
        "float": floats,
        "text": texts,
        "yes": st.one_of(st.none(), st.booleans()),
        "day": st.one_of(st.none(), st.datetimes(pd.Timestamp("2000-01-01"), pd.Timestamp("2030-01-01"))),
        "key": st.integers(0, 30),
    }
)
TYPES = pa.schema(
    [
        ("whole", pa.int64()),
        ("float", pa.float64()),
        ("text", pa.string()),
        ("yes", pa.bool_()),
        ("day", pa.timestamp("us")),
        ("key", pa.int32()),
    ]
)


@st.composite
def contracts(draw: st.DrawFn) -> DataFrameSchema:
    """Contracts that say of each column something that some rows break."""
    null = st.booleans()
    columns = {
        "whole": Column(
            draw(st.sampled_from(["int64", "Int64", "float64", "int32"])),
            draw(
                st.lists(
                    st.sampled_from(
                        [
                            Check.ge(0),
                            Check.in_range(1, 5),
                            Check.isin([1, 2, 3]),
                            Check(lambda s: s.mean() > 2, name="mean"),
                        ]
                    ),
                    max_size=2,
                )
            ),
            nullable=draw(null),
            coerce=draw(null),
        ),
        "float": Column(
            draw(st.sampled_from(["float64", "float32", "int64"])),
            draw(st.lists(st.sampled_from([Check.le(5), Check.gt(-1), Check.ne(2.5)]), max_size=2)),
            nullable=draw(null),
            coerce=draw(null),
        ),
        "text": Column(
            draw(st.sampled_from([str, object, "int64"])),
            draw(
                st.lists(
                    st.sampled_from(
                        [Check.isin(["a", "b"]), Check.str_length(1, 1), Check.str_matches("^[a-z]+$")]
                    ),
                    max_size=2,
                )
            ),
            nullable=draw(null),
        ),
        "yes": Column(
            draw(st.sampled_from([bool, "boolean", object])), nullable=draw(null), coerce=draw(null)
        ),
        "day": Column("datetime64[ns]", Check.ge(pd.Timestamp("2010-01-01")), nullable=draw(null)),
        "key": Column("int32", unique=draw(null), coerce=draw(null)),
    }
    left = {name: columns[name] for name in draw(st.permutations(sorted(columns)))[: draw(st.integers(2, 6))]}
    if draw(null):
        left["absent"] = Column(int)
    joint = draw(st.sampled_from([None, None, ["whole", "key"], ["key", "text"]]))
    return DataFrameSchema(
        left,
        strict=draw(null),
        coerce=draw(st.sampled_from([False, False, True])),
        unique=joint if joint is not None and set(joint) <= set(left) else None,
        checks=draw(st.sampled_from([None, None, None, Check(lambda f: len(f) > 4, name="many")])),
    )


@QUICK
@given(rows=st.lists(ROW, min_size=1, max_size=14), contract=contracts(), size=st.integers(1, 6))
def test_a_contract_finds_in_batches_what_it_finds_in_all_rows(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, object]],
    contract: DataFrameSchema,
    size: int,
) -> None:
    table = pa.Table.from_pylist(rows, schema=TYPES)
    folder = tmp_path_factory.mktemp("rows")
    found = stored(folder, table, size, row_group_size=4)
    expected = check(found.frame(), contract)
    assert check_batches(found, found.columns, contract) == expected
    assert check_batches(Held(found.frame()), found.columns, contract) == expected


@QUICK
@given(
    rows=st.lists(ROW, min_size=1, max_size=14),
    size=st.integers(1, 6),
    noted=st.booleans(),
    columns=st.lists(st.sampled_from(TYPES.names), min_size=1, unique=True),
)
def test_batches_have_the_types_and_rows_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, object]],
    size: int,
    noted: bool,
    columns: list[str],
) -> None:
    table = pa.Table.from_pylist(rows, schema=TYPES)
    folder = tmp_path_factory.mktemp("rows")
    found = stored(folder, table, size, row_group_size=4, write_statistics=noted)
    whole = pd.read_parquet(folder / dataset.ROWS).astype({"day": "datetime64[ns]"})
    batches = list(found.frames())
    assert len(batches) > 1 or len(rows) <= size
    for batch in batches:
        assert batch.dtypes.to_dict() == whole.dtypes.to_dict()
        assert list(batch.index) == list(range(len(batch)))
    pd.testing.assert_frame_equal(together(found.frames()), whole)
    pd.testing.assert_frame_equal(found.frame(), whole)
    pd.testing.assert_frame_equal(together(found.frames(columns)), whole[columns])
    places = np.random.default_rng(len(rows)).permutation(len(rows))[: len(rows) // 2]
    pd.testing.assert_frame_equal(taken(found, places), whole.iloc[places].reset_index(drop=True))
    with Written(folder / "again.parquet", found.kinds) as written:
        for batch in found.frames():
            written.add(batch)
    assert written.count == len(rows)
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "again.parquet"), whole, check_dtype=True)


def test_types_of_pandas_own_stay(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"a": pd.array([1, None, 3, 4], dtype="Int64"), "b": pd.array([True, None, None, False], "boolean")}
    )
    found = stored(tmp_path, frame, 2)
    for batch in found.frames():
        assert dict(batch.dtypes.astype(str)) == {"a": "Int64", "b": "boolean"}
    pd.testing.assert_frame_equal(together(found.frames()), frame)


def test_what_a_batch_cannot_tell_is_read_whole(tmp_path: Path) -> None:
    """Categories of a batch are not those of the table."""
    frame = pd.DataFrame({"a": pd.Categorical(list("xyxyz")), "b": range(5)})
    found = stored(tmp_path, frame, 2)
    assert [len(batch) for batch in found.frames()] == [5]
    assert [len(batch) for batch in found.frames(["b"])] == [2, 2, 1]
    assert list(next(found.frames())["a"].cat.categories) == ["x", "y", "z"]


def test_files_that_differ_are_read_whole(tmp_path: Path) -> None:
    found = stored(tmp_path, pd.DataFrame({"a": [1, 2]}))
    found.path.unlink()
    found.path.mkdir()
    for number, values in enumerate((pa.array([1, 2], pa.int64()), pa.array([3], pa.int32()))):
        pq.write_table(pa.table({"a": values}), found.path / f"part-{number}.parquet")
    assert [list(batch["a"]) for batch in Stored(tmp_path, 1).frames()] == [[1, 2, 3]]


@pytest.mark.parametrize("grouped", [False, True])
def test_the_sample_is_that_of_the_whole_table(monkeypatch: pytest.MonkeyPatch, grouped: bool) -> None:
    monkeypatch.setattr(explain, "ROWS", 40)
    frame = pd.DataFrame({"a": np.arange(200), "patient": np.arange(200) // 7})
    groups = frame["patient"].astype(str).to_numpy() if grouped else None
    places = explain.sampled(len(frame), groups)
    if grouped:
        drawn = frame.iloc[places]
        assert 20 < len(drawn) <= 40
        whole = frame.groupby("patient").size()
        assert (drawn.groupby("patient").size() == whole[drawn["patient"].unique()]).all()
    else:
        assert list(places) == list(frame.sample(40, random_state=explain.SEED).index)


def test_texts_are_numbered_over_all_batches() -> None:
    parts: Sequence[list[str]] = (["b", "a", "b"], ["c", "a"], ["b"])
    texts, codes = evaluate.coded(np.array(part, dtype=object) for part in parts)
    assert [texts[code] for code in codes] == [text for part in parts for text in part]


def test_a_file_that_was_not_finished_is_not_left(tmp_path: Path) -> None:
    def add() -> None:
        with Written(tmp_path / "x.parquet", {}) as written:
            written.add(pd.DataFrame({"a": [1]}))
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        add()
    assert list(tmp_path.iterdir()) == []

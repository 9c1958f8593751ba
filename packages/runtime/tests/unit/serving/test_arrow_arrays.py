"""Columns of Arrow become the arrays that Arrow and pandas would make of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlops.spec.arrays import flags, numbers

COLUMNS = [
    pa.array([1, 2, 3], pa.int64()),
    pa.array([1, None, 3], pa.int8()),
    pa.array([2**60, 1, None], pa.uint64()),
    pa.array([1.5, None, float("nan"), float("inf")], pa.float64()),
    pa.array([0.1, 0.2], pa.float32()),
    pa.array([True, None, False]),
    pa.array([], pa.float32()),
    pa.array([None, None], pa.int64()),
    pa.array([None] * 9 + [7.0] * 9, pa.float64()).slice(3, 11),
    pa.array([True, False] * 9).slice(5, 7),
    pa.chunked_array([[1.0, None], [], [3.0]], pa.float64()),
    pa.chunked_array([], pa.int32()),
]


@pytest.mark.parametrize("column", COLUMNS, ids=str)
@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()], ids=str)
def test_numbers_are_those_of_arrow(column: Any, kind: Any) -> None:
    cast = column.cast(kind, safe=False)
    wanted = cast.to_numpy() if isinstance(cast, pa.ChunkedArray) else cast.to_numpy(zero_copy_only=False)
    found = numbers(column, kind)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


def test_whole_numbers_keep_their_type() -> None:
    found = numbers(pa.array([1, 2**62 + 1]).slice(1), pa.int64())
    assert (found.dtype, list(found)) == (np.dtype("int64"), [2**62 + 1])


def test_flags_are_false_for_null() -> None:
    assert list(flags(pa.array([True, None, False, True]).slice(1))) == [False, False, True]
    assert list(flags(pa.chunked_array([[True], [False, None]]))) == [True, False, False]
    assert flags(pa.array([], pa.bool_())).dtype == bool

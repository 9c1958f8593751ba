"""The sides of a split over a table of rows; see `mlops.spec.split` for what each kind means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.errors import InvalidInput
from mlops.spec.split import Side, Split

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

_GOLDEN = 0x9E3779B97F4A7C15
_FEW = 20
"""Values that a sentence lists."""


def sides(frame: pd.DataFrame, split: Split, inputs: Sequence[str]) -> dict[Side, pd.DataFrame]:
    """The rows to learn from and to test on, each in the order in which they came.

    `inputs` are the columns that tell one row from another. Raises `InvalidInput` when the column of the
    split is missing or has nulls, or when a side has no row.
    """
    masks = _by_column(frame, split) if split.kind == "column" else _drawn(frame, split, inputs)
    if empty := [side for side, mask in masks.items() if not mask.any()]:
        many = f"{frame[split.column].nunique()} groups" if split.kind == "group" else f"{len(frame)} rows"
        raise InvalidInput(
            f"the split {split} leaves no row to {'learn from' if empty[0] == 'train' else 'test on'} "
            f"(there are {many}); choose another share or seed"
        )
    return {side: frame[mask].reset_index(drop=True) for side, mask in masks.items()}


def _drawn(frame: pd.DataFrame, split: Split, inputs: Sequence[str]) -> dict[Side, Array]:
    if split.kind == "group":
        _require(frame, split)
        codes = _hashed(frame[[split.column]].astype(str), split.seed)
    else:
        codes = _hashed(frame[list(inputs)], split.seed)
    test = codes < split.share
    return {"train": ~test, "test": test}


def _hashed(columns: pd.DataFrame, seed: int) -> Array:
    """A number in [0, 1) for each row, which depends on what is in it and on the seed alone."""
    from pandas.util import hash_pandas_object

    found = np.asarray(hash_pandas_object(columns.apply(_hashable), index=False), dtype=np.uint64)
    # pandas takes no seed for numbers: it is mixed in as splitmix64 does it.
    mixed = found + np.uint64((seed + 1) * _GOLDEN % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(mixed / 2.0**64)


def _hashable(values: pd.Series[Any]) -> pd.Series[Any]:
    """Lists and arrays as text; a null is null."""
    if values.dtype != object:
        return values
    return values.map(lambda v: v if v is None or isinstance(v, str | bytes) else repr(_plain(v)))


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _by_column(frame: pd.DataFrame, split: Split) -> dict[Side, Array]:
    _require(frame, split)
    texts = frame[split.column].astype(str).to_numpy()
    known = set(texts.tolist())
    if unknown := [value for value in (*split.test, *split.train) if value not in known]:
        some = ", ".join(sorted(known)[:_FEW])
        raise InvalidInput(f"the split {split} names {', '.join(unknown)}; the column has {some}")
    test = np.isin(texts, split.test)
    return {"train": np.isin(texts, split.train) if split.train else ~test, "test": test}


def _require(frame: pd.DataFrame, split: Split) -> None:
    if split.column not in frame:
        raise InvalidInput(
            f"the split {split} goes by the column {split.column!r}, which `features` does not "
            "return; it returns "
            f"{', '.join(map(str, frame.columns))} (name it in `beside` of the use case when it is no input)"
        )
    if nulls := int(frame[split.column].isna().sum()):
        raise InvalidInput(
            f"the split {split} goes by the column {split.column!r}, and {nulls} rows have none"
        )

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
    dealing = Dealing(split, inputs)
    masks = dealing.masks(frame)
    dealing.finish()
    return {side: frame[mask].reset_index(drop=True) for side, mask in masks.items()}


class Dealing:
    """Rows dealt batch by batch: to which side one goes depends on nothing but what is in it."""

    def __init__(self, split: Split, inputs: Sequence[str]) -> None:
        self._split, self._inputs = split, list(inputs)
        self._rows = self._nulls = 0
        self._known: set[Any] = set()
        self._dealt: dict[Side, int] = {"train": 0, "test": 0}

    def masks(self, frame: pd.DataFrame) -> dict[Side, Array]:
        """The rows of each side. Raises `InvalidInput` when the column of the split is missing."""
        split = self._split
        if split.kind != "random":
            _require(frame, split)
            self._nulls += int(frame[split.column].isna().sum())
        if split.kind == "column":
            texts = frame[split.column].astype(str).to_numpy()
            self._known.update(texts.tolist())
            test = np.isin(texts, split.test)
            train = np.isin(texts, split.train) if split.train else ~test
        else:
            if split.kind == "group":
                self._known.update(frame[split.column].dropna().unique().tolist())
                codes = _hashed(frame[[split.column]].astype(str), split.seed)
            else:
                codes = _hashed(frame[self._inputs], split.seed)
            test = codes < split.share
            train = ~test
        self._rows += len(frame)
        self._dealt["train"] += int(train.sum())
        self._dealt["test"] += int(test.sum())
        return {"train": train, "test": test}

    def finish(self) -> None:
        """Raises `InvalidInput` for what all rows together lack."""
        split = self._split
        if self._nulls:
            raise InvalidInput(
                f"the split {split} goes by the column {split.column!r}, and {self._nulls} rows have none"
            )
        named = (*split.test, *split.train) if split.kind == "column" else ()
        if unknown := [value for value in named if value not in self._known]:
            some = ", ".join(sorted(self._known)[:_FEW])
            raise InvalidInput(f"the split {split} names {', '.join(unknown)}; the column has {some}")
        if empty := [side for side, rows in self._dealt.items() if not rows]:
            many = f"{len(self._known)} groups" if split.kind == "group" else f"{self._rows} rows"
            raise InvalidInput(
                f"the split {split} leaves no row to {'learn from' if empty[0] == 'train' else 'test on'} "
                f"(there are {many}); choose another share or seed"
            )


def _hashed(columns: pd.DataFrame, seed: int) -> Array:
    """A number in [0, 1) for each row, which depends on what is in it and on the seed alone."""
    from pandas.util import hash_pandas_object

    hashes = np.asarray(hash_pandas_object(columns.apply(_hashable), index=False), dtype=np.uint64)
    # pandas takes no seed for numbers: it is mixed in as splitmix64 does it.
    mixed = hashes + np.uint64((seed + 1) * _GOLDEN % 2**64)
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


def _require(frame: pd.DataFrame, split: Split) -> None:
    if split.column not in frame:
        raise InvalidInput(
            f"the split {split} goes by the column {split.column!r}, which `features` does not "
            "return; it returns "
            f"{', '.join(map(str, frame.columns))} (name it in `beside` of the use case when it is no input)"
        )

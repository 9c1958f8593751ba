"""What a data set looks like, small enough to travel with a model: counts in bins, by column.

Bins are chosen once, from the reference. Counting another data set in them costs one pass of any length with
memory for one batch, so a verdict on a million rows needs none of them in memory.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from mlops.errors import InvalidInput
from mlops.spec._base import Spec
from mlops.spec._yaml import problems_of
from mlops.spec.schema import Column, ColumnType

Array = np.ndarray[Any, np.dtype[Any]]

FILE = "profile.json"
FINE = 200
"""Bins of a numeric column, about equally full; the Kolmogorov-Smirnov test looks at their edges."""
COARSE = 10
"""Groups of them that PSI and Jensen-Shannon compare."""
CATEGORIES = 500
"""Most frequent values of a text column that are counted by name; the others are counted together."""
SAMPLE = 200_000
"""Values of a column that bins are chosen from, evenly spread over the data."""
BATCH = 65_536
"""Rows in memory at a time."""
PREDICTION = "prediction"


class ColumnProfile(Spec):
    """One column. `counts` has a place for every bin, and the last one for what is in none of them."""

    name: str
    kind: Literal["numeric", "category"]
    edges: list[float] = []
    """Numeric: bin i holds values in (edges[i-1], edges[i]]; the last bin what is above."""
    values: list[str] = []
    """Category: bin i holds this value; the last bin all others."""
    counts: list[int] = Field(min_length=1)
    nulls: int = Field(default=0, ge=0)

    @property
    def rows(self) -> int:
        return sum(self.counts) + self.nulls

    @property
    def null_rate(self) -> float:
        return self.nulls / self.rows if self.rows else 0.0


class Profile(Spec):
    """The reference of a release: inputs as they were in training, predictions as they were in its test."""

    source: str
    """For people: which rows these are."""
    rows: int = Field(ge=1)
    columns: list[ColumnProfile]
    prediction: ColumnProfile | None = None

    def column(self, name: str) -> ColumnProfile | None:
        return next((c for c in self.columns if c.name == name), None)


def read_profile(path: Path) -> Profile:
    """Raises `InvalidInput` when the file is missing or no profile."""
    try:
        return Profile.model_validate(json.loads(path.read_bytes()))
    except ValidationError as error:
        raise InvalidInput(problems_of(error, Profile, str(path))) from None
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read as a profile: {error}") from None


def profile_file(path: Path, columns: Sequence[Column], source: str) -> Profile:
    """The profile of the model inputs in a Parquet file or a folder of them: one pass to choose bins, one to
    count."""
    import pyarrow.dataset as ds

    data = ds.dataset(path, format="parquet")
    rows = data.count_rows()
    names = [c.name for c in columns if c.name in data.schema.names]
    wanted = [c for c in columns if c.name in names]
    step = max(1, -(-rows // SAMPLE))
    samples: dict[str, list[Array]] = {n: [] for n in names}
    offset = 0
    for batch in data.to_batches(columns=names, batch_size=BATCH):
        first = -offset % step
        for column in wanted:
            values, _ = extract(batch.column(column.name), column.type)
            samples[column.name].append(values[first::step])
        offset += batch.num_rows
    counters = [Counter(_empty(c.name, c.type, np.concatenate(samples[c.name]))) for c in wanted]
    for batch in data.to_batches(columns=names, batch_size=BATCH):
        for counter, column in zip(counters, wanted, strict=True):
            counter.add(batch.column(column.name), column.type)
    return Profile(source=source, rows=rows, columns=[c.result() for c in counters])


def profile_values(name: str, values: Any, kind: ColumnType) -> ColumnProfile:
    """The profile of one Arrow array, with bins of its own."""
    counter = Counter(_empty(name, kind, extract(values, kind)[0]))
    counter.add(values, kind)
    return counter.result()


class Counter:
    """Counts more data in the bins of a profile. Memory: the bins."""

    def __init__(self, bins: ColumnProfile) -> None:
        self.bins = bins
        self.nulls = 0
        self._counts = np.zeros(len(bins.counts), dtype=np.int64)
        self._edges = np.array(bins.edges, dtype=np.float64)
        self._places = {value: i for i, value in enumerate(bins.values)}

    def add(self, values: Any, kind: ColumnType) -> None:
        """Count an Arrow array."""
        if self.bins.kind == "numeric":
            numbers, nulls = extract(values, kind)
            places = np.searchsorted(self._edges, numbers, side="left")
            self._counts += np.bincount(places, minlength=len(self._counts))
        else:
            nulls = self._categories(values)
        self.nulls += nulls

    def _categories(self, values: Any) -> int:
        import pyarrow as pa

        encoded = as_text(values).dictionary_encode()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        last = len(self._counts) - 1
        places = np.array([self._places.get(v, last) for v in encoded.dictionary.to_pylist()], dtype=np.int64)
        codes = encoded.indices.drop_null().to_numpy(zero_copy_only=False)
        if len(codes):
            self._counts += np.bincount(places[codes], minlength=len(self._counts))
        return int(encoded.null_count)

    def result(self) -> ColumnProfile:
        return self.bins.model_copy(update={"counts": self._counts.tolist(), "nulls": self.nulls})


def extract(values: Any, kind: ColumnType) -> tuple[Array, int]:
    """An Arrow array without its nulls, as float64 or text, and how many nulls (or NaN) there were."""
    if kind in ("string", "boolean"):
        some = as_text(values).drop_null()
        return np.asarray(some.to_numpy(zero_copy_only=False), dtype=object), len(values) - len(some)
    numbers = np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
    missing = np.isnan(numbers)
    lost = int(missing.sum())
    return (numbers[~missing] if lost else numbers), lost


def as_text(values: Any) -> Any:
    """An Arrow array of text, whatever type it had."""
    import pyarrow as pa
    import pyarrow.types as kinds

    if kinds.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values if kinds.is_string(values.type) else values.cast(pa.string())


def _empty(name: str, kind: ColumnType, sample: Array) -> ColumnProfile:
    """Bins for a column that looks like `sample`, with nothing in them."""
    if kind in ("string", "boolean"):
        values, often = np.unique(sample.astype(str), return_counts=True)
        chosen = sorted(str(v) for v in values[np.argsort(-often, kind="stable")][:CATEGORIES])
        return ColumnProfile(name=name, kind="category", values=chosen, counts=[0] * (len(chosen) + 1))
    finite = sample[np.isfinite(sample)]
    distinct = np.unique(finite)
    if len(distinct) > FINE:
        distinct = np.unique(np.quantile(finite, np.linspace(0, 1, FINE + 1), method="inverted_cdf"))
    edges = distinct.tolist()
    return ColumnProfile(name=name, kind="numeric", edges=edges, counts=[0] * (len(edges) + 1))


def groups(reference: ColumnProfile, current: ColumnProfile) -> tuple[Array, Array]:
    """Counts of both in the few bins that PSI, Jensen-Shannon and chi-squared compare, nulls as the last.

    Numeric: neighbours are put together until a group holds a tenth of the reference.
    """
    old, new = np.array(reference.counts), np.array(current.counts)
    if reference.kind == "numeric":
        cuts = _cuts(old)
        old, new = np.add.reduceat(old, cuts), np.add.reduceat(new, cuts)
    nulls = reference.nulls, current.nulls
    if any(nulls):
        old, new = np.append(old, nulls[0]), np.append(new, nulls[1])
    return old, new


def _cuts(counts: Array) -> Array:
    """Where groups begin; what remains at the end joins the last one."""
    enough = counts.sum() / COARSE * (1 - 1e-9)
    cuts, held = [0], 0
    for place, count in enumerate(counts[:-1], start=1):
        held += int(count)
        if held >= enough and counts[place:].sum() >= enough / 2:
            cuts.append(place)
            held = 0
    return np.array(cuts)

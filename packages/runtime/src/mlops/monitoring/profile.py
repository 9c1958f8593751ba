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
from mlops.monitoring import telling, texts
from mlops.spec._base import Spec
from mlops.spec._yaml import problems_of
from mlops.spec.admits import RICH
from mlops.spec.schema import Column, ColumnType

Array = np.ndarray[Any, np.dtype[Any]]

FILE = "profile.json"
FINE = 200
"""Bins of a numeric column, about equally full; the Kolmogorov-Smirnov test looks at their edges."""
COARSE = 10
"""Groups of them that PSI and Jensen-Shannon compare."""
CATEGORIES = 500
"""Most frequent values of a text column that are counted by name; the others are counted together."""
FAMILIAR = 10
"""How often a category must come in the reference to be compared by itself: with 5, quiet windows of a long
tail alarm twice too often."""
OFTEN = 20
"""How often each value must come for a column of numbers to have these values only."""
SAMPLE = 200_000
"""Values of a column that bins are chosen from, evenly spread over the data."""
_READ = 2_000
"""Texts of an array whose words are read."""
BATCH = 65_536
"""Rows in memory at a time."""
PREDICTION = "prediction"


class ColumnProfile(Spec):
    """One column. `counts` has a place for every bin, and the last one for what is in none of them."""

    name: str
    kind: Literal["numeric", "category"]
    edges: list[float] = []
    """Numeric: bin i holds values in (edges[i-1], edges[i]], the first one edges[0] alone; the last bin what
    is above."""
    values: list[str] = []
    """Category: bin i holds this value; the last bin all others."""
    counts: list[int] = Field(min_length=1)
    below: int = Field(default=0, ge=0)
    """Numeric: what is below edges[0], the lowest value of the reference."""
    discrete: bool = False
    """Numeric: the reference had the values of `edges` only, each often."""
    between: int = Field(default=0, ge=0)
    """What lies between these values; such numbers are in no bin."""
    nulls: int = Field(default=0, ge=0)
    text: TextProfile | None = None
    """Of free text, whose values are not counted by name."""
    rich: RichProfile | None = None
    """Of what is no number and no category: see `mlops.monitoring.telling`."""

    @property
    def rows(self) -> int:
        return sum(self.counts) + self.below + self.between + self.nulls

    @property
    def null_rate(self) -> float:
        return self.nulls / self.rows if self.rows else 0.0


class TextProfile(Spec):
    """Free text: see `mlops.monitoring.texts`."""

    words: list[int]
    """Hashes of the words that training had."""
    length: ColumnProfile
    """Characters."""
    unknown: ColumnProfile
    """Share of a text's words that training had not; counted on a part of the rows."""


class RichProfile(Spec):
    """Texts, vectors, lists, images and moments: numbers of each value, and a sample to tell them apart
    by."""

    kind: ColumnType
    traits: list[ColumnProfile] = []
    """What a person understands: the length of a vector, the brightness of an image."""
    sample: list[list[float]] = []
    """Some values as numbers; empty where no classifier is asked (moments)."""


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
    return Profile(source=source, rows=rows, columns=[c.reference() for c in counters])


def profile_values(name: str, values: Any, kind: ColumnType) -> ColumnProfile:
    """The profile of one Arrow array, with bins of its own."""
    counter = Counter(_empty(name, kind, extract(values, kind)[0]))
    counter.add(values, kind)
    return counter.reference()


class Counter:
    """Counts more data in the bins of a profile. Memory: the bins."""

    def __init__(self, bins: ColumnProfile) -> None:
        self.bins = bins
        self.nulls = self.below = self.between = 0
        self._counts = np.zeros(len(bins.counts), dtype=np.int64)
        self._edges = np.array(bins.edges, dtype=np.float64)
        self._places = {value: i for i, value in enumerate(bins.values)}
        self._text = _Texts(bins.text) if bins.text else None
        self._rich = _Rich(bins.rich) if bins.rich else None

    def add(self, values: Any, kind: ColumnType) -> None:
        """Count an Arrow array."""
        if kind in RICH:
            nulls = values.null_count
            self._counts[-1] += len(values) - nulls
            if self._rich is not None:
                self._rich.add(values)
        elif self.bins.kind == "numeric":
            numbers, nulls = extract(values, kind)
            if len(self._edges):
                inside = numbers >= self._edges[0]
                self.below += len(numbers) - int(inside.sum())
                numbers = numbers[inside]
            places = np.searchsorted(self._edges, numbers, side="left")
            if self.bins.discrete:
                known = (places == len(self._edges)) | np.isin(numbers, self._edges)
                self.between += len(numbers) - int(known.sum())
                places = places[known]
            self._counts += np.bincount(places, minlength=len(self._counts))
        else:
            nulls = self._categories(values)
            if self._text is not None:
                self._text.add(values)
            if self._rich is not None:
                self._rich.add(as_text(values))
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
        text = self._text.result() if self._text else None
        rich = self._rich.result() if self._rich else None
        return self.reference().model_copy(update={"text": text, "rich": rich})

    def reference(self) -> ColumnProfile:
        """The same for the data that the bins were made from: their texts were counted then."""
        return self.bins.model_copy(
            update={
                "counts": self._counts.tolist(),
                "nulls": self.nulls,
                "below": self.below,
                "between": self.between,
            }
        )


class _Texts:
    """Counts texts in the bins of a `TextProfile`."""

    def __init__(self, bins: TextProfile) -> None:
        self._bins = bins
        self._length, self._unknown = Counter(bins.length), Counter(bins.unknown)

    def add(self, values: Any) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        some = as_text(values).drop_null()
        self._length.add(pc.utf8_length(some), "number")
        # Reading words takes longer than anything else here: of a large batch, some texts have to do.
        chosen = some.to_pylist()[:: max(1, -(-len(some) // _READ))]
        self._unknown.add(pa.array(texts.unknown(chosen, self._bins.words), pa.float64()), "number")

    def result(self) -> TextProfile:
        update = {"length": self._length.result(), "unknown": self._unknown.result()}
        return self._bins.model_copy(update=update)


class _Rich:
    """Counts traits in the bins of a `RichProfile`, and keeps some values as numbers."""

    def __init__(self, bins: RichProfile) -> None:
        self._bins = bins
        self._traits = {trait.name: Counter(trait) for trait in bins.traits}
        self._sample: list[Array] = []

    def add(self, values: Any) -> None:
        some = _plain(values, self._bins.kind)
        # Looking at each costs more than anything else here: of a large batch, some have to do.
        some = some[:: max(1, -(-len(some) // _READ))]
        if not len(some):
            return
        for name, numbers in telling.traits(self._bins.kind, some).items():
            self._traits[name].add(_numbers(numbers), "number")
        if self._bins.sample:
            self._sample.append(telling.features(self._bins.kind, some))

    def result(self) -> RichProfile:
        kept = np.vstack(self._sample) if self._sample else np.zeros((0, telling.SIZE))
        kept = kept[:: max(1, -(-len(kept) // (2 * telling.SAMPLE)))]
        update = {"traits": [c.result() for c in self._traits.values()], "sample": kept.tolist()}
        return self._bins.model_copy(update=update)


def _plain(values: Any, kind: ColumnType) -> list[Any]:
    """An Arrow array without its nulls as Python has it."""
    import pyarrow as pa

    some = values.drop_null()
    if kind == "datetime":
        some = some.cast(pa.timestamp("us"), safe=False)
    cells: list[Any] = some.to_pylist()
    return cells


def extract(values: Any, kind: ColumnType) -> tuple[Array, int]:
    """An Arrow array without its nulls, as float64 or text, and how many nulls (or NaN) there were."""
    if kind in RICH:
        some = _plain(values, kind)
        held = np.empty(len(some), dtype=object)
        held[:] = some
        return held, len(values) - len(some)
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
    if kind in RICH:
        return ColumnProfile(name=name, kind="category", counts=[0], rich=_rich(kind, sample))
    if kind == "string" and texts.free(sample):
        return ColumnProfile(
            name=name, kind="category", counts=[0], text=_text(sample), rich=_rich(kind, sample)
        )
    if kind in ("string", "boolean"):
        values, often = np.unique(sample.astype(str), return_counts=True)
        chosen = sorted(str(v) for v in values[np.argsort(-often, kind="stable")][:CATEGORIES])
        return ColumnProfile(name=name, kind="category", values=chosen, counts=[0] * (len(chosen) + 1))
    finite = sample[np.isfinite(sample)]
    distinct, often = np.unique(finite, return_counts=True)
    discrete = len(finite) == len(sample) and 0 < len(distinct) <= FINE and int(often.min()) >= OFTEN
    if len(distinct) > FINE:
        distinct = np.unique(np.quantile(finite, np.linspace(0, 1, FINE + 1), method="inverted_cdf"))
    edges = distinct.tolist()
    return ColumnProfile(
        name=name, kind="numeric", edges=edges, discrete=discrete, counts=[0] * (len(edges) + 1)
    )


def _text(sample: Array) -> TextProfile:
    """Free text as it was in the reference, already counted."""
    known, counted = texts.halves(sample)
    words = texts.vocabulary(known)
    lengths = np.array([len(text) for text in sample], dtype=np.float64)
    traits = [_trait("length", lengths), _trait("unknown", texts.unknown(counted, words))]
    return TextProfile(words=words, length=traits[0], unknown=traits[1])


def _rich(kind: ColumnType, sample: Array) -> RichProfile:
    """What a column of such values was like in the reference, already counted."""
    some = sample[:: max(1, -(-len(sample) // (2 * _READ)))]
    traits = [_trait(name, numbers) for name, numbers in telling.traits(kind, some.tolist()).items()]
    few = some[:: max(1, -(-len(some) // telling.SAMPLE))]
    kept = [] if kind == "datetime" else telling.features(kind, few.tolist()).tolist()
    return RichProfile(kind=kind, traits=traits, sample=kept)


def _trait(name: str, values: Array) -> ColumnProfile:
    """A number of each text, whose values are never all there are."""
    counter = Counter(_empty(name, "number", values).model_copy(update={"discrete": False}))
    counter.add(_numbers(values), "number")
    return counter.reference()


def _numbers(values: Array) -> Any:
    import pyarrow as pa

    return pa.array(values, pa.float64())


def ordered(profile: ColumnProfile) -> Array:
    """Counts of a numeric column in rising order of value, with what is below the lowest bin."""
    return np.array([profile.below, *profile.counts])


def unfamiliar(reference: ColumnProfile, profile: ColumnProfile) -> int:
    """How many rows of `profile` have a category that hardly a row of the reference had, or none.

    Both together, because which of the rare ones come is chance: of a long tail, each window has others, and
    that would be news every time.
    """
    counts = np.array(profile.counts)
    return int(counts[-1] + counts[:-1][np.array(reference.counts)[:-1] < FAMILIAR].sum())


def groups(reference: ColumnProfile, current: ColumnProfile) -> tuple[Array, Array]:
    """Counts of both in the few bins that PSI, Jensen-Shannon and chi-squared compare, nulls as the last.

    Numeric: neighbours are put together until a group holds a tenth of the reference. What lies below its
    lowest value, above its highest, or between values that were all it had, has a group of its own. Of
    categories, those that are rare in the reference are one group with those that it had not.
    """
    old, new = np.array(reference.counts), np.array(current.counts)
    if reference.kind == "numeric" and reference.edges:
        cuts = _cuts(old[:-1])
        inside = np.add.reduceat(old[:-1], cuts), np.add.reduceat(new[:-1], cuts)
        outside = [
            (reference.below, current.below),
            (reference.between, current.between),
            (int(old[-1]), int(new[-1])),
        ]
        old, new = (
            np.append(counts, [pair[side] for pair in outside if any(pair)])
            for side, counts in enumerate(inside)
        )
    elif reference.kind == "category":
        familiar = old[:-1] >= FAMILIAR
        old, new = (
            np.append(counts[:-1][familiar], unfamiliar(reference, profile))
            for counts, profile in ((old, reference), (new, current))
        )
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

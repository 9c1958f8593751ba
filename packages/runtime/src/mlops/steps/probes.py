"""Rows that the contract admits and training need not have had: what a model and its graph are compared on.

Test months hold what is usual. Production sends what is allowed: null, "", a category that nobody has seen,
the ends of each range and of each type. `drawn` makes such rows, `borders` finds numbers between which the
model changes its answer. Whether a row is admitted is asked of the endpoint's own parser.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from mlops.serving.score.request import RequestError, RequestParser
from mlops.spec import cells
from mlops.spec.admits import FLOAT32_MAX, RICH, real_bounds, whole_bounds
from mlops.steps.latency import rows_of

if TYPE_CHECKING:
    import pandas as pd

    from mlops.serving.score.core import Cell, Row, Scorer
    from mlops.spec.schema import Column, ModelSchema

SEED = 20130101
MIXED = 128
"""Rows whose every cell is drawn at random."""
_GRID, _JUMPS = 97, 6
USUAL = "values of training"
"""What is said of a row that training or the test window has."""
_UNSEEN = "never seen before"
_TEXTS = (
    "",
    " ",
    _UNSEEN,
    "nan",
    "None",
    "0",
    "\x00",
    "İstanbul ß Σίσυφος ﬁn 東京 🚀",
    "don't re-enter x_1 a1 A 3.14",
)
_LONG = 20_000
_NUMBERS = (
    0.0, -0.0, 1.0, -1.0, 0.1, -1 / 3, 1e-45, -1e-45, 1.1754943508222875e-38, 5e-324, 1e-7, 1e6, 1e15, -1e15,
    16777217.0, 1700000000.5, FLOAT32_MAX, -FLOAT32_MAX,
)  # fmt: skip
_INTEGERS = (
    0, 1, -1, 2, 127, -128, 255, 32767, 2**24 + 1, -(2**24) - 1, 1_700_000_001, 2**31 - 1, -(2**31), 2**31,
    2**53 - 1, -(2**53) + 1,
)  # fmt: skip


@dataclass(frozen=True)
class Probe:
    """One row, and what is special about it."""

    row: Row
    what: str
    """After "a row with": `null in 'size'`."""
    column: str | None = None
    """The only column that is special; None when several are."""
    value: Cell = None


class Admission:
    """What the endpoint would let through, and as what its parser hands it on."""

    def __init__(self, schema: ModelSchema) -> None:
        self._parser = RequestParser(schema)
        self._names = [c.name for c in schema.columns]

    def of(self, row: Sequence[Cell]) -> Row | None:
        """The row as parsed; None when it is refused."""
        try:
            body = msgspec.json.encode({"input_data": {"columns": self._names, "data": [row]}})
            return self._parser.parse(body, "score")[0]
        except (RequestError, UnicodeError):
            return None


def usual(schema: ModelSchema, inputs: pd.DataFrame, count: int) -> list[Probe]:
    """Rows of training that the contract admits, spread evenly over all of them."""
    admission = Admission(schema)
    spread = inputs.iloc[:: max(1, len(inputs) // count)]
    rows = (admission.of(row) for row in rows_of(schema, spread, count))
    return [Probe(row, USUAL) for row in rows if row is not None]


def drawn(schema: ModelSchema, inputs: pd.DataFrame) -> list[Probe]:
    """Rows that the contract admits, the same for the same arguments; the simplest come first."""
    admission = Admission(schema)
    bases = [probe.row for probe in usual(schema, inputs, 3)]
    if not bases:
        return []
    special = [list(_specials(column, inputs[column.name])) for column in schema.columns]
    probes = [Probe(row, USUAL) for row in bases]
    for place, (column, values) in enumerate(zip(schema.columns, special, strict=True)):
        for value, words in values:
            for base in bases[:2]:
                row = admission.of([*base[:place], value, *base[place + 1 :]])
                if row is not None:
                    probes.append(Probe(row, f"{words} in {column.name!r}", column.name, value))
    return [*probes, *_together(admission, bases, special)]


def _together(
    admission: Admission, bases: Sequence[Row], special: Sequence[Sequence[tuple[Cell, str]]]
) -> Iterator[Probe]:
    """Several columns special at once: the same kind in all, then any mixture."""
    kinds = list(dict.fromkeys(words for values in special for _, words in values))
    wanted = [{words: value for value, words in values} for values in special]
    for words in kinds:
        cells = [w.get(words, base) for w, base in zip(wanted, bases[0], strict=True)]
        if (row := _closest(admission, cells, bases[0])) is not None:
            yield Probe(row, f"{words} in every column that may have it")
    draw = np.random.default_rng(SEED)
    for _ in range(MIXED):
        cells = []
        for place, values in enumerate(special):
            usual_cell = bases[int(draw.integers(len(bases)))][place]
            take = values and draw.random() < 0.5
            cells.append(values[int(draw.integers(len(values)))][0] if take else usual_cell)
        if (row := _closest(admission, cells, bases[0])) is not None:
            yield Probe(row, "several unusual values")


def _closest(admission: Admission, cells: list[Cell], base: Row) -> Row | None:
    """`cells`, with what the contract does not admit replaced by the cell of `base`."""
    if (row := admission.of(cells)) is not None:
        return row
    kept = [
        cell if admission.of([*base[:i], cell, *base[i + 1 :]]) is not None else base[i]
        for i, cell in enumerate(cells)
    ]
    return admission.of(kept)


def _specials(column: Column, seen: pd.Series[Any]) -> Iterator[tuple[Cell, str]]:
    """Values worth a row, each with words for it. Not all of them need to be admitted."""
    if column.nullable:
        yield None, "null"
    present = seen[seen.notna()]
    if column.type == "boolean":
        yield True, "true"
        yield False, "false"
    elif column.type in RICH:
        yield from _rich(column, [cells.of_table(column, value) for value in present[:200:20]])
    elif column.type == "string":
        yield from _texts(column, [str(text) for text in present.drop_duplicates()[:200]])
    else:
        yield from _numbers(column, present)


def _rich(column: Column, seen: Sequence[Any]) -> Iterator[tuple[Any, str]]:
    """Values of moments, vectors, lists and images at their ends."""
    if column.type == "datetime":
        for text in (
            column.earliest or cells.EARLIEST,
            column.latest or cells.LATEST,
            "1970-01-01",
            "2000-02-29T23:59:59.999999999",
        ):
            yield text, f"the moment {text}"
        return
    for cell in seen[:8]:
        yield cell, "a value of training"
    if column.type == "image":
        for cell in [c for c in seen if isinstance(c, bytes)][:1]:
            # What a sender's lost connection makes of a file: the first bytes are those of an image.
            yield cell[: max(16, len(cell) // 2)], "half an image"
        return
    one: Any = "" if column.items == "string" else 0.0
    for length in (
        {column.size} if column.size else {column.min_length or 0, 1, min(column.max_length or 50, 50)}
    ):
        yield [one] * (length or 0), f"a list of {length} times {one!r}"
        if column.items == "number":
            for value in (1.0, -1.0, 1e6, FLOAT32_MAX, -FLOAT32_MAX):
                yield [value] * (length or 0), f"a list of {length} times {value:g}"
        else:
            yield [_UNSEEN] * (length or 0), "texts that training has not seen"


def _texts(column: Column, seen: Sequence[str]) -> Iterator[tuple[Cell, str]]:
    for text in _TEXTS:
        yield text, "text that training has not seen" if text == _UNSEEN else f"the text {text[:20]!r}"
    for text in (column.categories or [])[:20]:
        yield text, f"the category {text[:20]!r}"
    for length in {column.min_length, column.max_length} - {None}:
        yield (
            ("".join(seen) or "x" * _LONG)[:length].ljust(length or 0, "x")[:_LONG],
            f"a text of {length} characters",
        )
    some = list(seen[:: max(1, len(seen) // 8)])[:8]
    for text in some:
        for changed, words in (
            (text.upper(), "upper case"),
            (text.lower(), "lower case"),
            (f" {text} ", "blanks"),
        ):
            yield changed, f"{words} for {text[:20]!r}"
    if some:
        yield " ".join(some), "several texts at once"
        yield (" ".join([*some, "x"]) * _LONG)[:_LONG], f"a text of {_LONG} characters"


def _numbers(column: Column, seen: pd.Series[Any]) -> Iterator[tuple[Cell, str]]:
    whole = column.type == "integer"
    make: Any = int if whole else float
    for value in column.values or []:
        yield value, f"the value {value!r}"
    low, high = whole_bounds(column) if whole else real_bounds(column)
    ends = [(low, "the least value"), (high, "the greatest value")]
    if len(seen):
        ends += [(make(seen.min()), "the least of training"), (make(seen.max()), "the greatest of training")]
    for bound, words in ends:
        yield bound, words
        for aim in (-np.inf, np.inf):
            if whole:
                yield int(bound) + (1 if aim > 0 else -1), f"a neighbour of {words}"
            else:
                yield float(np.nextafter(bound, aim)), f"a neighbour of {words}"
                narrow = float(np.nextafter(np.float32(bound), np.float32(aim)))
                yield narrow, f"a float32 neighbour of {words}"
    if len(seen) > 1 and not whole:
        yield float(seen.mean()), "the mean"
    for value in _INTEGERS if whole else _NUMBERS:
        yield value, f"{value:g}"


def borders(schema: ModelSchema, inputs: pd.DataFrame, model: Scorer) -> list[Probe]:
    """For each number, neighbouring values between which `model` changes its answer most.

    A graph compares float32 with float32. Where it has lost a digit that the model goes by, it gives both
    neighbours one answer: no sample of rows would find the value, halving the gap always does.
    """
    base = [probe.row for probe in usual(schema, inputs, 1)]
    admission = Admission(schema)
    pairs: list[tuple[int, Any, Any]] = []
    for place, column in enumerate(schema.columns):
        if base and column.type in ("number", "integer"):
            pairs += _jumps(admission, base[0], place, inputs[column.name], model)
    if not pairs:
        return []
    row, low, high = base[0], [p[1] for p in pairs], [p[2] for p in pairs]
    places = [p[0] for p in pairs]

    def ask(values: Sequence[Any]) -> np.ndarray[Any, Any]:
        rows = [_with(row, place, value) for place, value in zip(places, values, strict=True)]
        return np.asarray(model.predict_rows(rows), dtype=np.float64).reshape(len(rows), -1)

    kinds = [inputs[schema.columns[place].name].dtype for place in places]
    at_low, at_high = ask(low), ask(high)
    for _ in range(66):
        middle = [_between(a, b, kind) for a, b, kind in zip(low, high, kinds, strict=True)]
        if all(m in (a, b) for m, a, b in zip(middle, low, high, strict=True)):
            break
        at = ask(middle)
        lower = np.abs(at - at_low).max(axis=1) >= np.abs(at_high - at).max(axis=1)
        low = [a if down else m for a, m, down in zip(low, middle, lower, strict=True)]
        high = [m if down else b for m, b, down in zip(middle, high, lower, strict=True)]
        at_low = np.where(lower[:, None], at_low, at)
        at_high = np.where(lower[:, None], at, at_high)
    probes = []
    for place, *ends in zip(places, low, high, strict=True):
        name = schema.columns[place].name
        for value in ends:
            if (parsed := admission.of(_with(row, place, value))) is not None:
                probes.append(
                    Probe(parsed, f"{value!r} in {name!r}, next to a split of the model", name, value)
                )
    return probes


def _jumps(
    admission: Admission, base: Row, place: int, seen: pd.Series[Any], model: Scorer
) -> list[tuple[int, Any, Any]]:
    """Neighbours among training's values with the largest change of the answer."""
    values = seen.dropna().drop_duplicates().sort_values().to_numpy()
    spread = np.unique(np.linspace(0, max(len(values) - 1, 0), _GRID).astype(int))
    picked = [values[i].item() for i in spread if i < len(values)]
    grid = [value for value in picked if admission.of(_with(base, place, value)) is not None]
    if len(grid) < 2:
        return []
    answers = np.asarray(model.predict_rows([_with(base, place, v) for v in grid]), dtype=np.float64)
    change = np.abs(np.diff(answers.reshape(len(grid), -1), axis=0)).max(axis=1)
    largest = [int(i) for i in np.argsort(-change)[:_JUMPS] if change[i] > 0]
    return [(place, grid[i], grid[i + 1]) for i in largest]


def _with(row: Row, place: int, value: Any) -> Row:
    return (*row[:place], value, *row[place + 1 :])


def _between(low: Any, high: Any, kind: Any) -> Any:
    """The value half way between two of a column, counted in values that its type can hold."""
    if isinstance(low, int) and isinstance(high, int):
        return (low + high) // 2
    narrow = str(kind).lower() == "float32"
    dtype, integer = (np.float32, np.int32) if narrow else (np.float64, np.int64)
    ends = [int(np.array(value, dtype=dtype).view(integer)) for value in (low, high)]
    # The bits of a negative number count down; mirrored, they count as the numbers do.
    bottom = int(np.iinfo(integer).min)
    a, b = (bits if bits >= 0 else bottom - bits for bits in ends)
    middle = (a + b) // 2
    bits = middle if middle >= 0 else bottom - middle
    return float(np.array(bits, dtype=integer).view(dtype))

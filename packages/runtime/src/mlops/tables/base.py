"""What both engines have in common. Importing it loads no library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mlops.errors import InvalidInput, Problem
from mlops.spec.window import Window

if TYPE_CHECKING:
    import narwhals as nw

Kind = Literal["text", "integer", "number", "boolean", "time", "moment"]
"""`time` is what a clock on a wall shows, `moment` a point in time (UTC). Numbers are of 64 bits."""
EVER = Window(date(1000, 1, 1), date(9998, 12, 1))


class Tables(Protocol):
    """The raw tables of one data asset; nothing is read before rows are asked for."""

    def table(
        self, name: str, columns: Mapping[str, Kind], optional: Mapping[str, Kind] | None = None
    ) -> nw.LazyFrame[Any]:
        """`columns` of `<name>.parquet` (a file, or a folder of them), and those of `optional` that it has.

        Columns come as the kind that is named, and what is not a number is null.
        Raises `InvalidInput` that names the file and what is missing.
        """


class Rows(Protocol):
    """A use case as far as an engine is concerned; see `mlops.usecase.Scales`."""

    name: str
    time: str

    def rows(self, raw: Tables, window: Window) -> nw.LazyFrame[Any]:
        """Rows of `window`, in any order."""


def ordered(lazy: nw.LazyFrame[Any], time: str) -> nw.LazyFrame[Any]:
    """Sorted by `time`, then by every other column: parallel engines have no order of their own."""
    names = lazy.collect_schema().names()
    return lazy.sort(time, *(name for name in names if name != time), nulls_last=False)


def clock(day: date) -> nw.Expr:
    """Midnight of `day`, to compare a column of the kind `time` with.

    Made from text: Spark takes a datetime of Python for one in the driver's time zone, and moves it to UTC.
    """
    import narwhals as nw

    return nw.lit(day.isoformat()).cast(nw.Datetime("us"))


def uncovered(raw: str, window: Window, first: datetime | None, last: datetime | None) -> InvalidInput:
    """The refusal of a window without rows; `first` and `last` are what the data have."""
    covered = f"the data cover {first:%Y-%m}..{last:%Y-%m}" if first and last else "there is no row at all"
    return InvalidInput(f"no row of {raw} is in the window {window}; {covered}")


def absent(where: str) -> InvalidInput:
    """A raw table that is not there."""
    return InvalidInput(Problem(where, "does not exist; the raw data set must hold it as Parquet"))


def unreadable(where: str, error: object) -> InvalidInput:
    """A raw table that is no Parquet file."""
    return InvalidInput(Problem(where, f"cannot be read as Parquet: {first_line(error)}"))


def chosen(
    where: str, present: Sequence[str], columns: Mapping[str, Kind], optional: Mapping[str, Kind] | None
) -> dict[str, Kind]:
    """The columns to read, by name. Raises `InvalidInput` when one is missing."""
    if missing := [c for c in columns if c not in present]:
        raise InvalidInput(
            Problem(where, f"lacks the columns {', '.join(missing)}; it has {', '.join(present)}")
        )
    return {**columns, **{c: k for c, k in (optional or {}).items() if c in present}}


@contextmanager
def sentences(raw: str, engine: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn what an engine raises over data that it cannot compute with into `InvalidInput`."""
    try:
        yield
    except errors as error:
        raise InvalidInput(f"{engine} cannot make rows of {raw}: {first_line(error)}") from error


def first_line(error: object) -> str:
    """What an engine says, without its stack of calls."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)

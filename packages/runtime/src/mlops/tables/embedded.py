"""DuckDB inside this process: no server, no Java, as many threads as there are cores."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import InvalidInput
from mlops.spec.window import Window
from mlops.tables.base import EVER, Kind, Rows, absent, chosen, ordered, sentences, uncovered, unreadable

if TYPE_CHECKING:
    import narwhals as nw
    import pandas as pd

_TYPES: Mapping[Kind, str] = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "time": "TIMESTAMP",
    "moment": "TIMESTAMP WITH TIME ZONE",
}
_CONFIG: dict[str, Any] = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
"""No download while data are read: what is needed is inside the package."""
MEMORY = "512MB"
"""For joins and the sort of rows that leave in batches; what is more goes to temporary files."""
_FLOATS = ("FLOAT", "DOUBLE")


_ASKED: ContextVar[Any] = ContextVar("asked", default=None)
"""What `frame` answers while somebody finds out whether a use case gives its answer on as it is."""


def frame(usecase: Rows, raw: Path, window: Window) -> pd.DataFrame:
    """The rows of `window` as pandas, sorted by time; times are datetime64[ns].

    Raises `InvalidInput` when a raw file or column is missing, cannot be computed with, or the window is
    empty.
    """
    if (asked := _ASKED.get()) is not None:
        return asked  # type: ignore[no-any-return]
    with _tables(raw) as tables:
        rows = _arrow(ordered(usecase.rows(tables, window), usecase.time))
        if not rows.num_rows:
            raise _uncovered(usecase, tables, raw, window)
    made: pd.DataFrame = rows.to_pandas(coerce_temporal_nanoseconds=True)
    return made


def is_frame(usecase: Any, raw: Path, window: Window) -> bool:
    """Whether `usecase.features` is `frame` and nothing else, so that its rows may be made in batches."""
    import pandas as pd

    if not (callable(getattr(usecase, "rows", None)) and isinstance(getattr(usecase, "time", None), str)):
        return False
    asked = pd.DataFrame()
    token = _ASKED.set(asked)
    try:
        return usecase.features(raw, window) is asked and asked.shape == (0, 0)
    except Exception:  # noqa: BLE001 - code of the use case, which got a table without columns
        return False
    finally:
        _ASKED.reset(token)


def batches(usecase: Rows, raw: Path, window: Window, size: int) -> Iterator[Any]:
    """What `frame` makes a table of: first the schema in Arrow and the columns that have a null, then batches
    in Arrow, sorted by time.

    Raises what `frame` raises.
    """
    import narwhals as nw

    with _tables(raw, memory=MEMORY) as tables:
        lazy = usecase.rows(tables, window)
        names = lazy.collect_schema().names()
        known = (nw.col(name).count().alias(f"n{place}") for place, name in enumerate(names))
        (counts,) = _arrow(lazy.select(nw.len().alias("rows"), *known)).to_pylist()
        if not counts["rows"]:
            raise _uncovered(usecase, tables, raw, window)
        native: Any = ordered(lazy, usecase.time).to_native()
        reader = native.to_arrow_reader(size)
        yield reader.schema, {n for place, n in enumerate(names) if counts[f"n{place}"] < counts["rows"]}
        yield from reader


@contextmanager
def _tables(raw: Path, *, memory: str = "") -> Iterator[DuckTables]:
    import duckdb

    with (
        tempfile.TemporaryDirectory() as spill,
        duckdb.connect(config=_CONFIG) as connection,
        sentences(str(raw), "DuckDB", duckdb.Error),
    ):
        connection.execute("SET TimeZone = 'UTC'")
        if memory:
            connection.execute(f"SET memory_limit = '{memory}'")
            connection.execute(f"SET temp_directory = '{spill}'")
        yield DuckTables(connection, raw)


def _uncovered(usecase: Rows, tables: DuckTables, raw: Path, window: Window) -> InvalidInput:
    times = usecase.rows(tables, EVER).select(first=_time(usecase).min(), last=_time(usecase).max())
    (covered,) = _arrow(times).to_pylist()
    return uncovered(str(raw), window, covered["first"], covered["last"])


class DuckTables:
    """Implements `mlops.tables.Tables` for the Parquet files of one folder."""

    def __init__(self, connection: Any, raw: Path) -> None:
        self._connection = connection
        self._raw = raw

    def table(
        self, name: str, columns: Mapping[str, Kind], optional: Mapping[str, Kind] | None = None
    ) -> nw.LazyFrame[Any]:
        import duckdb
        import narwhals as nw

        path = self._raw / f"{name}.parquet"
        if not path.exists():
            raise absent(str(path))
        try:
            relation = self._connection.read_parquet(f"{path}/**/*.parquet" if path.is_dir() else str(path))
        except duckdb.Error as error:
            raise unreadable(str(path), error) from None
        types = dict(zip(relation.columns, map(str, relation.types), strict=True))
        wanted = chosen(str(path), relation.columns, columns, optional)
        read = relation.project(", ".join(_read(c, types[c], k) for c, k in wanted.items()))
        lazy: nw.LazyFrame[Any] = nw.from_native(read)
        return lazy


def _read(name: str, there: str, kind: Kind) -> str:
    """SQL for a column as `kind`."""
    column = '"{}"'.format(name.replace('"', '""'))
    value = f"CASE WHEN isnan({column}) THEN NULL ELSE {column} END" if there in _FLOATS else column
    if kind == "integer" and there in _FLOATS:
        value = f"trunc({value})"  # a cast would round, and Spark's does not
    return f"CAST({value} AS {_TYPES[kind]}) AS {column}"


def _time(usecase: Rows) -> nw.Expr:
    import narwhals as nw

    return nw.col(usecase.time)


def _arrow(lazy: nw.LazyFrame[Any]) -> Any:
    native: Any = lazy.to_native()
    return native.to_arrow_table()

"""DuckDB inside this process: no server, no Java, as many threads as there are cores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
_FLOATS = ("FLOAT", "DOUBLE")


def frame(usecase: Rows, raw: Path, window: Window) -> pd.DataFrame:
    """The rows of `window` as pandas, sorted by time; times are datetime64[ns].

    Raises `InvalidInput` when a raw file or column is missing, cannot be computed with, or the window is
    empty.
    """
    import duckdb

    with duckdb.connect(config=_CONFIG) as connection, sentences(str(raw), "DuckDB", duckdb.Error):
        connection.execute("SET TimeZone = 'UTC'")
        tables = DuckTables(connection, raw)
        rows = _arrow(ordered(usecase.rows(tables, window), usecase.time))
        if not rows.num_rows:
            times = usecase.rows(tables, EVER).select(first=_time(usecase).min(), last=_time(usecase).max())
            (covered,) = _arrow(times).to_pylist()
            raise uncovered(str(raw), window, covered["first"], covered["last"])
    table: pd.DataFrame = rows.to_pandas(coerce_temporal_nanoseconds=True)
    return table


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

"""Rows that need not be in memory at once: read in batches, or some of their columns whole.

Each batch has the types that the whole table would have in pandas, which gives floats to whole numbers with
a null among them. So what is found in batches is what would be found in all rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mlops.steps import dataset

if TYPE_CHECKING:
    import pandas as pd

BATCH = 1 << 17


class Rows(Protocol):
    """Rows in their order."""

    columns: list[str]
    count: int
    kinds: Mapping[str, Any]
    """Types in Arrow, for a batch whose values do not tell theirs, because all are null."""

    def frames(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """All rows, one batch after the other, each numbered from 0; of `columns` where they are named."""

    def frame(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """All rows at once."""


class Held:
    """Implements `Rows` for a table that is in memory anyway."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self.columns = [str(name) for name in frame.columns]
        self.count = len(frame)
        self.kinds: Mapping[str, Any] = {}

    def frames(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        yield self.frame(columns)

    def frame(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        return self._frame if columns is None else self._frame[list(columns)]


class File:
    """Implements `Rows` for Parquet: a file, or a folder of them. Raises `InvalidInput` when it is none."""

    def __init__(self, path: Path, batch: int = BATCH) -> None:
        self.path, self._batch = path, batch
        with self._readable():
            schema, self._files, self.count = _found(path)
        self.columns = [str(name) for name in schema.names if not str(name).startswith("__index_level_")]
        self._schema = schema
        self.kinds: Mapping[str, Any] = {field.name: field.type for field in schema}

    def arrow(self, columns: Sequence[str]) -> Iterator[Any]:
        """Batches of `columns` in Arrow, which needs no pandas."""
        yield from self._batches(list(columns))

    def frame(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """See `Rows.frame`; times are datetime64[ns] whatever has written them."""
        import pandas as pd

        if columns is not None and not columns:
            # Parquet of no column has no rows: what is put beside them would be lost.
            return pd.DataFrame(index=pd.RangeIndex(self.count))
        with self._readable():
            table = pd.read_parquet(self.path, columns=None if columns is None else list(columns))
        return in_nanoseconds(table)

    def frames(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """See `Rows.frames`; one batch where a batch alone does not tell its types, as of categories."""
        import pyarrow as pa

        names = list(self.columns if columns is None else columns)
        alike = self._alike and all(streams(self._schema.field(n).type) for n in names)
        if not self.count or not names or not alike:
            yield self.frame(columns)
            return
        types = {n: t for n, t in self._types.items() if n in names}
        for batch in self._batches(names):
            yield typed(pa.Table.from_batches([batch]).to_pandas(), types)

    def _batches(self, names: list[str]) -> Iterator[Any]:
        import pyarrow.parquet as pq

        for file in self._files:
            with self._readable(), pq.ParquetFile(file, pre_buffer=False) as opened:
                for batch in opened.iter_batches(self._batch, columns=names):
                    # A file has them in its own order.
                    yield batch.select(names)

    @cached_property
    def _alike(self) -> bool:
        """Whether each file has all columns, in the same types; not where a folder's name has one."""
        import pyarrow.parquet as pq

        with self._readable():
            return all(pq.read_schema(file).equals(self._schema) for file in self._files)

    @cached_property
    def _types(self) -> Mapping[str, str]:
        """Columns whose nulls decide their type in pandas, if they have any, and that type."""
        nullable = {n: t for n in self.columns if (t := type_with_null(self._schema.field(n).type))}
        return {name: nullable[name] for name in self._with_nulls(list(nullable))}

    def _with_nulls(self, names: list[str]) -> set[str]:
        """Those of `names` that have a null, by what Parquet notes of each group of rows."""
        import pyarrow.parquet as pq

        unknown: set[str] = set()
        with_null: set[str] = set()
        for file in self._files if names else ():
            described = pq.read_metadata(file)
            groups = (described.row_group(i) for i in range(described.num_row_groups))
            for chunk in (group.column(i) for group in groups for i in range(group.num_columns)):
                if chunk.path_in_schema in names:
                    noted = chunk.statistics
                    known = noted is not None and noted.has_null_count
                    (with_null if known and noted.null_count else set() if known else unknown).add(
                        chunk.path_in_schema
                    )
        for name in unknown - with_null:
            if any(batch.column(0).null_count for batch in self._batches([name])):
                with_null.add(name)
        return with_null

    def _readable(self) -> Any:
        return dataset.readable(self.path)


class Stored(File):
    """The folder that `prep` wrote."""

    def __init__(self, folder: Path, batch: int = BATCH) -> None:
        self.manifest = dataset.read_manifest(folder)
        super().__init__(folder / dataset.ROWS, batch)


def _found(path: Path) -> tuple[Any, list[str], int]:
    """Schema, files and number of rows."""
    import pyarrow.parquet as pq

    if not path.is_dir():
        described = pq.read_metadata(path)
        return described.schema.to_arrow_schema(), [str(path)], int(described.num_rows)
    import pyarrow.dataset as ds

    files = ds.dataset(path, format="parquet", partitioning="hive")
    return files.schema, [str(file) for file in files.files], int(files.count_rows())


class Written:
    """A Parquet file, made batch by batch; reads as if pandas had written all rows at once."""

    def __init__(self, path: Path, kinds: Mapping[str, Any]) -> None:
        self.count = 0
        self._path, self._kinds = path, kinds
        self._writer: Any = None

    def __enter__(self) -> Written:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._writer is not None:
            self._writer.close()
        if kind is not None:
            self._path.unlink(missing_ok=True)

    def add(self, frame: pd.DataFrame) -> None:
        """Append rows; the first have all columns."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        frame = dataset.in_text(frame)
        if self._writer is None:
            schema = pa.Schema.from_pandas(frame, preserve_index=False)
            for index, field in enumerate(schema):
                if pa.types.is_null(field.type) and field.name in self._kinds:
                    schema = schema.set(index, field.with_type(self._kinds[field.name]))
            self._writer = pq.ParquetWriter(self._path, schema)
        if len(frame):
            table = pa.Table.from_pandas(frame, schema=self._writer.schema, preserve_index=False)
            self._writer.write_table(table, row_group_size=BATCH)
            self.count += len(frame)


def streams(kind: Any) -> bool:
    """Whether pandas makes the same of a column of this Arrow type in parts and whole."""
    import pyarrow.types as of

    return any(
        test(kind)
        for test in (
            of.is_integer,
            of.is_floating,
            of.is_boolean,
            of.is_string,
            of.is_large_string,
            of.is_timestamp,
            of.is_date,
            of.is_list,
            of.is_fixed_size_list,
            of.is_binary,
        )
    )


def plain(kind: Any) -> bool:
    """The same for a type that values of pandas tell, so that parts of a table are written as the whole."""
    import pyarrow.types as of

    return streams(kind) and not (of.is_list(kind) or of.is_fixed_size_list(kind))


def type_with_null(kind: Any) -> str:
    """The type in pandas of whole numbers or booleans among which is a null; "" for what has one type."""
    import pyarrow.types as of

    return "float64" if of.is_integer(kind) else "object" if of.is_boolean(kind) else ""


def typed(frame: pd.DataFrame, types: Mapping[str, str]) -> pd.DataFrame:
    """A batch in the types of the whole; those with a null of their own (Int64) stay."""
    import numpy as np

    other = {name: t for name, t in types.items() if isinstance(frame[name].dtype, np.dtype)}
    return in_nanoseconds(frame.astype({n: t for n, t in other.items() if frame[n].dtype != t}))


def in_nanoseconds(frame: pd.DataFrame) -> pd.DataFrame:
    """Engines write times in different units."""
    times = frame.select_dtypes("datetime").columns
    return frame.astype(dict.fromkeys(times, "datetime64[ns]"))


def taken(rows: Rows, places: Any, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The rows at `places`, in that order."""
    import numpy as np
    import pandas as pd

    wanted = np.asarray(places, dtype=np.int64)
    order = np.argsort(wanted, kind="stable")
    ascending, first, parts = wanted[order], 0, []
    for frame in rows.frames(columns):
        low, high = np.searchsorted(ascending, (first, first + len(frame)))
        parts.append(frame.iloc[ascending[low:high] - first])
        first += len(frame)
    back = np.empty(len(wanted), dtype=np.int64)
    back[order] = np.arange(len(wanted))
    return pd.concat(parts, ignore_index=True).iloc[back].reset_index(drop=True)


def joined(parts: Iterable[Any]) -> Any:
    """Arrays of batches as one array."""
    import numpy as np

    arrays = list(parts)
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)

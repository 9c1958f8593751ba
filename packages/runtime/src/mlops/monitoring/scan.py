"""One pass over captured traffic: counts by column, rows by window, and the rows that labels are known for.

Memory holds one batch of rows, the bins, and the labelled rows; row groups outside the window are skipped by
their statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from mlops.errors import TargetError
from mlops.monitoring.profile import BATCH, ColumnProfile, Counter, Profile
from mlops.spec.admits import arrow_type, fits, refused
from mlops.spec.monitoring import TimeSpan
from mlops.spec.schema import Column, ModelSchema
from mlops.spec.tasks import named, summary

REQUEST, ROW, TIME, VERSION, PREDICTED = "_request_id", "_row", "_time", "_version", "_prediction"
SET_ASIDE, UNPAIRED = b"mlops.set_aside", b"mlops.unpaired"
"""Metadata of a captured file: how much of what it was made from could not be used."""


@dataclass
class ColumnFacts:
    """One input column in the window."""

    profile: ColumnProfile | None
    """In the bins of the reference; None when the reference has no such column, or the window has not."""
    rows: int = 0
    nulls: int = 0
    out_of_bounds: int = 0
    """Outside the range or the categories of the model's contract, or not finite."""
    wrong_type: int = 0


@dataclass
class Scanned:
    """What the window holds."""

    rows: int = 0
    """Of the version that was asked for."""
    other_rows: int = 0
    """Of other versions."""
    columns: dict[str, ColumnFacts] = field(default_factory=dict)
    prediction: ColumnProfile | None = None
    labelled: Any = None
    """Arrow table of the captured rows whose request has a label, in capture order; None without labels."""
    earlier: list[int] = field(default_factory=list)
    """Rows of all versions in the windows of the same length before, the nearest first."""
    set_aside: int = 0
    """Lines that whoever wrote the files could not read."""
    unpaired: int = 0
    """Rows whose other half, request or answer, was not there."""


def scan(
    files: Sequence[Path],
    window: TimeSpan,
    version: int,
    schema: ModelSchema,
    reference: Profile,
    *,
    slices: Sequence[str] = (),
    labelled_ids: Any = None,
    earlier: int = 0,
) -> Scanned:
    """Read what was captured in `window` for `version`; `earlier` windows before it are only counted.

    `labelled_ids` is an Arrow array of request ids. Raises `TargetError` for a file that cannot be read.
    """
    work = _Scan(
        window, version, schema, reference, slices=slices, labelled_ids=labelled_ids, earlier=earlier
    )
    for path in files:
        work.file(path)
    return work.finish()


class _Scan:
    def __init__(
        self,
        window: TimeSpan,
        version: int,
        schema: ModelSchema,
        reference: Profile,
        *,
        slices: Sequence[str],
        labelled_ids: Any,
        earlier: int,
    ) -> None:
        import pyarrow as pa

        self.start, self.end = _micros(window.start), _micros(window.end)
        self.length, self.version, self.schema = self.end - self.start, version, schema
        self.first = self.start - earlier * self.length
        self.found = Scanned(earlier=[0] * earlier)
        self.counters = {c.name: Counter(_bare(c)) for c in reference.columns}
        self.facts = {c.name: ColumnFacts(None) for c in schema.columns}
        self.prediction = Counter(_bare(reference.prediction)) if reference.prediction else None
        self.ids, self.kept = labelled_ids, list[Any]()
        self.keep = [REQUEST, ROW, TIME, PREDICTED, *slices]
        self.micros = pa.timestamp("us", "UTC")

    def file(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(path) as file:
                names = file.schema_arrow.names
                told = file.schema_arrow.metadata or {}
                self.found.set_aside += int(told.get(SET_ASIDE, 0))
                self.found.unpaired += int(told.get(UNPAIRED, 0))
                for batch in file.iter_batches(
                    BATCH, row_groups=self._groups(file), columns=self._wanted(names)
                ):
                    self._batch(batch)
        except FileNotFoundError:
            return  # the writer keeps within its room: the oldest file went while the others were read
        except (OSError, KeyError, pa.ArrowException) as error:
            raise TargetError(
                f"the captured file {path} cannot be read ({error}); move it away and run the command again"
            ) from None

    def _wanted(self, names: Sequence[str]) -> list[str]:
        inputs = [c.name for c in self.schema.columns if c.name in names]
        ids = [REQUEST, ROW] if self.ids is not None else []
        return [TIME, VERSION, PREDICTED, *ids, *inputs]

    def _groups(self, file: Any) -> list[int]:
        """Row groups that may have rows between the first of the earlier windows and the end."""
        place = file.schema_arrow.names.index(TIME)
        chosen = []
        for index in range(file.metadata.num_row_groups):
            statistics = file.metadata.row_group(index).column(place).statistics
            if statistics is not None and statistics.has_min_max:
                low, high = _micros(statistics.min), _micros(statistics.max)
                if high < self.first or low >= self.end:
                    continue
            chosen.append(index)
        return chosen

    def _batch(self, batch: Any) -> None:
        times = batch.column(TIME).cast(self.micros).to_numpy(zero_copy_only=False).astype(np.int64)
        for back in range(len(self.found.earlier)):
            begin = self.start - (back + 1) * self.length
            self.found.earlier[back] += int(((times >= begin) & (times < begin + self.length)).sum())
        inside = (times >= self.start) & (times < self.end)
        own = inside & (batch.column(VERSION).to_numpy(zero_copy_only=False) == self.version)
        count = int(own.sum())
        self.found.rows += count
        self.found.other_rows += int(inside.sum()) - count
        if not count:
            return
        rows = _typed(batch if count == batch.num_rows else batch.filter(_mask(own)), self.schema)
        for column in self.schema.columns:
            if column.name in rows.schema.names:
                self._column(column, rows.column(column.name))
        if self.prediction is not None:
            self.prediction.add(self._predicted(rows.column(PREDICTED)), self._prediction_type)
        if self.ids is not None:
            self._labelled(rows)

    def _column(self, column: Column, values: Any) -> None:
        facts = self.facts[column.name]
        facts.rows += len(values)
        if not fits(column, values.type):
            facts.wrong_type += len(values)
            return
        counter = self.counters.get(column.name)
        facts.out_of_bounds += int(refused(column, values).sum())
        if counter is None:
            facts.nulls += values.null_count
            return
        before = counter.nulls
        counter.add(values, column.type)
        facts.nulls += counter.nulls - before

    @property
    def _prediction_type(self) -> Any:
        return "string" if named(self.schema) else "number"

    def _predicted(self, values: Any) -> Any:
        """What stands for an answer: a number a row, or the name of the likeliest class."""
        return summarised(values, self.schema)

    def _labelled(self, rows: Any) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        known = pc.is_in(rows.column(REQUEST), value_set=self.ids)
        chosen = rows.filter(known)
        if chosen.num_rows:
            self.kept.append(pa.table({n: chosen.column(n) for n in self.keep if n in chosen.schema.names}))

    def finish(self) -> Scanned:
        import pyarrow as pa

        for name, facts in self.facts.items():
            counter = self.counters.get(name)
            if counter is not None and facts.rows > facts.wrong_type:
                facts.profile = counter.result()
        self.found.columns = self.facts
        if self.prediction is not None and self.found.rows:
            self.found.prediction = self.prediction.result()
        if self.kept:
            # One file may have a column as int64 and another as float64.
            self.found.labelled = pa.concat_tables(self.kept, promote_options="permissive")
        return self.found


def summarised(values: Any, schema: ModelSchema) -> Any:
    """Answers as an Arrow array (of numbers, or of lists) as one that has a distribution."""
    import pyarrow as pa

    if not schema.listed:
        return values
    table = np.asarray(values.flatten()).reshape(len(values), len(schema.listed))
    return pa.array(summary(schema, table), pa.string() if named(schema) else pa.float64())


def _bare(profile: ColumnProfile) -> ColumnProfile:
    return profile.model_copy(update={"counts": [0] * len(profile.counts), "nulls": 0})


def _typed(rows: Any, schema: ModelSchema) -> Any:
    """A column in which nobody sent a value has no type of its own, but that of the model."""
    import pyarrow as pa

    wanted = {c.name: arrow_type(c) for c in schema.columns}
    fields = [
        field.with_type(wanted[field.name])
        if pa.types.is_null(field.type) and field.name in wanted
        else field
        for field in rows.schema
    ]
    return rows.cast(pa.schema(fields)) if fields != list(rows.schema) else rows


def _mask(rows: Any) -> Any:
    import pyarrow as pa

    return pa.array(rows)


def _micros(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, moment.tzinfo)) // timedelta(microseconds=1)

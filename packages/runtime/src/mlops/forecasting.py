"""Rows of a forecast: each tells a series, how far ahead, and what was known then; the answer is one value.

So any regression can forecast, and a request brings all that is needed: no server has to know a history.
Rows have rolling origins: from each day in turn (or each week, …) the next `horizon` steps are told. What
lies after the origin is in none of its columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlops.errors import InvalidInput
from mlops.spec.window import Window

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import DataFrameSchema

    Array = np.ndarray[Any, np.dtype[Any]]

BASELINE = "seasonal_naive"
"""Column of the rows: the last known value of the same season, which a forecast has to beat."""
STEP = "step"
Every = Literal["hour", "day", "week", "month"]
_FREQUENCY: dict[Every, str] = {"hour": "h", "day": "D", "week": "W-SUN", "month": "M"}
_CALENDAR: dict[Every, dict[str, tuple[int, int]]] = {
    "hour": {"hour": (0, 23), "weekday": (0, 6)},
    "day": {"weekday": (0, 6), "month": (1, 12)},
    "week": {"month": (1, 12)},
    "month": {"month": (1, 12)},
}


@dataclass(frozen=True)
class Forecast:
    """How a table of values, one a series and point in time, becomes rows."""

    series: str
    """Column that names the series."""
    time: str
    """Timestamp column. In the rows it is the time that is forecast."""
    target: str
    """Column of the values."""
    horizon: int
    """Steps ahead."""
    season: int
    """Steps after which things repeat: 7 for days that know weeks, 12 for months that know years."""
    every: Every = "day"
    """One step."""
    lags: int = 0
    """Newest values that a row has; 0 means two seasons."""
    stride: int = 1
    """Steps from one origin to the next."""

    @property
    def values(self) -> tuple[str, ...]:
        """Names of the columns with known values: `lag_1` is the newest."""
        return tuple(f"lag_{number}" for number in range(1, self._lags + 1))

    @property
    def inputs(self) -> tuple[str, ...]:
        """All columns that a model sees."""
        return (self.series, STEP, *_CALENDAR[self.every], *self.values)

    @property
    def beside(self) -> tuple[str, ...]:
        """Columns of the rows that a model does not see, beside target and time."""
        return (BASELINE,)

    @property
    def _lags(self) -> int:
        return max(self.lags or 2 * self.season, self.season)

    def rows(self, table: pd.DataFrame, window: Window) -> pd.DataFrame:
        """Rows whose forecast time is in `window`, sorted by it; a value that is not known yet is null.

        A row needs all its lags: gaps of the table cost rows. Raises `InvalidInput` for a table that lacks a
        column, has two values for one time, or has nothing in the window.
        """
        import pandas as pd

        self._check(table)
        first, end = pd.Timestamp(window.first), pd.Timestamp(window.end)
        together = pd.concat(
            [self._of_series(name, part, first, end) for name, part in table.groupby(self.series, sort=True)],
            ignore_index=True,
        )
        if together.empty:
            times = table[self.time]
            raise InvalidInput(
                f"nothing can be forecast in the window {window}: the data cover {times.min():%Y-%m-%d}.."
                f"{times.max():%Y-%m-%d}, and a row needs {self._lags} values before it"
            )
        return together.sort_values([self.time, self.series, STEP], kind="stable", ignore_index=True)

    def ask(self, table: pd.DataFrame) -> pd.DataFrame:
        """What a client sends: the rows for the next `horizon` steps after the newest value of each
        series."""
        import pandas as pd

        self._check(table)
        parts = []
        for name, part in table.groupby(self.series, sort=True):
            last = part[self.time].max()
            rows = self._of_series(
                name, part, last + pd.Timedelta(1), pd.Timestamp.max.normalize(), ahead=True
            )
            parts.append(rows)
        return pd.concat(parts, ignore_index=True)[[*self.inputs, self.time]]

    def contract(self, low: float, high: float) -> DataFrameSchema:
        """The data contract of the rows; values lie between `low` and `high`."""
        from pandera.pandas import Check, Column, DataFrameSchema

        columns = {
            self.series: Column(str, Check.str_length(1, 200), description="which series"),
            STEP: Column(
                "int64", Check.in_range(1, self.horizon), description="steps after the newest value"
            ),
        }
        for name, (least, most) in _CALENDAR[self.every].items():
            columns[name] = Column(
                "int64", Check.in_range(least, most), description=f"{name} of the forecast time"
            )
        for number, name in enumerate(self.values, 1):
            words = "the newest value" if number == 1 else f"the value {number - 1} steps before the newest"
            columns[name] = Column("float32", Check.in_range(low, high), description=words)
        return DataFrameSchema(columns, strict=True)

    def _check(self, table: pd.DataFrame) -> None:
        if missing := [c for c in (self.series, self.time, self.target) if c not in table]:
            raise InvalidInput(f"the table of values lacks the columns {', '.join(missing)}")
        twice = table.duplicated([self.series, self.time])
        if twice.any():
            row = table[twice].iloc[0]
            raise InvalidInput(f"the series {row[self.series]!r} has two values for {row[self.time]}")

    def _of_series(
        self, name: Any, part: pd.DataFrame, first: pd.Timestamp, end: pd.Timestamp, *, ahead: bool = False
    ) -> pd.DataFrame:
        """Rows of one series; `ahead`: of its newest origin alone."""
        import pandas as pd

        known = part.set_index(part[self.time].dt.to_period(_FREQUENCY[self.every]))[self.target]
        known = known.groupby(level=0).last()
        whole = known.reindex(pd.period_range(known.index.min(), known.index.max() + self.horizon))
        values = whole.to_numpy(dtype=np.float64)
        newest = len(whole) - 1 - self.horizon
        start = newest if ahead else self._lags - 1
        origins = np.arange(max(start, self._lags - 1), newest + 1, 1 if ahead else self.stride)
        origin, step = (
            a.ravel() for a in np.meshgrid(origins, np.arange(1, self.horizon + 1), indexing="ij")
        )
        target = origin + step
        times = pd.PeriodIndex(whole.index).to_timestamp()
        inside = (
            np.asarray((times[target] >= first) & (times[target] < end)) if len(target) else np.zeros(0, bool)
        )
        origin, step, target = origin[inside], step[inside], target[inside]
        lags = values[origin[:, None] - np.arange(self._lags)] if len(origin) else np.zeros((0, self._lags))
        when = times[target]
        columns: dict[str, Any] = {self.series: np.full(len(origin), str(name), dtype=object), STEP: step}
        columns |= {c: getattr(when, c).to_numpy().astype(np.int64) for c in _CALENDAR[self.every]}
        columns |= {c: lags[:, i].astype(np.float32) for i, c in enumerate(self.values)}
        columns[self.target] = values[target]
        columns[self.time] = when
        columns[BASELINE] = values[target - self.season * (-(-step // self.season))]
        table = pd.DataFrame(columns)
        complete = table[[*self.values, BASELINE]].notna().all(axis=1)
        learned = complete if ahead else complete & table[self.target].notna()
        return table[learned]

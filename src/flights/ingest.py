"""New months of raw data: what a delivery must look like, and what becomes of rows that do not.

A delivery is a folder with some of `flights`, `weather` and `planes` as CSV (zipped or not) or Parquet. The
months of the window are replaced as a whole, so a corrected delivery corrects, and a second one changes
nothing. Planes have no month: they are added, or replaced by their tail number.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from flights.inputs import ORIGINS
from flights.tables import SOURCES
from mlops.errors import InvalidInput
from mlops.spec.window import Window
from mlops.usecase import Delivery, Rejected

_KEYS = {
    "flights": ["year", "month", "day", "sched_dep_time", "carrier", "flight", "origin", "dest"],
    "weather": ["origin", "time_hour"],
    "planes": ["tailnum"],
}
_ENDINGS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": pd.read_csv,
    ".zip": pd.read_csv,
    ".parquet": pd.read_parquet,
}
Rule = tuple[str, Callable[[pd.DataFrame], pd.Series]]
"""A sentence, and which rows break it."""


def ingest(source: Path, window: Window, base: Path, fresh: Path) -> Delivery:
    """Write the tables of `base` with the months of `window` as `source` has them to `fresh`.

    Raises `InvalidInput` when no flight of the window is left.
    """
    rejected: list[Rejected] = []
    taken: dict[str, int] = {}
    delivered: dict[str, list[pd.DataFrame]] = {table: [] for table in SOURCES}
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        table = next((t for t in SOURCES if path.name.lower().startswith(t)), None)
        shown = path.relative_to(source).as_posix()
        if table is None or path.suffix.lower() not in _ENDINGS:
            why = f"is none of {', '.join(SOURCES)} as {', '.join(_ENDINGS)}"
            rejected.append(Rejected(shown, why, path=path))
            continue
        known = pd.read_parquet(base / f"{table}.parquet").iloc[:0]
        try:
            frame = _typed(_ENDINGS[path.suffix.lower()](path), known)
        except (OSError, ValueError, KeyError) as error:
            rejected.append(Rejected(shown, f"cannot be read: {_first(error)}", path=path))
            continue
        good, bad = _sorted_out(frame, table, window, shown)
        delivered[table].append(good)
        taken[shown] = len(good)
        rejected += bad
    if not any(len(frame) for frame in delivered["flights"]):
        raise InvalidInput(
            f"{source} has no flight of {window} that can be taken; "
            + (
                "; ".join(f"{r.file}: {r.rows or 'the file'} {r.reason}" for r in rejected[:5])
                or "it is empty"
            )
        )
    for table, frames in delivered.items():
        before = pd.read_parquet(base / f"{table}.parquet")
        _merged(before, frames, table, window).to_parquet(fresh / f"{table}.parquet", index=False)
    return Delivery(taken, rejected)


def _typed(frame: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """The columns of the raw table, in its order. What is no number or no moment becomes null.

    Raises `KeyError` with the columns that the file lacks.
    """
    if missing := [c for c in known.columns if c not in frame]:
        raise KeyError(f"it lacks the columns {', '.join(missing)}")
    made = {}
    for name, kind in known.dtypes.items():
        column = frame[name]
        if isinstance(kind, pd.DatetimeTZDtype):
            made[name] = pd.to_datetime(column, utc=True, errors="coerce").astype(kind)
        elif pd.api.types.is_numeric_dtype(kind):
            made[name] = pd.to_numeric(column, errors="coerce").astype("float64")
        else:
            made[name] = column.astype("object").where(column.notna(), None)
    return pd.DataFrame(made)


def _sorted_out(
    frame: pd.DataFrame, table: str, window: Window, file: str
) -> tuple[pd.DataFrame, list[Rejected]]:
    """Rows that keep every rule, and the others by the first rule that they break."""
    rejected = []
    for sentence, broken in _RULES[table](window):
        bad = broken(frame).to_numpy(dtype=bool)
        if bad.any():
            rejected.append(Rejected(file, sentence, int(bad.sum()), frame[bad]))
            frame = frame[~bad]
    return frame, rejected


def _dated(window: Window) -> list[Rule]:
    def outside(frame: pd.DataFrame) -> pd.Series:
        moment = pd.to_datetime(frame[["year", "month", "day"]], errors="coerce")
        inside = moment.between(pd.Timestamp(window.first), pd.Timestamp(window.end), inclusive="left")
        return ~inside

    return [
        ("has no valid date", lambda f: pd.to_datetime(f[["year", "month", "day"]], errors="coerce").isna()),
        (f"is outside the window {window}", outside),
        (f"has an origin that is none of {', '.join(ORIGINS)}", lambda f: ~f["origin"].isin(ORIGINS)),
        ("has no time_hour", lambda f: f["time_hour"].isna()),
    ]


def _flights(window: Window) -> list[Rule]:
    return [
        *_dated(window),
        ("has no IATA carrier", lambda f: ~f["carrier"].astype(str).str.fullmatch(r"[A-Z0-9]{2}")),
        ("has no IATA destination", lambda f: ~f["dest"].astype(str).str.fullmatch(r"[A-Z]{3}")),
        ("has no flight number", lambda f: f["flight"].isna()),
        ("has no scheduled departure (hour, minute)", lambda f: ~_clock(f["hour"], f["minute"])),
        (
            "has no scheduled arrival (HHMM)",
            lambda f: ~_clock(f["sched_arr_time"] // 100, f["sched_arr_time"] % 100),
        ),
        ("has a distance that is not above 0", lambda f: ~(f["distance"] > 0)),
        ("is there twice", lambda f: f.duplicated(_KEYS["flights"])),
    ]


def _weather(window: Window) -> list[Rule]:
    return [*_dated(window), ("is there twice", lambda f: f.duplicated(_KEYS["weather"]))]


def _planes(_: Window) -> list[Rule]:
    return [
        ("has no tail number", lambda f: f["tailnum"].isna()),
        ("is there twice", lambda f: f.duplicated(_KEYS["planes"])),
    ]


_RULES: dict[str, Callable[[Window], list[Rule]]] = {
    "flights": _flights,
    "weather": _weather,
    "planes": _planes,
}


def _clock(hour: pd.Series, minute: pd.Series) -> pd.Series:
    # 24:00 is how the source writes midnight.
    return hour.between(0, 24) & minute.between(0, 59)


def _merged(before: pd.DataFrame, frames: list[pd.DataFrame], table: str, window: Window) -> pd.DataFrame:
    """The table with its new rows, in the order of its keys, with the types it had."""
    if not any(len(frame) for frame in frames):
        return before
    new = pd.concat([f for f in frames if len(f)], ignore_index=True).drop_duplicates(
        _KEYS[table], keep="last"
    )
    if table == "planes":
        kept = before[~before["tailnum"].isin(new["tailnum"])]
    else:
        moment = pd.to_datetime(before[["year", "month", "day"]])
        kept = before[(moment < np.datetime64(window.first)) | (moment >= np.datetime64(window.end))]
    # Whole numbers without gaps are whole numbers again.
    types = {c: t for c, t in before.dtypes.items() if not (new[c].isna().any() and t.kind in "iu")}
    joined = pd.concat([kept, new.astype(types)], ignore_index=True)
    return joined.sort_values(_KEYS[table], kind="stable", ignore_index=True)


def _first(error: Exception) -> str:
    return str(error.args[0] if error.args else error).splitlines()[0]

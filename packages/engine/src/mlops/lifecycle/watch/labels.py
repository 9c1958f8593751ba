"""`mlops labels add`: what turned out to be true, joined to captured predictions by request id and row."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import InvalidInput, Problem, TargetError
from mlops.spec.window import Window
from mlops.targets.base import Observations, Target

if TYPE_CHECKING:
    import pandas as pd

REQUEST, ROW, LABEL, TIME = "request_id", "row", "label", "time"
_READERS = {".csv": "read_csv", ".parquet": "read_parquet", ".jsonl": "read_json"}
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    # Only an empty field is null: None and NA may be classes, as they may be values of a column.
    ".csv": {
        "dtype": {REQUEST: str, LABEL: str},
        "keep_default_na": False,
        "na_values": [""],
        "encoding": "utf-8-sig",
    },
    ".jsonl": {"lines": True, "dtype": {REQUEST: str, LABEL: object}, "convert_dates": False},
}
_WHOLE = re.compile(r"-?\d+\.0+")
_DIGITS = 16
_EXAMPLES = 5


@dataclass(frozen=True)
class Added:
    """What a file of labels amounted to."""

    rows: int
    new: bool
    """False when this very file was added before."""
    name: str
    """Of the stored file."""


def observations(target: Target) -> Observations:
    """Raises `TargetError` for a provider that keeps no captured traffic."""
    if target.observations is None:
        raise TargetError(f"the target {target.name} keeps no captured traffic, so nothing can be monitored")
    return target.observations


def add_labels(target: Target, env: str, model: str, path: Path, now: datetime) -> Added:
    """Keep the labels of a CSV, Parquet or JSON-lines file. Adding a file again changes nothing.

    Columns: `request_id` (the answer's header x-request-id; a client may choose it), `label`, and, where a
    request had several rows, `row` (from 0); `time` is when the thing that was predicted took place.
    A later file corrects an earlier one, row by row. Raises `InvalidInput` when the file is wrong.
    """
    frame = read_labels(path)
    content = _encode(frame)
    digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
    keep = observations(target)
    for known in keep.files(env, model, "labels"):
        if known.stem.endswith(digest):
            return Added(len(frame), False, known.name)
    name = f"{now.astimezone(UTC):%Y%m%dT%H%M%S%f}-{digest}.parquet"
    return Added(len(frame), keep.add(env, model, "labels", name, content), name)


def read_labels(path: Path) -> pd.DataFrame:
    """One row a label, sorted by request and row: text ids, int64 rows, text labels, UTC times (or NaT)."""
    import pandas as pd

    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InvalidInput(f"{path} is none of {', '.join(_READERS)}; labels come in one of these")
    options = _OPTIONS.get(path.suffix.lower(), {})
    try:
        raw: pd.DataFrame = getattr(pd, reader)(path, **options)
    except FileNotFoundError:
        raise InvalidInput(Problem(str(path), "does not exist")) from None
    except (OSError, ValueError) as error:
        raise InvalidInput(Problem(str(path), f"cannot be read as {path.suffix[1:]}: {error}")) from None
    return _checked(raw, str(path))


def _checked(raw: pd.DataFrame, name: str) -> pd.DataFrame:
    import pandas as pd

    known = (REQUEST, ROW, LABEL, TIME)
    problems = [Problem(name, f"lacks the column {c!r}") for c in (REQUEST, LABEL) if c not in raw]
    if unknown := [str(c) for c in raw.columns if c not in known]:
        problems.append(
            Problem(name, f"has the unknown columns {', '.join(unknown)}; allowed: {', '.join(known)}")
        )
    if problems:
        raise InvalidInput(problems)
    empty = raw[REQUEST].isna() | raw[LABEL].isna()
    if empty.any():
        lines = ", ".join(str(i + 1) for i in empty.to_numpy().nonzero()[0][:_EXAMPLES])
        raise InvalidInput(
            Problem(name, f"{int(empty.sum())} rows have no request_id or no label (rows {lines})")
        )
    try:
        rows = raw[ROW].astype("int64") if ROW in raw else pd.Series(0, index=raw.index, dtype="int64")
        times = pd.to_datetime(raw[TIME] if TIME in raw else pd.Series(pd.NaT, index=raw.index), utc=True)
    except (TypeError, ValueError) as error:
        raise InvalidInput(Problem(name, f"row must be whole numbers and time moments ({error})")) from None
    frame = pd.DataFrame(
        {
            REQUEST: raw[REQUEST].astype(str),
            ROW: rows,
            LABEL: raw[LABEL].map(_text),
            TIME: times.astype("datetime64[us, UTC]"),
        }
    ).drop_duplicates()
    twice = frame.duplicated([REQUEST, ROW], keep=False)
    if twice.any():
        ids = ", ".join(dict.fromkeys(frame.loc[twice, REQUEST].tolist()[: 2 * _EXAMPLES]))
        raise InvalidInput(Problem(name, f"says two things of the same row of these requests: {ids}"))
    return frame.sort_values([REQUEST, ROW], ignore_index=True)


def _text(value: Any) -> str:
    """The label as the model writes its classes: 1, not 1.0. Several are `hot+wet` or `none`, several
    numbers JSON."""
    several = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(several, list | tuple):
        texts = all(isinstance(one, str) for one in several)
        return ("+".join(several) or "none") if texts else json.dumps(several)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value)
    return text.partition(".")[0] if _WHOLE.fullmatch(text) else text


def _encode(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def known_labels(keep: Observations, env: str, model: str) -> pd.DataFrame | None:
    """All labels, one row each, the last word on every row; None when there are none."""
    import pandas as pd

    files = keep.files(env, model, "labels")
    if not files:
        return None
    every = pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)
    return every.drop_duplicates([REQUEST, ROW], keep="last", ignore_index=True)


def covered_days(times: pd.Series[Any]) -> str | None:
    """The window of days from the first moment to the last; None when no label has a time."""
    import pandas as pd

    known = times.dropna()
    if known.empty:
        return None
    first, last = (pd.Timestamp(moment).tz_localize(None).date() for moment in (known.min(), known.max()))
    return str(Window(first, last, "day"))

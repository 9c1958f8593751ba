"""What Azure ML's data collector wrote, as the rows that an endpoint captures elsewhere. Pure.

A line is a CloudEvent whose `data` are rows of one request, or of several that came close together. Each row
says itself where it belongs (`mlops.serving.capture.collector`), so a row of the inputs finds its row of the
outputs whatever the agent made of their events.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from mlops.monitoring.scan import SET_ASIDE, UNPAIRED
from mlops.serving.capture.collector import CORRELATION, INPUTS, OUTPUTS, ROW, TIME

Key = tuple[datetime, str, int]
"""Time of the answer, request, position within the request: in this order rows are written."""
_KEYS = (CORRELATION, ROW, TIME)
_SHOWN = 500
"""Characters of a bad line that are kept: enough to see whose it is."""


class Bad(NamedTuple):
    """A line that could not be read."""

    blob: str
    line: int
    reason: str
    text: str


class _Wrong(Exception):
    """Why a line is no event of ours."""


@dataclass
class Hour:
    """Both collections of one deployment in one hour, or what two hours have of the same rows."""

    inputs: dict[Key, dict[str, Any]] = field(default_factory=dict)
    outputs: dict[Key, dict[str, Any]] = field(default_factory=dict)
    bad: list[Bad] = field(default_factory=list)
    found_again: int = 0
    """Halves that their own hours count as unpaired, and that are here."""

    def read(self, collection: str, blob: str, data: bytes) -> None:
        """Take over the lines of a blob of `model_inputs` or `model_outputs`."""
        side = self.inputs if collection == INPUTS else self.outputs
        for number, line in enumerate(data.split(b"\n"), start=1):
            if not line.strip():
                continue
            try:
                side.update(_rows(line, collection))
            except _Wrong as why:
                self.bad.append(Bad(blob, number, str(why), line[:_SHOWN].decode("utf-8", "replace")))

    def halves(self) -> bytes:
        """Rows of which only one half is there, as text for `Hour.turn`; empty when there are none."""
        alone = self.inputs.keys() ^ self.outputs.keys()
        if not alone:
            return b""
        sides = ([side[key] for key in sorted(alone & side.keys())] for side in (self.inputs, self.outputs))
        return msgspec.json.encode(dict(zip((INPUTS, OUTPUTS), sides, strict=True)))

    @classmethod
    def turn(cls, early: bytes, late: bytes) -> Hour:
        """The rows whose halves are in two hours, one after the other: the agent writes each when it likes.

        `early` and `late` are the `halves` of these hours.
        """
        hour = cls()
        for data in (early, late):
            sides = msgspec.json.decode(data)
            hour.inputs |= [_row(row, _KEYS) for row in sides[INPUTS]]
            hour.outputs |= [_row(row, _KEYS) for row in sides[OUTPUTS]]
        whole = hour.inputs.keys() & hour.outputs.keys()
        hour.inputs = {key: hour.inputs[key] for key in whole}
        hour.outputs = {key: hour.outputs[key] for key in whole}
        hour.found_again = 2 * len(whole)
        return hour

    def table(self) -> Any:
        """Arrow table as `mlops.serving.capture.capture_files` writes it; its metadata say what is not in it.

        A column without any value has Arrow's type `null`.
        """
        import pyarrow as pa

        keys = sorted(self.inputs.keys() & self.outputs.keys())
        told = [self.outputs[key] for key in keys]
        predictions = [row["_prediction"] for row in told]
        many = any(isinstance(value, list) for value in predictions)
        columns: dict[str, Any] = {
            "_request_id": pa.array([key[1] for key in keys], pa.string()),
            "_time": pa.array([key[0] for key in keys], pa.timestamp("us", "UTC")),
            "_deployment": pa.array([str(row.get("_deployment", "")) for row in told], pa.string()),
            "_version": pa.array([row["_version"] for row in told], pa.int64()),
            "_row": pa.array([key[2] for key in keys], pa.int32()),
            "_prediction": pa.array(predictions, pa.list_(pa.float64()) if many else pa.float64()),
        }
        asked = [self.inputs[key] for key in keys]
        for name in dict.fromkeys(name for row in asked for name in row if name not in _KEYS):
            columns[name] = _array([row.get(name) for row in asked])
        unpaired = len(self.inputs.keys() ^ self.outputs.keys()) - self.found_again
        counts = {SET_ASIDE: str(len(self.bad)), UNPAIRED: str(unpaired)}
        return pa.table(columns).replace_schema_metadata(counts)

    def bad_lines(self) -> bytes:
        """One JSON object a line that could not be read."""
        return b"".join(json.dumps(bad._asdict(), ensure_ascii=False).encode() + b"\n" for bad in self.bad)


def _rows(line: bytes, collection: str) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Raises `_Wrong` before it answers anything: a line counts as a whole or not at all."""
    try:
        event = msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        raise _Wrong(f"is no JSON: {error}") from None
    data = event.get("data") if isinstance(event, dict) else None
    if isinstance(data, str):
        raise _Wrong("its rows are in a blob of their own, as the collector does beyond 4 MB")
    if not isinstance(data, list):
        raise _Wrong("has no list `data`, as an event of the data collector has")
    needed = (*_KEYS, "_prediction", "_version") if collection == OUTPUTS else _KEYS
    return iter([_row(row, needed) for row in data])


def _row(row: Any, needed: Sequence[str]) -> tuple[Key, dict[str, Any]]:
    missing = [name for name in needed if not isinstance(row, dict) or row.get(name) is None]
    if missing:
        raise _Wrong(f"a row has no {', '.join(missing)}: it was not captured by this project's server")
    try:
        at = datetime.fromisoformat(row[TIME])
        key = (at.astimezone(UTC), str(row[CORRELATION]), int(row[ROW]))
        if "_version" in needed:
            int(row["_version"])
            _number(row["_prediction"])
    except (TypeError, ValueError) as error:
        raise _Wrong(f"a row has a value of the wrong kind ({error})") from None
    return key, row


def _number(value: Any) -> None:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, bool) or not isinstance(one, int | float):
            raise TypeError(f"_prediction is {value!r}")


def _array(values: list[Any]) -> Any:
    """Text, booleans, int64 (uint64) or float64, as the values are; what is mixed becomes text, and is told
    as wrong."""
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pa.nulls(len(values))
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int}:
        known = [value for value in values if value is not None]
        for kind, low, high in ((pa.int64(), -(2**63), 2**63), (pa.uint64(), 0, 2**64)):
            if low <= min(known) and max(known) < high:
                return pa.array(values, kind)
    if kinds <= {int, float}:
        return pa.array(values, pa.float64())
    texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return pa.array(texts, pa.string())

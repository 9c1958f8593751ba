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

from mlops.serving.capture.collector import CORRELATION, INPUTS, OUTPUTS, ROW, TIME
from mlops.targets._captured_rows import Key, captured_table

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
        keys = sorted(self.inputs.keys() & self.outputs.keys())
        rows = [(key, _without_keys(self.inputs[key]), self.outputs[key]) for key in keys]
        unpaired = len(self.inputs.keys() ^ self.outputs.keys()) - self.found_again
        return captured_table(rows, set_aside=len(self.bad), unpaired=unpaired)

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


def _without_keys(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _KEYS}

"""Damaged and odd requests without end, and what must become of each, decided by other code than ours.

The oracle reads a body with Python's own JSON parser and plain `isinstance`. It knows nothing of msgspec or
of `mlops.serving.score.request`: the two agree only if both are right about the contract.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from mlops.serving import testing

NAMES = ("carrier", "distance")
LOW, HIGH = 0.0, 10_000.0
PATHS = {"score": "/score", "invocations": "/invocations"}

CARRIERS: list[Any] = [*testing.CARRIERS, "??", "", "é", "\U0001f6eb", 'a"b\\c', "x" * 300]
DISTANCES: list[Any] = [0, 1, 500.0, 1e4, 1.5e3, 0.1, None, 5e-324, -0.0]
WRONG: dict[str, list[Any]] = {
    "carrier": [None, 1, 1.5, True, [], {}, ["AA"], {"a": "AA"}, -0.0, 10**30],
    "distance": ["3", "", "NaN", True, False, -1, -1e-9, 10_000.5, 1e39, 1e300, 10**40, [], [1], {}],
}
NOISE = [
    b"null", b"NaN", b"Infinity", b"-Infinity", b"[", b"]", b"{", b"}", b'"', b"1e999", b"true", b",", b":",
    b"\\", b"\x00", b"\xff", b"\xed\xa0\x80", b"\\ud800", b"0x1", b"01", b"'", b"//", b"\xef\xbb\xbf", b"1_0",
]  # fmt: skip
EXTRAS = ["params", "extra", "Data", "input_data", "data", "index", "carier", "", "\u0000"]


class Case(NamedTuple):
    """One request. `cell` is (column, row, value) when exactly this value is wrong in a sound body."""

    protocol: str
    body: bytes
    cell: tuple[str, int, Any] | None = None


def cases(seed: int, count: int) -> Iterator[Case]:
    """The same ones for the same seed."""
    chance = random.Random(seed)  # noqa: S311
    for _ in range(count):
        make = chance.choices((_sound, _wrong_cell, _bent, _damaged, _random), (2, 3, 3, 4, 1))[0]
        yield make(chance)


def rows_of(case: Case) -> list[tuple[str, float | None]] | None:
    """The rows of a valid request in signature order; None when it must be refused."""
    try:
        text = case.body.decode("utf-8")
        body = json.loads(text, parse_constant=_refuse, object_pairs_hook=_each_once)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    keys = {
        "score": {"input_data": "sr", "data": "r"},
        "invocations": {"dataframe_split": "s", "dataframe_records": "r", "instances": "r", "inputs": "cr"},
    }[case.protocol]
    tables = [key for key in body if key in keys]
    if len(tables) != 1 or set(body) - {tables[0], "params"} or body.get("params") not in (None, {}):
        return None
    rows = _table(body[tables[0]], keys[tables[0]])
    if not rows or not all(_cells_are_good(row) for row in rows):
        return None
    return rows


def _table(table: Any, shapes: str) -> list[tuple[Any, Any]] | None:
    if isinstance(table, list) and "r" in shapes:
        sound = all(isinstance(row, dict) and set(row) == set(NAMES) for row in table)
        return [(row["carrier"], row["distance"]) for row in table] if sound else None
    if isinstance(table, dict) and "s" in shapes:
        return _split(table)
    if isinstance(table, dict) and "c" in shapes and set(table) == set(NAMES):
        lists = [table[name] for name in NAMES if isinstance(table[name], list)]
        if len(lists) == len(NAMES) and len(lists[0]) == len(lists[1]):
            return list(zip(*lists, strict=True))
    return None


def _split(table: dict[str, Any]) -> list[tuple[Any, Any]] | None:
    if not {"columns", "data"} <= set(table) <= {"columns", "data", "index"}:
        return None
    columns, data, index = table["columns"], table["data"], table.get("index")
    if not isinstance(columns, list) or not all(isinstance(c, str) for c in columns):
        return None
    if sorted(columns) != sorted(NAMES) or not isinstance(data, list):
        return None
    if not all(isinstance(row, list) and len(row) == len(NAMES) for row in data):
        return None
    if index is not None and (not isinstance(index, list) or len(index) != len(data)):
        return None
    at = [columns.index(name) for name in NAMES]
    return [(row[at[0]], row[at[1]]) for row in data]


def _cells_are_good(row: tuple[Any, Any]) -> bool:
    carrier, distance = row
    if not isinstance(carrier, str) or any(0xD800 <= ord(c) <= 0xDFFF for c in carrier):
        return False
    if distance is None:
        return True
    if isinstance(distance, bool) or not isinstance(distance, int | float):
        return False
    return math.isfinite(distance) and LOW <= distance <= HIGH


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Which of two values the caller meant is not known, so a key twice is refused at any depth."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key is given twice in one object")
    return made


# --- makers ---------------------------------------------------------------------------------------------


def _rows(chance: random.Random) -> list[list[Any]]:
    count = chance.choice((1, 1, 1, 2, 3, 10))
    return [[chance.choice(CARRIERS), chance.choice(DISTANCES)] for _ in range(count)]


def _envelope(chance: random.Random, rows: list[list[Any]]) -> tuple[str, dict[str, Any]]:
    names = list(NAMES)
    records = [dict(zip(names, row, strict=True)) for row in rows]
    if chance.random() < 0.3:
        names, rows = names[::-1], [row[::-1] for row in rows]
    split: dict[str, Any] = {"columns": names, "data": rows}
    if chance.random() < 0.5:
        split["index"] = list(range(len(rows)))
    columns = {name: [record[name] for record in records] for name in names}
    return chance.choice([
        ("score", {"input_data": split}), ("score", {"input_data": records}), ("score", {"data": records}),
        ("invocations", {"dataframe_split": split}), ("invocations", {"dataframe_records": records}),
        ("invocations", {"instances": records}), ("invocations", {"inputs": records}),
        ("invocations", {"inputs": columns}),
    ])  # fmt: skip


def _encode(chance: random.Random, value: Any) -> bytes:
    separators = chance.choice([(",", ":"), (", ", ": "), (" ,\n", "\t: ")])
    return json.dumps(value, ensure_ascii=chance.random() < 0.5, separators=separators).encode()


def _sound(chance: random.Random) -> Case:
    protocol, body = _envelope(chance, _rows(chance))
    return Case(protocol, _encode(chance, body))


def _wrong_cell(chance: random.Random) -> Case:
    rows = _rows(chance)
    row, column = chance.randrange(len(rows)), chance.randrange(len(NAMES))
    value = rows[row][column] = chance.choice(WRONG[NAMES[column]])
    protocol, body = _envelope(chance, rows)
    return Case(protocol, _encode(chance, body), (NAMES[column], row, value))


def _bent(chance: random.Random) -> Case:
    """A part of a sound body is removed, doubled, renamed or replaced by something else."""
    protocol, body = _envelope(chance, _rows(chance))
    for _ in range(chance.randint(1, 2)):
        _bend(chance, body)
    return Case(chance.choice((protocol, protocol, *PATHS)), _encode(chance, body))


def _bend(chance: random.Random, part: Any) -> None:
    while True:
        inner = [
            v for v in (part.values() if isinstance(part, dict) else part) if isinstance(v, dict | list) and v
        ]
        if not inner or chance.random() < 0.3:
            break
        part = chance.choice(inner)
    odd = chance.choice([None, 1, "x", [], {}, [[]], [{}], True, 1e308, {"columns": [], "data": []}, [None]])
    if isinstance(part, list) and part:
        at = chance.randrange(len(part))
        match chance.randrange(3):
            case 0:
                del part[at]
            case 1:
                part.append(part[at])
            case _:
                part[at] = odd
        return
    key = chance.choice(list(part) or ["data"])
    match chance.randrange(3):
        case 0:
            part.pop(key, None)
        case 1:
            part[chance.choice(EXTRAS)] = odd
        case _:
            part[key] = odd


def _damaged(chance: random.Random) -> Case:
    """Bytes of a sound body are changed."""
    protocol, sound = _envelope(chance, _rows(chance))
    body = bytearray(_encode(chance, sound))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(body) + 1)
        match chance.randrange(5):
            case 0:
                body[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del body[at : at + chance.randint(1, 8)]
            case 2:
                del body[at:]
            case 3:
                start = chance.randrange(len(body) + 1)
                body[at:at] = body[start : start + chance.randint(1, 30)]
            case _:
                body[at:at] = chance.choice(NOISE)
    return Case(protocol, bytes(body))


def _random(chance: random.Random) -> Case:
    """Anything at all, and nests deeper than a parser likes."""
    protocol = chance.choice(list(PATHS))
    match chance.randrange(4):
        case 0:
            return Case(protocol, chance.randbytes(chance.randrange(60)))
        case 1:
            return Case(
                protocol, chance.choice([b"[", b'{"data":', b'{"inputs":[']) * chance.choice([1, 50, 3000])
            )
        case 2:
            return Case(
                protocol,
                chance.choice([b"", b" ", b"null", b"[]", b"{}", b"0", b'""', b"true", b"\xef\xbb\xbf{}"]),
            )
        case _:
            return Case(protocol, b"".join(chance.choices(NOISE, k=chance.randint(1, 12))))

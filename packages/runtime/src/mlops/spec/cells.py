"""Cells that are no text, number or truth value: moments, vectors, lists and images, in JSON and in tables.

In a request a moment is ISO 8601 text without an offset (`2024-03-01`, `2024-03-01T12:30:00`), a vector a
list of as many numbers as the contract says, a list one of any length, an image the base64 of its file.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlops.errors import TargetError
from mlops.spec.admits import FLOAT32_MAX
from mlops.spec.schema import Column

EARLIEST, LATEST = "1677-09-22T00:00:00", "2262-04-11T00:00:00"
"""What a nanosecond clock of 64 bits can tell."""
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?")
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"RIFF", b"BM")
MOST_BYTES = 1 << 20
"""Of an image, where the contract names no limit."""
MOST_PIXELS = 1 << 24
"""Of an image that is read: a small file may hold a picture that fills the memory."""


def moment(text: Any) -> np.datetime64 | None:
    """A text as a moment; None when it is none."""
    if not isinstance(text, str) or not _MOMENT.fullmatch(text):
        return None
    try:
        parsed = np.datetime64(text, "ns")
        return (
            parsed if np.datetime64(EARLIEST) <= np.datetime64(text, "s") <= np.datetime64(LATEST) else None
        )
    except (ValueError, OverflowError):
        return None


def legal(column: Column) -> Callable[[Any], bool]:
    """What is asked of one cell that is there."""
    if column.type == "datetime":
        first, last = (np.datetime64(v) for v in (column.earliest or EARLIEST, column.latest or LATEST))
        return lambda value: (at := moment(value)) is not None and bool(first <= at <= last)
    if column.type == "image":
        most, look = column.max_length or MOST_BYTES, _look(column)
        return lambda value: (
            isinstance(value, bytes) and value.startswith(_PICTURES) and len(value) <= most and look(value)
        )
    low, high = (column.size, column.size) if column.size else (column.min_length or 0, column.max_length)
    good = _text if column.items == "string" else _number
    return lambda value: (
        isinstance(value, Sequence)
        and low <= len(value) <= (math.inf if high is None else high)
        and all(map(good, value))
    )


def _look(column: Column) -> Callable[[bytes], bool]:
    """Whether an image can be read and is as the column wants it; asked of Pillow where the column says how.

    Raises `TargetError` where Pillow is not installed.
    """
    if column.width is None and column.height is None and not column.mode:
        return lambda file: True
    try:
        from PIL import Image
    except ImportError:
        raise TargetError(
            f"column {column.name!r} has images whose size or mode the contract names, and Pillow is not "
            "installed here to read them; install the group pillow of pyproject.toml"
        ) from None

    def good(file: bytes) -> bool:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Image.open(io.BytesIO(file)) as picture:
                    wide, high = picture.size
                    if (
                        (column.width or wide) != wide
                        or (column.height or high) != high
                        or (column.mode or picture.mode) != picture.mode
                        or wide * high > MOST_PIXELS
                    ):
                        return False
                    picture.load()
        # A file from outside: whatever its decoder makes of it, it is no image.
        except Exception:  # noqa: BLE001
            return False
        return True

    return good


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= FLOAT32_MAX


def words(column: Column) -> str:
    """What a client may send."""
    if column.type == "datetime":
        text = "a date or time without an offset, such as 2024-03-01 or 2024-03-01T12:30:00"
        first = f", not before {column.earliest}" if column.earliest else ""
        return text + first + (f", not after {column.latest}" if column.latest else "")
    if column.type == "image":
        most = column.max_length or MOST_BYTES
        return f"an image (PNG, JPEG, GIF, BMP, WebP){_like(column)} of at most {most} bytes, as base64"
    of = "texts" if column.items == "string" else "finite numbers"
    if column.size:
        return f"a list of {column.size} {of}"
    low, high = column.min_length, column.max_length
    return f"a list of {f'{low} to {high} ' if low and high else f'at most {high} ' if high else ''}{of}"


def _like(column: Column) -> str:
    """Size and mode of an image, in words."""
    parts = []
    if column.width and column.height:
        parts.append(f"of {column.width} x {column.height} pixels")
    else:
        parts += [
            f"{size} pixels {way}" for size, way in ((column.width, "wide"), (column.height, "high")) if size
        ]
    parts += [f"of mode {column.mode}"] if column.mode else []
    return "".join(f" {part}," for part in parts)


def of_table(column: Column, value: Any) -> Any:
    """A cell of a table of pandas or Arrow as a request has it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if column.type == "datetime":
        given = value.to_datetime64() if hasattr(value, "to_datetime64") else value
        text = str(np.datetime64(given, "ns"))
        return None if text == "NaT" else text.rstrip("0").rstrip(".") if "." in text else text
    if column.type == "image":
        return bytes(value)
    return [item.item() if hasattr(item, "item") else item for item in value]


def to_object(column: Column, values: Sequence[Any]) -> Any:
    """Cells of a request as the array of a table: moments as datetime64[ns], all others as objects."""
    if column.type == "datetime":
        return np.array(["NaT" if v is None else v for v in values], dtype="datetime64[ns]")
    cells = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        numbers = column.type in ("vector", "list") and column.items != "string" and value is not None
        cells[place] = (
            np.array(value, dtype=np.float32 if column.dtype == "float32" else float) if numbers else value
        )
    return cells


def arrow(column: Column) -> Any:
    """The Arrow type that keeps such cells."""
    import pyarrow as pa

    if column.type == "datetime":
        return pa.timestamp("ns")
    if column.type == "image":
        return pa.binary()
    return pa.list_(pa.string() if column.items == "string" else pa.float64())


def arrow_array(column: Column, values: Sequence[Any]) -> Any:
    """Cells of a request as an Arrow array."""
    import pyarrow as pa

    if column.type == "datetime":
        return pa.array(values, pa.string()).cast(pa.timestamp("ns"))
    return pa.array(values, arrow(column))


def fits(column: Column, kind: Any) -> bool:
    """Whether an Arrow type can hold such cells."""
    import pyarrow.types as kinds

    if column.type == "datetime":
        return bool(kinds.is_timestamp(kind) or kinds.is_date(kind))
    if column.type == "image":
        return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind))
    if not (kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind)):
        return False
    item = kind.value_type
    if column.items == "string":
        return bool(kinds.is_string(item) or kinds.is_large_string(item) or kinds.is_null(item))
    return bool(kinds.is_floating(item) or kinds.is_integer(item) or kinds.is_null(item))


def refused(column: Column, values: Any) -> Any:
    """Which values of an Arrow array the column does not admit; nulls are not refused."""
    rule = legal(column)
    cells = (of_table(column, value) for value in _plain(column, values))
    return np.array([cell is not None and not rule(cell) for cell in cells], dtype=bool)


def _plain(column: Column, values: Any) -> list[Any]:
    if column.type != "datetime":
        cells: list[Any] = values.to_pylist()
        return cells
    import pyarrow as pa

    naive = values.cast(
        pa.timestamp("ns", values.type.tz) if pa.types.is_timestamp(values.type) else pa.timestamp("ns")
    )
    return list(naive.to_numpy(zero_copy_only=False).astype("datetime64[ns]"))


def of_text(column: Column, text: str) -> Any:
    """A field of a CSV file as a cell; raises `ValueError` when it is none."""
    import msgspec

    if column.type == "datetime":
        return text.strip()
    try:
        return msgspec.json.decode(f'"{text}"' if column.type == "image" else text, type=wire(column))
    except msgspec.MsgspecError:
        raise ValueError(text) from None


def wire(column: Column) -> Any:
    """The msgspec type of a cell, without null."""
    if column.type == "datetime":
        return str
    if column.type == "image":
        return bytes
    return list[str] if column.items == "string" else list[float]


def json_schema(column: Column) -> dict[str, Any]:
    """In the subset of JSON Schema that OpenAPI 2 and 3.0 share."""
    if column.type == "datetime":
        return {"type": "string", "format": "date-time", "description": f"{words(column)}."}
    if column.type == "image":
        return {"type": "string", "format": "byte", "description": f"{words(column)}."}
    item = {"type": "string"} if column.items == "string" else {"type": "number", "format": "double"}
    low, high = (column.size, column.size) if column.size else (column.min_length, column.max_length)
    ends = {"minItems": low, "maxItems": high}
    return {
        "type": "array",
        "items": item,
        **{key: value for key, value in ends.items() if value is not None},
    }

"""Files of rows as Arrow batches in the contract's types: the one reader of `mlops score` and `mlops batch`.

CSV: comma, a header, UTF-8 with or without BOM, quotes as RFC 4180 has them. An empty field is null, `""` an
empty text; nothing else is null: NA, null and nan are texts, and some of them are real codes. Text stays as
it is (`00700`). A number is written as in JSON, also with a leading + or spaces around it; a boolean is true
or false in any case, or 1 or 0. Lines without any character are skipped. JSON: a request body, or a list of
objects; JSON Lines: an object a line. Parquet: by its own types. Further columns are ignored.
"""

from __future__ import annotations

import csv
import math
import re
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw

from mlops.errors import InvalidInput
from mlops.serving.score.columns import allowed
from mlops.serving.score.core import Row
from mlops.serving.score.keys import suspected, twice
from mlops.serving.score.place import show_value
from mlops.serving.score.request import Limits, RequestError, RequestParser
from mlops.spec import cells
from mlops.spec.admits import EXACT, RICH, arrow_type, cell_array
from mlops.spec.schema import Column, ModelSchema

ROWS = 10_000
"""Rows a batch: few enough that threads share a file evenly and memory stays small."""
_BLOCK = 4 << 20
_ANY = Limits(body=1 << 62, rows=1 << 62)
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_KEY = r"^(0|-?[1-9]\d{0,17})$"
"""A whole number that is the same text again when it is written: 7, not 007."""
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_OBJECTS = msgspec.json.Decoder(list[dict[str, Raw]])


class Unreadable(Exception):
    """The file's bytes are broken, or it cannot be opened."""


def batches(schema: ModelSchema, path: Path, keep: Sequence[str] = ()) -> Iterator[Any]:
    """Record batches of at most `ROWS` rows with the model's columns and those of `keep`.

    Values that cannot be what their column says are refused; `table` holds the others to the contract.
    Raises `InvalidInput` with line, column and value, `Unreadable` for whatever is no such file.
    """
    import pyarrow as pa

    try:
        for batch in READERS[path.suffix.lower()](schema, path, keep):
            # A block of CSV may hold any number of rows.
            for start in range(0, batch.num_rows, ROWS):
                yield batch.slice(start, ROWS)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"cannot be read: {error}") from None


def body(schema: ModelSchema, path: Path) -> dict[str, Any]:
    """The rows of a file as the body of a request, value by value what batch scoring reads.

    Raises `InvalidInput` with the file's name, and what is wrong where.
    """
    names = [column.name for column in schema.columns]
    data: list[list[Any]] = []
    try:
        for batch in batches(schema, path):
            columns = (_cells(batch.column(name)) for name in names)
            data += map(list, zip(*columns, strict=True))
    except (InvalidInput, Unreadable) as error:
        raise InvalidInput(f"{path}: {error}") from None
    if not data:
        raise InvalidInput(f"{path}: holds no rows")
    return {"input_data": {"columns": names, "data": data}}


def check_csv(path: Path) -> None:
    """Raises `InvalidInput`, with the line, for a file that is no CSV with a header."""
    csv.field_size_limit(1 << 30)
    said = f"{path} is not CSV with a header"
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            header = next(reader, [])
            if not header:
                raise InvalidInput(f"{said}: its first line is empty")
            for fields in reader:
                if fields and len(fields) != len(header):
                    raise InvalidInput(
                        f"{said}: line {reader.line_num} has {len(fields)} fields, "
                        f"where the header has {len(header)}"
                    )
        except (csv.Error, UnicodeDecodeError) as error:
            raise InvalidInput(f"{said}: after line {reader.line_num}: {error}") from None


def _cells(column: Any) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        # A datetime of Python ends at microseconds.
        moments = column.cast(pa.timestamp("ns")).to_numpy(zero_copy_only=False)
        return [None if v == "NaT" else v for v in np.datetime_as_string(moments).tolist()]
    if pa.types.is_binary(column.type):
        return [None if v is None else b64encode(v).decode() for v in column.to_pylist()]
    return [None if isinstance(v, float) and math.isnan(v) else v for v in column.to_pylist()]


def _wanted(schema: ModelSchema, keep: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*(c.name for c in schema.columns), *keep]))


def _require(wanted: Sequence[str], names: Sequence[str]) -> None:
    if missing := [name for name in wanted if name not in names]:
        hint = ""
        if len(names) == 1 and (separators := [s for s in (";", "\t", "|") if s in names[0]]):
            hint = f"; its columns are separated by {separators[0]!r}, write them with commas"
        raise InvalidInput(f"lacks the columns {', '.join(missing)}; it has {', '.join(names)}{hint}")
    if twice := [name for name in wanted if list(names).count(name) > 1]:
        raise InvalidInput(f"has the column {twice[0]!r} more than once")


# --- Parquet -----------------------------------------------------------------------------------------------


def _parquet(schema: ModelSchema, path: Path, keep: Sequence[str]) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = _wanted(schema, keep)
    # A small file is read faster as a whole than by the parts that a reader asks for.
    source = pa.py_buffer(path.read_bytes()) if path.stat().st_size < _BLOCK else path
    # Threads for the columns of a batch cost more than they bring: files are scored side by side.
    with pq.ParquetFile(source, page_checksum_verification=True, pre_buffer=False) as file:
        _require(wanted, file.schema_arrow.names)
        yield from file.iter_batches(ROWS, columns=wanted, use_threads=False)


# --- CSV ---------------------------------------------------------------------------------------------------


def _csv(schema: ModelSchema, path: Path, keep: Sequence[str]) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import csv as arrow

    wanted = _wanted(schema, keep)
    ragged: list[Any] = []

    def refuse(row: Any) -> str:
        ragged.append(row)
        return "error"

    with path.open(encoding="utf-8-sig", newline="") as stream:
        names = next(csv.reader(stream), [])
    _require(wanted, names)
    parse = arrow.ParseOptions(newlines_in_values=True, invalid_row_handler=refuse)
    read = arrow.ReadOptions(block_size=_BLOCK, use_threads=False)

    def opened(columns: Sequence[str]) -> Any:
        convert = arrow.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=columns,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        return arrow.open_csv(path, read_options=read, parse_options=parse, convert_options=convert)

    first = 0
    try:
        numbers = _numbered(opened, wanted[len(schema.columns) :])
        with opened(wanted) as reader:
            for batch in reader:
                yield _typed(schema, batch, path, first, numbers)
                first += batch.num_rows
    except pa.ArrowInvalid:
        if not ragged:
            raise
        row = ragged[0]
        raise InvalidInput(
            f"line {_line(path, (row.number or 2) - 2)}: has {row.actual_columns} fields, "
            f"where the header has {row.expected_columns}"
        ) from None


def _numbered(opened: Callable[[Sequence[str]], Any], kept: Sequence[str]) -> set[str]:
    """Of the columns to keep, those whose texts are whole numbers throughout, and only written as such."""
    import pyarrow.compute as pc

    whole = set(kept)
    if whole:
        with opened(kept) as reader:
            for batch in reader:
                for name in list(whole):
                    good = pc.match_substring_regex(batch.column(name), _KEY)
                    if not pc.all(good.drop_null()).as_py():
                        whole.discard(name)
    return whole


def _typed(schema: ModelSchema, batch: Any, path: Path, first: int, numbers: Collection[str]) -> Any:
    """The batch with the model's columns in their own types, and numbered columns as numbers."""
    import pyarrow as pa

    columns = {name: batch.column(name) for name in batch.schema.names}
    columns |= {name: columns[name].cast(pa.int64()) for name in numbers}
    for column in schema.columns:
        texts = columns[column.name]
        if column.type == "string":
            continue
        if column.type in RICH:
            columns[column.name] = _rich(column, texts, path, first)
            continue
        made, wrong = _read(column, texts)
        if wrong is not None:
            raise InvalidInput(
                f"line {_line(path, first + wrong)}: column {column.name!r}, row {first + wrong}: "
                f"must be {allowed(column)}; got {texts[wrong].as_py()!r}"
            )
        columns[column.name] = made
    return pa.RecordBatch.from_pydict(columns)


def _rich(column: Column, texts: Any, path: Path, first: int) -> Any:
    """Moments as ISO text, vectors and lists as JSON, images as base64."""
    rule = cells.legal(column)
    parsed = []
    for place, text in enumerate(texts.to_pylist()):
        try:
            cell = None if text is None else cells.of_text(column, text)
        except ValueError:
            cell = False
        if cell is not None and not rule(cell):
            raise InvalidInput(
                f"line {_line(path, first + place)}: column {column.name!r}, row {first + place}: "
                f"must be {allowed(column)}; got {show_value(text)!r}"
            )
        parsed.append(cell)
    return cells.arrow_array(column, parsed)


def _read(column: Column, texts: Any) -> tuple[Any, int | None]:
    """The values of a text column, or where the first one stands that is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(texts)
    if column.type == "boolean":
        lowered = pc.utf8_lower(trimmed)
        good = pc.is_in(lowered, value_set=pa.array(list(_BOOLEANS)))
    else:
        good = pc.match_substring_regex(trimmed, _NUMBER)
    bad = pc.and_(pc.is_valid(texts), pc.invert(pc.fill_null(good, False)))
    if pc.any(bad).as_py():
        return None, int(pc.index(bad, True).as_py())
    if column.type == "boolean":
        true = pc.is_in(lowered, value_set=pa.array([text for text, value in _BOOLEANS.items() if value]))
        return pc.if_else(pc.is_valid(texts), true, None), None
    return _numbers(column, trimmed), None


def _numbers(column: Column, texts: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.type == "integer":
        whole = pc.replace_substring_regex(texts, r"^\+?(-?\d+)(\.0*)?$", r"\1")
        try:
            return whole.cast(arrow_type(column))
        except pa.ArrowInvalid:
            pass
        try:
            exact = [None if text is None else _whole(text) for text in whole.to_pylist()]
            return pa.array(exact, arrow_type(column))
        except (ValueError, OverflowError):
            pass  # as a float it is refused where it is wrong
    return pc.replace_substring_regex(texts, r"^\+", "").cast(pa.float64())


def _whole(text: str) -> int:
    """Raises `ValueError` for what is no whole number, or not exactly one."""
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    number = float(text)
    if not number.is_integer() or abs(number) > EXACT:
        raise ValueError(text)
    return int(number)


def _line(path: Path, row: int) -> int:
    """The line on which a row begins, counted from 1; only a refusal reads the file again for it."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        reader = csv.reader(stream)
        number = -1
        last = 0
        for fields in reader:
            if fields:
                if number == row:
                    return last + 1
                number += 1
            last = reader.line_num
    return last


# --- JSON --------------------------------------------------------------------------------------------------


def _json(schema: ModelSchema, path: Path, keep: Sequence[str]) -> Iterator[Any]:
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    parser = RequestParser(schema, _ANY)
    if content.lstrip()[:1] == b"[":
        try:
            records = _OBJECTS.decode(content)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput(f"is no list of objects: {error}") from None
        if suspected(content, sum(map(len, records))) and (name := twice(content)) is not None:
            raise InvalidInput(f"has an object with the key {show_value(name)!r} twice")
        for start in range(0, len(records), ROWS):
            part = records[start : start + ROWS]
            yield _batch(schema, parser, part, keep, lambda row, start=start: f"object {start + row}")  # type: ignore[misc]
        return
    if keep:
        raise InvalidInput("is a request body; only a list of objects has columns to keep beside the model's")
    try:
        rows = parser.parse(content, "score")
    except RequestError as error:
        raise InvalidInput(str(error)) from None
    for start in range(0, len(rows), ROWS):
        yield _arrow(schema, rows[start : start + ROWS], {})


def _lines(schema: ModelSchema, path: Path, keep: Sequence[str]) -> Iterator[Any]:
    parser = RequestParser(schema, _ANY)
    with path.open("rb") as stream:
        numbered = (
            (n, line.removeprefix(b"\xef\xbb\xbf") if n == 1 else line) for n, line in enumerate(stream, 1)
        )
        filled = ((n, line) for n, line in numbered if line.strip())
        while part := list(islice(filled, ROWS)):
            records = []
            for number, line in part:
                try:
                    records.append(_OBJECT.decode(line))
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                    raise InvalidInput(f"line {number}: is no JSON object: {error}") from None
                if suspected(line, len(records[-1])) and (name := twice(line)) is not None:
                    raise InvalidInput(f"line {number}: has the key {show_value(name)!r} twice")
            numbers = [number for number, _ in part]
            yield _batch(schema, parser, records, keep, lambda row, numbers=numbers: f"line {numbers[row]}")  # type: ignore[misc]


def _batch(
    schema: ModelSchema,
    parser: RequestParser,
    records: list[dict[str, Raw]],
    keep: Sequence[str],
    where: Callable[[int], str],
) -> Any:
    """Objects as the endpoint reads them; further fields are left out."""
    names = [column.name for column in schema.columns]
    wanted = _wanted(schema, keep)
    cells = []
    for row, record in enumerate(records):
        if missing := [name for name in wanted if name not in record]:
            raise InvalidInput(f"{where(row)}: lacks the columns {', '.join(missing)}")
        cells.append(b"[" + b",".join(bytes(record[name]) for name in names) + b"]")
    table = (
        b'{"input_data":{"columns":' + msgspec.json.encode(names) + b',"data":[' + b",".join(cells) + b"]}}"
    )
    try:
        rows = parser.parse(table, "score")
    except RequestError as error:
        row = error.error["row"]
        raise InvalidInput(f"{where(row)}: {error}" if row is not None else str(error)) from None
    kept = {
        name: [msgspec.json.decode(record[name]) for record in records] for name in keep if name not in names
    }
    return _arrow(schema, rows, kept)


def _arrow(schema: ModelSchema, rows: Sequence[Row], kept: Mapping[str, list[Any]]) -> Any:
    import pyarrow as pa

    columns = dict(zip([c.name for c in schema.columns], zip(*rows, strict=True), strict=True))
    made = {c.name: cell_array(c, columns[c.name]) for c in schema.columns}
    return pa.RecordBatch.from_pydict({**made, **{name: pa.array(values) for name, values in kept.items()}})


READERS: Mapping[str, Callable[[ModelSchema, Path, Sequence[str]], Iterator[Any]]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _lines,
}
"""By the end of a file's name."""

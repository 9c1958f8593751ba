"""From the bytes of a request to rows in signature order, or to an answer that says what is wrong where.

Cells are checked by msgspec in C while they are parsed, against types made from `serving.json`; there is
no second set of rules. Only when a request is refused does Python look for the value to show.

Azure ML, `POST /score`: `{"input_data": {"columns", "index", "data"}}`, `{"input_data": [{…}]}` or
`{"data": [{…}]}`. MLflow, `POST /invocations`: `dataframe_split`, `dataframe_records`, `instances`
(records), `inputs` (an object of columns, or records).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal, NoReturn

import msgspec
from msgspec import UNSET, Raw, UnsetType

from mlops.errors import InvalidInput
from mlops.serving.score.columns import allowed, wire_type
from mlops.serving.score.core import Row
from mlops.serving.score.keys import repeated, suspected, twice
from mlops.serving.score.place import SHOWN, as_json, cell_at, named_in, path_of, show, show_value, steps_of
from mlops.spec.admits import value_rule
from mlops.spec.schema import ModelSchema

Protocol = Literal["score", "invocations"]

_ORDERS = 32


@dataclass(frozen=True)
class Limits:
    """What one request may cost. Azure ML itself cuts off at 1.5 MB."""

    body: int = 2 << 20
    """Bytes."""
    rows: int = 10_000


class RequestError(InvalidInput):
    """A request that cannot be answered by a prediction: the client must change it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        field: str | None = None,
        row: int | None = None,
        value: Any = None,
        allowed: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"field": field, "row": row, "value": value, "allowed": allowed, "message": message}

    def body(self) -> dict[str, Any]:
        """The JSON answer."""
        return {"error": self.error}


class _Score(msgspec.Struct, forbid_unknown_fields=True):
    input_data: Raw | UnsetType = UNSET
    data: Raw | UnsetType = UNSET
    params: Raw | UnsetType = UNSET


class _Invocations(msgspec.Struct, forbid_unknown_fields=True):
    dataframe_split: Raw | UnsetType = UNSET
    dataframe_records: Raw | UnsetType = UNSET
    inputs: Raw | UnsetType = UNSET
    instances: Raw | UnsetType = UNSET
    params: Raw | UnsetType = UNSET


class _Split(msgspec.Struct, forbid_unknown_fields=True):
    columns: list[str]
    data: Raw
    index: list[Any] | None = None


_UNNAMEABLE = re.compile(r'["\\\x00-\x1f]')
"""What msgspec does not take in the name of a field."""
_KEYS = tuple(
    f'"{key}"'.encode()
    for key in (
        "input_data",
        "data",
        "columns",
        "index",
        "dataframe_split",
        "dataframe_records",
        "inputs",
        "instances",
        "params",
    )
)
_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_OBJECTS = msgspec.json.Decoder(list[dict[str, Raw]])
_SPLIT = msgspec.json.Decoder(_Split)
_ENVELOPES: dict[str, msgspec.json.Decoder[Any]] = {
    "score": msgspec.json.Decoder(_Score),
    "invocations": msgspec.json.Decoder(_Invocations),
}
_SHAPES: dict[str, tuple[str, ...]] = {
    "input_data": ("split", "records"),
    "data": ("records",),
    "dataframe_split": ("split",),
    "dataframe_records": ("records",),
    "inputs": ("columns", "records"),
    "instances": ("records",),
}
_USUAL: dict[Protocol, str] = {"score": "input_data", "invocations": "dataframe_split"}
_WORDS = {
    "split": '{"columns": [names], "data": [[values of a row]]}',
    "records": "a list with one object a row",
    "columns": "an object with a list of values a column",
}

_Order = tuple[msgspec.json.Decoder[list[Row]], Callable[[Any], Row] | None]

_MANY = 32
"""Columns from which on the order of keys is looked at."""
_MARKS = 8
"""Keys by whose places an order is guessed."""
_TRIES = 8
"""Braces of a text that may stand before the one which ends the first record."""


class RequestParser:
    """Parses requests for one model. Stateless but for a small cache of column orders; thread-safe."""

    def __init__(self, schema: ModelSchema, limits: Limits | None = None) -> None:
        self.schema = schema
        self.limits = limits or Limits()
        self._columns = {c.name: c for c in schema.columns}
        self._names = tuple(self._columns)
        self._types = {name: wire_type(c, lenient=True) for name, c in self._columns.items()}
        rules = ((i, c.name, value_rule(c)) for i, c in enumerate(schema.columns))
        self._rules = [(i, name, rule) for i, name, rule in rules if rule is not None]
        self._whole = [i for i, c in enumerate(schema.columns) if c.type == "integer"]
        # msgspec has no fields with such names; their records are read as tables.
        self._plain = not any(_UNNAMEABLE.search(name) for name in self._names)
        fielded = self._names if self._plain else ()
        self._lists = {name: msgspec.json.Decoder(_list_of(kind)) for name, kind in self._types.items()}
        # Fields are numbered, because a column's name need not be a Python identifier.
        rename = {f"c{i}": name for i, name in enumerate(fielded)}
        fields = [(f"c{i}", self._types[name]) for i, name in enumerate(fielded)]
        self._records = self._record_decoder(fielded)
        lists = [(field, _list_of(kind)) for field, kind in fields]
        columnar = msgspec.defstruct("Columns", lists, rename=rename, forbid_unknown_fields=True)
        self._columnar = msgspec.json.Decoder(columnar)
        self._orders: dict[tuple[str, ...], _Order] = {}
        step = max(1, len(self._names) // _MARKS)
        marks = dict.fromkeys([*self._names[::step], self._names[-1]])
        self._marks = [msgspec.json.encode(name) for name in marks]
        self._record_orders: dict[tuple[str, ...], tuple[Any, Callable[[Row], Row]]] = {}
        self._usual = {p: self._usual_decoder(key) for p, key in _USUAL.items()}
        self._order_of_usual = list(self._names)

    def parse(self, body: bytes, protocol: Protocol) -> list[Row]:
        """Rows in signature order. Raises `RequestError` with a 4xx status."""
        if len(body) > self.limits.body:
            raise too_large(self.limits)
        if not body:
            raise RequestError(400, "the body is empty; send JSON", allowed=" or ".join(self._keys(protocol)))
        try:
            rows = self._parse_usual(body, protocol) or self._exact(self._parse(body, protocol))
        except RecursionError:
            raise RequestError(400, "the JSON is nested too deeply") from None
        except UnicodeDecodeError:
            raise RequestError(400, "the body is not valid UTF-8") from None
        if not rows:
            raise RequestError(422, "there is no row to predict", allowed="at least one row")
        if len(rows) > self.limits.rows:
            raise RequestError(
                413,
                f"{len(rows)} rows are too many for one request; split it, or use batch scoring",
                value=len(rows),
                allowed=f"at most {self.limits.rows} rows",
            )
        for place, name, rule in self._rules:
            for number, row in enumerate(rows):
                if row[place] is not None and not rule(row[place]):
                    self._refuse_value(name, number, show_value(row[place]))
        return rows

    def _exact(self, rows: list[Row]) -> list[Row]:
        """A whole number is an int, however it was written."""
        if not any(isinstance(row[i], float) for i in self._whole for row in rows):
            return rows
        exact = [list(row) for row in rows]
        for row in exact:
            for i in self._whole:
                value = row[i]
                row[i] = int(value) if isinstance(value, float) else value
        return [tuple(row) for row in exact]

    def _keys(self, protocol: Protocol) -> list[str]:
        return [key for key in _ENVELOPES[protocol].type.__struct_fields__ if key != "params"]

    def _usual_decoder(self, key: str) -> msgspec.json.Decoder[Any]:
        row: Any = tuple[tuple(wire_type(c) for c in self._columns.values())]  # type: ignore[misc]
        split = msgspec.defstruct(
            "Split",
            [("columns", list[str]), ("data", list[row]), ("index", list[Any] | None, None)],
            forbid_unknown_fields=True,
        )
        return msgspec.json.Decoder(msgspec.defstruct("Usual", [(key, split)], forbid_unknown_fields=True))

    def _parse_usual(self, body: bytes, protocol: Protocol) -> list[Row] | None:
        """A table in the signature's order, in one pass; None for all else, which `_parse` looks at."""
        try:
            split = getattr(self._usual[protocol].decode(body), _USUAL[protocol])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if split.columns != self._order_of_usual or repeated(body, _KEYS):
            return None
        if split.index is not None and len(split.index) != len(split.data):
            return None
        rows: list[Row] = split.data
        return rows

    def _parse(self, body: bytes, protocol: Protocol) -> list[Row]:
        keys = self._keys(protocol)
        try:
            envelope = _ENVELOPES[protocol].decode(body)
        except msgspec.ValidationError as error:
            self._refuse_envelope(error, keys)
        except msgspec.DecodeError as error:
            raise _malformed(error) from None
        if repeated(body, _KEYS) and (name := twice(body)) is not None:
            raise _given_twice(name, "each key once")
        given = [key for key in keys if getattr(envelope, key) is not UNSET]
        if len(given) != 1:
            there = " and ".join(given) or "none of them"
            raise RequestError(
                422, f"the body must have one of {', '.join(keys)}; it has {there}", allowed=", ".join(keys)
            )
        if envelope.params is not UNSET and bytes(envelope.params) not in (b"{}", b"null"):
            raise RequestError(
                422, "this model takes no parameters", field="params", allowed="absent or empty"
            )
        return self._table(getattr(envelope, given[0]), given[0])

    def _table(self, raw: Raw, key: str) -> list[Row]:
        shapes = _SHAPES[key]
        first = bytes(memoryview(raw)[:1])
        if first == b"[" and "records" in shapes:
            return self._from_records(raw, key)
        if first == b"{" and "split" in shapes:
            return self._from_split(raw, key)
        if first == b"{" and "columns" in shapes:
            return self._from_columns(raw, key)
        words = " or ".join(_WORDS[shape] for shape in shapes)
        raise RequestError(422, f"{key} must be {words}", field=key, value=show(raw), allowed=words)

    # --- the three shapes of a table ------------------------------------------------------------------

    def _from_split(self, raw: Raw, key: str) -> list[Row]:
        try:
            split = _SPLIT.decode(raw)
        except msgspec.ValidationError as error:
            words = _WORDS["split"]
            raise RequestError(422, f"{key} must be {words}: {error}", field=key, allowed=words) from None
        except msgspec.DecodeError as error:
            raise _malformed(error) from None
        rows = self._cells(split.data, tuple(split.columns))
        if split.index is not None and len(split.index) != len(rows):
            raise RequestError(
                422,
                f"index has {len(split.index)} entries for {len(rows)} rows",
                field="index",
                value=len(split.index),
                allowed="one entry a row, or no index",
            )
        return rows

    def _cells(self, data: Raw, columns: tuple[str, ...], first: int = 0) -> list[Row]:
        """Lists of cells in the order of `columns`; `first` is the number of the first row."""
        decoder, reorder = self._orders.get(columns) or self._order(columns)
        try:
            rows = decoder.decode(data)
        except msgspec.ValidationError as error:
            self._refuse_cell(error, data, columns, first)
        except msgspec.DecodeError as error:
            raise _malformed(error) from None
        return rows if reorder is None else [reorder(row) for row in rows]

    def _from_records(self, raw: Raw, key: str) -> list[Row]:
        if not self._plain:
            return self._from_odd_records(raw, key)
        if (rows := self._from_other_order(raw)) is not None:
            return rows
        try:
            records = self._records.decode(raw)
        except msgspec.ValidationError as error:
            self._refuse_record(error, raw, key)
        except msgspec.DecodeError as error:
            raise _malformed(error) from None
        self._require_once(raw, len(records) * len(self._names))
        return [msgspec.structs.astuple(record) for record in records]

    def _require_once(self, raw: Raw, keys: int) -> None:
        text = bytes(raw)
        if suspected(text, keys) and (name := twice(text)) is not None:
            raise _given_twice(name, ", ".join(self._names))

    def _record_decoder(self, names: Sequence[str]) -> Any:
        rename = {f"c{i}": name for i, name in enumerate(names)}
        fields = [(f"c{i}", self._types[name]) for i, name in enumerate(names)]
        record = msgspec.defstruct("Record", fields, rename=rename, forbid_unknown_fields=True, gc=False)
        return msgspec.json.Decoder(list[record])  # type: ignore[valid-type]

    def _seems_usual(self, view: bytes) -> bool:
        """Whether some of the keys stand in the signature's order; a wrong guess costs time alone."""
        place = first = view.find(self._marks[0])
        for mark in self._marks:
            if (place := view.find(mark, max(place, 0))) < 0:
                return False
        return view.find(self._marks[0], first + 1, place) < 0  # all in one record

    def _from_other_order(self, raw: Raw) -> list[Row] | None:
        """Records whose keys stand in another order than the signature's, as those of the first one do.

        msgspec looks for a key from the field before it on: in another order a row would cost columns
        squared. None where the usual way is right, or finds what is wrong.
        """
        if len(self._names) < _MANY or self._seems_usual(view := bytes(raw)):
            return None
        keys = _first_keys(view)
        if keys is None or keys == self._names:
            return None
        known = self._record_orders.get(keys)
        if known is None:
            if len(keys) != len(self._names) or set(keys) != set(self._names):
                return None
            back: Callable[[Row], Row] = itemgetter(*(keys.index(name) for name in self._names))
            if len(self._record_orders) >= _ORDERS:
                self._record_orders.clear()
            known = self._record_orders[keys] = self._record_decoder(keys), back
        decoder, ordered = known
        try:
            parsed = [ordered(msgspec.structs.astuple(record)) for record in decoder.decode(raw)]
        except msgspec.MsgspecError:
            return None
        self._require_once(raw, len(parsed) * len(self._names))
        return parsed

    def _from_odd_records(self, raw: Raw, key: str) -> list[Row]:
        """Records by names that msgspec cannot have as fields: each as a row of a table."""
        try:
            records = _OBJECTS.decode(raw)
        except msgspec.ValidationError as error:
            self._refuse_record(error, raw, key)
        except msgspec.DecodeError as error:
            raise _malformed(error) from None
        self._require_once(raw, sum(map(len, records)))
        rows: list[Row] = []
        for number, record in enumerate(records):
            self._require_names(record, number)
            cells = Raw(b"[[" + b",".join(bytes(record[name]) for name in self._names) + b"]]")
            rows += self._cells(cells, self._names, first=number)
        return rows

    def _require_names(self, given: Collection[str], row: int | None = None) -> None:
        for kind, names in (
            ("unknown", [name for name in given if name not in self._columns]),
            ("missing", [name for name in self._names if name not in given]),
        ):
            if names:
                raise RequestError(
                    422, f"{kind} column {show_value(names[0])}; needed: {', '.join(self._names)}",
                    field=names[0][:SHOWN], row=row, allowed=", ".join(self._names),
                )  # fmt: skip

    def _from_odd_columns(self, raw: Raw, key: str) -> dict[str, list[Any]]:
        try:
            given = _OBJECT.decode(raw)
        except msgspec.ValidationError as error:
            self._refuse_record(error, raw, key)
        except msgspec.DecodeError as error:
            raise _malformed(error) from None
        self._require_once(raw, len(given))
        self._require_names(given)
        columns = {}
        for name in self._names:
            cells = given[name]
            try:
                columns[name] = self._lists[name].decode(cells)
            except msgspec.ValidationError as error:
                steps = [int(i) for i in re.findall(r"\[(\d+)\]", path_of(error))]
                self._refuse_value(name, steps[0] if steps else None, cell_at(cells, steps))
        return columns

    def _from_columns(self, raw: Raw, key: str) -> list[Row]:
        if not self._plain:
            return self._zipped(self._from_odd_columns(raw, key), key)
        try:
            columns = msgspec.structs.astuple(self._columnar.decode(raw))
            self._require_once(raw, len(self._names))
        except msgspec.ValidationError as error:
            self._refuse_record(error, raw, key)
        except msgspec.DecodeError as error:
            raise _malformed(error) from None
        return self._zipped(dict(zip(self._names, columns, strict=True)), key)

    def _zipped(self, columns: Mapping[str, Sequence[Any]], key: str) -> list[Row]:
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise RequestError(
                422, f"columns differ in length: {show_value(lengths)}", field=key, allowed="equal lengths"
            )
        return list(zip(*columns.values(), strict=True))

    def _order(self, columns: tuple[str, ...]) -> _Order:
        for problem, names, hint in (
            ("unknown column", [c for c in columns if c not in self._columns], "allowed"),
            ("missing column", [n for n in self._names if n not in columns], "needed"),
            ("column given twice:", sorted({c for c in columns if columns.count(c) > 1}), "needed once"),
        ):
            if names:
                raise RequestError(
                    422,
                    f"{problem} {show_value(names[0])}; {hint}: {', '.join(self._names)}",
                    field=names[0][:SHOWN],
                    allowed=", ".join(self._names),
                )
        decoder = msgspec.json.Decoder(list[tuple[tuple(self._types[c] for c in columns)]])  # type: ignore[misc]
        reorder: Callable[[Any], Row] | None = None
        if columns != self._names:
            reorder = itemgetter(*(columns.index(name) for name in self._names))
        if len(self._orders) >= _ORDERS:
            self._orders.clear()
        self._orders[columns] = (decoder, reorder)
        return decoder, reorder

    # --- refusals: find the value that msgspec's path points at -----------------------------------------

    def _refuse_envelope(self, error: msgspec.ValidationError, keys: list[str]) -> NoReturn:
        name = named_in(error)
        text = f"unknown field {show_value(name)}" if name else "the body must be a JSON object"
        raise RequestError(
            422, f"{text}; allowed: {', '.join(keys)}", field=name, allowed=", ".join(keys)
        ) from None

    def _refuse_cell(
        self, error: msgspec.ValidationError, raw: Raw, columns: tuple[str, ...], first: int
    ) -> NoReturn:
        indices = [int(i) for i in re.findall(r"\[(\d+)\]", path_of(error))]
        if len(indices) >= 2:  # a third one is a place within a list
            row, name = indices[0], columns[indices[1]]
            self._refuse_value(name, first + row, cell_at(raw, indices[:2]))
        row_words = f"each row must be a list of {len(columns)} values, in the order of columns"
        value = cell_at(raw, indices)
        number = first + indices[0] if indices else None
        raise RequestError(
            422, f"{row_words}; got {as_json(value)}",
            field="data", row=number, value=show_value(value), allowed=row_words,
        ) from None  # fmt: skip

    def _refuse_record(self, error: msgspec.ValidationError, raw: Raw, key: str) -> NoReturn:
        path = path_of(error)
        steps = steps_of(path, self._names)
        row = next((s for s in steps if isinstance(s, int)), None)
        name = next((s for s in steps if isinstance(s, str)), None)
        if name is not None and (row is not None or not path.endswith(name)):
            self._refuse_value(name, row, cell_at(raw, steps))
        named = named_in(error)
        if named is not None:
            kind = "missing" if "missing" in str(error) else "unknown"
            raise RequestError(
                422, f"{kind} column {show_value(named)}; needed: {', '.join(self._names)}",
                field=named[:SHOWN], row=row, allowed=", ".join(self._names),
            ) from None  # fmt: skip
        words = " or ".join(_WORDS[shape] for shape in _SHAPES[key])
        value = cell_at(raw, steps)
        raise RequestError(
            422, f"{key} must be {words}; got {as_json(value)}",
            field=name or key, row=row, value=show_value(value), allowed=words,
        ) from None  # fmt: skip

    def _refuse_value(self, name: str, row: int | None, value: Any) -> NoReturn:
        words = allowed(self._columns[name])
        raise RequestError(
            422, f"column {name!r}, row {row}: must be {words}; got {as_json(value)}",
            field=name, row=row, value=show_value(value), allowed=words,
        ) from None  # fmt: skip


def _first_keys(view: bytes) -> tuple[str, ...] | None:
    """The keys of the first object of a list, in their order; None where it is not found at once."""
    start, end = view.find(b"{"), -1
    for _ in range(_TRIES):
        end = view.find(b"}", max(start, end + 1))
        if start < 0 or end < 0:
            return None
        with contextlib.suppress(msgspec.MsgspecError):
            return tuple(_OBJECT.decode(view[start : end + 1]))
    return None


def _list_of(kind: Any) -> Any:
    return list[kind]


def too_large(limits: Limits) -> RequestError:
    """The refusal of a body over the limit."""
    return RequestError(
        413,
        "the body is too large for one request; split it, or use batch scoring",
        allowed=f"at most {limits.body} bytes",
    )


def check_content_type(header: bytes | None) -> None:
    """Raises `RequestError` 415 unless the header is absent or `application/json` in UTF-8."""
    if header is None or header == b"application/json":
        return
    kind, *parameters = (part.strip().lower() for part in header.decode("latin-1").split(";"))
    charset = [p.removeprefix("charset=").strip('"') for p in parameters if p.startswith("charset=")]
    if kind == "application/json" and all(c in ("utf-8", "utf8", "us-ascii") for c in charset):
        return
    raise RequestError(
        415,
        "only JSON in UTF-8 is understood",
        field="content-type",
        value=header.decode("latin-1")[:SHOWN],
        allowed="application/json",
    )


def _given_twice(name: str, allowed: str) -> RequestError:
    return RequestError(
        422, f"the key {show_value(name)!r} is given twice in one object", field=name[:SHOWN], allowed=allowed
    )


def _malformed(error: msgspec.DecodeError) -> RequestError:
    return RequestError(
        400,
        f"not valid JSON: {str(error)[:SHOWN]}",
        allowed="JSON (RFC 8259); it has no NaN or Infinity: send null where the column admits it",
    )

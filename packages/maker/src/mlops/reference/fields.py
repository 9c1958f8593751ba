"""A typed model of a file as tables: one for the model, one for each model inside it.

Read from its JSON Schema, which is what editors and other tools see too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mlops.reference.markdown import code, link, literal, prose, table
from mlops.spec._base import Spec

TITLES = ("field", "type", "default", "meaning")
Schema = dict[str, Any]
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} entries",
    "maxItems": "at most {} entries",
    "minProperties": "at least {} entries",
}
_NAMES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
DURATION = ["string", "number"]
"""How `mlops.spec.desired.Seconds` shows itself in a schema."""
_UNITS = {86400: "d", 3600: "h", 60: "m", 1: "s"}
_FORMATS = {"date": "date", "date-time": "date and time"}


def sections(model: type[Spec], *, prefix: str = "", level: int = 2) -> str:
    """The model's own table, then one section for each model that a field of it refers to."""
    schema = model.model_json_schema()
    parts = [prose(schema.get("description", "")), fields(schema, prefix)]
    for name in _order(schema):
        inner = schema["$defs"][name]
        if "properties" in inner:
            parts += [
                f"{'#' * level} {name}",
                prose(inner.get("description", "")),
                fields(inner, definitions=schema["$defs"]),
            ]
    return "\n\n".join(part for part in parts if part)


def fields(schema: Schema, prefix: str = "", definitions: Schema | None = None) -> str:
    """One row a field. A field without a text of its own has the first sentence of the model it refers to."""
    definitions = definitions or schema.get("$defs", {})
    required = set(schema.get("required", ()))
    rows = []
    for name, field in schema["properties"].items():
        default = "required" if name in required else _default(field)
        meaning = field.get("description") or _meant(field, definitions)
        rows.append((code(prefix + name), kind(field), default, literal(meaning)))
    return table(TITLES, rows)


def _meant(field: Schema, definitions: Schema) -> str:
    referred = [definitions[name].get("description", "") for name in _refs(field)]
    return str(referred[0]).partition(". ")[0] if len(referred) == 1 else ""


def kind(field: Schema) -> str:
    """The type of a field in words, with what limits its values."""
    limits = [text.format(field[word]) for word, text in _BOUNDS.items() if word in field]
    if field.get("minItems") == 1 or field.get("minProperties") == 1:
        limits = ["not empty" if text == "at least 1 entries" else text for text in limits]
    if field.get("minLength") == 1:
        limits = ["not empty" if text == "at least 1 characters" else text for text in limits]
    if "pattern" in field:
        limits.append(code(field["pattern"]))
    return ", ".join([_kind(field), *limits])


def _kind(field: Schema) -> str:
    if "$ref" in field:
        return link(_target(field))
    if options := field.get("anyOf", field.get("oneOf")):
        return _one_of(["nothing" if o.get("type") == "null" else kind(o) for o in options])
    if values := field.get("enum", [field["const"]] if "const" in field else []):
        return _one_of([code(str(value)) for value in values])
    return _plain(field)


def _plain(field: Schema) -> str:
    given = field.get("type")
    if given == DURATION:
        return "duration"
    if given == "array":
        return f"list of {kind(field.get('items', {}))}"
    if given == "object":
        return _map(field)
    return _FORMATS.get(field.get("format", ""), _NAMES.get(str(given), "anything"))


def _one_of(options: list[str]) -> str:
    return " or ".join(options) if len(options) < 4 else f"one of {', '.join(options)}"


def _map(field: Schema) -> str:
    of = next(iter(field.get("patternProperties", {}).values()), field.get("additionalProperties"))
    names = field.get("propertyNames", {})
    keys = f" ({kind(names)})" if {"enum", "const"} & names.keys() else ""
    return f"name{keys} → {kind(of)}" if isinstance(of, dict) else "names and values"


def _target(field: Schema) -> str:
    return str(field["$ref"]).rsplit("/", 1)[1]


def _default(field: Schema) -> str:
    value = field.get("default")
    if value is None:
        return "nothing"
    if value == "":
        return "empty"
    if value in ([], {}):
        return "none"
    if isinstance(value, dict):
        return "its defaults"
    if field.get("type") == DURATION and value:
        unit = next(size for size in _UNITS if value % size == 0)
        return code(f"{value / unit:.0f}{_UNITS[unit]}")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return code(value if isinstance(value, str) else json.dumps(value))


def _order(schema: Schema) -> list[str]:
    """Names of the inner models, in the order in which a reader meets them."""
    defs = schema.get("$defs", {})
    ordered: dict[str, None] = {}

    def meet(node: Schema) -> None:
        for name in _refs(node.get("properties", {})):
            if name not in ordered:
                ordered[name] = None
                meet(defs[name])

    meet(schema)
    return list(ordered)


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield _target(value)
        for inner in value.values():
            yield from _refs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _refs(inner)

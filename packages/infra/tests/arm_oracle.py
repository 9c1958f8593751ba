"""Judges ARM bodies by Azure's official types (Azure/bicep-types-az), where `ARM_TYPES` points at a copy.

Stricter than Azure on purpose: an enum that Azure leaves open ("or any string") must be one of its known
values, casing included, because a wrong one is accepted at deployment and does nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

REQUIRED, READ_ONLY = 1, 2
ENVELOPE = frozenset({"id", "name", "type", "apiVersion", "dependsOn", "scope", "metadata"})
"""Keys of a template's resource that say which resource it is; they are no part of the body."""


class Oracle:
    """The official types of the tokens that `infra.json` knows."""

    def __init__(self, folder: Path) -> None:
        self._entries: dict[str, Any] = json.loads((folder / "infra.json").read_text(encoding="utf-8"))

    def __contains__(self, token: str) -> bool:
        return token in self._entries

    def problems(self, token: str, resource: Mapping[str, Any]) -> list[str]:
        """One sentence for each thing in `resource`, an item of an ARM template, that Azure's types forbid.

        `token` is azure-native's, without provider: `storage:StorageAccount`. `KeyError` for an unknown one.
        """
        entry = self._entries[token]
        found = [
            f"{key} is {resource[key]!r}, the official type is {entry[key]!r}"
            for key in ("type", "apiVersion")
            if str(resource[key]).lower() != str(entry[key]).lower()
        ]
        types = entry["types"]
        root = types[str(entry["body"])]
        body = {k: v for k, v in resource.items() if k not in ENVELOPE}
        last = str(resource["name"]).rsplit("/", 1)[-1]
        name = root.get("properties", root.get("baseProperties", {}))["name"]["type"]
        found += check(types, name, last, "name")
        found += check(types, root, body, "", skip=ENVELOPE)
        return found


def check(  # noqa: PLR0912  one branch a kind of type
    types: Mapping[str, Any],
    ref: Mapping[str, Any],
    value: Any,
    path: str,
    skip: frozenset[str] = frozenset(),
) -> Iterator[str]:
    kind = types[ref["$ref"].rsplit("/", 1)[-1]] if "$ref" in ref else ref
    where = path or "body"
    match kind["$type"]:
        case "AnyType":
            return
        case "ObjectType" | "DiscriminatedObjectType":
            yield from _object(types, kind, value, path, skip)
        case "ArrayType":
            if not isinstance(value, list):
                yield f"{where} must be a list, got {value!r}"
                return
            for index, item in enumerate(value):
                yield from check(types, kind["itemType"], item, f"{path}[{index}]")
        case "UnionType":
            yield from _union(types, kind, value, where)
        case "StringLiteralType":
            if value != kind["value"]:
                yield f"{where} must be {kind['value']!r}, got {value!r}"
        case "StringType":
            yield from _string(kind, value, where)
        case "IntegerType":
            yield from _integer(kind, value, where)
        case "BooleanType":
            if not isinstance(value, bool):
                yield f"{where} must be true or false, got {value!r}"
        case other:
            raise AssertionError(f"the oracle does not know {other}")


def _object(
    types: Mapping[str, Any], kind: Mapping[str, Any], value: Any, path: str, skip: frozenset[str]
) -> Iterator[str]:
    where = path or "body"
    if not isinstance(value, Mapping):
        yield f"{where} must be an object, got {value!r}"
        return
    properties = dict(kind.get("properties") or kind.get("baseProperties") or {})
    extra = kind.get("additionalProperties")
    if kind["$type"] == "DiscriminatedObjectType":
        tag = kind["discriminator"]
        chosen = kind["elements"].get(value.get(tag))
        if chosen is None:
            yield f"{where}.{tag} must be one of {sorted(kind['elements'])}, got {value.get(tag)!r}"
            return
        variant = types[chosen["$ref"].rsplit("/", 1)[-1]]
        properties |= variant["properties"]
        extra = extra or variant.get("additionalProperties")
    for key, item in value.items():
        if key in skip:
            continue
        inner = f"{path}.{key}" if path else key
        if key not in properties:
            if extra is None:
                yield f"{inner} is no property of {kind['name']}; known: {', '.join(sorted(properties))}"
            else:
                yield from check(types, extra, item, inner)
        elif properties[key]["flags"] & READ_ONLY:
            yield f"{inner} is read-only"
        else:
            yield from check(types, properties[key]["type"], item, inner)
    for key, declared in properties.items():
        if declared["flags"] & REQUIRED and key not in value and key not in skip:
            yield f"{path + '.' if path else ''}{key} is required"


def _union(types: Mapping[str, Any], kind: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
    members = [types[e["$ref"].rsplit("/", 1)[-1]] for e in kind["elements"]]
    literals = [m["value"] for m in members if m["$type"] == "StringLiteralType"]
    if literals and isinstance(value, str):
        if value not in literals:
            yield f"{where} must be one of {literals}, got {value!r}"
        return
    if all(any(check(types, m, value, where)) for m in members):
        yield f"{where} fits none of {[m['$type'] for m in members]}, got {value!r}"


def _string(kind: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{where} must be text, got {value!r}"
        return
    shortest, longest = kind.get("minLength", 0), kind.get("maxLength")
    if len(value) < shortest or (longest is not None and len(value) > longest):
        yield f"{where} must have {shortest} to {longest or 'any number of'} characters: {value!r}"
    if (pattern := kind.get("pattern")) and not re.search(_python(pattern), value):
        yield f"{where} must match {pattern}, got {value!r}"


def _integer(kind: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
    # Specifications call decimals integers as well (CPU cores, thresholds); a whole number is always right.
    if isinstance(value, bool) or not isinstance(value, int | float):
        yield f"{where} must be a number, got {value!r}"
    elif not kind.get("minValue", value) <= value <= kind.get("maxValue", value):
        yield f"{where} must be between {kind.get('minValue')} and {kind.get('maxValue')}, got {value}"


def _python(pattern: str) -> str:
    """A pattern of a specification as Python reads it: `-` at the side of a class range is itself."""
    return re.sub(r"(\\[wds])-(?=[^\]])", r"\1\\-", pattern)

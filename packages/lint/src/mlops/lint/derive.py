"""Writes `shapes.json`: the fields of every kind of file, taken from the schemas inside `azure-ai-ml`.

Run `python -m mlops.lint.derive` after a new version of `azure-ai-ml`; a test compares the file with what is
installed. The lint reads the file, so that it needs neither the package nor its seconds of import.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from mlops.lint.kinds import KINDS

# Parts of files. The first three `azure-ai-ml` reads only when its private preview is switched on.
_PARTS = {
    "node.do_while": "pipeline.control_flow_job.DoWhileSchema",
    "node.parallel_for": "pipeline.control_flow_job.ParallelForSchema",
    "node.if_else": "pipeline.condition_node.ConditionNodeSchema",
    "environment.anonymous": "assets.environment.AnonymousEnvironmentSchema",
}
# Other names of fields, which a schema replaces before it reads.
_ALIASES = {
    "ResourceSettings": {"nvidia.com/gpu": "gpu"},
    "ServicePrincipal": {"authority_uri": "authority_url"},
    "Certificate": {"authority_uri": "authority_url"},
}
TARGET = Path(__file__).with_name("shapes.json")
_ROOT = "azure.ai.ml._schema"


class Deriver:
    """Walks marshmallow schemas; each becomes one entry of `shapes`, named after its class."""

    def __init__(self) -> None:
        self.shapes: dict[str, Any] = {}
        self._open: dict[tuple[Any, ...], str] = {}

    def schema(self, schema: Any, unknown: str | None = None) -> str:
        """The name under which the fields of `schema` stand."""
        unknown = unknown or getattr(schema, "unknown", "raise")
        name = type(schema).__name__.removesuffix("Schema").lstrip("_")
        key = (type(schema), unknown)
        if key in self._open:
            return self._open[key]
        label = name + ("" if unknown == "raise" else "+open")
        while label in self.shapes:
            label += "'"
        self._open[key] = label
        self.shapes[label] = {}
        fields = {}
        for attribute, field in schema.fields.items():
            written = field.data_key or attribute
            # What is only ever written by the service may stand in a file, and is left out when it is read.
            fields[written] = {"t": "ignored"} if field.dump_only else self.field(field)
        fields |= {alias: fields[known] for alias, known in _ALIASES.get(name, {}).items() if known in fields}
        self.shapes[label] = {"fields": dict(sorted(fields.items())), "drops": unknown != "raise"}
        if any(cls.__name__ == "YamlFileSchema" for cls in type(schema).__mro__):
            self.shapes[label]["file"] = True  # `file:other.yml` may stand in its place
        return label

    def field(self, field: Any) -> dict[str, Any]:
        """One field: `t` says what it takes, the rest narrows it."""
        rule = self._type(field)
        if rule["t"] != "ignored":
            if getattr(field, "required", False):
                rule["required"] = True
            if getattr(field, "allow_none", False):
                rule["null"] = True
            for validator in getattr(field, "validators", ()):
                rule |= _limits(validator)
        return rule

    def _type(self, field: Any) -> dict[str, Any]:
        names = [cls.__name__ for cls in type(field).__mro__]
        if "ExperimentalField" in names:
            return self.field(field.experimental_field)
        for name, read in (
            ("TypeSensitiveUnionField", self._typed_union),
            ("UnionField", self._union),
            ("Nested", lambda it: {"t": "object", "shape": self.schema(it.schema, it.unknown)}),
            ("List", lambda it: {"t": "list", "of": self.field(it.inner)}),
            ("Dict", self._map),
        ):
            if name in names:
                rule: dict[str, Any] = read(field)
                return rule
        return _scalar(field, names)

    def _map(self, field: Any) -> dict[str, Any]:
        inner = getattr(field, "value_field", None)
        return {"t": "map", "of": self.field(inner) if inner is not None else {"t": "any"}}

    def _union(self, field: Any) -> dict[str, Any]:
        options = _distinct([self.field(option) for option in field._union_fields])
        # `${{…}}` may stand for any value of a job; the reader lets it pass everywhere.
        others = [option for option in options if option["t"] != "binding"] or options
        return others[0] if len(others) == 1 else {"t": "union", "of": others}

    def _typed_union(self, field: Any) -> dict[str, Any]:
        types = {
            str(key): [self.field(option) for option in options]
            for key, options in field._type_sensitive_fields_dict.items()
        }
        typed = [option for options in types.values() for option in options]
        untyped = [self.field(option) for option in field._union_fields]
        plain = [option for option in untyped if option not in typed]
        return {"t": "union", "by": field.type_field_name, "of": _distinct(plain), "types": types}


_SCALARS = (
    # The first class that a field descends from.
    ("VersionField", "version"),
    ("DataBindingStr", "binding"),
    ("OutputBindingStr", "binding"),
    ("FileRefField", "file"),
    ("LocalPathField", "file"),
    ("Integer", "int"),
    ("Float", "float"),
    ("Number", "float"),
    ("Boolean", "bool"),
    ("DateTime", "date"),
    ("String", "text"),
    ("RegistryStr", "registry"),
)


def _scalar(field: Any, names: list[str]) -> dict[str, Any]:
    if "StringTransformedEnum" in names:
        return {"t": "word", "words": sorted(set(field.allowed_values))}
    if "ArmStr" in names:
        return {"t": "arm", "resource": field.azureml_type or ""}
    kind = next((kind for known, kind in _SCALARS if known in names), "any")
    return {"t": kind, **({"strict": True} if getattr(field, "strict", False) else {})}


def _limits(validator: Any) -> dict[str, Any]:
    name = type(validator).__name__
    if name == "Range":
        ends = {"min": validator.min, "max": validator.max}
        return {key: end for key, end in ends.items() if isinstance(end, int | float)}
    if name == "OneOf":
        return {"choices": [choice for choice in validator.choices if isinstance(choice, str | int | float)]}
    return {}


def _distinct(options: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for option in options:
        if option not in kept:
            kept.append(option)
    return kept


def derive() -> dict[str, Any]:
    """What `shapes.json` holds for the `azure-ai-ml` that is installed."""
    from azure.ai.ml import __version__ as version

    deriver = Deriver()
    kinds = {}
    for kind, entry in KINDS.items():
        if entry.schema:
            module, _, name = entry.schema.rpartition(".")
            schema = getattr(importlib.import_module(f"{_ROOT}.{module}"), name)
            made = schema(context={"base_path": Path()})
            kinds[kind] = deriver.schema(made, "include" if entry.open else None)
    for kind, path in _PARTS.items():
        module, _, name = path.rpartition(".")
        made = getattr(importlib.import_module(f"{_ROOT}.{module}"), name)(context={"base_path": Path()})
        kinds[kind] = deriver.schema(made)
    for kind, schema in _connections().items():
        kinds[kind] = deriver.schema(schema(context={"base_path": Path()}))
    shapes = {name: deriver.shapes[name] for name in sorted(deriver.shapes)}
    return {"source": f"azure-ai-ml {version}", "kinds": kinds, "shapes": shapes}


def _connections() -> dict[str, Any]:
    """The schema of each type of connection, where it has one of its own, and of all others."""
    from azure.ai.ml._restclient.arm_ml_service.models import ConnectionCategory
    from azure.ai.ml._utils.utils import camel_to_snake
    from azure.ai.ml.constants._common import ConnectionTypes
    from azure.ai.ml.entities import WorkspaceConnection

    general = WorkspaceConnection._get_schema_class_from_type(None)
    types = {value for value in vars(ConnectionTypes).values() if isinstance(value, str)}
    types |= {camel_to_snake(category.value) for category in ConnectionCategory}
    chosen = WorkspaceConnection._get_schema_class_from_type
    by_kind = {f"connection.{name.lower().replace('_', '')}": chosen(name) for name in sorted(types)}
    own = {kind: schema for kind, schema in by_kind.items() if schema is not general}
    return {"connection": general, **dict(sorted(own.items()))}


def text(found: dict[str, Any]) -> str:
    """One line a shape, so that a new version shows as a short difference."""
    head = json.dumps({"source": found["source"], "kinds": found["kinds"]}, sort_keys=True)[:-1]
    rows = [
        f"{json.dumps(name)}: {json.dumps(shape, sort_keys=True)}" for name, shape in found["shapes"].items()
    ]
    return head + ', "shapes": {\n' + ",\n".join(rows) + "\n}}\n"


if __name__ == "__main__":
    TARGET.write_text(text(derive()), encoding="utf-8")
    sys.stdout.write(f"{TARGET}: {len(TARGET.read_text(encoding='utf-8'))} characters\n")

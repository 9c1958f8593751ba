"""Turn captured resources into an analysis-grade ARM template: what a scanner or a schema can judge.

azure-native flattens `properties` into its inputs. One rule undoes that for nearly every type: the
envelope's keys stay, the rest goes under `properties`. `arm_types.ARM_TYPES` holds the exceptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..arm_types import ArmType, arm_type
from ..model import Captured, Resource

ENVELOPE = frozenset(
    {
        "id", "name", "type", "location", "tags", "sku", "kind", "identity", "zones", "plan", "etag", "eTag",
        "extendedLocation", "managedBy", "properties",
    }
)  # fmt: skip
_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
_FACTORY = frozenset(
    {
        "name", "type", "description", "annotations", "parameters", "connectVia", "version",
        "linkedServiceName",
        "folder", "schema", "structure", "pipelines", "runtimeState", "dependsOn", "userProperties", "policy",
        "inputs", "outputs", "state", "onInactiveMarkAs",
    }
)  # fmt: skip
_ITEM = frozenset({"id", "name", "type", "endpointType"})


def body(resource: Resource) -> dict[str, Any]:
    """The ARM resource of one captured resource, with secrets replaced.

    Raises `InvalidInput` for a type that the table lacks, or a name that is not given.
    """
    entry = arm_type(resource.type)
    inputs = resource.masked()
    shaped: dict[str, Any] = {}
    for key, value in inputs.items():
        if key in entry.resource_inputs or value is None:
            continue
        moved = _nested(_identities(_retitle(value, entry)), key, entry)
        if key == entry.typed:
            moved = [_typed(v) for v in moved] if isinstance(moved, list) else _typed(moved)
        target = shaped if key in ENVELOPE - entry.inner else shaped.setdefault("properties", {})
        name = entry.renamed.get(key, key)
        if key == "properties":
            shaped.setdefault("properties", {}).update(moved)
        else:
            target[name] = moved
    result = {
        "type": entry.type,
        "apiVersion": entry.version,
        "name": "/".join(entry.segments(resource.inputs)),
    }
    if entry.scope not in ("", "/"):
        shaped["scope"] = resource.id.rsplit("/providers/", 1)[0]
    return shaped | result


def template(captured: Captured) -> dict[str, Any]:
    """All resources of a stack as one ARM template, with dependencies, sorted by type and name."""
    by_urn = {r.urn: r for r in captured.azure}
    resources = []
    for resource in captured.azure:
        shaped = body(resource)
        needs = {u for u in resource.dependencies if u in by_urn and u != resource.urn}
        if needs:
            shaped["dependsOn"] = sorted(by_urn[u].id for u in needs if by_urn[u].id)
        # The logical name is how a finding is told to a person, and what a suppression names.
        shaped["metadata"] = {"resource": resource.name}
        resources.append(shaped)
    resources.sort(key=lambda r: (r["type"], str(r.get("scope", "")), r["name"], r["metadata"]["resource"]))
    return {"$schema": _SCHEMA, "contentVersion": "1.0.0.0", "resources": resources}


def _identities(value: Any) -> Any:
    """Azure takes a map of identities where azure-native takes a list."""
    if isinstance(value, Mapping):
        return {
            k: {i: {} for i in v} if k == "userAssignedIdentities" and isinstance(v, list) else _identities(v)
            for k, v in value.items()
        }
    return [_identities(v) for v in value] if isinstance(value, list) else value


def _retitle(value: Any, entry: ArmType) -> Any:
    if not entry.nested_renamed:
        return value
    if isinstance(value, Mapping):
        return {entry.nested_renamed.get(k, k): _retitle(v, entry) for k, v in value.items()}
    return [_retitle(v, entry) for v in value] if isinstance(value, list) else value


def _nested(value: Any, key: str, entry: ArmType) -> Any:
    for path in entry.flattened:
        head, _, rest = path.partition(".")
        if head == f"{key}[]" and isinstance(value, list):
            value = [_unflatten(v) for v in value]
        elif path == key:
            value = _unflatten(value)
        elif head == key and isinstance(value, Mapping) and rest in value:
            value = {**value, rest: _unflatten(value[rest])}
    return value


def _typed(item: Mapping[str, Any]) -> dict[str, Any]:
    """What is special to a Data Factory object's type goes under `typeProperties`."""
    rest = {k: v for k, v in item.items() if k not in _FACTORY}
    return {k: v for k, v in item.items() if k in _FACTORY} | {"typeProperties": rest}


def _unflatten(item: Any) -> Any:
    if not isinstance(item, Mapping) or "properties" in item:
        return item
    top = {k: v for k, v in item.items() if k in _ITEM}
    rest = {k: v for k, v in item.items() if k not in _ITEM}
    return {**top, "properties": rest}

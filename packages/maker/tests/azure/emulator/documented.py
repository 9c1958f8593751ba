"""JSON Schemas of the bodies whose types the copy of Azure's types lacks, each from a publication of Azure.

Microsoft.Insights/autoscalesettings: made of the types of `pulumi-azure-native`, which are generated from
Azure's specification of 2021-05-01-preview, the preview of the 2022-10-01 that is asked.

Microsoft.MachineLearningServices/registries/tempdatarefs: `TemporaryDataReferenceRequestDto` of the
specification 2021-10-01-dataplanepreview, which Microsoft keeps beside azure-ai-ml
(github.com/Azure/azure-sdk-for-python, sdk/ml/azure-ai-ml/swagger).
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from types import UnionType
from typing import Any

from jsonschema import Draft202012Validator
from pulumi import Output
from pulumi._types import input_type_py_to_pulumi_names, input_type_types, is_input_type

_ENVELOPE = ("location", "tags")
_IN_PATH = ("resourceGroupName", "autoscaleSettingName")
_TEXT = {"type": "string", "minLength": 1}
_MINUTES = {"pattern": r"^PT([0-9]+H)?([0-9]+M)?$"}
_COUNT = {"pattern": "^[0-9]+$"}
_WRITTEN = dict.fromkeys(("timeGrain", "timeWindow", "cooldown"), _MINUTES) | dict.fromkeys(
    ("minimum", "maximum", "default", "value"), _COUNT
)
"""How Azure's documentation has fields written that the specification has as text."""


def _schema(kind: Any) -> dict[str, Any]:
    """Of one annotation of Pulumi's: a class of inputs, an enumeration, a collection or a plain type."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, UnionType):
        given = [part for part in typing.get_args(kind) if typing.get_origin(part) not in (Awaitable, Output)]
        return _schema(next((part for part in given if part is not str), str))
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(typing.get_args(kind)[1])}
    if origin is not None and issubclass(origin, Sequence):
        return {"type": "array", "items": _schema(typing.get_args(kind)[0])}
    if is_input_type(kind):
        return _of_inputs(kind)
    if issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    return {"type": {str: "string", bool: "boolean", int: "integer", float: "number"}[kind]}


def _of_inputs(kind: type) -> dict[str, Any]:
    wire = input_type_py_to_pulumi_names(kind)
    given = inspect.signature(kind).parameters.values()
    return {
        "type": "object",
        "required": [wire[it.name] for it in given if it.default is inspect.Parameter.empty],
        "properties": {
            name: _schema(of) | _WRITTEN.get(name, {}) for name, of in input_type_types(kind).items()
        },
        "additionalProperties": False,
    }


def _autoscale() -> dict[str, Any]:
    """Pulumi has the properties of a resource and its envelope in one; ARM has them apart."""
    from pulumi_azure_native.monitor import AutoscaleSettingArgs

    inner = _of_inputs(AutoscaleSettingArgs)
    fields = {name: inner["properties"].pop(name) for name in (*_ENVELOPE, *_IN_PATH)}
    inner["required"] = [name for name in inner["required"] if name not in fields]
    outer = {name: fields[name] for name in _ENVELOPE} | {"properties": inner}
    return {
        "type": "object",
        "required": ["location", "properties"],
        "properties": outer,
        "additionalProperties": False,
    }


def _reference() -> dict[str, Any]:
    """All its fields may be left out; without an asset Azure would not know for what it makes room."""
    return {
        "type": "object",
        "required": ["assetId"],
        "properties": {
            "assetId": {"type": "string", "pattern": "^azureml://registries/[^/]+/"},
            "temporaryDataReferenceId": _TEXT,
            "temporaryDataReferenceType": {"enum": ["TemporaryBlobReference", "TemporaryImageReference"]},
        },
        "additionalProperties": False,
    }


_SCHEMAS: Mapping[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "microsoft.insights/autoscalesettings": (
        _autoscale,
        "official types of 2021-05-01-preview, from pulumi-azure-native",
    ),
    "microsoft.machinelearningservices/registries/tempdatarefs/versions": (
        _reference,
        "official types, after the specification",
    ),
}


def judge(kind: str) -> str | None:
    """By what a body of `kind` is judged here; None when it is not."""
    found = _SCHEMAS.get(kind.lower())
    return found[1] if found else None


@functools.cache
def _validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(_SCHEMAS[kind][0]())


def problems(kind: str, body: Any) -> list[str]:
    """What Azure's publication forbids in a body of `kind`; `KeyError` for one that is not known here."""
    found = _validator(kind.lower()).iter_errors(body)
    return [f"{'.'.join(map(str, e.absolute_path)) or 'body'}: {e.message}" for e in found]

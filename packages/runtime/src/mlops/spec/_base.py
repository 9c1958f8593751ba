"""What every model of a file in git shares: frozen, strict about unknown keys, typed grammar of names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from mlops.spec.split import Part


class Spec(BaseModel):
    """Base of all typed files: immutable, unknown keys refused, field docstrings become schema text."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=False,
        defer_build=True,  # a verb builds the validators of the files that it reads, not of all
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A number in quotes is a text, and `true` is no 1: other tools that read the file say so too."""
        built = handler(source)
        _refuse_texts(built, cls)
        return built

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        """The docstrings of fields are read when somebody asks for a schema: each process would pay for it.

        With `use_attribute_docstrings` every class looks up its source when it is defined, which costs a
        process that has large libraries in memory more than all of its own imports.
        """
        schema_of_class = handler(core)
        own = handler.resolve_ref_schema(schema_of_class).get("properties", {})
        names = {field.alias or name: name for name, field in cls.model_fields.items()}
        told = _docstrings(cls)
        for shown, schema in own.items():
            text = told.get(names.get(shown, shown))
            if text and "description" not in schema:
                schema["description"] = text
        return schema_of_class


def _refuse(error: Literal["int_type", "float_type"]) -> Callable[[Any], Any]:
    """`strict` would refuse numbers of NumPy too."""

    def check(value: Any) -> Any:
        if isinstance(value, str | bool):
            raise PydanticKnownError(error)
        return value

    return check


def _refuse_no_truth(value: Any) -> Any:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        raise PydanticKnownError("bool_type")
    return value


_REFUSED = {
    "int": _refuse("int_type"),
    "float": _refuse("float_type"),
    "bool": _refuse_no_truth,
}
_NO_SCHEMA = frozenset({"metadata", "serialization", "default", "config"})


def _refuse_texts(part: Any, model: type) -> None:
    """Numbers and truth values of `model`'s own fields; other models have seen to theirs."""
    if isinstance(part, list | tuple):
        for item in part:
            _refuse_texts(item, model)
    elif isinstance(part, dict):
        kind = part.get("type")
        schema = isinstance(kind, str)  # else names of fields, of which one may be `type`
        if schema and kind in _REFUSED:
            number = dict(part)
            part.clear()
            part.update(core_schema.no_info_before_validator_function(_REFUSED[kind], number))
            return
        if schema and kind == "model" and part.get("cls") is not model:
            return
        for name, item in part.items():
            if not (schema and name in _NO_SCHEMA):
                _refuse_texts(item, model)


def _docstrings(model: type) -> dict[str, str]:
    """What stands below each field of `model`, or of a class that it inherits from."""
    import ast
    import inspect
    import itertools
    import textwrap

    texts: dict[str, str] = {}
    for part in reversed(model.__mro__):
        if part is Spec or not issubclass(part, Spec):
            continue
        (parsed,) = ast.parse(textwrap.dedent(inspect.getsource(part))).body
        body = parsed.body if isinstance(parsed, ast.ClassDef) else []
        for field, text in itertools.pairwise(body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
                and isinstance(text.value.value, str)
            ):
                texts[field.target.id] = inspect.cleandoc(text.value.value)
    return texts


def _editors(pattern: str) -> WithJsonSchema:
    """What editors are told; `_pattern` says it in words."""
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$"})


def _pattern(pattern: str, allowed: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"must be {allowed}")
        return value

    return AfterValidator(check)


ModelName = Annotated[
    str,
    _pattern(r"[a-z][a-z0-9-]{1,26}", "2 to 27 lower-case letters, digits or '-', starting with a letter"),
    _editors(r"[a-z][a-z0-9-]{1,26}"),
]
"""Short enough for an Azure ML endpoint name, `<model>-<env>`, of 32 characters."""

EnvName = Annotated[
    str,
    _pattern(r"[a-z][a-z0-9]{1,15}", "2 to 16 lower-case letters or digits, starting with a letter"),
    _editors(r"[a-z][a-z0-9]{1,15}"),
]

Digest = Annotated[
    str,
    _pattern(r"sha256:[0-9a-f]{64}", "'sha256:' and 64 lower-case hexadecimal digits"),
    _editors(r"sha256:[0-9a-f]{64}"),
]
Commit = Annotated[
    str,
    _pattern(r"[0-9a-f]{40}", "a full commit id of 40 hexadecimal digits"),
    _editors(r"[0-9a-f]{40}"),
]
Version = Annotated[int, Field(ge=1)]


def _window(value: str) -> str:
    Part.parse(value)
    return value


WindowText = Annotated[str, AfterValidator(_window)]
"""Which rows: a window of time, or a side of a split (`mlops.spec.split.Part`)."""

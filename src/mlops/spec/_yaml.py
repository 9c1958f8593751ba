"""YAML in, typed models out, and every error with file, line, field, value and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from mlops.errors import InvalidInput, Problem

ModelT = TypeVar("ModelT", bound=BaseModel)
Loc = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses duplicate keys, where PyYAML silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


class Document:
    """A parsed YAML file that remembers the line of every field.

    Raises `InvalidInput` when the file is missing, unreadable, not UTF-8, not YAML, or has a key twice.
    """

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        loader = _Loader(text)
        try:
            self._node = loader.get_single_node()
            self.value: Any = loader.construct_document(self._node) if self._node else None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            where = f"{name}:{mark.line + 1}" if mark else name
            raise InvalidInput(Problem(where, f"not valid YAML: {error.problem}")) from None
        except yaml.YAMLError as error:
            raise InvalidInput(Problem(name, f"not valid YAML: {error}")) from None
        finally:
            loader.dispose()

    @classmethod
    def read(cls, path: Path, name: str | None = None) -> Document:
        """Read `path`; `name` is how errors call it (default: the path itself)."""
        shown = name or str(path)
        try:
            return cls(path.read_text(encoding="utf-8"), shown)
        except FileNotFoundError:
            raise InvalidInput(Problem(shown, "the file does not exist")) from None
        except UnicodeDecodeError as error:
            raise InvalidInput(
                Problem(shown, f"not UTF-8 text (byte {error.start}); save it as UTF-8")
            ) from None
        except OSError as error:
            raise InvalidInput(Problem(shown, f"cannot be read: {error.strerror}")) from None

    def line(self, loc: Iterable[str | int]) -> int:
        """1-based line of the deepest part of `loc` that the file contains."""
        node = self._node
        line = node.start_mark.line + 1 if node else 1
        for part in loc:
            if isinstance(node, yaml.MappingNode):
                found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
                if found is None:
                    break
                line, node = found[0].start_mark.line + 1, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                if part >= len(node.value):
                    break
                node = node.value[part]
                line = node.start_mark.line + 1
            else:
                break
        return line

    def problem(self, loc: Loc, message: str) -> Problem:
        """A problem at `loc` of this file."""
        return Problem(f"{self.name}:{self.line(loc)}", message, ".".join(str(p) for p in loc))

    def parse(self, model: type[ModelT]) -> ModelT:
        """Validate as `model`; raises `InvalidInput` with one problem per wrong field."""
        if not isinstance(self.value, dict):
            kind = "empty" if self.value is None else f"a {type(self.value).__name__}"
            raise InvalidInput(
                Problem(f"{self.name}:1", f"must be a mapping of fields, but the file is {kind}")
            )
        try:
            return model.model_validate(self.value)
        except ValidationError as error:
            raise InvalidInput([self.problem(*_sentence(e, model)) for e in error.errors()]) from None


def problems_of(error: ValidationError, model: type[BaseModel], name: str) -> list[Problem]:
    """The problems of a pydantic error of a file whose lines are not known (TOML, JSON)."""
    found = []
    for entry in error.errors():
        loc, message = _sentence(entry, model)
        found.append(Problem(name, message, ".".join(str(p) for p in loc)))
    return found


def _sentence(error: Any, model: type[BaseModel]) -> tuple[Loc, str]:
    loc: Loc = tuple(error["loc"])
    kind, given = error["type"], error.get("input")
    if kind == "extra_forbidden":
        allowed = sorted(_fields_at(model, loc[:-1]))
        close = difflib.get_close_matches(str(loc[-1]), allowed, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return loc, f"unknown field; allowed: {', '.join(allowed)}{hint}"
    if kind == "missing":
        return loc, "required, but not given"
    message = str(error["msg"]).removeprefix("Value error, ")
    if isinstance(given, dict | list):
        return loc, message
    return loc, f"{message}; got {given!r}"


def _fields_at(model: type[BaseModel], loc: Loc) -> list[str]:
    current: Any = model
    for part in loc:
        if isinstance(part, int) or not (isinstance(current, type) and issubclass(current, BaseModel)):
            continue
        info = current.model_fields.get(str(part))
        current = _inner_model(info.annotation) if info else current
    if isinstance(current, type) and issubclass(current, BaseModel):
        return [f.alias or name for name, f in current.model_fields.items()]
    return []


def _inner_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _inner_model(argument)) is not None:
            return found
    return None

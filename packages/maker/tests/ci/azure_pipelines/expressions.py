"""Expressions of Azure Pipelines: parsed once, then evaluated in a context.

Rules: learn.microsoft.com/azure/devops/pipelines/process/expressions. Texts compare without case; the right
side of a comparison is converted to the type of the left one; a key that is missing in an object is null.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from azure_pipelines.source import Place, Refused

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|(?P<sign>[()\[\],.]))"
)
Lookup = Callable[[str], Any]
"""What one key of a context answers; may raise `KeyError` with a sentence for a key that cannot be."""


@dataclass(frozen=True)
class Context:
    """What an expression may ask for, and how the job or stage stands (conditions only)."""

    values: Mapping[str, Lookup]
    status: Mapping[str, Callable[[], bool]] = field(default_factory=dict)
    whole: Mapping[str, Any] = field(default_factory=dict)
    """Names that are values by themselves, as the one of a loop."""


def evaluate(expression: str, context: Context, place: Place) -> Any:
    """None, a boolean, a number, a text or a part of the file. Raises `Refused`."""
    return _Parser(expression, context, place).whole()


def truth(value: Any) -> bool:
    """A value as a condition sees it."""
    if isinstance(value, str):
        return value != ""
    if isinstance(value, bool | int | float):
        return bool(value)
    return value is not None


def as_text(value: Any) -> str:
    """A value inside a text."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def equal(left: Any, right: Any) -> bool:
    """Compared as the type of `left`; what cannot be converted is not equal."""
    if isinstance(left, bool):
        return left == (right.lower() == "true" if isinstance(right, str) else truth(right))
    if isinstance(left, int | float):
        try:
            return float(left) == float(as_text(right) or 0)
        except ValueError:
            return False
    if left is None:
        return right is None or right == ""
    return as_text(left).casefold() == as_text(right).casefold()


_FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "and": (2, 99, lambda *values: all(truth(v) for v in values)),
    "or": (2, 99, lambda *values: any(truth(v) for v in values)),
    "not": (1, 1, lambda value: not truth(value)),
    "eq": (2, 2, equal),
    "ne": (2, 2, lambda left, right: not equal(left, right)),
    "in": (2, 99, lambda value, *others: any(equal(value, other) for other in others)),
    "contains": (2, 2, lambda whole, part: as_text(part).casefold() in as_text(whole).casefold()),
    "trim": (1, 1, lambda value: as_text(value).strip()),
}
"""Least and most arguments, and what it does."""


class _Parser:
    def __init__(self, expression: str, context: Context, place: Place) -> None:
        self.expression = " ".join(expression.split())
        self.context = context
        self.place = place
        self.tokens = list(self._tokens())

    def refuse(self, sentence: str) -> Refused:
        return Refused(self.place, f"{sentence}, in the expression {self.expression!r}")

    def whole(self) -> Any:
        if not self.tokens:
            raise self.refuse("there is nothing")
        value = self.one()
        if self.tokens:
            raise self.refuse(f"nothing can stand at {self.tokens[0][1]!r}")
        return value

    def one(self) -> Any:
        kind, token = self.take()
        if kind == "text":
            return token[1:-1].replace("''", "'")
        if kind == "number":
            return float(token)
        if kind != "name":
            raise self.refuse(f"nothing can start with {token!r}")
        if self.sees("("):
            return self.call(token)
        if token.lower() in ("true", "false"):
            return token.lower() == "true"
        return self.value(token)

    def call(self, name: str) -> Any:
        self.expect("(")
        arguments: list[Any] = []
        while not self.sees(")"):
            arguments.append(self.one())
            if not self.sees(")"):
                self.expect(",")
        self.expect(")")
        if name in self.context.status:
            if arguments:
                raise self.refuse(f"the interpreter knows {name}() without arguments only")
            return self.context.status[name]()
        if name not in _FUNCTIONS:
            allowed = ", ".join([*_FUNCTIONS, *self.context.status])
            raise self.refuse(f"the interpreter knows no function {name}() here; it knows {allowed}")
        least, most, function = _FUNCTIONS[name]
        if not least <= len(arguments) <= most:
            raise self.refuse(f"{name}() got {len(arguments)} arguments")
        return function(*arguments)

    def value(self, name: str) -> Any:
        if name not in self.context.values:
            allowed = ", ".join(self.context.values) or "nothing"
            raise self.refuse(f"{name!r} is not known here, only {allowed}")
        path = list(self.path())
        if not path and name in self.context.whole:
            return self.context.whole[name]
        if not path:
            raise self.refuse(f"{name!r} alone is no value")
        try:
            found = self.context.values[name](path[0])
            for key in path[1:]:
                found = _member(found, key)
        except KeyError as error:
            raise self.refuse(str(error.args[0])) from None
        return found

    def path(self) -> Iterator[str]:
        while self.sees(".") or self.sees("["):
            _, sign = self.take()
            kind, token = self.take()
            if kind != ("name" if sign == "." else "text"):
                raise self.refuse(f"no key can be {token!r}")
            yield token if sign == "." else token[1:-1]
            if sign == "[":
                self.expect("]")

    def sees(self, sign: str) -> bool:
        return bool(self.tokens) and self.tokens[0] == ("sign", sign)

    def expect(self, sign: str) -> None:
        if not self.sees(sign):
            raise self.refuse(f"{sign!r} is missing")
        self.tokens.pop(0)

    def take(self) -> tuple[str, str]:
        if not self.tokens:
            raise self.refuse("the end comes too early")
        return self.tokens.pop(0)

    def _tokens(self) -> Iterator[tuple[str, str]]:
        at = 0
        while self.expression[at:].strip():
            found = _TOKEN.match(self.expression, at)
            if found is None:
                raise self.refuse(f"cannot read {self.expression[at:]!r}")
            yield str(found.lastgroup), str(found[str(found.lastgroup)])
            at = found.end()


def _member(value: Any, key: str) -> Any:
    if callable(value):
        return value(key)
    return value.get(key) if isinstance(value, Mapping) else None

"""`${{ … }}` as far as concurrency groups and environment names need it; anything else is refused. Pure.

https://docs.github.com/actions/reference/workflows-and-actions/expressions
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from mlops.errors import InvalidInput

Context = Mapping[str, Any]

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w-]*(?:\.[\w-]+)*)"
    r"|(?P<sign>&&|\|\||==|!=|!|[()]))"
)
_WORDS = {"true": True, "false": False, "null": None}


def fill(text: str, context: Context) -> str:
    """`text` with each expression replaced by its value; raises `InvalidInput` for what is not known here."""
    return _EXPRESSION.sub(lambda found: _shown(_Parser(found[1], context).value()), text)


def truth(text: str, context: Context) -> bool:
    """A field that is true, false or one expression, such as `cancel-in-progress`."""
    match = _EXPRESSION.fullmatch(text.strip())
    value = _Parser(match[1], context).value() if match else text.strip().lower() == "true"
    return value not in (False, None, "", 0)


class _Parser:
    """Operators return one of their operands, as in JavaScript: `inputs.stack || 'dev'` is a text."""

    def __init__(self, text: str, context: Context) -> None:
        self._text, self._context, self._tokens = text.strip(), context, list[tuple[str, str]]()
        at = 0
        while at < len(self._text):
            token = _TOKEN.match(self._text, at)
            if token is None or token.lastgroup is None:
                raise self._refusal(self._text[at:])
            self._tokens.append((token.lastgroup, token[token.lastgroup]))
            at = token.end()

    def value(self) -> Any:
        result = self._either()
        if self._tokens:
            raise self._refusal(self._tokens[0][1])
        return result

    def _either(self) -> Any:
        return self._chain("||", self._both, bool)

    def _both(self) -> Any:
        return self._chain("&&", self._compared, lambda value: not value)

    def _chain(self, sign: str, inner: Callable[[], Any], ends: Callable[[Any], bool]) -> Any:
        value = inner()
        while self._take(sign):
            other = inner()
            value = value if ends(value) else other
        return value

    def _compared(self) -> Any:
        left = self._one()
        for sign in ("==", "!="):
            if self._take(sign):
                return _same(left, self._one()) == (sign == "==")
        return left

    def _one(self) -> Any:
        if self._take("!"):
            return not self._one()
        if self._take("("):
            value = self._either()
            if not self._take(")"):
                raise self._refusal("a bracket that is not closed")
            return value
        if not self._tokens:
            raise self._refusal("its end")
        kind, token = self._tokens.pop(0)
        if kind == "text":
            return token[1:-1].replace("''", "'")
        if kind == "number":
            return float(token) if "." in token else int(token)
        if kind == "name" and not (self._tokens and self._tokens[0][1] == "("):
            return _WORDS[token] if token in _WORDS else self._look_up(token)
        raise self._refusal(token)

    def _look_up(self, name: str) -> Any:
        head, *rest = name.split(".")
        if head not in self._context:
            raise self._refusal(f"{head!r}, which is not known before a job starts")
        value: Any = self._context[head]
        for part in rest:
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def _take(self, sign: str) -> bool:
        if self._tokens and self._tokens[0] == ("sign", sign):
            self._tokens.pop(0)
            return True
        return False

    def _refusal(self, what: str) -> InvalidInput:
        known = ", ".join(sorted(self._context))
        return InvalidInput(
            f"the local forge cannot evaluate ${{{{ {self._text} }}}}: it stops at {what}. "
            f"It knows values of {known}, texts, numbers, ==, !=, !, && and ||"
        )


def _same(left: Any, right: Any) -> bool:
    """GitHub compares texts without case; nothing equals the empty text."""
    one, other = ("" if v is None else v for v in (left, right))
    if isinstance(one, str) and isinstance(other, str):
        return one.lower() == other.lower()
    return bool(one == other)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)

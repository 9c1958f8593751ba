"""YAML in, typed models out, and every error with file, line, field, value and what is allowed."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from mlops.errors import InvalidInput, Problem
from mlops.spec.near import hint

ModelT = TypeVar("ModelT", bound=BaseModel)
Loc = tuple[str | int, ...]


_MERGE = "tag:yaml.org,2002:merge"
_INT, _FLOAT, _STR = (f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "str"))
_MORE_NUMBERS = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+|[-+]\.[0-9]+")
"""Numbers of YAML 1.2, such as 1e-05, that PyYAML (YAML 1.1) reads as texts."""
_SAME = {
    _INT: re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+"),
    _FLOAT: re.compile(
        rf"[-+]?[0-9]*\.[0-9]*|{_MORE_NUMBERS.pattern}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    ),
}
"""Numbers that YAML 1.1 and 1.2 read alike. Not so: 010, 1_000, 1:30 and 0b1."""
_TEXT_IN_ONE = re.compile(r"[-+]?0[0-9]+|0o[0-7]+")
"""Texts of YAML 1.1 that are numbers in 1.2, but for `_MORE_NUMBERS`."""


class _Strict(yaml.constructor.SafeConstructor):
    """Safe YAML that refuses duplicate keys, where PyYAML silently keeps the last.

    What looks like a date or a number and is none is told with its line, where PyYAML raises `ValueError`.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            built = super().construct_object(node, deep=deep)
        except ValueError:
            kind = {"timestamp": "date"}.get(name := str(node.tag).rpartition(":")[2], name)
            raise yaml.constructor.ConstructorError(
                None, None, f"{_shown(node.value)} is no {kind}; put text in quotes", node.start_mark
            ) from None
        if isinstance(node, yaml.ScalarNode) and not node.style and differs(node.value, node.tag):
            message = (
                f"readers of YAML 1.1 and of 1.2 take {_shown(node.value)} for two things; write a plain "
                "decimal number, or put text in quotes"
            )
            raise yaml.constructor.ConstructorError(None, None, message, node.start_mark)
        return built

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                continue  # what `<<` brings may be said again: that is what it is for
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, "a field's name must be a text or a number", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def differs(text: str, tag: str) -> bool:
    """Whether a plain scalar that PyYAML gives `tag` is a number to readers of one YAML, or another one."""
    same = _SAME.get(tag)
    return not same.fullmatch(text) if same else tag == _STR and bool(_TEXT_IN_ONE.fullmatch(text))


class _Loader(_Strict, yaml.SafeLoader):
    """PyYAML's own parser: it decides what is valid, and says what is not."""


def _take_more_numbers(loader: Any) -> None:
    loader.add_implicit_resolver(_FLOAT, re.compile(rf"(?:{_MORE_NUMBERS.pattern})\Z"), list("-+.0123456789"))


_take_more_numbers(_Loader)


_RESOLVER: Any = _Loader("")


def is_plain_text(text: str) -> bool:
    """Whether `text`, written without quotes, is the same text to all readers of YAML."""
    tag = str(_RESOLVER.resolve(yaml.ScalarNode, text, (True, False)))
    return tag == _STR and not differs(text, tag)


_OTHERWISE = re.compile(
    r"[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\U00010000-\U0010ffff]"  # tabs, other ends of lines
    r"|^%|(?:^|[-:,?\[{]|&\S+) *!"  # directives, tags
    r"|^[- ?]{300}",  # nests deeper than the parser in C may go
    re.MULTILINE,
)
"""What the parser in C reads otherwise than PyYAML's own, or might."""
_BRACKETS = 300
_REPEATED = 100_000
"""Nodes that aliases (`*name`) may add to a file: few lines can ask for more than any memory holds."""
_TOLD = 50
"""Problems of a file that are told one by one."""
_SHOWN = 100
"""Characters of a wrong value that are told."""


@functools.cache
def _fast_loader() -> Any:
    class FastLoader(_Strict, yaml.CSafeLoader):
        pass

    _take_more_numbers(FastLoader)
    return FastLoader


def _fast(text: str) -> tuple[yaml.Node, Any] | None:
    """Root and value of a plain and valid text by the parser in C, eight times as fast; else None."""
    if not yaml.__with_libyaml__ or _OTHERWISE.search(text):
        return None
    if text.count("[") + text.count("{") - 2 * text.count("${{") > _BRACKETS:
        return None
    loader = _fast_loader()(text)
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.CollectionNode):
            return None  # the two differ in where a document of nothing is
        if "*" in text:
            _refuse_bomb(node)
        return node, loader.construct_document(node)
    except (yaml.YAMLError, RecursionError):
        return None
    finally:
        loader.dispose()


def _refuse_bomb(root: yaml.Node) -> None:
    """Raises `ConstructorError` where aliases repeat too much, or a node is inside of itself."""
    sizes: dict[int, int] = {}
    for node in _leaves_first(root):
        sizes[id(node)] = 1 + sum(sizes[id(child)] for child in _children(node))
    if sizes[id(root)] - len(sizes) > _REPEATED:
        message = f"aliases (*name) repeat more than {_REPEATED:,} values; write fewer of them"
        raise yaml.constructor.ConstructorError(None, None, message, root.start_mark)


def _leaves_first(root: yaml.Node) -> Iterator[yaml.Node]:
    """Each node once, after all that it contains."""
    began, ended = {id(root)}, set()
    way = [(root, iter(_children(root)))]
    while way:
        node, rest = way[-1]
        child = next(rest, None)
        if child is None:
            way.pop()
            ended.add(id(node))
            yield node
        elif id(child) not in began:
            began.add(id(child))
            way.append((child, iter(_children(child))))
        elif id(child) not in ended:
            message = "a value contains itself by an alias (*name); write it out"
            raise yaml.constructor.ConstructorError(None, None, message, child.start_mark)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def plain_value(text: str) -> Any:
    """What a file of another tool says, without lines; raises `YAMLError` or `ValueError`."""
    loader = (yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_bomb(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def refuse_conflict(text: str, name: str) -> None:
    """Raises `InvalidInput` with the line of the first conflict that `git merge` left in a file."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(("<<<<<<< ", ">>>>>>> ")):
            message = (
                "a merge conflict; keep what is right, and remove the lines <<<<<<<, ======= and >>>>>>>"
            )
            raise InvalidInput(Problem(f"{name}:{number}", message))


def read_text(path: Path, name: str) -> str:
    """A file's text; raises `InvalidInput` when it is missing, unreadable or not UTF-8."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            # To read a pipe is to wait for who writes it.
            raise InvalidInput(Problem(name, "is no regular file; put one in its place"))
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InvalidInput(Problem(name, "the file does not exist")) from None
    except UnicodeDecodeError as error:
        raise InvalidInput(Problem(name, f"not UTF-8 text (byte {error.start}); save it as UTF-8")) from None
    except OSError as error:
        raise InvalidInput(Problem(name, f"cannot be read: {error.strerror}")) from None


class Document:
    """A parsed YAML file that remembers the line of every field.

    Raises `InvalidInput` when the file is missing, unreadable, not UTF-8, not YAML, or has a key twice.
    """

    def __init__(self, text: str, name: str) -> None:
        self.name, self.text = name, text
        self._node: yaml.Node | None
        self.value: Any
        refuse_conflict(text, name)
        if (lost := text.find("\ufffd")) >= 0:
            line = text.count("\n", 0, lost) + 1
            raise InvalidInput(Problem(f"{name}:{line}", "not UTF-8 text; save it as UTF-8"))
        if (read := _fast(text)) is not None:
            self._node, self.value = read
            return
        try:
            loader = _Loader(text)
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            message = f"not valid YAML: the control character U+{ord(text[error.position]):04X}; remove it"
            raise InvalidInput(Problem(f"{name}:{line}", message)) from None
        try:
            self._node = loader.get_single_node()
            if self._node and "*" in text:
                _refuse_bomb(self._node)
            self.value = loader.construct_document(self._node) if self._node else None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            where = f"{name}:{mark.line + 1}" if mark else name
            raise InvalidInput(Problem(where, f"not valid YAML: {error.problem}")) from None
        except RecursionError:
            raise InvalidInput(Problem(name, "not valid YAML: lists or mappings nest too deeply")) from None
        finally:
            loader.dispose()

    @classmethod
    def read(cls, path: Path, name: str | None = None) -> Document:
        """Read `path`; `name` is how errors call it (default: the path itself)."""
        shown = name or str(path)
        return cls(read_text(path, shown), shown)

    def line(self, loc: Iterable[str | int]) -> int:
        """1-based line of the deepest part of `loc` that the file contains."""
        node = self._node
        line = node.start_mark.line + 1 if node else 1
        for part in loc:
            if isinstance(node, yaml.MappingNode):
                # Keys that `<<` merged stand first; the file's own come after them and win.
                entry = next(((k, v) for k, v in reversed(node.value) if k.value == str(part)), None)
                if entry is None:
                    break
                line, node = entry[0].start_mark.line + 1, entry[1]
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
        return self.part(model, self.value, ())

    def part(self, model: type[ModelT], value: Any, loc: Loc) -> ModelT:
        """Validate `value`, which stands at `loc` or was made of what stands there, as `parse` does."""
        try:
            return model.model_validate(value)
        except ValidationError as error:
            sentences = [_sentence(e, model) for e in error.errors()[:_TOLD]]
            told = [self.problem((*loc, *place), said) for place, said in sentences]
            if (more := error.error_count() - _TOLD) > 0:
                told.append(Problem(self.name, f"{more:,} more wrong fields; mend those above first"))
            raise InvalidInput(told) from None


def problems_of(error: ValidationError, model: type[BaseModel], name: str) -> list[Problem]:
    """The problems of a pydantic error of a file whose lines are not known (TOML, JSON)."""
    problems = []
    for entry in error.errors():
        loc, message = _sentence(entry, model)
        problems.append(Problem(name, message, ".".join(str(p) for p in loc)))
    return problems


def _sentence(error: Any, model: type[BaseModel]) -> tuple[Loc, str]:
    loc: Loc = tuple(part for part in error["loc"] if part != "[key]")  # of a mapping's own key
    kind, given = error["type"], error.get("input")
    if kind == "extra_forbidden":
        allowed = sorted(fields_at(model, loc[:-1]))
        return loc, f"unknown field; allowed: {', '.join(allowed)}{hint(str(loc[-1]), allowed)}"
    if kind == "missing":
        return loc, "required, but not given"
    message = _plain(kind, error.get("ctx") or {}) or str(error["msg"]).removeprefix("Value error, ")
    if isinstance(given, dict | list) or message.endswith(f"got {given!r}"):
        return loc, message
    if isinstance(given, str) and kind in _UNQUOTED and _is_number(given):
        return loc, f"{message}; got the text {_shown(given)}: write it without quotes"
    allowed = re.findall(r"'([^']*)'", message) if kind == "literal_error" else []
    return loc, f"{message}; got {_shown(given)}{hint(given, allowed) if isinstance(given, str) else ''}"


_UNQUOTED = ("int_type", "float_type", "bool_type")


def _is_number(text: str) -> bool:
    try:
        return text in ("true", "false") or math.isfinite(float(text))
    except ValueError:
        return False


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # of a number with more digits than Python writes
        return "a number with thousands of digits"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


_KINDS = (
    (("int_",), "must be a whole number"),
    (("float_",), "must be a number"),
    (("finite_",), "must be a finite number"),
    (("bool_",), "must be true or false"),
    (("string_type",), "must be a text"),
    (("list_", "tuple_", "set_", "frozen_set_"), "must be a list"),
    (("dict_", "mapping_", "model_"), "must be a mapping"),
    (("date_",), "must be a date such as 2026-01-31"),
    (("string_too_short",), "must have at least {min_length} characters"),
    (("string_too_long",), "must have at most {max_length} characters"),
    (("string_pattern_mismatch",), "must match {pattern}"),
    (("literal_error",), "must be {expected}"),
    (("greater_than_equal",), "must be greater than or equal to {ge}"),
    (("greater_than",), "must be greater than {gt}"),
    (("less_than_equal",), "must be less than or equal to {le}"),
    (("less_than",), "must be less than {lt}"),
    (("too_short",), "must have {min_length} or more"),
    (("too_long",), "must have at most {max_length}"),
)
"""Kinds of pydantic's errors by how they begin, in words for whoever wrote the file."""


def _plain(kind: str, context: Mapping[str, Any]) -> str:
    """Empty for a kind that says it well itself."""
    matching = (words for starts, words in _KINDS if kind.startswith(starts))
    return next(matching, "").format_map(context)


def fields_at(model: type[BaseModel], loc: Loc) -> list[str]:
    """The fields that a file may give at `loc`; none where no model is."""
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
        if (inner := _inner_model(argument)) is not None:
            return inner
    return None

"""The wrong edits that can be made in a file: mutmut's, and those that decisions suffer from most.

Left out is what is not behaviour: docstrings, annotations, log texts, and sentences of
errors and problems. A better sentence must not need another test.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import libcst as cst
import libcst.matchers as m
from libcst.metadata import (
    MetadataWrapper,
    ParentNodeProvider,
    PositionProvider,
    WhitespaceInclusivePositionProvider,
)
from mutmut.mutation import mutators

MODULE_LEVEL = "<module>"
"""The function of an edit that only a new import brings about: constants, classes, defaults, decorators."""

_TEXT_CALLS = m.Attribute(value=m.Name("log") | m.Name("logging") | m.Name("warnings"))
_LOGS = m.Call(func=_TEXT_CALLS)
_UNTOUCHED = {"len", "isinstance", "cast", "TypeVar", "NewType", "field", "Field"}
_TEXT_FIELDS = {"message", "detail", "description", "observed", "limit", "title", "help", "remedy", "reason"}
_SENTENCE = re.compile(r"\s")


@dataclass(frozen=True)
class Edit:
    """One wrong edit."""

    function: str
    """Qualified name of the outermost function that it is in, or `MODULE_LEVEL`."""
    line: int
    diff: str
    """What changes, as `- old` and `+ new` without indentation: names the edit, whatever line it is on."""
    source: str
    """The whole file with the edit."""
    key: str
    """Names the edit as long as its function stays as it is, wherever in the file."""
    lines: range
    """Of the statement that it changes: a test that runs none of them can't notice it."""


def _drop_operand(node: cst.BooleanOperation) -> Iterable[cst.BaseExpression]:
    """Either side of an `and` or `or` alone: the second condition is the one that tests forget."""
    yield _in_parentheses(node.left)
    yield _in_parentheses(node.right)


def _in_parentheses(node: cst.BaseExpression) -> cst.BaseExpression:
    return node if node.lpar else node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _keep_all(node: cst.CompIf) -> Iterable[cst.CompIf]:
    yield node.with_changes(test=cst.Name("True"), whitespace_before_test=cst.SimpleWhitespace(" "))


def _is_text(node: cst.BaseExpression) -> bool:
    if isinstance(node, cst.IfExp):
        return _is_text(node.body) or _is_text(node.orelse)
    if isinstance(node, cst.BinaryOperation):
        return _is_text(node.left) or _is_text(node.right)
    if isinstance(node, cst.SimpleString):
        return bool(_SENTENCE.search(node.raw_value))
    return isinstance(node, cst.FormattedString | cst.ConcatenatedString)


def _forget_argument(node: cst.Call) -> Iterable[cst.Call]:
    for i, arg in enumerate(node.args):
        if not (arg.star or _is_text(arg.value) or m.matches(arg.value, m.Name("None"))):
            changed = arg.with_changes(value=cst.Name("None"))
            yield node.with_changes(args=[*node.args[:i], changed, *node.args[i + 1 :]])


def _forget_value(node: cst.Assign | cst.AnnAssign) -> Iterable[cst.CSTNode]:
    if node.value is not None and not _is_text(node.value):
        yield from mutators.operator_assignment(node)


_FALSY = (
    m.Name("None") | m.Name("True") | m.Name("False") | m.SimpleString('""') | m.Tuple(elements=[])
    | m.List(elements=[]) | m.Dict(elements=[])
)  # fmt: skip


def _return_nothing(node: cst.Return) -> Iterable[cst.Return]:
    if not (node.value is None or _is_text(node.value) or m.matches(node.value, _FALSY)):
        yield node.with_changes(value=cst.Name("None"), whitespace_after_return=cst.SimpleWhitespace(" "))


_SWAPS = {"any": "all", "all": "any", "min": "max", "max": "min"}


def _swap_call(node: cst.Call) -> Iterable[cst.Call]:
    if isinstance(node.func, cst.Name) and node.func.value in _SWAPS:
        yield node.with_changes(func=cst.Name(_SWAPS[node.func.value]))


def _no_call(node: cst.Expr) -> Iterable[cst.Expr]:
    """A statement that is a call, or a yield, is forgotten."""
    if isinstance(node.value, cst.Call | cst.Yield) and not m.matches(node.value, _LOGS):
        yield node.with_changes(value=cst.Name("None"))


def _drop_element(node: cst.Set | cst.List | cst.Tuple | cst.Dict) -> Iterable[cst.CSTNode]:
    """A collection of literals without one of them; more than two, or the rest of the syntax would change."""
    for position in range(len(node.elements) if len(node.elements) > 2 else 0):
        yield node.with_changes(elements=[e for i, e in enumerate(node.elements) if i != position])


def _other_text(node: cst.SimpleString) -> Iterable[cst.SimpleString]:
    if not node.value.startswith(('"""', "'''")) and not _SENTENCE.search(node.raw_value):
        quote = node.quote
        yield node.with_changes(value=f"{node.prefix}{quote}XX{node.raw_value}XX{quote}")


_REPLACED = {
    mutators.operator_string,  # three texts for one; a sentence is not behaviour
    mutators.operator_match,  # of several lines, which are indented
    mutators.operator_arg_removal,  # too few arguments say nothing about a test
    mutators.operator_assignment,
}
_OF_MUTMUT: Any = [pair for pair in mutators.mutation_operators if pair[1] not in _REPLACED]
_OPERATORS: list[tuple[Any, Callable[[Any], Iterable[cst.CSTNode]]]] = [
    *_OF_MUTMUT,
    (cst.SimpleString, _other_text),
    (cst.Call, _forget_argument),
    ((cst.Assign, cst.AnnAssign), _forget_value),
    (cst.BooleanOperation, _drop_operand),
    (cst.CompIf, _keep_all),
    (cst.Return, _return_nothing),
    (cst.Call, _swap_call),
    (cst.Expr, _no_call),
    ((cst.Set, cst.List, cst.Tuple, cst.Dict), _drop_element),
]


def edits(source: str) -> Iterator[Edit]:
    """Every wrong edit of a file, in the order of its lines; each is a file that can be compiled."""
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    finder = _Finder()
    wrapper.visit(finder)
    spans = wrapper.resolve(WhitespaceInclusivePositionProvider)
    places = wrapper.resolve(PositionProvider)
    lines = source.splitlines(keepends=True)
    seen: set[str] = {source}
    for line, top, function, old, new, statement in finder.found:
        span = spans[old]
        first, last = span.start.line - 1, span.end.line
        after = lines[last - 1][span.end.column :]
        changed = lines[first][: span.start.column] + wrapper.module.code_for_node(new) + after
        text = "".join([*lines[:first], changed, *lines[last:]])
        outer = range(len(lines)) if top is None else range(spans[top].start.line - 1, spans[top].end.line)
        before, behind = "".join(lines[outer.start : first]), "".join(lines[last : outer.stop])
        if text in seen or not _is_python(before + changed + behind):
            continue
        seen.add(text)
        diff = _diff(lines[first:last], changed.splitlines())
        of = "".join(lines[outer.start : outer.stop]) if top is not None else source
        parts = (function, of, str(first - outer.start), diff)
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
        at = places[top if top is not None and _whole(old) else statement]
        yield Edit(function, line, diff, text, key, range(at.start.line, at.end.line + 1))


def _whole(old: cst.CSTNode) -> bool:
    """Without its last `yield` a function is no generator, whatever of it is run."""
    return bool(m.findall(old, m.Yield()))


def _is_python(text: str) -> bool:
    try:
        ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError):
        return False
    return True


def _diff(old: Sequence[str], new: Sequence[str]) -> str:
    plain = [[line.strip() for line in lines if line.strip()] for lines in (old, new)]
    lines = list(difflib.unified_diff(*plain, n=0, lineterm=""))[2:]
    return "\n".join(f"{line[0]} {line[1:]}" for line in lines if not line.startswith("@@"))


class _Finder(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider, ParentNodeProvider)

    def __init__(self) -> None:
        self.found: list[tuple[int, cst.FunctionDef | None, str, cst.CSTNode, cst.CSTNode, cst.CSTNode]] = []
        self._statements: list[cst.CSTNode] = []
        self._names: list[str] = []
        self._top: cst.FunctionDef | None = None
        self._outer = ""
        self._in_body = 0

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.ClassDef | cst.FunctionDef):
            self._names.append(node.name.value)
        if isinstance(node, cst.SimpleStatementLine):
            self._statements.append(node)
        if isinstance(node, cst.FunctionDef):
            return True
        if isinstance(node, cst.IndentedBlock) and self._is_function(node):
            if not self._in_body:
                self._top = cst.ensure_type(self.get_metadata(ParentNodeProvider, node), cst.FunctionDef)
                self._outer = ".".join(self._names)
            self._in_body += 1
        if _no_behaviour(node) or self._annotates(node):
            return False
        if isinstance(node, cst.If):
            self._add(node.test, [cst.Name("True"), cst.Name("False")])
        for kind, operator in _OPERATORS:
            if isinstance(node, kind):
                self._add(node, operator(node))
        return True

    def _add(self, old: cst.CSTNode, changed: Iterable[cst.CSTNode]) -> None:
        line = self.get_metadata(PositionProvider, old).start.line
        where = (line, self._top, self._outer) if self._in_body else (line, None, MODULE_LEVEL)
        # In the head of an `if` or a `for` the expression itself is what is run.
        statement = self._statements[-1] if self._statements else old
        self.found += [(*where, old, new, statement) for new in changed]

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.IndentedBlock) and self._is_function(original_node):
            self._in_body -= 1
            self._top = self._top if self._in_body else None
        if isinstance(original_node, cst.ClassDef | cst.FunctionDef):
            self._names.pop()
        if isinstance(original_node, cst.SimpleStatementLine):
            self._statements.pop()

    def _is_function(self, node: cst.CSTNode) -> bool:
        return isinstance(self.get_metadata(ParentNodeProvider, node, None), cst.FunctionDef)

    def _annotates(self, node: cst.CSTNode) -> bool:
        """Within a class, `name: type` has no value that could be wrong; strings there are docstrings."""
        return isinstance(node, cst.Param) and node.default is None


def _no_behaviour(node: cst.CSTNode) -> bool:  # noqa: PLR0911 (one line a kind)
    if isinstance(node, cst.Annotation | cst.Import | cst.ImportFrom | cst.Raise | cst.ConcatenatedString):
        return True
    if isinstance(node, cst.FormattedString):
        return True  # a sentence, or a path that the operating system would refuse
    if isinstance(node, cst.Expr) and isinstance(node.value, cst.SimpleString | cst.ConcatenatedString):
        return True  # a docstring, of whatever it follows
    if isinstance(node, cst.Call):
        named = isinstance(node.func, cst.Name) and node.func.value in _UNTOUCHED
        return named or m.matches(node.func, _TEXT_CALLS) or m.matches(node.func, m.Name("Problem"))
    if isinstance(node, cst.Arg) and node.keyword is not None:
        return node.keyword.value in _TEXT_FIELDS
    if isinstance(node, cst.Assign):
        return m.matches(node, m.Assign(targets=[m.AssignTarget(m.Name("__all__"))]))
    return False

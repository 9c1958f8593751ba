"""Edits of a YAML file that a person owns: the fields that were asked for change, every other byte stays.

PyYAML gives the place of each field; only that span of text is replaced. After each edit the file is read
again: it says what it said, but for that field, or the edit is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from mlops.errors import InvalidInput, Problem
from mlops.spec import _emit
from mlops.spec._yaml import Document, Loc

_COMMENTS = re.compile(r"(?:\n[ \t]*(?:#[^\n]*)?)*\n?\Z")
"""What stands between the last field of a block and the next one: comments and blank lines."""


class Editor:
    """The text of one file. Raises `InvalidInput`, naming the field, for what cannot be edited in place."""

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name
        self._document = Document(text, name)

    def get(self, loc: Loc) -> Any:
        """The value of a field; None when it is not there."""
        value = self._document.value
        for part in loc:
            if not isinstance(value, Mapping):
                return None
            value = value.get(part)
        return value

    def line(self, loc: Loc) -> int:
        """1-based line of the deepest part of `loc` that the file contains."""
        return self._document.line(loc)

    def put(self, loc: Loc, value: Any) -> None:
        """Make a field say `value`: a scalar, a list or a mapping. A field that is missing is added."""
        if self._has(loc) and self.get(loc) == value:
            return
        wanted = self._wanted(loc, value)
        parent, key, node = self._find(loc)
        if node is not None and key is not None:
            text = self._replaced(parent, key, node, value)
        else:
            text = self._added(loc, value)
        self._take(text, wanted, loc)

    def drop(self, loc: Loc) -> None:
        """Remove a field that stands on lines of its own; nothing happens when it is not there."""
        if not self._has(loc):
            return
        wanted = self._wanted(loc[:-1], {k: v for k, v in self.get(loc[:-1]).items() if k != loc[-1]})
        _, key, node = self._find(loc)
        assert key is not None  # noqa: S101 - it has the field
        assert node is not None  # noqa: S101
        start = self.text.rfind("\n", 0, key.start_mark.index) + 1
        end = self.text.find("\n", self._end(node))
        end = len(self.text) if end < 0 else end + 1
        if self.text[start : key.start_mark.index].strip():
            raise self._refused(loc, "write one field a line, `field: value`")
        self._take(self.text[:start] + self.text[end:], wanted, loc)

    def rename(self, loc: Loc, new: str) -> None:
        """Give a field another name; nothing happens when it is not there."""
        if not self._has(loc):
            return
        before = self.get(loc[:-1])
        wanted = self._wanted(loc[:-1], {new if k == loc[-1] else k: v for k, v in before.items()})
        _, key, _ = self._find(loc)
        assert key is not None  # noqa: S101 - it has the field
        text = self.text[: key.start_mark.index] + _emit.scalar(new) + self.text[key.end_mark.index :]
        self._take(text, wanted, loc)

    # --- places -----------------------------------------------------------------------------------------

    def _has(self, loc: Loc) -> bool:
        parent = self.get(loc[:-1])
        return isinstance(parent, Mapping) and loc[-1] in parent

    def _wanted(self, loc: Loc, value: Any) -> Any:
        """What the whole file must say afterwards."""
        if not loc:
            return value
        whole: dict[str | int, Any] = {"": _own(self._document.value)}
        inner: dict[str | int, Any] = whole
        last: str | int = ""
        for part in loc:
            there = {} if inner[last] is None else inner[last]
            if not isinstance(there, dict):
                raise self._refused(loc, "it is no field of a mapping")
            inner[last] = there
            inner, last = there, part
            inner.setdefault(last, None)
        inner[last] = value
        return whole[""]

    def _find(self, loc: Loc) -> tuple[yaml.MappingNode | None, yaml.Node | None, yaml.Node | None]:
        """The mapping that a field is in, the field's name, and its value; None for what is not there."""
        parent: yaml.MappingNode | None = None
        key: yaml.Node | None = None
        node: yaml.Node | None = yaml.compose(self.text, Loader=yaml.SafeLoader)
        for part in loc:
            if not isinstance(node, yaml.MappingNode):
                return None, None, None
            parent = node
            key, node = next(((k, v) for k, v in node.value if k.value == str(part)), (None, None))
        return parent, key, node

    def _end(self, node: yaml.Node) -> int:
        """Where the last byte of a value is; a block's own mark is where the next field starts."""
        if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
            last = node.value[-1]
            return self._end(last[1] if isinstance(last, tuple) else last)
        return int(node.end_mark.index)

    # --- edits ------------------------------------------------------------------------------------------

    def _replaced(self, parent: yaml.MappingNode | None, key: yaml.Node, node: yaml.Node, value: Any) -> str:
        flow = parent is not None and bool(parent.flow_style)
        written = f":{_emit.behind(value, key.end_mark.column + 1, key.start_mark.column, flow=flow)}"
        before, after = self.text[: key.end_mark.index], self.text[self._end(node) :]
        if isinstance(node, yaml.CollectionNode) and not node.flow_style:
            kept = _COMMENTS.search(self.text[key.end_mark.index : node.end_mark.index])
            after = (kept[0] if kept else "\n") + self.text[node.end_mark.index :]
        if parent is not None and flow and len(_last(before + written)) + len(_first(after)) > _emit.WIDTH:
            # What follows inside the braces goes on below their first field.
            after = re.sub(r"\A, *", f",\n{' ' * parent.value[0][0].start_mark.column}", after)
        return self._fitting(before, written, after)

    def _fitting(self, before: str, made: str, after: str) -> str:
        """A comment behind the value goes above it when the line would be too long."""
        comment = re.match(r"[ \t]+(#[^\n]*)", after)
        start = before.rfind("\n") + 1
        if comment is None or len(_last(before + made)) + len(comment[0]) <= _emit.WIDTH:
            return before + made + after
        line = before[start:]
        indent = line[: len(line) - len(line.lstrip())]
        return f"{before[:start]}{indent}{comment[1]}\n{line}{made}{after[comment.end() :]}"

    def _added(self, loc: Loc, value: Any) -> str:
        """With the deepest mapping that is there as its parent."""
        depth = len(loc) - 1
        while depth and not isinstance(self.get(loc[:depth]), Mapping):
            depth -= 1
        for part in reversed(loc[depth + 1 :]):
            value = {part: value}
        key = str(loc[depth])
        node = self._find(loc[:depth])[2]
        parent, name, there = self._find(loc[: depth + 1])
        if name is not None and there is not None:  # `field:`, with nothing in it yet
            return self._replaced(parent, name, there, value)
        parent, name, _ = self._find(loc[:depth])
        if name is not None and node is not None and not node.value:  # `{}` takes no field in place
            return self._replaced(parent, name, node, {key: value})
        if not isinstance(node, yaml.MappingNode) or not node.value:
            rest = f"{self.text.rstrip()}\n" if self.text.strip() else ""
            return f"{rest}{_emit.field(key, value, 0)}\n"
        if node.flow_style:
            end = self._end(node.value[-1][1])
            return f"{self.text[:end]}, {_emit.field(key, value, 0, flow=True)}{self.text[end:]}"
        column = node.value[0][0].start_mark.column
        line = f"{' ' * column}{_emit.field(key, value, column)}"
        if not depth:
            return f"{self.text.rstrip()}\n{line}\n"
        end = self.text.find("\n", self._end(node.value[-1][1]))
        head, tail = (self.text, "") if end < 0 else (self.text[:end], self.text[end + 1 :])
        return f"{head}\n{line}\n{tail}"

    def _take(self, text: str, wanted: Any, loc: Loc) -> None:
        way = "write one field a line, `field: value`, without & and *"
        try:
            document = Document(text, self.name)
        except InvalidInput:
            raise self._refused(loc, way) from None
        if document.value != wanted:
            raise self._refused(loc, way)
        self.text, self._document = text, document

    def _refused(self, loc: Loc, way: str) -> InvalidInput:
        line = self._document.line(loc)
        field = ".".join(map(str, loc))
        return InvalidInput(Problem(f"{self.name}:{line}", f"cannot be edited in place: {way}", field))


def _own(value: Any) -> Any:
    """A copy in which nothing is shared, as an alias shares what its anchor says."""
    if isinstance(value, Mapping):
        return {k: _own(v) for k, v in value.items()}
    return [_own(v) for v in value] if isinstance(value, list) else value


def _last(text: str) -> str:
    return text.rpartition("\n")[2]


def _first(text: str) -> str:
    return text.partition("\n")[0]

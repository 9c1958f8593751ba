"""YAML with the place of every part, because a refusal must name file and line."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml


@dataclass(frozen=True)
class Place:
    """`file` is relative to the repository."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Refused(Exception):
    """Something that the interpreter does not know, or that Azure Pipelines would refuse as well."""

    def __init__(self, place: Place, sentence: str) -> None:
        super().__init__(f"{place}: {sentence}")


class Text(str):
    """A scalar: Azure Pipelines sees texts, whatever they look like."""

    place: Place

    def __new__(cls, value: str, place: Place) -> Text:
        made = super().__new__(cls, value)
        made.place = place
        return made


class Mapping(dict[Any, Any]):
    """Keys are `Text`, in the order of the file; a plain text finds them too."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place


class Items(list[Any]):
    """A sequence."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place


Node = Text | Mapping | Items


def refuse(node: Node, sentence: str) -> NoReturn:
    """Raise `Refused` for a part of a file."""
    raise Refused(node.place, sentence)


def read(root: Path, file: str) -> Mapping:
    """The file `root/file`, which must be a mapping."""
    text = (root / file).read_text(encoding="utf-8")
    for token in yaml.scan(text):
        if isinstance(token, yaml.AnchorToken | yaml.AliasToken):
            line = token.start_mark.line + 1
            raise Refused(Place(file, line), "Azure Pipelines knows no anchors and aliases")
    whole = yaml.compose(text, Loader=yaml.SafeLoader)
    if whole is None:
        raise Refused(Place(file, 1), "the file is empty")
    return mapping(_node(whole, file))


def _node(node: yaml.Node, file: str) -> Node:
    place = Place(file, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        return Text(node.value, place)
    if isinstance(node, yaml.SequenceNode):
        items = Items(place)
        items += [_node(value, file) for value in node.value]
        return items
    made = Mapping(place)
    for key, value in node.value:
        name = text(_node(key, file))
        if name in made:
            refuse(name, f"the key {name!r} is there twice")
        made[name] = _node(value, file)
    return made


def text(node: Node) -> Text:
    """`node`, if it is a scalar."""
    if not isinstance(node, Text):
        refuse(node, "must be a text")
    return node


def mapping(node: Node) -> Mapping:
    """`node`, if it is a mapping."""
    if not isinstance(node, Mapping):
        refuse(node, "must be a mapping")
    return node


def items(node: Node) -> Items:
    """`node`, if it is a sequence."""
    if not isinstance(node, Items):
        refuse(node, "must be a sequence")
    return node


def texts(node: Node) -> list[Text]:
    """A sequence of scalars; one scalar alone counts as a sequence of one."""
    return [node] if isinstance(node, Text) else [text(item) for item in items(node)]


def known(node: Mapping, what: str, required: Collection[str], optional: Collection[str] = ()) -> Mapping:
    """`node`, if it has all `required` keys and no other than the `optional` ones."""
    for key in node:
        if key not in required and key not in optional:
            allowed = ", ".join([*required, *optional])
            refuse(key, f"the interpreter knows no key {str(key)!r} of {what}; it knows {allowed}")
    for key in required:
        if key not in node:
            refuse(node, f"{what} needs the key {key!r}")
    return node


def number(node: Node) -> int:
    """A scalar that is a whole number."""
    value = text(node)
    if not value.isdecimal():
        refuse(value, f"must be a whole number; got {str(value)!r}")
    return int(value)


def boolean(node: Node) -> bool:
    """A scalar that says true or false, in any case."""
    value = text(node)
    if value.lower() not in ("true", "false"):
        refuse(value, f"must be true or false; got {str(value)!r}")
    return value.lower() == "true"

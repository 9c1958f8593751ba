"""What the lint says of a file of the shelf with other values in it: nothing is written, little is parsed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from azure_shelf import SHELF

from mlops.lint.check import check_file
from mlops.lint.classify import kind_of
from mlops.lint.files import Files
from mlops.lint.finding import Finding, ordered
from mlops.lint.node import At
from mlops.spec._yaml import Document

Case = tuple[str, dict[str, Any], list[str]]
"""File, what is changed in it, what is said of it."""
GONE = "(is not there)"
"""In place of a value: the field is taken out."""


def at(text: str, folder: Path) -> At:
    """The top of a file that is not written."""
    document = Document(text, "x.yml")
    return At(document, folder / "x.yml", (), document.value)


@cache
def document(name: str) -> Document:
    return Document(SHELF[name], name)


def edited(value: Any, path: str, new: Any) -> Any:
    """A copy of `value` with one other part; `path` is dotted, or has `/` where a key has dots."""
    return _edited(value, path.split("/" if "/" in path else "."), new)


def _edited(value: Any, path: list[str], new: Any) -> Any:
    key: Any = int(path[0]) if isinstance(value, list) else path[0]
    inner = list(value) if isinstance(value, list) else dict(value) if isinstance(value, dict) else {}
    if path[1:]:
        there = isinstance(inner, list) or key in inner
        inner[key] = _edited(inner[key] if there else {}, path[1:], new)
    elif new is GONE:
        del inner[key]
    else:
        inner[key] = new
    return inner


@cache
def _files(root: Path) -> Files:
    """Nothing on the disk changes, so that what others name is read once."""
    return Files(root)


def findings(root: Path, name: str, changes: Mapping[str, Any]) -> Iterable[Finding]:
    """What is said of the shelf's file `name` after the changes."""
    value = document(name).value
    for path, new in changes.items():
        value = edited(value, path, new)
    return ordered(check_file(At(document(name), root / name, (), value), kind_of(value), _files(root)))


def differing(root: Path, cases: Sequence[Case]) -> dict[str, tuple[list[str], list[str]]]:
    """The cases of which something else is said: what is said, and what should be, as `rule field`."""
    found = {}
    for name, changes, said in cases:
        all_of_it = list(findings(root, name, changes))
        assert all(finding.message for finding in all_of_it), "a finding says something"
        told = sorted(f"{f.id} {f.field}".rstrip() for f in all_of_it)
        if told != said:
            found[f"{name} {changes}"] = (told, said)
    return found


def in_tens(cases: Sequence[Case]) -> list[Sequence[Case]]:
    """Small enough to be noticed soon, large enough to cost little more than what they ask."""
    return [cases[start : start + 10] for start in range(0, len(cases), 10)]

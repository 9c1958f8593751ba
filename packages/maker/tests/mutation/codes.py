"""Functions of a file by their names, and the code that an edit gives them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType

from tests.mutation.edits import Edit


def tops(file: Path) -> dict[int, str]:
    """First line of each piece of code to the outermost function that it is in."""
    found: dict[int, str] = {}

    def walk(code: CodeType, name: str, inside: bool) -> None:
        for inner in _inner(code):
            is_class = not inside and not inner.co_flags & 0x2  # CO_NEWLOCALS: a function has it
            top = name if inside else inner.co_qualname
            found.setdefault(inner.co_firstlineno, top)
            walk(inner, top, inside or not is_class)

    walk(compile(file.read_text("utf-8"), str(file), "exec", dont_inherit=True), "", False)
    return found


def lines_of(file: Path) -> set[int]:
    """Lines that do something when they are run."""
    whole = compile(file.read_text("utf-8"), str(file), "exec", dont_inherit=True)
    return {line for code in (whole, *_codes(whole)) for _, _, line in code.co_lines() if line}


def _inner(code: CodeType) -> Iterator[CodeType]:
    return (constant for constant in code.co_consts if isinstance(constant, CodeType))


def functions_of(file: Path) -> dict[str, list[FunctionType]]:
    """Every function that lives and was made from the file, by its qualified name."""
    found: dict[str, list[FunctionType]] = {}
    for thing in gc.get_objects():
        if type(thing) is FunctionType and thing.__code__.co_filename == str(file):
            found.setdefault(thing.__code__.co_qualname, []).append(thing)
    return found


def exchange(edit: Edit, functions: dict[str, list[FunctionType]], file: Path) -> None:
    """Give the living functions the code of the edit."""
    old, new = (
        [
            c
            for c in _codes(compile(text, str(file), "exec", dont_inherit=True))
            if c.co_qualname == edit.function
        ]
        for text in (file.read_text("utf-8"), edit.source)
    )
    lines = [code.co_firstlineno for code in old]  # a name may be used twice: a property and its setter
    for function in functions.get(edit.function, ()):
        function.__code__ = new[lines.index(function.__code__.co_firstlineno)]


def _codes(code: CodeType) -> Iterator[CodeType]:
    for inner in _inner(code):
        yield inner
        yield from _codes(inner)

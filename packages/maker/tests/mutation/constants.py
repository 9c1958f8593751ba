"""What only an import brings about, put into modules that live: constants, tables and defaults.

The module's text with the edit is run in a name space of its own; what differs then takes the place of what
was there, also where other modules have imported it. Classes stay, and so does what others have made of a
constant: whether an edit of those is noticed, an import anew tells.
"""

from __future__ import annotations

import ast
import sys
from types import FunctionType, ModuleType
from typing import Any

from tests.mutation.anew import Place
from tests.mutation.edits import Edit


def can_be_put(place: Place, edit: Edit) -> bool:
    """Whether an edit is outside of classes, whose instances live on."""
    body = ast.parse(place.file.read_text("utf-8")).body
    classes = [range(n.lineno, (n.end_lineno or n.lineno) + 1) for n in body if isinstance(n, ast.ClassDef)]
    return not any(edit.line in lines for lines in classes)


def put(place: Place, edit: Edit) -> None:
    """Give the living module what the edit changes. Raises whatever an import of it would."""
    old = sys.modules[place.module]
    new = ModuleType(old.__name__)
    new.__dict__.update({name: value for name, value in vars(old).items() if name.startswith("__")})
    exec(compile(edit.source, str(place.file), "exec", dont_inherit=True), new.__dict__)  # noqa: S102 (our own text)
    others = [module for module in list(sys.modules.values()) if isinstance(module, ModuleType)]
    for name, value in vars(new).items():
        was = vars(old).get(name)
        if name.startswith("__") or isinstance(value, type | ModuleType):
            continue
        if isinstance(value, FunctionType) and isinstance(was, FunctionType):
            if value.__module__ == old.__name__ and len(value.__code__.co_freevars) == len(
                was.__code__.co_freevars
            ):
                was.__code__, was.__defaults__ = value.__code__, value.__defaults__
                was.__kwdefaults__ = value.__kwdefaults__
        elif not _same(was, value):
            for module in others:
                if module is old or vars(module).get(name) is was:
                    setattr(module, name, value)


def _same(was: Any, value: Any) -> bool:
    """Whether nothing changed; what cannot be compared did."""
    try:
        return type(was) is type(value) and bool(was == value)
    except Exception:  # noqa: BLE001 (a comparison may be anybody's)
        return False

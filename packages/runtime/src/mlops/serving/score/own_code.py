"""The use case's own classes, as they were when the model was trained: from the artifact, not the checkout.

Two versions of a model may be served by one process, each with its own version of the same package. So a
package is imported from the artifact for as long as its model is loaded, and then gives its place back: the
classes that were made stay what they are.
"""

from __future__ import annotations

import importlib
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

_ONE = threading.RLock()
"""`sys.modules` is the process's own."""


@contextmanager
def imported_from(folder: Path) -> Iterator[None]:
    """The packages below `folder` come before any others, while this lasts. Nothing is written there."""
    names = {path.name for path in folder.iterdir() if path.is_dir()}
    with _ONE:
        before = _taken(names)
        keep, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.dont_write_bytecode = keep
            sys.path.remove(str(folder))
            if before:
                _taken(names)
                sys.modules.update(before)


def _taken(names: set[str]) -> dict[str, ModuleType]:
    """Modules of these packages, no longer known to the process."""
    known = [name for name in sys.modules if name.partition(".")[0] in names]
    return {name: sys.modules.pop(name) for name in known}


def copied(package: Path, to: Path) -> Path:
    """The Python files of `package`, without what running them has left there."""
    place = to / package.name
    for path in sorted(package.rglob("*.py")):
        inside = place / path.relative_to(package)
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, inside)
    return place

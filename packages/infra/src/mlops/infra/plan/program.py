"""The program that is planned: the one of the repository at hand, or in a child process a base commit's.

A base commit from before the parts became a package has them in `infra/` itself.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from mlops.errors import InvalidInput

from ..arm_types import use_own


def main_of(root: Path) -> Callable[[Path], None]:
    """`infra.program.main` of `root`. Raises `InvalidInput` when the repository has none."""
    entry = root / "infra" / "program.py"
    if not entry.is_file():
        raise InvalidInput(f"{entry} does not exist; this repository has no Azure program")
    use_own(getattr(own_of(root), "arm_types", {}))
    main: Callable[[Path], None] = importlib.import_module("infra.program").main
    return main


def own_of(root: Path) -> Any:
    """`OWN` of the repository's `infra/own.py`; None where it adds nothing."""
    _first_on_path(root)
    if not (root / "infra" / "own.py").is_file():
        return None
    return importlib.import_module("infra.own").OWN


def part_of(root: Path, name: str) -> ModuleType:
    """The module of the parts that the program of `root` uses, such as `load`."""
    library = "mlops.infra"
    if (root / "infra" / "load.py").is_file():
        library = "infra"
        _first_on_path(root)
    return importlib.import_module(f"{library}.{name}")


def _first_on_path(root: Path) -> None:
    """Let `infra` be that of `root`, also when another repository's was imported before."""
    loaded = sys.modules.get("infra")
    if loaded is not None and Path(str(loaded.__file__)).parent != root.resolve() / "infra":
        for name in [n for n in sys.modules if n == "infra" or n.startswith("infra.")]:
            del sys.modules[name]
    path = str(root.resolve())
    if sys.path[:1] != [path]:
        sys.path.insert(0, path)

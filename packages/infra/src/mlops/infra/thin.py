"""Namespaces of azure-native that load the modules somebody uses, not all of them.

`pulumi_azure_native.network` is 290 modules, of which a stack needs six; importing the rest is half of the
time of a plan. What cannot be found in one module is looked for as the package itself would.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Final

_PACKAGE: Final = "pulumi_azure_native"
_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def install() -> None:
    """From here on the namespaces of azure-native are thin; those that are loaded already stay as they
    are."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, name = fullname.rpartition(".")
        if package != _PACKAGE or name.startswith("_"):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None and spec.submodule_search_locations:
            spec.loader = _Thin(spec.loader)
        return spec


class _Thin(Loader):
    def __init__(self, whole: Loader) -> None:
        self._whole = whole

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        folder = Path(module.__path__[0])

        def found(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            plain = _WORD.sub("_", name).lower()
            owner = plain.removesuffix("_args").removesuffix("_output")
            for part in dict.fromkeys((name, plain, owner, "_inputs", "_enums")):
                if not (folder / f"{part}.py").is_file():
                    continue
                loaded = importlib.import_module(f"{module.__name__}.{part}")
                _uncover(module)
                if name in vars(loaded):
                    setattr(module, name, vars(loaded)[name])
                    return vars(loaded)[name]
                if part == name:
                    return loaded
            del module.__dict__["__getattr__"]
            self._whole.exec_module(module)
            return getattr(module, name)

        module.__dict__["__getattr__"] = found


def _uncover(package: ModuleType) -> None:
    """Importing the module `get_client_config` hides the function of that name."""
    for name, part in list(vars(package).items()):
        if isinstance(part, ModuleType) and name in vars(part):
            setattr(package, name, vars(part)[name])

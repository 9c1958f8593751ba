"""The Pulumi program's own modules. They lie in the repository at hand and are no part of this package."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput


def module(root: Path, name: str) -> Any:
    """`infra.<name>` of the repository; raises `InvalidInput` when it has been removed or lacks a package."""
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        return importlib.import_module(f"infra.{name}")
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing.partition(".")[0] == "infra":
            raise InvalidInput(
                f"{root / 'infra'} has no {name}.py; this repository has no Azure program"
            ) from None
        raise InvalidInput(
            f"the Azure program needs {missing!r}; install the group with: uv sync --group infra"
        ) from None


def stack_names(root: Path) -> list[str]:
    """The stacks with a file in `environments/`: shared, dev, staging, prod, then the others."""
    first = ("shared", "dev", "staging", "prod")
    files = (root / "environments").glob("Pulumi.?*.yaml")
    found = [p.name.removeprefix("Pulumi.").removesuffix(".yaml") for p in files]
    return sorted(found, key=lambda s: (first.index(s) if s in first else len(first), s))

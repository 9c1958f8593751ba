"""Providers behind the protocols of `base.py`: one folder a target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlops.errors import InvalidInput

if TYPE_CHECKING:
    from mlops.spec.settings import Settings
    from mlops.targets.base import Target


def open_target(name: str, root: Path, settings: Settings) -> Target:
    """The target called `name` for the repository at `root`; raises `InvalidInput` for an unknown one."""
    if name == "local":
        from mlops.targets.local import open_local

        return open_local(root, settings)
    if name == "azure":
        from mlops.targets.azure import open_azure

        return open_azure(root, settings)
    raise InvalidInput(f"there is no target {name!r}; known: azure, local")

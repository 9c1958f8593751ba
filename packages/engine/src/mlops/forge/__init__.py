"""Forges behind the protocol of `base.py`: one module a forge."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlops.errors import InvalidInput, Problem, TargetError
from mlops.forge.git import Git
from mlops.spec.forges import HOSTED, Hosted

if TYPE_CHECKING:
    from mlops.forge.base import Forge
    from mlops.spec.settings import Settings


def open_forge(root: Path, settings: Settings) -> Forge:
    """The forge of `mlops.toml`; raises `InvalidInput` (settings) and `TargetError` (no token)."""
    chosen = settings.forge
    if chosen.kind == "local":
        from mlops.forge.local import LocalForge

        return LocalForge.of(Git(root))
    shape = HOSTED[chosen.kind]
    if shape.split(chosen.repository) is None:
        message = f"must be {shape.shape}; got {chosen.repository!r}"
        raise InvalidInput(Problem("mlops.toml", message, "forge.repository"))
    return _OPEN[chosen.kind](chosen.repository)


def _github(repository: str) -> Forge:
    from mlops.forge.github import GitHub

    return GitHub(repository, token=_token("GITHUB_TOKEN"), api=os.environ.get("GITHUB_API_URL", ""))


def _azure_devops(repository: str) -> Forge:
    from mlops.forge.azure_devops import AzureDevOps

    organization, project, name = repository.split("/")
    return AzureDevOps(organization, project, name, token=_token("SYSTEM_ACCESSTOKEN"))


_OPEN: Final[Mapping[Hosted, Callable[[str], Forge]]] = {"github": _github, "azure-devops": _azure_devops}


def _token(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise TargetError(f"{name} is not set; a pull request cannot be opened without it")
    return value

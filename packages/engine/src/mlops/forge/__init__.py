"""Forges behind the protocol of `base.py`: one module a forge."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.errors import InvalidInput, Problem, TargetError
from mlops.forge.git import Git

if TYPE_CHECKING:
    from mlops.forge.base import Forge
    from mlops.spec.settings import Settings


def open_forge(root: Path, settings: Settings) -> Forge:
    """The forge of `mlops.toml`; raises `InvalidInput` (settings) and `TargetError` (no token)."""
    chosen = settings.forge
    if chosen.kind == "local":
        from mlops.forge.local import LocalForge

        return LocalForge.of(Git(root))
    parts = chosen.repository.split("/")
    if chosen.kind == "github":
        from mlops.forge.github import GitHub

        if len(parts) != 2 or not all(parts):
            raise _repository(chosen.repository, "owner/name")
        return GitHub(
            chosen.repository, token=_token("GITHUB_TOKEN"), api=os.environ.get("GITHUB_API_URL", "")
        )
    from mlops.forge.azure_devops import AzureDevOps

    if len(parts) != 3 or not all(parts):
        raise _repository(chosen.repository, "organization/project/name")
    organization, project, name = parts
    return AzureDevOps(organization, project, name, token=_token("SYSTEM_ACCESSTOKEN"))


def _repository(value: str, allowed: str) -> InvalidInput:
    return InvalidInput(Problem("mlops.toml", f"must be {allowed}; got {value!r}", "forge.repository"))


def _token(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise TargetError(f"{name} is not set; a pull request cannot be opened without it")
    return value

"""From Pulumi's configuration to the stack at hand: what `infra/program.py` of a repository starts with.

It takes nothing from the machine but the repository's `mlops.toml` and the stack's configuration, so the same
commit gives the same plan anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi.runtime import config as runtime_config

from mlops.infra.config import SECRETS, EnvironmentStack, SharedStack
from mlops.infra.load import NAMESPACE, StackFile, check_file, parse_stack
from mlops.spec.settings import Settings, load_settings


@dataclass(frozen=True)
class Stack:
    """What every stack knows of itself, whatever it holds."""

    root: Path
    """The repository."""
    name: str
    settings: Settings
    secrets: Mapping[str, pulumi.Output[str] | None]
    """By the key of the stack file; None for one that is not set."""


def read(root: Path) -> tuple[Stack, EnvironmentStack | SharedStack]:
    """The stack that Pulumi runs, and what its file says. Raises `InvalidInput` when a file is wrong."""
    settings = load_settings(root)
    name = pulumi.get_stack()
    raw = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    secret = [key for key in raw if runtime_config.is_config_secret(key)]
    file = StackFile.of(root, name)
    check_file(file)
    config = parse_stack(raw, secret, file)
    values = pulumi.Config(NAMESPACE)
    return Stack(root, name, settings, {key: values.get_secret(key) for key in SECRETS}), config

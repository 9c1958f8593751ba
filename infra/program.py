"""The program: reads the stack's configuration, makes its components, exports what others read.

`main` is all that `pulumi up`, `mlops infra plan` and the tests call. It takes nothing from the machine but
the repository's `mlops.toml` and the stack's configuration, so the same commit gives the same plan
anywhere.
"""

from __future__ import annotations

from pathlib import Path

import pulumi
from pulumi.runtime import config as runtime_config

from infra.config import SECRETS, SharedStack
from infra.load import NAMESPACE, StackFile, check_file, parse_stack
from mlops.spec.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]


def main(root: Path = ROOT) -> None:
    """Register every resource of the current stack. Raises `InvalidInput` when a file is wrong."""
    settings = load_settings(root)
    stack = pulumi.get_stack()
    raw = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    secret = [key for key in raw if runtime_config.is_config_secret(key)]
    file = StackFile.of(root, stack)
    check_file(file)
    config = parse_stack(raw, secret, file)
    if isinstance(config, SharedStack):
        from infra.shared import shared

        shared(config, settings)
    else:
        from infra.environment import environment

        values = pulumi.Config(NAMESPACE)
        environment(config, settings, stack, {key: values.get_secret(key) for key in SECRETS})

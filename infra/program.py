"""What each kind of stack is made by. `pulumi up` and `mlops infra plan` both call `main`."""

from __future__ import annotations

from pathlib import Path

from mlops.infra.config import SharedStack
from mlops.infra.program import read


def main(root: Path) -> None:
    """Register every resource of the current stack. Raises `InvalidInput` when a file is wrong."""
    stack, config = read(root)
    if isinstance(config, SharedStack):
        from infra.shared import shared

        shared(stack, config)
    else:
        from infra.environment import environment

        environment(stack, config)

"""What `mlops bootstrap azure` knows before it asks a forge; each forge puts its own steps around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlops.bootstrap.pulumi import Cli
from mlops.bootstrap.steps import Step
from mlops.bootstrap.world import Stack, World
from mlops.infra.stack_names import SHARED


@dataclass(frozen=True)
class Ground:
    """The same on every forge."""

    world: World
    cli: Cli
    repository: str
    """On the forge, as `[forge]` of mlops.toml has it."""
    steps: Sequence[Step]
    """What must be there before the first `pulumi up`."""
    reviewers: Sequence[str] = ()
    """Who approves what changes a protected environment; empty: who runs this."""
    protect: bool = False
    """Also rules for the default branch."""

    @property
    def environments(self) -> list[Stack]:
        return [stack for stack in self.world.stacks if stack.name != SHARED]

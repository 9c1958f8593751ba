"""Tags of every resource: who it belongs to, what made it, and when it may go."""

from __future__ import annotations

from mlops.infra.config import EnvironmentStack, SharedStack
from mlops.infra.naming import Names

REQUIRED = ("project", "environment", "managed-by")


def tags_of(config: EnvironmentStack | SharedStack, names: Names) -> dict[str, str]:
    """The stack's own tags and the required ones, which win; `ttl` where the environment has one."""
    required = dict(zip(REQUIRED, (names.project, names.environment, "pulumi"), strict=True))
    ttl = config.ttl if isinstance(config, EnvironmentStack) else None
    return {**config.tags, **required, **({"ttl": ttl} if ttl else {})}

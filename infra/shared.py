"""Stack `shared`."""

from __future__ import annotations

import pulumi

from infra.components.access import CustomRoles, CustomRolesProps
from infra.components.model_registry import ModelRegistry, ModelRegistryProps
from infra.config import SharedStack
from infra.exports import SharedExports, export
from infra.naming import Names
from infra.roles import REGISTRY_PUBLISHER, REGISTRY_READER
from infra.tags import tags_of
from mlops.spec.settings import Settings


def shared(config: SharedStack, settings: Settings) -> None:
    """Register the registry and the roles that environments assign on it."""
    names = Names(settings.project.name, pulumi.get_stack(), config.location, config.salt)
    registry = ModelRegistry(
        "registry",
        ModelRegistryProps(
            names=names,
            location=config.location,
            tags=tags_of(config, names),
            protect=config.protect,
            replicas=config.replicas,
        ),
    )
    roles = CustomRoles("roles", CustomRolesProps(names=names, home="shared", scope=registry.group.id))
    export(
        SharedExports(
            resource_group=registry.group.name,
            location=config.location,
            registry=registry.registry.name,
            registry_id=registry.registry.id,
            reader_role_id=roles.ids[REGISTRY_READER],
            publisher_role_id=roles.ids[REGISTRY_PUBLISHER],
        )
    )

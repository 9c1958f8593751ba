"""Stack `shared`."""

from __future__ import annotations

import pulumi
from pulumi_azure_native import authorization

from mlops.infra.components.access import CustomRoles, CustomRolesProps
from mlops.infra.components.model_registry import ModelRegistry, ModelRegistryProps
from mlops.infra.config import SharedStack
from mlops.infra.exports import SharedExports, export
from mlops.infra.naming import Names
from mlops.infra.program import Stack
from mlops.infra.roles import REGISTRY_PUBLISHER, REGISTRY_READER
from mlops.infra.tags import tags_of
from mlops.spec.settings import Settings


def shared(stack: Stack, config: SharedStack) -> None:
    """Register the registry and the roles that environments assign on it."""
    names = Names(stack.settings.project.name, stack.name, config.location, config.salt)
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
    roles = CustomRoles("roles", CustomRolesProps(names=names, where="registry", scopes=[registry.group.id]))
    for_environments = CustomRoles(
        "environment-roles",
        CustomRolesProps(names=names, where="environments", scopes=_subscriptions(stack.settings)),
    )
    export(
        SharedExports(
            resource_group=registry.group.name,
            location=config.location,
            registry=registry.registry.name,
            registry_id=registry.registry.id,
            registry_hosts=registry.hosts,
            reader_role_id=roles.ids[REGISTRY_READER],
            publisher_role_id=roles.ids[REGISTRY_PUBLISHER],
            environment_role_ids=for_environments.ids,
        )
    )


def _subscriptions(settings: Settings) -> list[pulumi.Input[str]]:
    """Where environments are: the login's subscription, and those that mlops.toml names."""
    own = authorization.get_client_config_output().subscription_id
    named = {place.subscription_id for place in settings.azure.stacks.values()} - {
        "",
        settings.azure.subscription_id,
    }
    return [
        pulumi.Output.concat("/subscriptions/", own),
        *(f"/subscriptions/{number}" for number in sorted(named)),
    ]

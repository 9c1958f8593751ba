"""What a stack file amounts to, as pure functions: models to serve, trust, grants."""

from __future__ import annotations

from infra import roles
from infra.components.identities import GITHUB_ISSUER, Federation
from infra.config import Endpoint, EnvironmentStack
from mlops.errors import InvalidInput, Problem
from mlops.spec.settings import Settings


def served_models(config: EnvironmentStack, settings: Settings, stack: str) -> dict[str, Endpoint]:
    """How each model of mlops.toml is served here; raises `InvalidInput` for one that is not there."""
    known = sorted(settings.models)
    if unknown := sorted(set(config.endpoints) - set(known)):
        raise InvalidInput(
            [
                Problem(
                    f"environments/Pulumi.{stack}.yaml",
                    f"mlops.toml has no model {name!r}; known: {', '.join(known)}",
                    f"endpoints.{name}",
                )
                for name in unknown
            ]
        )
    return {name: config.endpoints.get(name, Endpoint()) for name in known}


def federations(config: EnvironmentStack) -> list[Federation]:
    """Every workflow that may take on a duty: GitHub first, then Azure DevOps."""
    found = []
    if github := config.github:
        found += [
            Federation(
                duty=duty,
                name="github",
                issuer=GITHUB_ISSUER,
                subject=f"{github.subject_prefix}:environment:{environment}",
            )
            for duty, environment in github.environments.items()
        ]
    if devops := config.azure_devops:
        found += [
            Federation(duty=duty, name="azure-devops", issuer=devops.issuer, subject=subject)
            for duty, subject in devops.subjects.items()
        ]
    return found


def granted(config: EnvironmentStack) -> tuple[roles.Grant, ...]:
    """The rows of the table in `infra.roles` that this stack needs."""
    settings: dict[roles.When, bool] = {
        "customer-managed keys": config.customer_managed_keys,
        "events": bool(config.events),
        "kubernetes with private endpoints": config.options.aks is not None
        and config.network.private_endpoints,
        "databricks": config.options.databricks is not None,
        "data factory": config.options.data_factory is not None,
    }
    return roles.grants(when for when, on in settings.items() if on)

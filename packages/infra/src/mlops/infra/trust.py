"""Which workflow may take on which duty, as plain data: read where no Pulumi is installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mlops.infra.config import EnvironmentStack

AUDIENCE: Final = "api://AzureADTokenExchange"
GITHUB_ISSUER: Final = "https://token.actions.githubusercontent.com"


@dataclass(frozen=True, kw_only=True)
class Federation:
    """A workflow whose token is exchanged for the identity's: both values as the issuer states them."""

    duty: str
    name: str
    issuer: str
    subject: str


def federations(config: EnvironmentStack) -> list[Federation]:
    """Every workflow that may take on a duty: GitHub first, then Azure DevOps."""
    trusted = []
    if (github := config.github) and github.subject_prefix:
        trusted += [
            Federation(
                duty=duty,
                name="github",
                issuer=GITHUB_ISSUER,
                subject=f"{github.subject_prefix}:environment:{environment}",
            )
            for duty, environment in github.environments.items()
        ]
    if devops := config.azure_devops:
        trusted += [
            Federation(duty=duty, name="azure-devops", issuer=devops.issuer, subject=subject)
            for duty, subject in devops.subjects.items()
        ]
    return trusted

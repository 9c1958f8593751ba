"""All steps of `mlops bootstrap azure --forge azure-devops`, in their order."""

from __future__ import annotations

import functools
import os
from typing import Any

from mlops.bootstrap import azure_devops, files, grants
from mlops.bootstrap.azure_devops_rules import BranchPolicies
from mlops.bootstrap.ground import Ground
from mlops.bootstrap.pulumi import Up
from mlops.bootstrap.steps import Step
from mlops.bootstrap.world import Stack, World
from mlops.forge.azure_devops_settings import AzureDevOpsSettings
from mlops.forge.login import azure_devops_header


def client(repository: str, credential: Any) -> AzureDevOpsSettings:
    """With the login to Azure, or a personal access token."""
    organization, project, _ = repository.split("/")
    api = os.environ.get("AZURE_DEVOPS_URL", "")
    return AzureDevOpsSettings(organization, project, azure_devops_header(credential), api)


def steps(ground: Ground) -> list[Step]:
    """Azure first: a service connection states its subject once its identity is there; then it is trusted."""
    world = ground.world
    devops = client(ground.repository, world.credential)
    azure_devops.project_there(devops)
    approvers = list(ground.reviewers) or [devops.me()]
    none = {s.name: _no_prefix_file(world, s) for s in ground.environments}
    trust = {s.name: azure_devops.trust_file(world, devops, s) for s in ground.environments}
    return [
        *none.values(),
        *ground.steps,
        *(Up(world, ground.cli, s, none.get(s.name)) for s in world.stacks),
        *grants.workflow_grants(world),
        *azure_devops.connection_steps(world, devops),
        *trust.values(),
        *(Up(world, ground.cli, s, trust[s.name], again=True) for s in ground.environments),
        *azure_devops.environment_steps(world, devops, approvers),
        azure_devops.variables_file(world),
        *([BranchPolicies(devops, ground.repository.rsplit("/", 1)[-1])] if ground.protect else []),
    ]


def _no_prefix_file(world: World, stack: Stack) -> files.Edit:
    path = f"environments/Pulumi.{stack.name}.yaml"
    wanted = functools.partial(files.with_subject_prefix, prefix="")
    return files.Edit(world, f"file:subject:{stack.name}", f"no trust in GitHub in {path}", path, wanted)

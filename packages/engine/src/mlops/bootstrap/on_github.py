"""All steps of `mlops bootstrap azure --forge github`, in their order."""

from __future__ import annotations

import os

from mlops.bootstrap import files, grants
from mlops.bootstrap.github import github_steps
from mlops.bootstrap.ground import Ground
from mlops.bootstrap.pulumi import Up
from mlops.bootstrap.steps import Step
from mlops.bootstrap.world import Stack, World
from mlops.forge.github_settings import GitHubSettings
from mlops.forge.login import github_token


def client(repository: str) -> GitHubSettings:
    """With the login of the person; raises `TargetError` without one."""
    return GitHubSettings(repository, github_token(), os.environ.get("GITHUB_API_URL", ""))


def steps(ground: Ground) -> list[Step]:
    """Trust by the prefix that GitHub states, then Azure, then environments and variables."""
    world, github = ground.world, client(ground.repository)
    who = [github.reviewer(name) for name in ground.reviewers or [github.user()["login"]]]
    trust = {s.name: _prefix_file(world, s, github) for s in ground.environments}
    return [
        *trust.values(),
        *ground.steps,
        *(Up(world, ground.cli, s, trust.get(s.name)) for s in world.stacks),
        *grants.workflow_grants(world),
        *github_steps(world, github, who, protect=ground.protect),
    ]


def _prefix_file(world: World, stack: Stack, github: GitHubSettings) -> files.Edit:
    path = f"environments/Pulumi.{stack.name}.yaml"

    def wanted(text: str) -> str:
        return files.with_subject_prefix(text, github.subject_prefix())

    return files.Edit(world, f"file:subject:{stack.name}", f"subject prefix in {path}", path, wanted)

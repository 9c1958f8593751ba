"""`mlops bootstrap azure`: all steps in their order, for one forge."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from mlops.bootstrap import azure_devops, files, grants, state
from mlops.bootstrap.access import Access
from mlops.bootstrap.github import github_steps
from mlops.bootstrap.providers import Providers, needed
from mlops.bootstrap.pulumi import Cli, PulumiCli, Up
from mlops.bootstrap.steps import Step
from mlops.bootstrap.world import Stack, World, read_stacks
from mlops.errors import InvalidInput, Problem
from mlops.forge.azure_devops_settings import AzureDevOpsSettings
from mlops.forge.git import Git
from mlops.forge.github_settings import GitHubSettings
from mlops.forge.login import azure_devops_header, github_token
from mlops.infra.stack_names import SHARED
from mlops.spec.settings import FILE, Settings
from mlops.targets.azure import login
from mlops.targets.azure.arm import Arm

ForgeKind = Literal["github", "azure-devops"]
FORGES: Final[tuple[ForgeKind, ...]] = ("github", "azure-devops")


@dataclass(frozen=True)
class Wanted:
    """What the command line says."""

    forge: ForgeKind
    stacks: Sequence[str] = ()
    """Empty: all. `shared` always belongs to them."""
    reviewers: Sequence[str] = ()
    """Who approves what changes a protected environment; empty: who runs this."""
    protect: bool = False
    """Also rules for the default branch (GitHub)."""

    @property
    def ever(self) -> Wanted:
        """All that any run may have made: what undo looks for."""
        return Wanted(self.forge, reviewers=self.reviewers, protect=True)


def steps_for(
    root: Path, settings: Settings, wanted: Wanted, *, cli: Cli | None = None, wait: float = 10.0
) -> list[Step]:
    """Every step of a repository, in order. Raises `InvalidInput` for its files, `TargetError` for a login.

    `cli` stands in for the Pulumi CLI; `wait` is the time between two looks at something slow, in seconds.
    """
    stacks = read_stacks(root, settings, wanted.stacks)
    unnamed = [s.name for s in stacks if s.name != SHARED and not s.environments]
    if unnamed:
        where = f"environments/Pulumi.{unnamed[0]}.yaml"
        raise InvalidInput(
            Problem(where, "names no environment of the forge for any duty", "github.environments")
        )
    repository = repository_of(root, settings, wanted.forge)
    credential = login.credential()
    arm = Arm(credential, settings.azure.subscription_id or login.subscription(), wait=min(wait, 2.0))
    world = World(root, settings, stacks, arm, credential)
    cli = cli or PulumiCli(root, world.backend)
    head: list[Step] = [_forge_file(world, wanted.forge, repository)]
    ground = [
        *_providers(world, wait),
        *state.state_steps(world),
        *grants.own_grants(world),
        Access(world, wait),
    ]
    if wanted.forge == "github":
        github = open_github(repository)
        who = [github.reviewer(name) for name in wanted.reviewers or [github.user()["login"]]]
        trust = {s.name: _prefix_file(world, s, github) for s in _environments(world)}
        ups: list[Step] = [Up(world, cli, s, trust.get(s.name)) for s in stacks]
        tail = github_steps(world, github, who, protect=wanted.protect)
        return [*head, *trust.values(), *ground, *ups, *grants.workflow_grants(world), *tail]
    devops = open_azure_devops(repository, credential)
    azure_devops.project_there(devops)
    approvers = list(wanted.reviewers) or [devops.me()]
    none = {s.name: _no_prefix_file(world, s) for s in _environments(world)}
    trust_files = {s.name: azure_devops.trust_file(world, devops, s) for s in _environments(world)}
    return [
        *head,
        *none.values(),
        *ground,
        *(Up(world, cli, s, none.get(s.name)) for s in stacks),
        *grants.workflow_grants(world),
        *azure_devops.connection_steps(world, devops),
        *trust_files.values(),
        *(Up(world, cli, s, trust_files[s.name], again=True) for s in _environments(world)),
        *azure_devops.environment_steps(world, devops, approvers),
        azure_devops.variables_file(world),
    ]


def open_github(repository: str) -> GitHubSettings:
    """With the login of the person; raises `TargetError` without one."""
    return GitHubSettings(repository, github_token(), os.environ.get("GITHUB_API_URL", ""))


def open_azure_devops(repository: str, credential: Any) -> AzureDevOpsSettings:
    """With the login to Azure, or a personal access token."""
    organization, project, _ = repository.split("/")
    api = os.environ.get("AZURE_DEVOPS_URL", "")
    return AzureDevOpsSettings(organization, project, azure_devops_header(credential), api)


_PARTS: Final[Mapping[str, tuple[int, str]]] = {
    "github": (2, "owner/name"),
    "azure-devops": (3, "organization/project/repository"),
}
_REMOTES: Final[Mapping[str, Sequence[str]]] = {
    "github": (r"github\.com[:/]([^/]+)/([^/]+?)(?:\.git)?/?$",),
    "azure-devops": (
        r"dev\.azure\.com/([^/]+)/([^/]+)/_git/([^/]+)/?$",
        r"ssh\.dev\.azure\.com:v3/([^/]+)/([^/]+)/([^/]+)$",
    ),
}


def repository_of(root: Path, settings: Settings, forge: str) -> str:
    """The repository on the forge: of mlops.toml, else of the remote `origin`; raises `InvalidInput`."""
    count, shape = _PARTS[forge]
    if settings.forge.kind == forge and settings.forge.repository:
        parts = settings.forge.repository.split("/")
        if len(parts) == count and all(parts):
            return settings.forge.repository
        raise InvalidInput(
            Problem(FILE, f"must be {shape}; got {settings.forge.repository!r}", "forge.repository")
        )
    remote = Git(root).answer("remote", "get-url", "origin")[1].strip()
    for pattern in _REMOTES[forge]:
        if found := re.search(pattern, remote):
            return "/".join(found.groups())
    said = f"the remote `origin` is {remote!r}" if remote else "there is no remote `origin`"
    raise InvalidInput(
        f'which repository on {forge}? {said}; write `repository = "{shape}"` into [forge] of {FILE}'
    )


def _environments(world: World) -> list[Stack]:
    return [s for s in world.stacks if s.name != SHARED]


def _providers(world: World, wait: float) -> list[Step]:
    by_subscription: dict[str, list[Stack]] = {}
    for stack in world.stacks:
        by_subscription.setdefault(world.subscription(stack), []).append(stack)
    by_subscription.setdefault(world.arm.subscription, [])
    return [
        Providers(world.arm.of(subscription), tuple(needed(stacks)), wait)
        for subscription, stacks in by_subscription.items()
    ]


def _forge_file(world: World, kind: str, repository: str) -> files.Edit:
    wanted = functools.partial(files.with_forge, kind=kind, repository=repository)
    return files.Edit(world, "file:forge", f"[forge] of {FILE}", FILE, wanted)


def _prefix_file(world: World, stack: Stack, github: GitHubSettings) -> files.Edit:
    path = f"environments/Pulumi.{stack.name}.yaml"

    def wanted(text: str) -> str:
        return files.with_subject_prefix(text, github.subject_prefix())

    return files.Edit(world, f"file:subject:{stack.name}", f"subject prefix in {path}", path, wanted)


def _no_prefix_file(world: World, stack: Stack) -> files.Edit:
    path = f"environments/Pulumi.{stack.name}.yaml"
    wanted = functools.partial(files.with_subject_prefix, prefix="")
    return files.Edit(world, f"file:subject:{stack.name}", f"no trust in GitHub in {path}", path, wanted)

"""`mlops bootstrap azure`: all steps in their order, for one forge."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlops.bootstrap import files, grants, on_azure_devops, on_github, records, state
from mlops.bootstrap.access import Access
from mlops.bootstrap.ground import Ground
from mlops.bootstrap.providers import Providers, needed
from mlops.bootstrap.pulumi import Cli, PulumiCli
from mlops.bootstrap.steps import Step
from mlops.bootstrap.world import Stack, World, read_stacks
from mlops.errors import InvalidInput, Problem
from mlops.forge.git import Git
from mlops.infra.stack_names import SHARED
from mlops.spec.forges import HOSTED, Hosted
from mlops.spec.settings import FILE, Settings
from mlops.targets.azure import login
from mlops.targets.azure.arm import Arm


@dataclass(frozen=True)
class Wanted:
    """What the command line says."""

    forge: Hosted
    stacks: Sequence[str] = ()
    """Empty: all. `shared` always belongs to them."""
    reviewers: Sequence[str] = ()
    """Who approves what changes a protected environment; empty: who runs this."""
    protect: bool = False
    """Also rules for the default branch."""

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
    ground = Ground(
        world,
        cli or PulumiCli(root, world.backend),
        repository,
        [
            *_providers(world, wait),
            *state.state_steps(world),
            *grants.own_grants(world),
            Access(world, wait),
            *records.record_steps(world),
        ],
        wanted.reviewers,
        wanted.protect,
    )
    return [_forge_file(world, wanted.forge, repository), *_AROUND[wanted.forge](ground)]


_AROUND: Final[Mapping[Hosted, Callable[[Ground], list[Step]]]] = {
    "github": on_github.steps,
    "azure-devops": on_azure_devops.steps,
}


def repository_of(root: Path, settings: Settings, forge: Hosted) -> str:
    """The repository on the forge: of mlops.toml, else of the remote `origin`; raises `InvalidInput`."""
    hosted = HOSTED[forge]
    if settings.forge.kind == forge and settings.forge.repository:
        if hosted.split(settings.forge.repository) is not None:
            return settings.forge.repository
        raise InvalidInput(
            Problem(FILE, f"must be {hosted.shape}; got {settings.forge.repository!r}", "forge.repository")
        )
    remote = Git(root).answer("remote", "get-url", "origin")[1].strip()
    if repository := hosted.of_remote(remote):
        return repository
    said = f"the remote `origin` is {remote!r}" if remote else "there is no remote `origin`"
    raise InvalidInput(
        f'which repository on {forge}? {said}; write `repository = "{hosted.shape}"` into [forge] of {FILE}'
    )


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

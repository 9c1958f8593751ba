"""What a diagnosis is about: a repository, what it wants, and the logins that checks share."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlops.bootstrap import on_azure_devops, on_github
from mlops.bootstrap.azure import repository_of
from mlops.bootstrap.world import Stack, World, read_stack
from mlops.errors import InvalidInput
from mlops.forge.azure_devops_settings import AzureDevOpsSettings
from mlops.forge.github_settings import GitHubSettings
from mlops.infra.stack_names import SHARED, stack_names
from mlops.spec.settings import Settings, load_settings
from mlops.targets.azure import login
from mlops.targets.azure.arm import Arm


class Case:
    """`target`: the chosen one; empty: that of mlops.toml. `stacks`: what to look at; empty: all."""

    def __init__(self, root: Path, target: str = "", stacks: Sequence[str] = ()) -> None:
        self.root, self._target, self._chosen = root, target, tuple(stacks)

    @functools.cached_property
    def settings(self) -> Settings:
        """Raises `InvalidInput`."""
        return load_settings(self.root)

    @property
    def target(self) -> str:
        return self._target or self.settings.target

    @functools.cached_property
    def azure(self) -> bool:
        """Whether Azure is wanted: it is the target, or a stack was made (Pulumi notes its key there)."""
        if self.target == "azure":
            return True
        paths = (self.root / f"environments/Pulumi.{name}.yaml" for name in stack_names(self.root))
        return any(
            # One that is no text is for the check of stack files to report.
            re.search(r"^secretsprovider:", p.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
            for p in paths
        )

    @property
    def forge(self) -> str:
        return self.settings.forge.kind

    @property
    def names(self) -> list[str]:
        """Stacks to look at. Raises `InvalidInput` for one that has no file."""
        known = stack_names(self.root)
        if unknown := sorted(set(self._chosen) - set(known)):
            raise InvalidInput(
                f"there is no environments/Pulumi.{unknown[0]}.yaml; stacks: {', '.join(known) or 'none'}"
            )
        return [name for name in known if not self._chosen or name in self._chosen]

    @functools.cached_property
    def stacks(self) -> list[Stack]:
        """The stacks that can be read; a check of their files says what is wrong with the others."""
        readable = []
        for name in self.names:
            try:
                readable.append(read_stack(self.root, self.settings, name))
            except InvalidInput:
                continue
        return readable

    @property
    def environments(self) -> list[Stack]:
        return [s for s in self.stacks if s.name != SHARED]

    @functools.cached_property
    def world(self) -> World:
        """With the login to Azure. Raises `TargetError` when there is none."""
        credential = login.credential()
        arm = Arm(credential, self.settings.azure.subscription_id or login.subscription())
        stacks = list(self.stacks)
        if SHARED not in {s.name for s in stacks}:
            stacks.insert(0, read_stack(self.root, self.settings, SHARED))
        return World(self.root, self.settings, stacks, arm, credential)

    @functools.cached_property
    def github(self) -> GitHubSettings:
        """With the login to GitHub. Raises `TargetError` when there is none."""
        return on_github.client(repository_of(self.root, self.settings, "github"))

    @functools.cached_property
    def devops(self) -> AzureDevOpsSettings:
        credential: Any = login.credential()
        return on_azure_devops.client(repository_of(self.root, self.settings, "azure-devops"), credential)

    @property
    def bootstrap(self) -> str:
        """The command that sets this repository up."""
        forge = self.forge if self.forge != "local" else "github"
        return f"mlops bootstrap azure --forge {forge}"

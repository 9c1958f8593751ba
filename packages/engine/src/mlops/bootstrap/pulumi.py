"""Stacks, by the Pulumi CLI: the person who logs in makes each environment for the first time."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from mlops.bootstrap.steps import Look, Step
from mlops.bootstrap.world import Stack, World, read_stack
from mlops.errors import Blocked, TargetError
from mlops.infra.config import EnvironmentStack
from mlops.infra.trust import federations

_SECONDS: Final = 180.0
"""For a question; bringing a stack up may take an hour."""


class Cli(Protocol):
    """The Pulumi CLI on one backend."""

    def ask(self, *arguments: str) -> Any:
        """JSON of a command that only reads; None when the stack is not there."""

    def run(self, *arguments: str, subscription: str) -> None:
        """A command that changes something, its output shown; raises `TargetError`."""


class PulumiCli:
    """The pinned CLI: from PATH, or from the cache where `make pulumi` puts it."""

    def __init__(self, root: Path, backend: str) -> None:
        self._root, self._backend = root, backend

    def ask(self, *arguments: str) -> Any:
        done = self._call(arguments, {}, capture=True)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            if "no stack named" in said:
                return None
            raise TargetError(f"pulumi {' '.join(arguments)} failed: {said[-400:]}")
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            raise TargetError(
                f"pulumi {' '.join(arguments)} printed no JSON: {done.stdout[:200]!r}"
            ) from None

    def run(self, *arguments: str, subscription: str) -> None:
        more = {"ARM_SUBSCRIPTION_ID": subscription, "AZURE_SUBSCRIPTION_ID": subscription}
        done = self._call(arguments, more, capture=False)
        if done.returncode:
            raise TargetError(
                f"pulumi {' '.join(arguments)} failed with exit code {done.returncode}; what it said is "
                "above. Correct that (`mlops doctor` finds locks of a dead process) and run the same command "
                "again: it goes on where it stopped"
            )

    def _call(
        self, arguments: Sequence[str], more: Mapping[str, str], *, capture: bool
    ) -> subprocess.CompletedProcess[str]:
        home = find(self._root)
        if home is None:
            raise TargetError(f"Pulumi {pinned(self._root)} is not installed; run: make pulumi")
        environment = {
            **os.environ,
            **more,
            "PATH": os.pathsep.join([str(home.parent), os.environ.get("PATH", "")]),
            "PULUMI_BACKEND_URL": self._backend,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        try:
            return subprocess.run(
                [str(home), *arguments, "--non-interactive"],
                cwd=self._root,
                env=environment,
                capture_output=capture,
                text=True,
                check=False,
                timeout=_SECONDS if capture else None,
            )
        except subprocess.TimeoutExpired:
            raise TargetError(
                f"pulumi {' '.join(arguments)} gave no answer within {_SECONDS:.0f} s"
            ) from None


def pinned(root: Path) -> str:
    """The version that the Makefile names; empty when it names none."""
    makefile = root / "Makefile"
    text = makefile.read_text(encoding="utf-8") if makefile.is_file() else ""
    match = re.search(r"^PULUMI_VERSION\s*:=\s*(\S+)", text, re.MULTILINE)
    return match[1] if match else ""


def find(root: Path) -> Path | None:
    """The CLI: the pinned one of the cache, else the one on PATH."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlops"
    own = cache / f"pulumi-{pinned(root)}" / "bin" / "pulumi"
    if own.is_file():
        return own
    on_path = shutil.which("pulumi")
    return Path(on_path) if on_path else None


@dataclass(frozen=True)
class Up:
    """One stack is there, and its last `pulumi up` went well with the trust that its file has now."""

    world: World
    cli: Cli
    stack: Stack
    file: Step | None = None
    """The step that writes trust into the stack file before this one."""
    again: bool = False
    """A second visit: that file could only be written when the identities were there."""
    needs: str = "the role Owner on the subscription, because it defines and assigns roles"

    @property
    def key(self) -> str:
        return f"stack:{self.stack.name}" + (":trust" if self.again else "")

    @property
    def title(self) -> str:
        return f"trust of stack {self.stack.name}" if self.again else f"stack {self.stack.name}"

    def look(self) -> Look:
        if not self._state_is_there():
            return Look("create", _UP)
        history = self.cli.ask("stack", "history", "--stack", self.stack.name, "--json", "--page-size", "1")
        if not history or history[0].get("kind") != "update":
            return Look("create", _UP)
        if history[0].get("result") != "succeeded":
            return Look("change", f"its last update {history[0].get('result')}; {_UP}")
        if self.file is not None and self.file.look().action != "keep":
            return Look("change", f"its file changes; {_UP}")
        wrong = trust_differences(self.world, self.stack.name)
        return Look("change", f"{wrong[0]}; {_UP}") if wrong else Look("keep")

    def make(self, look: Look) -> None:
        name, subscription = self.stack.name, self.world.subscription(self.stack)
        listed = self.cli.ask("stack", "ls", "--json") or []
        if name not in {str(s.get("name", "")).rpartition("/")[2] for s in listed}:
            provider = f"--secrets-provider={self.world.secrets_provider}"
            self.cli.run("stack", "init", name, provider, subscription=subscription)
        self.cli.run(
            "up", "--stack", name, "--yes", "--policy-pack", "infra/policy", subscription=subscription
        )

    def ours(self) -> str:
        if self.world.arm_of(self.stack).get(self.world.group_of(self.stack)) is not None:
            raise Blocked(
                f"stack {self.stack.name} still has resources in {self.stack.group}, and undo never deletes "
                "data. Read docs/infrastructure.md, Destroy and purge; then run: "
                f"pulumi destroy --stack {self.stack.name}"
            )
        return ""

    def remove(self) -> None:
        """Its state goes with the storage account."""

    def _state_is_there(self) -> bool:
        return self.world.arm.get(self.world.account_path) is not None


_UP: Final = "pulumi up, minutes to an hour"


def trust_differences(world: World, name: str) -> list[str]:
    """Where the federated credentials in Azure are not those of the stack file, as sentences."""
    stack = read_stack(world.root, world.settings, name)  # a step may just have written it
    if not isinstance(stack.config, EnvironmentStack):
        return []
    wanted = {(f.duty, f.name): (f.issuer, f.subject) for f in federations(stack.config)}
    trusted: dict[tuple[str, str], tuple[str, str]] = {}
    for duty in sorted({*stack.environments, *(duty for duty, _ in wanted)}):
        path = f"{world.identity_path(stack, duty)}/federatedIdentityCredentials"
        for row in world.arm_of(stack).list(path):
            trusted[duty, row["name"]] = (row["properties"]["issuer"], row["properties"]["subject"])
    wrong = [
        f"{stack.names('identity', duty)} trusts {trusted[duty, name][1]!r}, the stack file says {subject!r}"
        if (duty, name) in trusted
        else f"{stack.names('identity', duty)} does not trust {subject!r}"
        for (duty, name), (issuer, subject) in wanted.items()
        if trusted.get((duty, name)) != (issuer, subject)
    ]
    wrong += [
        f"{stack.names('identity', duty)} trusts {subject!r}, which the stack file does not name"
        for (duty, name), (_, subject) in trusted.items()
        if (duty, name) not in wanted
    ]
    return wrong

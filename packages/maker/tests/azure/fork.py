"""A fresh fork, an empty Azure and a forge, for the tests of bootstrap and doctor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlops.bootstrap import steps as engine
from mlops.bootstrap.azure import Wanted, steps_for
from mlops.bootstrap.steps import Step
from mlops.spec.settings import load_settings
from tests.azure.conftest import settle
from tests.azure.emulator import Emulator
from tests.azure.emulator.workspaces import SUBSCRIPTION
from tests.azure.forges import azure_devops as devops_api
from tests.azure.forges import github as github_api
from tests.azure.forges.azure_devops import FakeAzureDevOps
from tests.azure.forges.github import FakeGitHub
from tests.azure.pristine import pristine
from tests.azure.provisioned import StandInPulumi


class Place:
    """A fresh repository, an empty subscription, a forge, and a Pulumi that makes what the program would."""

    def __init__(self, root: Path, azure: Emulator, forge: FakeGitHub | FakeAzureDevOps) -> None:
        self.root, self.azure, self.forge = root, azure, forge
        self.pulumi = StandInPulumi(azure, root)
        self.env: dict[str, str] = {}

    def steps(
        self, stacks: Sequence[str] = ("dev",), *, protect: bool = False, reviewers: Sequence[str] = ()
    ) -> list[Step]:
        kind = "github" if isinstance(self.forge, FakeGitHub) else "azure-devops"
        wanted = Wanted(kind, stacks, tuple(reviewers), protect)
        return self.of(wanted)

    def of(self, wanted: Wanted) -> list[Step]:
        return steps_for(self.root, load_settings(self.root), wanted, cli=self.pulumi, wait=0.01)

    def run(self, stacks: Sequence[str] = ("dev",), *, protect: bool = False) -> int:
        return engine.carry_out(self.steps(stacks, protect=protect), lambda step, look: None)

    def actions(self, stacks: Sequence[str] = ("dev",)) -> dict[str, str]:
        return {p.step.key: p.look.action for p in engine.plan(self.steps(stacks))}

    def undo(self) -> list[str]:
        kind = "github" if isinstance(self.forge, FakeGitHub) else "azure-devops"
        found = engine.removals(self.of(Wanted(kind).ever))
        engine.undo(found, lambda step, said: None)
        return [said for _, said in found]

    def writes(self) -> list[str]:
        """Every change that was asked for: of Azure, the forge and Pulumi. Questions by POST are none."""
        azure = [
            f"{e.request.method} {e.request.path}"
            for e in self.azure.exchanges
            if e.request.method in ("PUT", "PATCH", "DELETE")
            or (e.request.method == "POST" and e.request.path.endswith("/register"))
        ]
        return azure + self.forge.writes() + self.pulumi.calls


@contextmanager
def place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forge: FakeGitHub | FakeAzureDevOps
) -> Iterator[Place]:
    root = pristine(tmp_path / "repository")
    with Emulator(tmp_path / "azure") as azure, forge:
        made = Place(root, azure, forge)
        made.env = {**azure.env, "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION}
        if isinstance(forge, FakeGitHub):
            made.env |= {"GITHUB_API_URL": forge.url, "GH_TOKEN": github_api.TOKEN}
            write_forge(root, "github", github_api.REPOSITORY)
        else:
            made.env |= {"AZURE_DEVOPS_URL": forge.url}
            names = (devops_api.ORGANIZATION, devops_api.PROJECT, devops_api.REPOSITORY)
            write_forge(root, "azure-devops", "/".join(names))
        for name, value in made.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("mlops.bootstrap.azure.PulumiCli", lambda root, backend: made.pulumi)
        yield made
        settle(azure)


def write_forge(root: Path, kind: str, repository: str) -> None:
    path = root / "mlops.toml"
    path.write_text(
        path.read_text().replace('kind = "local"', f'kind = "{kind}"\nrepository = "{repository}"')
    )


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


def killed(made: Place, stacks: Sequence[str], count: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run until `count` changes have reached Azure, the forge or Pulumi, and die before the answer is used.

    False when the run ended before.
    """
    import httpx

    from mlops.targets.azure.arm import Arm

    left = [count]

    def dies(changes: bool) -> None:
        left[0] -= changes
        if changes and left[0] <= 0:
            raise Killed

    send, request, run = Arm._send, httpx.request, made.pulumi.run

    def arm(self: Arm, method: str, path: str, **more: object) -> object:
        answer = send(self, method, path, **more)  # type: ignore[arg-type]
        dies(method in ("PUT", "DELETE"))
        return answer

    def forge(method: str, url: str, **more: object) -> object:
        answer = request(method, url, **more)  # type: ignore[arg-type]
        dies(method != "GET")
        return answer

    def pulumi(*arguments: str, subscription: str) -> None:
        run(*arguments, subscription=subscription)
        dies(True)

    with monkeypatch.context() as patch:
        patch.setattr(Arm, "_send", arm)
        patch.setattr(httpx, "request", forge)
        patch.setattr(made.pulumi, "run", pulumi)
        try:
            made.run(stacks)
        except Killed:
            return True
    return False

"""The GitHub side: environments with branches and reviewers, and variables."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops.bootstrap.github_record import NEEDS, Record
from mlops.bootstrap.github_rules import Ruleset
from mlops.bootstrap.steps import Look, Step
from mlops.bootstrap.world import Stack, World
from mlops.errors import TargetError
from mlops.forge.github_settings import GitHubSettings
from mlops.infra.stack_names import SHARED


@dataclass(frozen=True)
class Variable:
    """A variable of the repository or, with `environment`, of one environment."""

    github: GitHubSettings
    record: Record
    name: str
    value: Callable[[], str | None]
    """None while it cannot be known."""
    environment: str = ""
    needs: str = NEEDS

    @property
    def key(self) -> str:
        return f"variable:{self.environment}:{self.name}"

    @property
    def title(self) -> str:
        where = f"environment {self.environment}" if self.environment else self.github.repository
        return f"variable {self.name} of {where}"

    def look(self) -> Look:
        wanted = self.value()
        there = self.github.variables(self.environment).get(self.name)
        if there is None:
            return Look("create", "" if wanted is not None else "as soon as Pulumi has made the identity")
        if wanted is None or there != wanted:
            return Look(
                "change", f"from {there!r} to {wanted or 'the client id of the new identity'!r}", there
            )
        return Look("keep")

    def make(self, look: Look) -> None:
        wanted = self.value()
        if wanted is None:
            raise TargetError(f"{self.title} needs an identity that is not there; run: pulumi up")
        self.record.note(self.key, look.before)
        if look.action == "create":
            self.github.create_variable(self.name, wanted, self.environment)
        else:
            self.github.update_variable(self.name, wanted, self.environment)

    def ours(self) -> str:
        noted = self.record.read()
        if self.key not in noted:
            return ""
        before = noted[self.key]
        return f"remove {self.title}" if before is None else f"set {self.title} back to {before!r}"

    def remove(self) -> None:
        before = self.record.read()[self.key]
        there = self.name in self.github.variables(self.environment)
        if before is None:
            self.github.delete_variable(self.name, self.environment)
        elif there:
            self.github.update_variable(self.name, before, self.environment)
        self.record.forget(self.key)


@dataclass(frozen=True)
class Environment:
    """An environment that only `branch` may use (any branch when empty), with reviewers where it has any."""

    github: GitHubSettings
    record: Record
    name: str
    branch: str
    reviewers: Sequence[Mapping[str, Any]] = ()
    variables: frozenset[str] = frozenset({"AZURE_CLIENT_ID", "AZURE_SUBSCRIPTION_ID"})
    needs: str = f"{NEEDS}; reviewers in a private repository need GitHub Team or Enterprise"

    @property
    def key(self) -> str:
        return f"environment:{self.name}"

    @property
    def title(self) -> str:
        return f"environment {self.name}"

    def look(self) -> Look:
        there = self.github.environments().get(self.name)
        if there is None:
            return Look("create", self._rules())
        wrong = self._wrong(there)
        return Look("change", "; ".join(wrong), body_of(there)) if wrong else Look("keep")

    def make(self, look: Look) -> None:
        self.record.note(self.key, look.before)
        there = self.github.environments().get(self.name)
        body = self._body(there)
        if there is None or body_of(there) != {**body_of({}), **body}:
            self.github.put_environment(self.name, body)
        if self.branch and self.branch not in self.github.branches(self.name):
            self.github.allow_branch(self.name, self.branch)

    def ours(self) -> str:
        noted = self.record.read()
        if self.key not in noted:
            return ""
        if noted[self.key] is not None:
            return f"set the rules of {self.title} back"
        left = sorted(set(self.github.variables(self.name)) - self.variables)
        if self.name in self.github.environments():
            left += [f"secret {name}" for name in self.github.secrets(self.name)]
        return f"leave {self.title}: {', '.join(left)} in it is not ours" if left else f"remove {self.title}"

    def remove(self) -> None:
        before = self.record.read()[self.key]
        if before is not None:
            self.github.put_environment(self.name, before)
        elif self.ours().startswith("remove"):
            self.github.delete_environment(self.name)
        self.record.forget(self.key)

    def _rules(self) -> str:
        who = (
            f"{len(self.reviewers)} reviewer{'s' if len(self.reviewers) > 1 else ''}"
            if self.reviewers
            else ""
        )
        return ", ".join(
            part for part in (f"only {self.branch}" if self.branch else "any branch", who) if part
        )

    def _wrong(self, there: Mapping[str, Any]) -> list[str]:
        """Rules that are missing; what is stricter than asked is right."""
        missing = []
        policy = there.get("deployment_branch_policy")
        if self.branch and not policy:
            missing.append(f"every branch may use it; only {self.branch} must")
        elif (
            policy
            and policy.get("custom_branch_policies")
            and self.branch
            and not self.github.branches(self.name)
        ):
            missing.append(f"no branch may use it; {self.branch} must")
        if self.reviewers and not reviewers_of(there):
            missing.append("nobody has to approve; a reviewer is added")
        return missing

    def _body(self, there: Mapping[str, Any] | None) -> dict[str, Any]:
        before = body_of(there) if there else {}
        policy = before.get("deployment_branch_policy")
        if self.branch and not policy:
            policy = {"protected_branches": False, "custom_branch_policies": True}
        reviewers = before.get("reviewers") or [dict(r) for r in self.reviewers] or None
        return {**before, "deployment_branch_policy": policy, "reviewers": reviewers}


def reviewers_of(environment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Who may approve, as an environment is written."""
    rows = [r for rule in environment.get("protection_rules") or [] for r in rule.get("reviewers") or []]
    return [{"type": row["type"], "id": row["reviewer"]["id"]} for row in rows]


def body_of(environment: Mapping[str, Any]) -> dict[str, Any]:
    """What GitHub shows of an environment, in the form in which it is written."""
    rules = environment.get("protection_rules") or []
    wait = next((r["wait_timer"] for r in rules if r["type"] == "wait_timer"), 0)
    own = next(
        (r.get("prevent_self_review", False) for r in rules if r["type"] == "required_reviewers"), False
    )
    return {
        "wait_timer": wait,
        "prevent_self_review": own,
        "reviewers": reviewers_of(environment) or None,
        "deployment_branch_policy": environment.get("deployment_branch_policy"),
    }


def github_steps(
    world: World, github: GitHubSettings, reviewers: Sequence[Mapping[str, Any]], *, protect: bool
) -> list[Step]:
    """Environments first, then what they and the repository must know."""
    record, branch = Record(github), github.default_branch()
    steps: list[Step] = []
    for stack in world.stacks:
        if stack.name == SHARED:
            continue
        for duty, name in stack.environments.items():
            who = reviewers if world.approved(stack, duty) else ()
            steps.append(Environment(github, record, name, "" if duty == "plan" else branch, who))
            client = functools.partial(_client, world, stack, duty)
            steps.append(Variable(github, record, "AZURE_CLIENT_ID", client, name))
            if world.subscription(stack) != world.arm.subscription:
                own = world.subscription(stack)
                steps.append(
                    Variable(github, record, "AZURE_SUBSCRIPTION_ID", functools.partial(str, own), name)
                )
    for name, value in repository_variables(world).items():
        steps.append(Variable(github, record, name, functools.partial(str, value)))
    if protect:
        steps.append(Ruleset(github, record))
    return steps


def _client(world: World, stack: Stack, duty: str) -> str | None:
    identity = world.identity(stack, duty)
    return identity["clientId"] if identity else None


def repository_variables(world: World) -> dict[str, str]:
    """What workflows of every environment read. The last one switches them on, so it comes last."""
    return {
        "AZURE_TENANT_ID": world.tenant,
        "AZURE_SUBSCRIPTION_ID": world.arm.subscription,
        "PULUMI_BACKEND_URL": world.backend,
        "MLOPS_TARGET": "azure",
    }

"""Azure DevOps: what its service connections say, where its pipelines run, and who may change main."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mlops.bootstrap import azure_devops
from mlops.bootstrap.steps import Step
from mlops.doctor.case import Case
from mlops.doctor.finding import Finding


def subjects(case: Case) -> Iterator[Finding]:
    """The stack files have what the service connections send."""
    connections = case.devops.connections()
    for stack in case.environments:
        written = getattr(stack.config, "azure_devops", None)
        fix = f"{case.bootstrap} --stack {stack.name}"
        for duty, name in stack.environments.items():
            there = connections.get(name)
            said = written.subjects.get(duty) if written else None
            if there is None:
                yield Finding("subjects", "error", f"there is no service connection {name}", fix)
            elif written is None or said != there.subject or written.issuer != there.issuer:
                sends = there.subject or "nothing"
                sentence = f"service connection {name} sends {sends}, the stack file has {said or 'none'}"
                yield Finding("subjects", "error", sentence, fix)


def wanted(case: Case) -> list[Step]:
    """What bootstrap would see to: environments and the file of variables."""
    environments = azure_devops.environment_steps(case.world, case.devops, [case.devops.me()])
    return [*environments, azure_devops.variables_file(case.world)]


def main_branch(case: Case) -> Iterator[Finding]:
    """By the branch policies that hold for the main branch of this repository."""
    name = case.settings.forge.repository.rsplit("/", 1)[-1]
    repository = case.devops.repository(name)
    branch = str(repository.get("defaultBranch") or "refs/heads/main")
    rules = [p for p in case.devops.policies() if _holds(p, str(repository["id"]), branch)]
    where = (
        f"--organization https://dev.azure.com/{case.devops.organization} --project {case.devops.project!r}"
    )
    rule = (
        f"{where} --repository-id {repository['id']} --branch {branch.removeprefix('refs/heads/')} "
        "--blocking true --enabled true"
    )
    reviews = [p for p in rules if _kind(p) == _REVIEWERS]
    if not any(_settings(p).get("minimumApproverCount", 0) for p in reviews):
        fix = (
            f"az repos policy approver-count create {rule} --minimum-approver-count 1 "
            "--creator-vote-counts false --allow-downvotes false --reset-on-source-push true"
        )
        yield Finding("main branch", "warning", "main can change without a review", fix)
    else:
        yield from _weak(reviews, where)
    if not any(_kind(p) == _BUILD for p in rules):
        ci = f"$(az pipelines show {where} --name ci --query id)"
        fix = (
            f"az repos policy build create {rule} --display-name ci --build-definition-id {ci} "
            "--manual-queue-only false --queue-on-source-update-only true --valid-duration 0"
        )
        yield Finding("main branch", "warning", "main can change without the checks of ci", fix)


def _weak(reviews: Sequence[Mapping[str, Any]], where: str) -> Iterator[Finding]:
    """What a review that is asked for lets through. All policies hold, so one that is strict is enough."""
    for setting, wanted, option, sentence in _STRICT:
        if not any(bool(_settings(p).get(setting)) is wanted for p in reviews):
            fix = (
                f"az repos policy approver-count update {where} --id {reviews[0].get('id')} "
                f"--{option} {str(wanted).lower()}"
            )
            yield Finding("main branch", "warning", sentence, fix)


def _holds(policy: Mapping[str, Any], repository: str, branch: str) -> bool:
    """Whether a policy is on, stops a merge, and is about this branch of this repository."""
    if not policy.get("isEnabled") or not policy.get("isBlocking"):
        return False
    return any(_about(scope, repository, branch) for scope in _settings(policy).get("scope") or ())


def _about(scope: Mapping[str, Any], repository: str, branch: str) -> bool:
    if (scope.get("repositoryId") or repository) != repository:
        return False
    match str(scope.get("matchKind") or "").lower():
        case "defaultbranch":
            return True
        case "prefix":
            return branch.startswith(str(scope.get("refName") or ""))
        case _:
            return scope.get("refName") == branch


def _settings(policy: Mapping[str, Any]) -> Mapping[str, Any]:
    return policy.get("settings") or {}


def _kind(policy: Mapping[str, Any]) -> str:
    return str((policy.get("type") or {}).get("id", "")).lower()


def releases(case: Case) -> Iterator[Finding]:
    """Nothing more is needed: a pull request of a pipeline's identity starts the checks."""
    yield from ()


_REVIEWERS: Final = "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd"
_STRICT: Final = (
    ("resetOnSourcePush", True, "reset-on-source-push", "a vote outlives what is pushed after it"),
    ("creatorVoteCounts", False, "creator-vote-counts", "who proposes a change can approve it alone"),
    ("allowDownvotes", False, "allow-downvotes", "a change is merged although a reviewer rejects it"),
)
_BUILD: Final = "0609b952-1397-4640-95ec-e00a01b2c241"
"""Kinds of branch policies in Azure Repos, the same in every organization."""

"""Azure DevOps: what its service connections say, where its pipelines run, and who may change main."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

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
    """By the branch policies of the project."""
    kinds = {
        str((p.get("type") or {}).get("id", "")).lower(): p
        for p in case.devops.policies()
        if p.get("isEnabled")
    }
    repository = case.settings.forge.repository.rsplit("/", 1)[-1]
    where = (
        f"--organization https://dev.azure.com/{case.devops.organization} --project {case.devops.project!r}"
    )
    rule = (
        f"{where} --repository-id $(az repos show {where} --repository {repository} --query id --output tsv)"
    )
    rule += " --branch main --blocking true --enabled true"
    if _REVIEWERS not in kinds:
        fix = (
            f"az repos policy approver-count create {rule} --minimum-approver-count 1 "
            "--creator-vote-counts false --allow-downvotes false --reset-on-source-push true"
        )
        yield Finding("main branch", "warning", "main can change without a review", fix)
    if _BUILD not in kinds:
        ci = f"$(az pipelines show {where} --name ci --query id)"
        fix = (
            f"az repos policy build create {rule} --display-name ci --build-definition-id {ci} "
            "--manual-queue-only false --queue-on-source-update-only true --valid-duration 0"
        )
        yield Finding("main branch", "warning", "main can change without the checks of ci", fix)


def releases(case: Case) -> Iterator[Finding]:
    """Nothing more is needed: a pull request of a pipeline's identity starts the checks."""
    yield from ()


_REVIEWERS: Final = "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd"
_BUILD: Final = "0609b952-1397-4640-95ec-e00a01b2c241"
"""Kinds of branch policies in Azure Repos, the same in every organization."""

"""The forge: what its workflows say they are, where they run, and who may change main."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops.bootstrap import azure_devops, github
from mlops.bootstrap.github_rules import missing_rules
from mlops.bootstrap.steps import Step
from mlops.doctor.case import Case
from mlops.doctor.finding import Check, Finding


def subjects(case: Case) -> Iterator[Finding]:
    """The stack files name the subjects that the forge really sends."""
    if not case.azure:
        return
    if case.forge == "github":
        sent = case.github.subject_prefix()
        for stack in case.environments:
            written = getattr(stack.config, "github", None)
            if written is not None and written.subject_prefix != sent:
                said = written.subject_prefix or "none"
                sentence = f"GitHub sends {sent}:environment:…, the stack file has {said}"
                fix = f"{case.bootstrap} --stack {stack.name}"
                yield Finding("subjects", "error", f"stack {stack.name}: {sentence}", fix)
        return
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


def environments(case: Case) -> Iterator[Finding]:
    """Every job finds its environment with its branches, reviewers and variables."""
    if not case.azure:
        return
    if case.forge == "github":
        who = [{"type": "User", "id": case.github.user()["id"]}]
        steps: list[Step] = github.github_steps(case.world, case.github, who, protect=False)
    else:
        me = case.devops.me()
        steps = [
            *azure_devops.environment_steps(case.world, case.devops, [me]),
            azure_devops.variables_file(case.world),
        ]
    for step in steps:
        look = step.look()
        if look.action != "keep":
            word = "is missing" if look.action == "create" else "is not as it must be"
            why = f": {look.why}" if look.why else ""
            yield Finding("environments", "error", f"{step.title} {word}{why}", case.bootstrap)


def main_branch(case: Case) -> Iterator[Finding]:
    """Main changes by reviewed pull requests with passed checks only: a commit there is a deployment."""
    if case.forge == "github":
        branch = case.github.default_branch()
        for sentence in missing_rules(case.github, branch):
            yield Finding(
                "main branch", "warning", sentence, "mlops bootstrap azure --forge github --protect"
            )
        return
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


_REVIEWERS: Final = "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd"
_BUILD: Final = "0609b952-1397-4640-95ec-e00a01b2c241"
"""Kinds of branch policies in Azure Repos, the same in every organization."""


def releases(case: Case) -> Iterator[Finding]:
    """On GitHub a pull request of the job's own token starts no checks, so releases need an App."""
    if case.forge != "github" or not case.azure:
        return
    if "RELEASE_APP_CLIENT_ID" not in case.github.variables():
        sentence = (
            "no GitHub App opens the pull requests of releases; models are trained and judged, not proposed"
        )
        fix = "gh variable set RELEASE_APP_CLIENT_ID --body <client id>  # docs/ci.md, Set up GitHub"
        yield Finding("releases", "warning", sentence, fix)
        return
    for stack in case.environments:
        name = stack.environments.get("train")
        if (
            name
            and name in case.github.environments()
            and "RELEASE_APP_PRIVATE_KEY" not in case.github.secrets(name)
        ):
            fix = f"gh secret set RELEASE_APP_PRIVATE_KEY --env {name} < key.pem"
            yield Finding("releases", "warning", f"environment {name} has no key of the release App", fix)


CHECKS: Final = (
    Check("subjects", "forge", subjects, "the stack files have what the forge sends"),
    Check("environments", "forge", environments, "jobs find their environments, reviewers and variables"),
    Check("main branch", "forge", main_branch, "main changes by reviewed pull requests with passed checks"),
    Check("releases", "forge", releases, "an App opens the pull requests of releases"),
)

"""The forge: what its workflows say they are, where they run, and who may change main."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from mlops.bootstrap.steps import Step
from mlops.doctor import on_azure_devops, on_github
from mlops.doctor.case import Case
from mlops.doctor.finding import Check, Finding


class _OnForge(Protocol):
    """A module of this package for each forge."""

    def subjects(self, case: Case) -> Iterator[Finding]: ...
    def wanted(self, case: Case) -> list[Step]: ...
    def main_branch(self, case: Case) -> Iterator[Finding]: ...
    def releases(self, case: Case) -> Iterator[Finding]: ...


_ON: Final[Mapping[str, _OnForge]] = {"github": on_github, "azure-devops": on_azure_devops}


def subjects(case: Case) -> Iterator[Finding]:
    """The stack files name the subjects that the forge really sends."""
    if case.azure:
        yield from _ON[case.forge].subjects(case)


def environments(case: Case) -> Iterator[Finding]:
    """Every job finds its environment with its branches, reviewers and variables."""
    if not case.azure:
        return
    for step in _ON[case.forge].wanted(case):
        look = step.look()
        if look.action != "keep":
            word = "is missing" if look.action == "create" else "is not as it must be"
            why = f": {look.why}" if look.why else ""
            yield Finding("environments", "error", f"{step.title} {word}{why}", case.bootstrap)


def main_branch(case: Case) -> Iterator[Finding]:
    """Main changes by reviewed pull requests with passed checks only: a commit there is a deployment."""
    yield from _ON[case.forge].main_branch(case)


def releases(case: Case) -> Iterator[Finding]:
    """Who opens the pull requests of releases may start their checks."""
    if case.azure:
        yield from _ON[case.forge].releases(case)


CHECKS: Final = (
    Check("subjects", "forge", subjects, "the stack files have what the forge sends"),
    Check("environments", "forge", environments, "jobs find their environments, reviewers and variables"),
    Check("main branch", "forge", main_branch, "main changes by reviewed pull requests with passed checks"),
    Check("releases", "forge", releases, "an App opens the pull requests of releases"),
)

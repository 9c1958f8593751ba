"""Azure DevOps: what its service connections say, where its pipelines run, and who may change main."""

from __future__ import annotations

from collections.abc import Iterator

from mlops.bootstrap import azure_devops
from mlops.bootstrap.azure_devops_rules import Main
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
    for lack in Main(case.devops, name).lacks():
        yield Finding("main branch", "warning", lack.sentence, lack.fix)


def releases(case: Case) -> Iterator[Finding]:
    """Nothing more is needed: a pull request of a pipeline's identity starts the checks."""
    yield from ()

"""GitHub: what its workflows say they are, where they run, and who may change main."""

from __future__ import annotations

from collections.abc import Iterator

from mlops.bootstrap import github
from mlops.bootstrap.github_rules import missing_rules
from mlops.bootstrap.steps import Step
from mlops.doctor.case import Case
from mlops.doctor.finding import Finding


def subjects(case: Case) -> Iterator[Finding]:
    """The stack files have the prefix that GitHub sends."""
    sent = case.github.subject_prefix()
    for stack in case.environments:
        written = getattr(stack.config, "github", None)
        if written is not None and written.subject_prefix != sent:
            said = written.subject_prefix or "none"
            sentence = f"GitHub sends {sent}:environment:…, the stack file has {said}"
            fix = f"{case.bootstrap} --stack {stack.name}"
            yield Finding("subjects", "error", f"stack {stack.name}: {sentence}", fix)


def wanted(case: Case) -> list[Step]:
    """What bootstrap would see to: environments and variables."""
    who = [{"type": "User", "id": case.github.user()["id"]}]
    return github.github_steps(case.world, case.github, who, protect=False)


def main_branch(case: Case) -> Iterator[Finding]:
    """By the rules of the default branch."""
    fix = "mlops bootstrap azure --forge github --protect"
    for sentence in missing_rules(case.github, case.github.default_branch()):
        yield Finding("main branch", "warning", sentence, fix)


def releases(case: Case) -> Iterator[Finding]:
    """A pull request of the job's own token starts no checks, so releases need an App."""
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

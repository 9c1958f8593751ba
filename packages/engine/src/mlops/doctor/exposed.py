"""What a repository shows to those who should not see or do it: files with keys, workflows that do too much,
rules that nobody has to approve."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from mlops.doctor.case import Case
from mlops.doctor.finding import Finding
from mlops.errors import InvalidInput
from mlops.forge.git import Git
from mlops.spec import files as spec_files
from mlops.spec._yaml import plain_value, read_text
from mlops.spec.gatepolicy import load_gates

_KEY_FILES: Final = re.compile(
    r"(?:^|/)(?:\.env(?:\.(?!example|sample|template)[^/]*)?|\.netrc|\.pypirc|id_(?:rsa|dsa|ecdsa|ed25519)|"
    r"seal\.key|keys\.json|[^/]*\.(?:pfx|p12|publishsettings|tfstate))$"
)
_TOKENS: Final = {
    "a token of GitHub": r"gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60}",
    "a token of GitLab": r"glpat-[A-Za-z0-9_-]{20}",
    "a key of a storage account": r"AccountKey=[A-Za-z0-9+/]{60}",
    "a shared access signature": r"[?&]sig=[A-Za-z0-9%]{40}",
    "a token of Databricks": r"dapi[0-9a-f]{32}",
    "a secret of an application": r"(AZURE|ARM)_CLIENT_SECRET['\"]?[ ]*[:=][ ]*['\"]?[A-Za-z0-9_.~-]{30}",
}
_OF_STRANGERS: Final = re.compile(
    r"\$\{\{\s*github\.(?:head_ref|event\.(?:[\w.]*\.)?(?:title|body|message|label|ref|name|email|page_name))\b"
)
_LASTING: Final = re.compile(
    r"secrets\.(AZURE_CREDENTIALS|\w*CLIENT_SECRET|\w*DATABRICKS_TOKEN|PULUMI_ACCESS_TOKEN)\b"
)
_OWNERS: Final = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")


def holding(git: Git, pattern: str) -> list[str]:
    """Files in git that have text of the pattern, a POSIX extended regular expression."""
    code, said, _ = git.answer("grep", "-I", "-l", "-E", "-e", pattern)
    return said.splitlines() if code == 0 else []


def committed(case: Case) -> Iterator[Finding]:
    """No file in git is a key, or has one in it."""
    git = Git(case.root)
    code, said, _ = git.answer("ls-files")
    for name in said.splitlines() if code == 0 else ():
        if _KEY_FILES.search(name):
            sentence = f"{name} is in git; what such a file holds is everybody's who has a clone"
            yield Finding(
                "committed", "error", sentence, f"git rm --cached {name}, then make new keys", file=True
            )
    for what, pattern in _TOKENS.items():
        for name in holding(git, pattern):
            sentence = f"{name}: {what} in git; it is everybody's who has a clone, for ever"
            yield Finding("committed", "error", sentence, "make a new one, then remove this one", file=True)


def workflows(case: Case) -> Iterator[Finding]:
    """A workflow has the rights that it needs, no secret that lasts, and runs no text of strangers."""
    for path in sorted((case.root / ".github/workflows").glob("*.y*ml")):
        name = path.relative_to(case.root).as_posix()
        try:
            text = read_text(path, name)
            content = plain_value(text)
        except (InvalidInput, ValueError, yaml.YAMLError) as error:
            yield Finding("workflows", "unknown", f"{name} cannot be read: {str(error).splitlines()[0]}")
            continue
        jobs = _mapping(_mapping(content).get("jobs"))
        yield from _rights(name, _mapping(content), jobs)
        for job, steps in ((job, _mapping(body).get("steps")) for job, body in jobs.items()):
            for step in steps if isinstance(steps, list) else ():
                if _OF_STRANGERS.search(str(_mapping(step).get("run", ""))):
                    sentence = f"{name}: job {job} puts text of strangers into a script, which then runs it"
                    yield Finding("workflows", "error", sentence, "give it by env: and quote it", file=True)
        for secret in dict.fromkeys(_LASTING.findall(text)):
            sentence = (
                f"{name}: the secret {secret} is good until somebody ends it; a login by OIDC is for minutes"
            )
            yield Finding("workflows", "warning", sentence, "docs/bootstrap.md")


def _rights(name: str, workflow: dict[str, Any], jobs: dict[str, Any]) -> Iterator[Finding]:
    whole = workflow.get("permissions")
    if whole == "write-all":
        sentence = f"{name}: permissions are write-all: each step may do whatever the repository can"
        yield Finding(
            "workflows", "error", sentence, "set permissions: {} and give each job its own", file=True
        )
    for job, body in jobs.items():
        own = _mapping(body).get("permissions")
        if own == "write-all":
            sentence = f"{name}: permissions of the job {job} are write-all"
            yield Finding("workflows", "error", sentence, f"name what {job} needs", file=True)
        elif own is None and "permissions" not in workflow:
            sentence = f"{name}: the job {job} has no permissions, so it has the repository's default"
            yield Finding("workflows", "warning", sentence, "set permissions: {} and give each job its own")


def owners(case: Case) -> Iterator[Finding]:
    """Whoever may change the rules needs somebody's approval."""
    from pathspec import GitIgnoreSpec

    path = next((case.root / place for place in _OWNERS if (case.root / place).is_file()), None)
    if path is None:
        sentence = "no CODEOWNERS says who must approve changes of policy, gates and workflows"
        yield Finding("owners", "warning", sentence)
        return
    name = path.relative_to(case.root).as_posix()
    lines = [line.partition("#")[0].split() for line in read_text(path, name).splitlines()]
    rules = [(GitIgnoreSpec.from_lines([words[0]]), words[1:]) for words in lines if words]
    last = spec_files.load_policy(case.root).order[-1]
    decides = {
        ".github/workflows/train.yml": "workflows",
        "environments/policy.yaml": "the policy",
        f"environments/{last}/model.yaml": f"what {last} serves",
        "infra/__main__.py": "the infrastructure",
        name: "this file itself",
    }
    for file, what in decides.items():
        owned = next((people for spec, people in reversed(rules) if spec.match_file(file)), [])
        if not owned:
            sentence = f"{name}: nobody owns {file}, so anybody's approval changes {what}"
            yield Finding("owners", "warning", sentence, f"add a line for /{file} to {name}")


def updates(case: Case) -> Iterator[Finding]:
    """Somebody looks for newer versions of what is used."""
    known = (
        ".github/dependabot.yml",
        ".github/dependabot.yaml",
        "renovate.json",
        ".github/renovate.json",
        "renovate.json5",
    )
    if not any((case.root / place).is_file() for place in known):
        sentence = "neither Dependabot nor Renovate is set up: a version with a known hole stays"
        yield Finding("updates", "warning", sentence, "restore .github/dependabot.yml")


def code_in_models(case: Case) -> Iterator[Finding]:
    """A model that runs code when it is loaded is somebody's decision."""
    for model in sorted(case.settings.models):
        path = spec_files.gates_path(model)
        if not (case.root / path).is_file():
            continue
        allowed = load_gates(case.root, model).allow_code
        if allowed is not None:
            sentence = (
                f"{path}: {allowed.approver} lets the model run code when it is loaded: {allowed.reason}"
            )
            yield Finding("code", "note", sentence)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

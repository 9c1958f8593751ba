"""What no workflow of GitHub may do, beyond what zizmor knows: each rule yields sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

SECRETS = {"RELEASE_APP_PRIVATE_KEY"}
"""A pull request of the job's own token starts no checks; see docs/ci.md. No cloud has a secret here."""
GUARD = "github.event.pull_request.head.repo.full_name == github.repository"
Job = dict[str, Any]


_ATTESTING = ("actions/attest@", "actions/download-artifact@")


def problems(workflow: dict[str, Any]) -> list[str]:
    """Every rule that a workflow breaks; texts as `ci_model.read` gives them."""
    found = list(_whole(workflow))
    for name, job in workflow["jobs"].items():
        rules = [_permissions, _steps, _settings]
        found += [f"{name}: {text}" for rule in rules for text in rule(job, workflow)]
    return found + [f"{name}: {text}" for name, text in _forks(workflow)]


def unpinned(text: str) -> list[str]:
    """Actions of others that are not named by a whole commit with its version beside it."""
    lines = [line.strip() for line in text.splitlines() if re.match(r"\s*(- )?uses: (?!\./)", line)]
    return [line for line in lines if not re.search(r"uses: \S+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)]


def _whole(workflow: dict[str, Any]) -> Iterator[str]:
    if workflow.get("permissions") != {}:
        yield "permissions of the whole workflow must be {}: each job says what it needs"
    if "pull_request_target" in workflow["on"]:
        yield "pull_request_target runs with a token that may write; use pull_request"
    text = str(workflow)
    for name in re.findall(r"secrets\.(\w+)", text):
        if name not in SECRETS:
            yield f"secret {name}: log in with OIDC instead"
    for job in workflow["jobs"].values():
        passed = job.get("secrets", {})
        if passed == "inherit":
            yield "secrets are passed on as a whole"
        elif any(value != f"${{{{ secrets.{name} }}}}" for name, value in passed.items()):
            # Only under its own name does GitHub take the value of the called job's environment.
            yield "a secret is passed on under another name than its own"


def _permissions(job: Job, workflow: dict[str, Any]) -> Iterator[str]:
    granted = job.get("permissions")
    if granted is None:
        yield "says no permissions"
        return
    writes = {scope for scope, access in granted.items() if access == "write"}
    uses = [s.get("uses", "") for s in job.get("steps", [])] + [job.get("uses", "")]
    logs_in = any(u.endswith(("/azure-login", "-stack.yml", "/train.yml")) for u in uses)
    publishes = [u for u in uses if u.startswith("actions/deploy-pages@")]
    attests = any(u.startswith("actions/attest@") for u in uses)
    if ("id-token" in writes) != (logs_in or bool(publishes) or attests):
        yield "id-token: write belongs to a job that logs in to Azure, deploys pages or attests; to no other"
    if ("attestations" in writes) != attests:
        yield "attestations: write belongs to a job that attests, and to no other"
    if attests and any(not s.get("uses", "").startswith(_ATTESTING) for s in job["steps"]):
        yield "attests beside other steps: what it signs must come from a job without that right"
    if ("pages" in writes) != bool(publishes):
        yield "pages: write belongs to a job that deploys pages, and to no other"
    if publishes and (len(uses) > 2 or "environment" not in job):
        yield "deploys pages beside other steps, or without an environment"
    if logs_in and any(re.search(r"\bmake\b", s.get("run", "")) for s in job.get("steps", [])):
        yield "runs make where Azure can be reached: what builds or tests belongs to a job without a login"
    env = job.get("env", {})
    if logs_in and "MLOPS_TARGET" in env and not {"AZURE_CLIENT_ID", "AZURE_TENANT_ID"} <= env.keys():
        yield "mlops cannot renew its login: it needs AZURE_CLIENT_ID and AZURE_TENANT_ID in env"
    if logs_in and "environment" not in job and "uses" not in job:
        yield "logs in without an environment: identities trust environments only"
    if "pull-requests" in writes and "workflow_run" not in workflow["on"]:
        yield "pull-requests: write in a run that executes a pull request's code"
    if excess := sorted(writes - {"id-token", "pages", "pull-requests", "attestations"}):
        yield f"{', '.join(excess)}: write is never needed"
    other_run = any("run-id" in s.get("with", {}) for s in job.get("steps", []))
    if ("actions" in granted) != other_run:
        yield "actions: read belongs to a job that reads another run's artifact, and to no other"


def _steps(job: Job, _workflow: dict[str, Any]) -> Iterator[str]:
    for step in job.get("steps", []):
        if "${{" in step.get("run", ""):
            yield f"an expression inside a script is how scripts are injected: {step['run']!r}"
        checkout = step.get("uses", "").startswith("actions/checkout@")
        if checkout and step.get("with", {}).get("persist-credentials") != "false":
            yield "checkout leaves its token in the work tree"
    if "secrets." in str(job.get("steps")) and "environment" not in job:
        yield "a secret without an environment, so without a rule of who gets it"


def _settings(job: Job, workflow: dict[str, Any]) -> Iterator[str]:
    if "uses" not in job and "timeout-minutes" not in job:
        yield "has no timeout"
    lock = job.get("concurrency") or workflow.get("concurrency") or {}
    if job.get("uses", "").endswith("/train.yml"):
        model, stack = job["with"]["model"], job["with"]["stack"]
        if lock != {"group": f"train-{model}-{stack}", "cancel-in-progress": "false"}:
            yield "trains without the lock of its model and environment, or may be cut off in the middle"
        return
    if workflow["on"].keys() == {"workflow_call"} and workflow.get("name") == "train":
        return  # its callers have the lock, which is checked above
    plans = str(job.get("environment", "")).endswith("-plan")
    if "environment" in job and not plans and lock.get("cancel-in-progress") != "false":
        yield "changes an environment without a lock, or may be cut off in the middle"


def _forks(workflow: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "pull_request" not in workflow["on"]:
        return
    jobs = workflow["jobs"]

    def guarded(job: Job) -> bool:
        condition = job.get("if", "")
        needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
        stays = not re.search(r"always|failure|cancelled", condition)
        return GUARD in condition or (stays and any(guarded(jobs[n]) for n in needs))

    for name, job in jobs.items():
        if "write" in job.get("permissions", {}).values() and not guarded(job):
            yield name, f"a pull request from a fork could get its token; add: {GUARD}"

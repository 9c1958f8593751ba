"""Branch policies of Azure Repos: main changes by reviewed pull requests with passed checks only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from mlops.bootstrap.steps import Look
from mlops.errors import Blocked
from mlops.forge.azure_devops_settings import AzureDevOpsSettings

REVIEWERS: Final = "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd"
BUILD: Final = "0609b952-1397-4640-95ec-e00a01b2c241"
"""Kinds of branch policies in Azure Repos, the same in every organization."""
CI: Final = "ci"
"""The pipeline that checks a pull request."""
_STRICT: Final = (
    ("resetOnSourcePush", True, "reset-on-source-push", "a vote outlives what is pushed after it"),
    ("creatorVoteCounts", False, "creator-vote-counts", "who proposes a change can approve it alone"),
    ("allowDownvotes", False, "allow-downvotes", "a change is merged although a reviewer rejects it"),
)


@dataclass(frozen=True)
class Lack:
    """What main's policies do not ask, and the command that makes them. `weak`: one asks too little."""

    kind: Literal["review", "checks", "weak"]
    sentence: str
    fix: str


class Main:
    """The main branch of one repository."""

    def __init__(self, devops: AzureDevOpsSettings, repository: str) -> None:
        self.devops = devops
        there = devops.repository(repository)
        self.repository = str(there["id"])
        self.branch = str(there.get("defaultBranch") or "refs/heads/main")

    def lacks(self) -> list[Lack]:
        """In the order in which they are made; empty when the policies that hold ask for enough."""
        rules = [p for p in self.devops.policies() if _holds(p, self.repository, self.branch)]
        rule = (
            f"{self._where} --repository-id {self.repository} --branch "
            f"{self.branch.removeprefix('refs/heads/')} --blocking true --enabled true"
        )
        found: list[Lack] = []
        reviews = [p for p in rules if _kind(p) == REVIEWERS]
        if not any(_settings(p).get("minimumApproverCount", 0) for p in reviews):
            fix = (
                f"az repos policy approver-count create {rule} --minimum-approver-count 1 "
                "--creator-vote-counts false --allow-downvotes false --reset-on-source-push true"
            )
            found.append(Lack("review", "main can change without a review", fix))
        else:
            found += self._weak(reviews)
        if not any(_kind(p) == BUILD for p in rules):
            ci = f"$(az pipelines show {self._where} --name {CI} --query id)"
            fix = (
                f"az repos policy build create {rule} --display-name {CI} --build-definition-id {ci} "
                "--manual-queue-only false --queue-on-source-update-only true --valid-duration 0"
            )
            found.append(Lack("checks", "main can change without the checks of ci", fix))
        return found

    def make(self, lack: Lack) -> None:
        """Raises `Blocked` for checks that no pipeline makes."""
        if lack.kind == "review":
            strict = {setting: value for setting, value, _, _ in _STRICT}
            self._create(REVIEWERS, {"minimumApproverCount": 1, **strict})
        elif lack.kind == "checks":
            pipeline = self.devops.pipeline(CI)
            if pipeline is None:
                raise Blocked(self.no_pipeline())
            self._create(
                BUILD,
                {
                    "buildDefinitionId": pipeline,
                    "displayName": CI,
                    "manualQueueOnly": False,
                    "queueOnSourceUpdateOnly": True,
                    "validDuration": 0,
                },
            )

    def no_pipeline(self) -> str:
        """Why the checks cannot be asked for; empty when they can."""
        if self.devops.pipeline(CI) is not None:
            return ""
        return (
            f"there is no pipeline {CI} yet, whose checks could be asked for; make it: az pipelines create "
            f"{self._where} --name {CI} --yml-path azure-pipelines.yml"
        )

    def _create(self, kind: str, settings: Mapping[str, Any]) -> None:
        scope = {"repositoryId": self.repository, "refName": self.branch, "matchKind": "Exact"}
        self.devops.create_policy(kind, {**settings, "scope": [scope]})

    @property
    def _where(self) -> str:
        devops = self.devops
        return f"--organization https://dev.azure.com/{devops.organization} --project {devops.project!r}"

    def _weak(self, reviews: Sequence[Mapping[str, Any]]) -> list[Lack]:
        """What a review that is asked for lets through. All policies hold, so one strict one is enough."""
        return [
            Lack(
                "weak",
                sentence,
                f"az repos policy approver-count update {self._where} --id {reviews[0].get('id')} "
                f"--{option} {str(wanted).lower()}",
            )
            for setting, wanted, option, sentence in _STRICT
            if not any(bool(_settings(p).get(setting)) is wanted for p in reviews)
        ]


@dataclass(frozen=True)
class BranchPolicies:
    """The policies of main that are missing. One that asks too little is somebody's, and is not changed."""

    devops: AzureDevOpsSettings
    repository: str
    key: str = "branch policies"
    title: str = "policies of the main branch"
    needs: str = "Edit policies on the repository"

    def look(self) -> Look:
        main = Main(self.devops, self.repository)
        lacks = main.lacks()
        if weak := [lack for lack in lacks if lack.kind == "weak"]:
            return Look("refuse", "; ".join(f"{lack.sentence}; change it: {lack.fix}" for lack in weak))
        if any(lack.kind == "checks" for lack in lacks) and (why := main.no_pipeline()):
            return Look("refuse", why)
        return Look("create", "; ".join(lack.sentence for lack in lacks)) if lacks else Look("keep")

    def make(self, look: Look) -> None:
        main = Main(self.devops, self.repository)
        for lack in main.lacks():
            main.make(lack)

    def ours(self) -> str:
        return ""

    def remove(self) -> None:
        """A policy does not say who made it, and main unprotected is worse than a policy too many."""


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

"""Main changes by reviewed pull requests with passed checks only: a commit there is a deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mlops.bootstrap.github_record import NEEDS, Record
from mlops.bootstrap.steps import Look
from mlops.forge.github_settings import GitHubSettings

RULESET: Final = "mlops"
CHECKS: Final = ("lint", "test", "check", "proof", "plan")
"""Jobs of `ci` that must pass before a merge; one that is skipped has."""


@dataclass(frozen=True)
class Ruleset:
    """A ruleset for the default branch, where what is there does not ask for enough."""

    github: GitHubSettings
    record: Record
    key: str = "ruleset"
    title: str = "rules for the default branch"
    needs: str = NEEDS

    def look(self) -> Look:
        if any(row["name"] == RULESET for row in self.github.rulesets()):
            return Look("keep")
        missing = missing_rules(self.github, self.github.default_branch())
        return (
            Look("create", "; ".join(missing))
            if missing
            else Look("keep", "somebody else's rules are enough")
        )

    def make(self, look: Look) -> None:
        self.record.note(self.key, None)
        self.github.create_ruleset(
            {
                "name": RULESET,
                "target": "branch",
                "enforcement": "active",
                "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
                "rules": _RULES,
            }
        )

    def ours(self) -> str:
        return f"remove {self.title}" if self.key in self.record.read() else ""

    def remove(self) -> None:
        for row in self.github.rulesets():
            if row["name"] == RULESET:
                self.github.delete_ruleset(row["id"])
        self.record.forget(self.key)


_RULES: Final = [
    {"type": "deletion"},
    {"type": "non_fast_forward"},
    {
        "type": "pull_request",
        "parameters": {
            "required_approving_review_count": 0,
            "require_code_owner_review": True,
            "dismiss_stale_reviews_on_push": True,
            "require_last_push_approval": False,
            "required_review_thread_resolution": False,
        },
    },
    {
        "type": "required_status_checks",
        "parameters": {
            "strict_required_status_checks_policy": False,
            "required_status_checks": [{"context": name} for name in CHECKS],
        },
    },
]


def missing_rules(github: GitHubSettings, branch: str) -> list[str]:
    """What rulesets and classic protection together do not ask of a change of `branch`, as sentences."""
    rules = {rule["type"]: rule.get("parameters") or {} for rule in github.rules(branch)}
    classic = github.protection(branch)
    review = rules.get("pull_request") or classic.get("required_pull_request_reviews")
    sentences = []
    if review is None:
        sentences.append(f"{branch} can be pushed to without a pull request")
    elif not (review.get("require_code_owner_review") or review.get("require_code_owner_reviews")):
        sentences.append(f"{branch} changes without a review by code owners")
    status = rules.get("required_status_checks") or {}
    checks = {c["context"] for c in status.get("required_status_checks") or []}
    checks |= set((classic.get("required_status_checks") or {}).get("contexts") or [])
    if lacking := [c for c in CHECKS if c not in checks]:
        sentences.append(f"{branch} changes without the checks {', '.join(lacking)}")
    return sentences

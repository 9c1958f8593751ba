"""Settings of a GitHub repository: environments, variables, rules, and what its workflows say they are.

REST API, version 2022-11-28. Methods raise `TargetError`, `NotFound` and `Blocked` with a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from mlops.errors import NotFound, TargetError
from mlops.forge._rest import Rest
from mlops.forge.github import API, headers_of

_PAGE: Final = 100


class GitHubSettings:
    """Of one repository, `owner/name`."""

    def __init__(self, repository: str, token: str, api: str = "") -> None:
        self.repository = repository
        self._path = f"/repos/{repository}"
        self._rest = Rest(api or API, headers_of(token), "GH_TOKEN")

    def default_branch(self) -> str:
        return str(self._rest.call("GET", self._path)["default_branch"])

    def user(self) -> dict[str, Any]:
        """Who is logged in: `login` and `id`."""
        return dict(self._rest.call("GET", "/user"))

    def reviewer(self, name: str) -> dict[str, Any]:
        """`login` or `organization/team` as an environment wants it; raises `NotFound`."""
        organization, _, team = name.removeprefix("@").partition("/")
        if team:
            row = self._rest.call("GET", f"/orgs/{quote(organization)}/teams/{quote(team)}")
            return {"type": "Team", "id": row["id"]}
        return {"type": "User", "id": self._rest.call("GET", f"/users/{quote(organization)}")["id"]}

    def subject_prefix(self) -> str:
        """What the subject of every OIDC token of this repository starts with, as GitHub says it.

        Newer repositories have numeric ids in it (`repo:owner@1/name@2`), and only GitHub knows which do.
        Raises `TargetError` when somebody has changed the form of the subjects: no trust could be written.
        """
        answer = self._rest.call("GET", f"{self._path}/actions/oidc/customization/sub")
        if answer.get("use_default") is False:
            keys = ", ".join(answer.get("include_claim_keys") or ["?"])
            raise TargetError(
                f"the OIDC subjects of {self.repository} are customised ({keys}), so no environment can be "
                f"trusted; run: gh api -X PUT {self._path[1:]}/actions/oidc/customization/sub "
                "-F use_default=true"
            )
        return str(answer.get("sub_claim_prefix") or f"repo:{self.repository}")

    # --- environments

    def environments(self) -> dict[str, dict[str, Any]]:
        """By name."""
        return {row["name"]: row for row in self._pages(f"{self._path}/environments", "environments")}

    def branches(self, environment: str) -> list[str]:
        """Patterns of the branches that may use an environment, when it has such a list."""
        rows = self._pages(f"{self._environment(environment)}/deployment-branch-policies", "branch_policies")
        return [str(row["name"]) for row in rows]

    def put_environment(self, name: str, body: Mapping[str, Any]) -> None:
        self._rest.call("PUT", self._environment(name), body=body)

    def allow_branch(self, environment: str, pattern: str) -> None:
        path = f"{self._environment(environment)}/deployment-branch-policies"
        self._rest.call("POST", path, body={"name": pattern})

    def delete_environment(self, name: str) -> None:
        try:
            self._rest.call("DELETE", self._environment(name))
        except NotFound:
            return

    def secrets(self, environment: str) -> list[str]:
        """Names of an environment's secrets."""
        return [r["name"] for r in self._pages(f"{self._environment(environment)}/secrets", "secrets")]

    # --- variables

    def variables(self, environment: str = "") -> dict[str, str]:
        """Of the repository, or of one environment; empty when the environment is not there."""
        try:
            rows = self._pages(f"{self._home(environment)}/variables", "variables")
        except NotFound:
            if environment:
                return {}
            raise
        return {row["name"]: row["value"] for row in rows}

    def create_variable(self, name: str, value: str, environment: str = "") -> None:
        body = {"name": name, "value": value}
        self._rest.call("POST", f"{self._home(environment)}/variables", body=body)

    def update_variable(self, name: str, value: str, environment: str = "") -> None:
        body = {"name": name, "value": value}
        self._rest.call("PATCH", f"{self._home(environment)}/variables/{quote(name)}", body=body)

    def delete_variable(self, name: str, environment: str = "") -> None:
        try:
            self._rest.call("DELETE", f"{self._home(environment)}/variables/{quote(name)}")
        except NotFound:
            return

    # --- rules of a branch

    def rules(self, branch: str) -> list[dict[str, Any]]:
        """Every rule of every ruleset that is in force for a branch."""
        return self._pages(f"{self._path}/rules/branches/{quote(branch, safe='')}", "")

    def protection(self, branch: str) -> dict[str, Any]:
        """The branch's classic protection; empty without."""
        try:
            return dict(self._rest.call("GET", f"{self._path}/branches/{quote(branch, safe='')}/protection"))
        except NotFound:
            return {}

    def rulesets(self) -> list[dict[str, Any]]:
        return self._pages(f"{self._path}/rulesets", "")

    def create_ruleset(self, body: Mapping[str, Any]) -> None:
        self._rest.call("POST", f"{self._path}/rulesets", body=body)

    def delete_ruleset(self, number: int) -> None:
        try:
            self._rest.call("DELETE", f"{self._path}/rulesets/{number}")
        except NotFound:
            return

    def _environment(self, name: str) -> str:
        return f"{self._path}/environments/{quote(name, safe='')}"

    def _home(self, environment: str) -> str:
        return self._environment(environment) if environment else f"{self._path}/actions"

    def _pages(self, path: str, key: str) -> list[dict[str, Any]]:
        every: list[dict[str, Any]] = []
        page = 1
        while True:
            params = {"per_page": str(_PAGE), "page": str(page)}
            answer = self._rest.call("GET", path, params=params)
            rows = answer[key] if key else answer
            every += rows
            if len(rows) < _PAGE:
                return every
            page += 1

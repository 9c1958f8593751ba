"""Pull requests on GitHub, by its REST API (version 2022-11-28) and, for auto-merge, GraphQL.

A pull request opened with the `GITHUB_TOKEN` of a workflow starts no other workflow, so its checks never run;
give a token of a GitHub App instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mlops.errors import Blocked, NotFound
from mlops.forge._rest import Rest
from mlops.forge.base import PullRequest, Review

API = "https://api.github.com"
_PAGE = 100
_DECISIVE = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")
"""A comment takes no approval back."""
_WRITERS = ("admin", "maintain", "write")
_AUTO_MERGE = (
    "mutation($id: ID!) { enablePullRequestAutoMerge(input: {pullRequestId: $id, mergeMethod: MERGE}) "
    "{ clientMutationId } }"
)


def headers_of(token: str) -> dict[str, str]:
    """What every request to GitHub carries."""
    return {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "X-GitHub-Api-Version": "2022-11-28",
        "User-Agent": "mlops",
    }


class GitHub:
    """`Forge` of one repository, `owner/name`."""

    runs_workflows = True

    def __init__(self, repository: str, token: str, api: str = "") -> None:
        self._owner = repository.partition("/")[0]
        self._repository = repository
        self._path = f"/repos/{repository}"
        self._rest = Rest(api or API, headers_of(token), "GITHUB_TOKEN")

    def find(self, branch: str) -> PullRequest | None:
        params = {"state": "open", "head": f"{self._owner}:{branch}"}
        matching = self._rest.call("GET", f"{self._path}/pulls", params=params)
        return _request(matching[0]) if matching else None

    def list_open(self) -> list[PullRequest]:
        params = {"state": "open", "sort": "created", "direction": "asc"}
        return [_request(row) for row in self._all(f"{self._path}/pulls", params)]

    def _all(self, path: str, params: Mapping[str, str]) -> list[Any]:
        """Every row of a list, page by page."""
        every: list[Any] = []
        page = 1
        while True:
            asked = {**params, "per_page": str(_PAGE), "page": str(page)}
            rows = self._rest.call("GET", path, params=asked)
            every += rows
            if len(rows) < _PAGE:
                return every
            page += 1

    def open_or_update(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        there = self.find(branch)
        if there is None:
            fields = {"title": title, "head": branch, "base": base, "body": body}
            return _request(self._rest.call("POST", f"{self._path}/pulls", body=fields))
        fields = {"title": title, "base": base, "body": body}
        return _request(self._rest.call("PATCH", f"{self._path}/pulls/{there.number}", body=fields))

    def request_review(self, number: int, reviewers: Sequence[str]) -> None:
        teams = [r.split("/", 1)[1] for r in reviewers if "/" in r]
        users = [r.removeprefix("@") for r in reviewers if "/" not in r]
        fields = {"reviewers": users, "team_reviewers": teams}
        self._rest.call("POST", f"{self._path}/pulls/{number}/requested_reviewers", body=fields)

    def close(self, number: int, reason: str) -> None:
        self._rest.call("POST", f"{self._path}/issues/{number}/comments", body={"body": reason})
        self._rest.call("PATCH", f"{self._path}/pulls/{number}", body={"state": "closed"})

    def merge(self, number: int, approver: str = "") -> str:
        row = self._rest.call("GET", f"{self._path}/pulls/{number}")
        who = {approver} - {""} or self._approvers(number)
        message = "\n".join(f"Approved-by: {name}" for name in sorted(who))
        fields = {"merge_method": "merge", "sha": row["head"]["sha"], "commit_message": message}
        answer = self._rest.call("PUT", f"{self._path}/pulls/{number}/merge", body=fields)
        return str(answer["sha"])

    def auto_merge(self, number: int) -> None:
        row = self._rest.call("GET", f"{self._path}/pulls/{number}")
        query = {"query": _AUTO_MERGE, "variables": {"id": row["node_id"]}}
        answer = self._rest.call("POST", "/graphql", body=query)
        if errors := answer.get("errors"):
            said = "; ".join(str(e.get("message")) for e in errors)
            raise Blocked(
                f"GitHub does not merge pull request {number} by itself: {said}. Allow auto-merge in the "
                "repository's settings and require a check on its branch"
            )

    def review(self, commit: str) -> Review | None:
        rows = [row for row in self._pulls_of(commit) if row.get("merged_at")]
        if not rows:
            return None
        row = max(rows, key=lambda r: int(r["number"]))
        last: dict[str, Mapping[str, Any]] = {}
        for review in self._all(f"{self._path}/pulls/{row['number']}/reviews", {}):
            user = review.get("user") or {}
            if user.get("type") == "User" and review["state"] in _DECISIVE:
                last[user["login"]] = review
        # What was approved before the last push is something else; who may only read approves nothing.
        said = {
            name
            for name, review in last.items()
            if review["state"] == "APPROVED" and review.get("commit_id") == row["head"]["sha"]
        }
        approved = [name for name in sorted(said) if self._may_write(name)]
        return Review(row["number"], row["html_url"], row["user"]["login"], tuple(approved))

    def authors(self, commits: Sequence[str]) -> set[str]:
        people: set[str] = set()
        for commit in commits:
            row = self._rest.call("GET", f"{self._path}/commits/{commit}")
            people |= {who["login"] for who in (row.get("author"), row.get("committer")) if who}
            # Names in a commit are its author's claim; who proposed it is GitHub's knowledge.
            people |= {pull["user"]["login"] for pull in self._pulls_of(commit)}
        return people

    def _pulls_of(self, commit: str) -> list[Any]:
        rows = self._all(f"{self._path}/commits/{commit}/pulls", {})
        return [r for r in rows if r["base"]["ref"] == r["base"]["repo"]["default_branch"]]

    def _may_write(self, name: str) -> bool:
        try:
            row = self._rest.call("GET", f"{self._path}/collaborators/{name}/permission")
        except NotFound:
            return False
        return row.get("permission") in _WRITERS

    def compare_url(self, older: str, newer: str) -> str:
        return f"https://github.com/{self._repository}/compare/{older}...{newer}"

    def _approvers(self, number: int) -> set[str]:
        try:
            reviews = self._all(f"{self._path}/pulls/{number}/reviews", {})
        except NotFound:
            return set()
        return {r["user"]["login"] for r in reviews if r["state"] == "APPROVED"}


def _request(row: dict[str, Any]) -> PullRequest:
    closed: Literal["merged", "closed"] = "merged" if row.get("merged_at") else "closed"
    return PullRequest(
        number=row["number"],
        branch=row["head"]["ref"],
        base=row["base"]["ref"],
        title=row["title"],
        state="open" if row["state"] == "open" else closed,
        head=row["head"]["sha"],
        url=row["html_url"],
        body=row.get("body") or "",
    )

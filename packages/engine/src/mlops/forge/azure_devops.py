"""Pull requests on Azure DevOps, by its REST API (version 7.1).

`SYSTEM_ACCESSTOKEN` is the token of a pipeline's own identity; it needs "Contribute to pull requests" on the
repository.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import quote

from mlops.forge._rest import Rest
from mlops.forge.base import PullRequest, Review

VERSION = "7.1"
LONGEST_BODY = 4000
"""Characters that a description may have; the API refuses more."""
_PAGE = 1000
_CUT = "\n\n… cut: Azure DevOps allows 4000 characters. The rest is in the files of this change."
_STATES: dict[str, Literal["open", "merged", "closed"]] = {
    "active": "open",
    "completed": "merged",
    "abandoned": "closed",
}


class AzureDevOps:
    """`Forge` of one Azure Repos repository. Reviewers are ids of identities."""

    runs_workflows = True

    def __init__(self, organization: str, project: str, repository: str, token: str, api: str = "") -> None:
        base = (api or f"https://dev.azure.com/{quote(organization)}") + f"/{quote(project)}"
        self._web = f"https://dev.azure.com/{quote(organization)}/{quote(project)}/_git/{quote(repository)}"
        self._repository = f"/_apis/git/repositories/{quote(repository)}"
        self._pulls = f"{self._repository}/pullrequests"
        headers = {"Accept": "application/json", "Authorization": f"Bearer {token}"}
        self._rest = Rest(base, headers, "SYSTEM_ACCESSTOKEN")

    def find(self, branch: str) -> PullRequest | None:
        matching = self._search({"searchCriteria.sourceRefName": f"refs/heads/{branch}"})
        return matching[0] if matching else None

    def list_open(self) -> list[PullRequest]:
        pulls: list[PullRequest] = []
        while True:
            skip = {"$skip": str(len(pulls))} if pulls else {}
            page = self._search({"$top": str(_PAGE), **skip})
            pulls += page
            if len(page) < _PAGE:
                return sorted(pulls, key=lambda p: p.number)

    def open_or_update(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        fields = {"title": title, "description": _fit(body)}
        there = self.find(branch)
        if there is not None:
            return self._patch(there.number, fields)
        refs = {"sourceRefName": f"refs/heads/{branch}", "targetRefName": f"refs/heads/{base}"}
        return self._request(self._call("POST", self._pulls, body={**refs, **fields}))

    def request_review(self, number: int, reviewers: Sequence[str]) -> None:
        for reviewer in reviewers:
            path = f"{self._pulls}/{number}/reviewers/{quote(reviewer)}"
            self._call("PUT", path, body={"id": reviewer, "vote": 0, "isRequired": True})

    def close(self, number: int, reason: str) -> None:
        comment = {"parentCommentId": 0, "content": reason, "commentType": "text"}
        self._call(
            "POST", f"{self._pulls}/{number}/threads", body={"comments": [comment], "status": "closed"}
        )
        self._patch(number, {"status": "abandoned"})

    def merge(self, number: int, approver: str = "") -> str:
        row = self._call("GET", f"{self._pulls}/{number}")
        voters = {r["displayName"] for r in row.get("reviewers", []) if r.get("vote", 0) >= 5}
        who = {approver} - {""} or voters
        message = [f"Merge pull request {number}: {row['title']}", ""]
        options = {
            "mergeStrategy": "noFastForward",
            "deleteSourceBranch": True,
            "mergeCommitMessage": "\n".join([*message, *(f"Approved-by: {n}" for n in sorted(who))]),
        }
        fields = {
            "status": "completed",
            "lastMergeSourceCommit": {"commitId": row["lastMergeSourceCommit"]["commitId"]},
            "completionOptions": options,
        }
        done = self._call("PATCH", f"{self._pulls}/{number}", body=fields)
        return str((done.get("lastMergeCommit") or {}).get("commitId", ""))

    def auto_merge(self, number: int) -> None:
        row = self._call("GET", f"{self._pulls}/{number}")
        options = {"mergeStrategy": "noFastForward", "deleteSourceBranch": True}
        fields = {"autoCompleteSetBy": {"id": row["createdBy"]["id"]}, "completionOptions": options}
        self._call("PATCH", f"{self._pulls}/{number}", body=fields)

    def review(self, commit: str) -> Review | None:
        rows = [row for row in self._pulls_of(commit) if row.get("status") == "completed"]
        if not rows:
            return None
        row = max(rows, key=lambda r: int(r["pullRequestId"]))
        number = int(row["pullRequestId"])
        votes = self._call("GET", f"{self._pulls}/{number}/reviewers")["value"]
        people = {v["uniqueName"] for v in votes if v.get("vote", 0) >= 5 and not v.get("isContainer")}
        url = f"{self._web}/pullrequest/{number}"
        return Review(number, url, str(row["createdBy"]["uniqueName"]), tuple(sorted(people)))

    def authors(self, commits: Sequence[str]) -> set[str]:
        people: set[str] = set()
        for commit in commits:
            row = self._call("GET", f"{self._repository}/commits/{commit}")
            people |= {
                row[who]["email"] for who in ("author", "committer") if (row.get(who) or {}).get("email")
            }
            # Names in a commit are its author's claim; who pushed and proposed it is Azure's knowledge.
            pushed = (row.get("push") or {}).get("pushedBy") or {}
            people |= {pushed["uniqueName"]} if pushed.get("uniqueName") else set()
            people |= {pull["createdBy"]["uniqueName"] for pull in self._pulls_of(commit)}
        return people

    def _pulls_of(self, commit: str) -> list[Any]:
        kinds = ("lastMergeCommit", "commit")
        queries = [{"type": kind, "items": [commit]} for kind in kinds]
        answer = self._call("POST", f"{self._repository}/pullrequestquery", body={"queries": queries})
        target = self._call("GET", self._repository)["defaultBranch"]
        pulls = {
            row["pullRequestId"]: row
            for result in answer["results"]
            for rows in result.values()
            for row in rows
            if row["targetRefName"] == target
        }
        return list(pulls.values())

    def compare_url(self, older: str, newer: str) -> str:
        return f"{self._web}/branchCompare?baseVersion=GC{older}&targetVersion=GC{newer}"

    def _search(self, criteria: dict[str, str]) -> list[PullRequest]:
        answer = self._call("GET", self._pulls, params={"searchCriteria.status": "active", **criteria})
        return [self._request(row) for row in answer["value"]]

    def _patch(self, number: int, fields: dict[str, Any]) -> PullRequest:
        return self._request(self._call("PATCH", f"{self._pulls}/{number}", body=fields))

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
    ) -> Any:
        return self._rest.call(method, path, params={**(params or {}), "api-version": VERSION}, body=body)

    def _request(self, row: dict[str, Any]) -> PullRequest:
        number = row["pullRequestId"]
        return PullRequest(
            number=number,
            branch=row["sourceRefName"].removeprefix("refs/heads/"),
            base=row["targetRefName"].removeprefix("refs/heads/"),
            title=row["title"],
            state=_STATES[row["status"]],
            head=(row.get("lastMergeSourceCommit") or {}).get("commitId", ""),
            url=f"{self._web}/pullrequest/{number}",
            body=row.get("description") or "",
        )


def _fit(body: str) -> str:
    return body if len(body) <= LONGEST_BODY else body[: LONGEST_BODY - len(_CUT)] + _CUT

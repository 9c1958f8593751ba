"""A list that a forge answers in pages is read to its end: what is on the second page is there too."""

from __future__ import annotations

from typing import Any

import pytest

from mlops.forge.azure_devops import AzureDevOps
from mlops.forge.github import GitHub


class Pages:
    """In place of a forge: so many rows, as many a request as were asked for."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows

    def call(self, method: str, path: str, *, params: dict[str, str], **_: Any) -> Any:
        assert method == "GET"
        if "$top" in params:
            start = int(params.get("$skip", "0"))
            return {"value": self.rows[start : start + int(params["$top"])]}
        size = int(params["per_page"])
        start = (int(params["page"]) - 1) * size
        return self.rows[start : start + size]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_github(count: int, monkeypatch: pytest.MonkeyPatch):
    forge = GitHub("contoso/freight", "token")
    branch = {"ref": "b", "sha": "s"}
    pulls = [
        {"number": n, "head": branch, "base": branch, "title": "", "state": "open", "html_url": ""}
        for n in range(count)
    ]
    monkeypatch.setattr(forge, "_rest", Pages(pulls))
    assert [p.number for p in forge.list_open()] == list(range(count))
    reviews = [{"user": {"login": f"u{n}"}, "state": "APPROVED"} for n in range(count)]
    monkeypatch.setattr(forge, "_rest", Pages(reviews))
    assert forge._approvers(7) == {f"u{n}" for n in range(count)}


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_azure_devops(count: int, monkeypatch: pytest.MonkeyPatch):
    forge = AzureDevOps("contoso", "ml", "freight", "token")
    rows = [
        {
            "pullRequestId": n,
            "sourceRefName": "refs/heads/b",
            "targetRefName": "refs/heads/main",
            "title": "",
            "status": "active",
            "lastMergeSourceCommit": {"commitId": "s"},
        }
        for n in range(count)
    ]
    monkeypatch.setattr(forge, "_rest", Pages(rows))
    assert [p.number for p in forge.list_open()] == list(range(count))

"""A list that a forge answers in pages is read to its end: what is on the second page is there too."""

from __future__ import annotations

from typing import Any

import pytest

from mlops.forge.azure_devops import AzureDevOps
from mlops.forge.azure_devops_settings import AzureDevOpsSettings
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


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_an_environment_of_azure_devops_is_found_among_any_number(
    count: int, monkeypatch: pytest.MonkeyPatch
):
    """The service answers a thousand at most: whoever lists them all makes the next one twice."""
    settings = AzureDevOpsSettings("contoso", "ml", "token")
    rows = [{"id": n, "name": f"env{n}"} for n in range(count)]

    def call(method: str, path: str, *, params: dict[str, str], **_: Any) -> Any:
        return {"value": [row for row in rows if row["name"].startswith(params.get("name", ""))][:1000]}

    monkeypatch.setattr(settings, "_call", call)
    last = settings.environment(f"env{count - 1}")
    assert last == (rows[-1] if rows else None)
    assert settings.environment("env") is None

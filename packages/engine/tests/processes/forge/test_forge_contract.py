"""What we send to GitHub and Azure DevOps, byte for byte, and how their answers and refusals are read.

The pairs in fixtures/ follow the documented APIs (docs.github.com/rest, version 2022-11-28;
learn.microsoft.com/rest/api/azure/devops/git, version 7.1). A request that is not in them is refused.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from replay import replay

from mlops.errors import Blocked, InvalidInput, NotFound, TargetError
from mlops.forge import open_forge
from mlops.forge.azure_devops import LONGEST_BODY, AzureDevOps, _fit
from mlops.forge.base import Review
from mlops.forge.github import GitHub
from mlops.spec.settings import Settings

MERGED = "c" * 40
BRANCH, TITLE = "promote/prod/freight", "Promote freight 7 to prod"


def github(url: str) -> GitHub:
    return GitHub("contoso/freight", token="secret", api=url)


def azure(url: str) -> AzureDevOps:
    return AzureDevOps("contoso", "freight project", "freight", token="secret", api=url)


def test_github_opens_and_asks_users_and_teams():
    with replay("github_open") as server:
        request = github(server.url).open_or_update(BRANCH, "main", TITLE, "text")
        github(server.url).request_review(request.number, ["@grace", "contoso/ml-owners"])
    assert (request.number, request.state, request.branch, request.base) == (12, "open", BRANCH, "main")
    assert request.url == "https://github.com/contoso/freight/pull/12"


def test_github_updates_the_one_that_is_open():
    with replay("github_update") as server:
        request = github(server.url).open_or_update(BRANCH, "main", "Promote freight 8 to prod", "new")
    assert (request.number, request.body) == (12, "new")


def test_github_closes_with_a_comment():
    with replay("github_close") as server:
        github(server.url).close(12, "Superseded by #13")


def test_github_merges_the_commit_that_was_looked_at_and_names_who_approved():
    with replay("github_merge") as server:
        assert github(server.url).merge(12) == "a" * 40


def test_github_says_why_it_does_not_merge():
    with (
        replay("github_merge_refused") as server,
        pytest.raises(Blocked, match="approving review is required"),
    ):
        github(server.url).merge(12)


def test_github_merges_by_itself_later():
    with replay("github_auto") as server:
        github(server.url).auto_merge(12)
    with replay("github_auto_refused") as server, pytest.raises(Blocked, match="Allow auto-merge in the"):
        github(server.url).auto_merge(12)


def test_github_lists_every_page():
    with replay("github_list") as server:
        assert [p.number for p in github(server.url).list_open()] == list(range(1, 102))


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("github_denied", TargetError, r"refused \(403\); GITHUB_TOKEN .*Resource not accessible"),
        ("github_missing", NotFound, "does the repository exist"),
    ],
)
def test_github_refusals_are_sentences(name: str, error: type[Exception], says: str):
    with replay(name) as server, pytest.raises(error, match=says):
        github(server.url).find(BRANCH)


def test_a_read_is_tried_again_and_a_dead_server_is_a_sentence():
    with replay("github_flaky") as server:
        assert github(server.url).find(BRANCH) is None
    with pytest.raises(TargetError, match="no answer"):
        github(server.url).find(BRANCH)


def test_no_error_shows_the_token():
    with replay("github_denied") as server, pytest.raises(TargetError) as caught:
        github(server.url).find(BRANCH)
    assert "secret" not in str(caught.value)


def test_azure_opens_and_requires_reviewers():
    with replay("azure_open") as server:
        request = azure(server.url).open_or_update(BRANCH, "main", TITLE, "text")
        azure(server.url).request_review(request.number, ["54d125f7-69f7-4191-904f-c5b96b6261c8"])
    assert (request.number, request.state, request.branch, request.base) == (3, "open", BRANCH, "main")
    assert request.url == "https://dev.azure.com/contoso/freight%20project/_git/freight/pullrequest/3"


def test_azure_updates_closes_merges_and_completes_by_itself():
    with replay("azure_update") as server:
        assert (
            azure(server.url).open_or_update(BRANCH, "main", "Promote freight 8 to prod", "new").number == 3
        )
    with replay("azure_close") as server:
        azure(server.url).close(3, "Superseded")
    with replay("azure_merge") as server:
        assert azure(server.url).merge(3) == "c" * 40
    with replay("azure_auto") as server:
        azure(server.url).auto_merge(3)


def test_azures_sign_in_page_is_a_wrong_token():
    with replay("azure_denied") as server, pytest.raises(TargetError, match="SYSTEM_ACCESSTOKEN is wrong"):
        azure(server.url).find(BRANCH)


def test_azures_limit_of_a_description_is_kept():
    assert _fit("short") == "short"
    assert len(_fit("x" * 9000)) == LONGEST_BODY


def test_the_replay_refuses_what_is_not_recorded():
    with (
        pytest.raises(AssertionError, match="the recording has"),
        replay("github_open") as server,
        pytest.raises(TargetError, match="501"),
    ):
        github(server.url).find("another/branch")


# --- settings ---------------------------------------------------------------------------------------------


def settings(kind: str, repository: str) -> Settings:
    return Settings.model_validate(
        {
            "project": {"name": "freight-mlops"},
            "models": {"freight": {"usecase": "freight"}},
            "forge": {"kind": kind, "repository": repository},
        }
    )


@pytest.mark.parametrize(
    ("kind", "repository", "allowed"),
    [("github", "freight", "owner/name"), ("azure-devops", "a/b", "organization/project/name")],
)
def test_a_wrong_repository_is_named(tmp_path: Path, kind: str, repository: str, allowed: str):
    with pytest.raises(InvalidInput, match=rf"mlops.toml(:\d+)?: forge.repository: must be {allowed}; got"):
        open_forge(tmp_path, settings(kind, repository))


@pytest.mark.parametrize(
    ("kind", "repository", "variable"),
    [("github", "a/b", "GITHUB_TOKEN"), ("azure-devops", "a/b/c", "SYSTEM_ACCESSTOKEN")],
)
def test_a_missing_token_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, repository: str, variable: str
):
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(TargetError, match=f"{variable} is not set"):
        open_forge(tmp_path, settings(kind, repository))
    monkeypatch.setenv(variable, "secret")
    assert open_forge(tmp_path, settings(kind, repository)) is not None


def test_github_counts_people_who_may_write_and_whose_last_word_on_the_merged_commit_is_yes():
    """Not: a bot, a stranger, a reader, who changed their mind, who saw an older push, who was dismissed."""
    with replay("github_review") as server:
        found = github(server.url).review(MERGED)
    assert found == Review(
        12, "https://github.com/contoso/freight/pull/12", "mlops-bot[bot]", ("grace", "linus")
    )
    with replay("github_review_none") as server:
        assert github(server.url).review(MERGED) is None


def test_azure_counts_people_who_voted_yes_and_no_group():
    with replay("azure_review") as server:
        found = azure(server.url).review(MERGED)
    assert found is not None and (found.number, found.author) == (3, "bot@contoso.com")
    assert found.approved == ("grace@contoso.com", "linus@contoso.com")
    with replay("azure_review_none") as server:
        assert azure(server.url).review(MERGED) is None


def test_who_wrote_a_commit_is_asked_of_the_forge_too():
    """A name in a commit is what its author typed; who pushed or proposed it is known."""
    with replay("github_authors") as server:
        assert github(server.url).authors([MERGED, "d" * 40]) == {"ada", "web-flow", "eve"}
    with replay("azure_authors") as server:
        found = azure(server.url).authors([MERGED])
    assert found == {"ada@contoso.com", "eve@contoso.com", "mallory@contoso.com"}

"""An event starts a workflow: what GitHub and Azure DevOps are sent, byte for byte.

The pairs follow docs.github.com/rest/repos/repos#create-a-repository-dispatch-event and
learn.microsoft.com/azure/devops/pipelines/yaml-schema/resources-webhooks-webhook.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from replay import FIXTURES, replay

from mlops.errors import InvalidInput, NotFound, TargetError
from mlops.forge.dispatch import AzureDevOpsDispatch, GitHubDispatch, open_dispatcher
from mlops.forge.git import Git
from mlops.spec.settings import Settings

EVENT: dict[str, Any] = json.loads((FIXTURES / "azure_dispatch.json").read_text())[0]["request"]["body"]


def settings(**fields: Any) -> Settings:
    return Settings.model_validate(
        {"project": {"name": "freight"}, "models": {"freight": {"usecase": "freight"}}, **fields}
    )


def test_github_gets_our_type_and_the_whole_event():
    with replay("github_dispatch") as server:
        GitHubDispatch("contoso/freight", "secret", server.url).start(EVENT)


def test_azure_devops_gets_the_event_signed_with_the_secret_of_its_service_connection():
    with replay("azure_dispatch") as server:
        AzureDevOpsDispatch("contoso", "mlops-events", "secret", server.url).start(EVENT)


def test_another_secret_gives_another_signature():
    with (
        pytest.raises(AssertionError, match="headers lack"),
        replay("azure_dispatch") as server,
        pytest.raises(TargetError, match="501"),
    ):
        AzureDevOpsDispatch("contoso", "mlops-events", "wrong", server.url).start(EVENT)


def test_what_github_would_cut_off_is_refused_before_it_is_sent():
    with pytest.raises(InvalidInput, match="10 attributes"):
        GitHubDispatch("contoso/freight", "secret").start(EVENT | {"a": 1, "b": 2, "c": 3})


def test_settings_choose_and_say_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    github = {"kind": "github", "repository": "contoso/freight"}
    with pytest.raises(TargetError, match="GITHUB_TOKEN is not set"):
        open_dispatcher(settings(forge=github), tmp_path)
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    assert isinstance(open_dispatcher(settings(forge=github), tmp_path), GitHubDispatch)
    azure = {"kind": "azure-devops", "repository": "contoso/freight/freight"}
    with pytest.raises(InvalidInput, match=r"events\.dispatch_webhook"):
        open_dispatcher(settings(forge=azure), tmp_path)
    with pytest.raises(TargetError, match="MLOPS_DISPATCH_SECRET is not set"):
        open_dispatcher(settings(forge=azure, events={"dispatch_webhook": "mlops-events"}), tmp_path)


def test_a_local_repository_that_runs_no_workflows_says_how_to_make_it(tmp_path: Path):
    work, bare = Git(tmp_path / "work"), tmp_path / "origin.git"
    for folder, *words in ((work.root,), (bare, "--bare")):
        folder.mkdir()
        Git(folder).run("init", "--quiet", *words)
    with pytest.raises(TargetError, match="origin"):
        open_dispatcher(settings(), work.root)
    work.run("remote", "add", "origin", str(bare))
    with pytest.raises(NotFound, match="mlops forge init"):
        open_dispatcher(settings(), work.root)

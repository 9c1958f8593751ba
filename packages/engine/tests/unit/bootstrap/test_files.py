"""Edits of a fork's files: what was asked for changes, every other byte stays, twice is the same as once."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml

from mlops.bootstrap import files
from mlops.errors import InvalidInput

ROOT = Path(__file__).parents[5]
PREFIX = "repo:contoso@4242/flights@777"
STACK = """\
# What users of the models depend on. Keys: infra/config.py, EnvironmentStack.
config:
  mlops:kind: environment
  mlops:location: westeurope
  mlops:github:
    # Read from GitHub.
    subject_prefix: repo:OWNER/REPO
    environments: {plan: prod-plan, apply: prod, train: prod-train, promote: prod-promote}
  mlops:storage: {redundancy: GZRS, deleted_days: 30}
  mlops:events:
    retrain: {types: [RunStatusChanged]}
"""


def config(text: str) -> dict[str, object]:
    return dict(yaml.safe_load(text)["config"])


def test_a_subject_prefix_replaces_the_old_one_and_nothing_else():
    after = files.with_subject_prefix(STACK, PREFIX)
    github = config(STACK)["mlops:github"]
    assert config(after) == config(STACK) | {"mlops:github": {**github, "subject_prefix": PREFIX}}
    changed = [(a, b) for a, b in zip(STACK.splitlines(), after.splitlines(), strict=True) if a != b]
    assert len(changed) == 1
    assert files.with_subject_prefix(after, PREFIX) == after


def test_a_subject_prefix_is_taken_away_and_comes_back():
    without = files.with_subject_prefix(STACK, "")
    assert "subject_prefix" not in config(without)["mlops:github"]
    assert files.with_subject_prefix(without, "") == without
    again = config(files.with_subject_prefix(without, PREFIX))
    assert again["mlops:github"]["subject_prefix"] == PREFIX
    assert again["mlops:github"]["environments"] == config(STACK)["mlops:github"]["environments"]


@pytest.mark.parametrize("value", [PREFIX, "repository_id:7", "a: b", "#x", 'quo"te', "*x", "yes:no"])
def test_any_value_is_read_back_as_it_was(value: str):
    after = config(files.with_subject_prefix(STACK, value))
    assert after["mlops:github"]["subject_prefix"] == value


def test_trust_in_service_connections_is_added_and_replaced():
    first = files.with_azure_devops(
        STACK, "https://login.microsoftonline.com/t/v2.0", {"plan": "/eid1/a", "apply": "/eid1/b"}
    )
    wanted = {
        "issuer": "https://login.microsoftonline.com/t/v2.0",
        "subjects": {"plan": "/eid1/a", "apply": "/eid1/b"},
    }
    assert config(first) == config(STACK) | {"mlops:azure_devops": wanted}
    second = files.with_azure_devops(first, "https://other", {"plan": "/eid1/c"})
    assert config(second)["mlops:azure_devops"] == {
        "issuer": "https://other",
        "subjects": {"plan": "/eid1/c"},
    }
    assert files.with_azure_devops(second, "https://other", {"plan": "/eid1/c"}) == second


@pytest.mark.parametrize(
    "before",
    [
        'target = "local"\n\n[forge]\nkind = "local"\n',
        'target = "local"\n\n[forge]\nkind = "local"\n\n[azure]\ntrain = "dev"\n',
        '[project]\nname = "x"\n',
        '[forge]\nkind = "github" # ours\nrepository = "a/b"\n\n[local]\nstate = ".mlops"\n',
    ],
)
def test_the_forge_is_written_and_other_tables_stay(before: str):
    after = files.with_forge(before, kind="github", repository="contoso/flights")
    wanted = tomllib.loads(before) | {"forge": {"kind": "github", "repository": "contoso/flights"}}
    assert tomllib.loads(after) == wanted
    assert files.with_forge(after, kind="github", repository="contoso/flights") == after


def test_variables_of_azure_pipelines():
    text = (ROOT / files.VARIABLES).read_text(encoding="utf-8")
    url = "azblob://state?storage_account=stx"
    after = files.with_variables(text, {"MLOPS_TARGET": "azure", "PULUMI_BACKEND_URL": url})
    assert yaml.safe_load(after)["variables"] == yaml.safe_load(text)["variables"] | {
        "MLOPS_TARGET": "azure",
        "PULUMI_BACKEND_URL": url,
    }
    assert len(after.splitlines()) == len(text.splitlines())
    with pytest.raises(InvalidInput, match="has no variable MLOPS_TARGT"):
        files.with_variables(text, {"MLOPS_TARGT": "azure"})

"""Whoever may write a stack's state decides what its next update deletes: a workflow writes its own only."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest

from mlops.bootstrap.state_access import writes_only

_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
PROD = writes_only("mlops", "prod")


def allows(text: str, action: str, path: str) -> bool:
    """A reader of the grammar that is written here: each action's paths."""
    for clause in text.split(" AND (("):
        matched = re.search(r"ActionMatches\{'([^']+)'\}", clause)
        assert matched, clause
        if matched[1] == f"{_BLOBS}/{action}":
            patterns = re.findall(r"'(\.pulumi[^']*)'", clause)
            return any(fnmatchcase(path, p) for p in patterns)
    return True


@pytest.mark.parametrize("action", ["write", "delete", "add/action", "move/action"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (".pulumi/stacks/mlops/prod.json", True),
        (".pulumi/stacks/mlops/prod.json.bak", True),
        (".pulumi/locks/organization/mlops/prod/1.json", True),
        (".pulumi/history/mlops/prod/prod-1.history.json", True),
        (".pulumi/backups/mlops/prod/prod.1.json", True),
        (".pulumi/stacks/mlops/dev.json", False),
        (".pulumi/stacks/mlops/shared.json", False),
        (".pulumi/stacks/mlops/prod-eu.json", False),
        (".pulumi/stacks/other/prod.json", False),
        (".pulumi/locks/organization/mlops/prod-eu/1.json", False),
        (".pulumi/meta.yaml", False),
    ],
)
def test_an_update_writes_its_own_stack_only(action: str, path: str, allowed: bool) -> None:
    assert allows(PROD, action, path) == allowed


def test_reading_is_left_alone() -> None:
    assert allows(PROD, "read", ".pulumi/stacks/mlops/dev.json")


def test_the_condition_is_balanced_and_short_enough_for_azure() -> None:
    assert PROD.count("(") == PROD.count(")")
    assert len(PROD) < 8192

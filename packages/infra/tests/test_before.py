"""An environment reads the journal of the one before it in the policy, and nothing else of it: without that
no release would ever get further than the first environment."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from graphs import ROOT, TRAINS, exports, plan
from mlops.errors import InvalidInput
from mlops.infra.config import EnvironmentStack
from mlops.infra.load import StackFile, parse_stack, raw_stack_file
from mlops.infra.plan.mocks import guid as pretend_guid
from mlops.infra.plan.stacks import _in_order
from mlops.infra.roles import BUILT_IN
from mlops.infra.wanted import granted, stack_before

TRAINED = "  mlops:training_stack: organization/mlops/{}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with the stacks dev, staging and prod, which dev trains for."""
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    return tmp_path


def in_order(root: Path, *order: str) -> Path:
    lines = "".join(f"  {env}: {{}}\n" for env in order)
    text = f"order: [{', '.join(order)}]\nenvironments:\n{lines}"
    (root / "environments/policy.yaml").write_text(text, encoding="utf-8")
    return root


def trained(root: Path, stack: str, where: str) -> None:
    """`stack` is trained for in `where`; empty: in itself."""
    file = root / f"environments/Pulumi.{stack}.yaml"
    text = re.sub(r"  mlops:training_stack: .*\n", "", file.read_text(encoding="utf-8"))
    line = TRAINED.format(where) if where else ""
    file.write_text(text.replace("config:\n", f"config:\n{line}", 1), encoding="utf-8")


def rows(root: Path, stack: str) -> list[tuple[str, str, str]]:
    values, secret = raw_stack_file(root, stack)
    config = parse_stack(values, secret, StackFile.of(root, stack))
    assert isinstance(config, EnvironmentStack)
    found = granted(config, before=stack_before(root, stack))
    return [(g.identity, g.role, g.scope.split()[0]) for g in found if "environment before" in g.scope]


@pytest.mark.parametrize(
    ("order", "before"),
    [
        (["staging", "prod"], {"staging": "", "prod": "staging", "dev": "", "shared": ""}),
        (["dev", "staging", "prod"], {"dev": "", "staging": "dev", "prod": "staging"}),
        (["prod", "staging"], {"prod": "", "staging": "prod"}),
        (["prod"], {"prod": "", "staging": ""}),
        (["elsewhere", "prod"], {"prod": ""}),
    ],
)
def test_who_is_before_is_the_order_of_the_policy(
    root: Path, order: Sequence[str], before: dict[str, str]
) -> None:
    in_order(root, *order)
    assert {stack: stack_before(root, stack) for stack in before} == before


def test_a_repository_without_a_policy_has_no_order(root: Path) -> None:
    (root / "environments/policy.yaml").unlink()
    assert stack_before(root, "prod") == ""


def test_a_wrong_policy_is_told(root: Path) -> None:
    (root / "environments/policy.yaml").write_text("order: [staging]\nenvironments: {}\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="order must name every environment"):
        stack_before(root, "staging")


def test_what_the_stack_that_trains_lets_be_read_is_not_given_twice(root: Path) -> None:
    """Azure refuses a second assignment of the same role to the same identity at the same place."""
    in_order(root, "dev", "staging", "prod")
    assert rows(root, "staging") == [("promote", "Storage Blob Data Reader", "journal")]
    assert sorted(rows(root, "prod")) == [
        ("plan", "Reader", "journal"),
        ("plan", "Reader", "workspace"),
        ("promote", "Storage Blob Data Reader", "journal"),
        ("train", "Reader", "workspace"),
        ("train", "Storage Blob Data Reader", "journal"),
    ]
    assert rows(root, "dev") == []


@pytest.mark.parametrize("order", [["staging", "prod"], ["staging", "dev", "prod"]])
def test_two_stacks_that_would_read_each_other_can_be_made(root: Path, order: list[str]) -> None:
    """Where production trains, what comes before it reads there already."""
    in_order(root, *order)
    for stack in ("dev", "staging"):
        trained(root, stack, "prod")
    trained(root, "prod", "")
    assert stack_before(root, "prod") == ""
    assert _in_order(root, "staging") == ["shared", "prod", "staging"]
    assert _in_order(root, "prod") == ["shared", "prod"]


def test_the_exports_that_a_stack_reads_are_made_first(root: Path) -> None:
    in_order(root, "dev", "staging", "prod")
    assert _in_order(root, "prod") == ["shared", "dev", "staging", "prod"]
    in_order(root, "prod", "staging")
    assert _in_order(root, "staging") == ["shared", "dev", "prod", "staging"]
    assert _in_order(root, "dev") == ["shared", "dev"]


def test_prod_reads_the_journal_of_staging_and_changes_nothing_there() -> None:
    graph, home = plan("prod"), exports("staging")
    account, journal = home["storage_account_id"], home["journal_id"]
    assert journal == f"{account}/blobServices/default/containers/mlops"
    held = {
        (identity, grant.inputs["roleDefinitionId"].rsplit("/", 1)[1], grant.inputs["scope"])
        for identity in ("plan", "apply", "train", "promote", "serve", "workspace")
        for grant in graph.of("authorization:RoleAssignment")
        if grant.inputs["principalId"] == pretend_guid(graph.named(f"identity-{identity}").id, "principal")
        and f"/{home['resource_group']}/" in f"{grant.inputs['scope']}/"
    }
    reader, blobs = BUILT_IN["Reader"], BUILT_IN["Storage Blob Data Reader"]
    assert held == {
        ("plan", reader, journal),
        ("plan", reader, home["workspace_id"]),
        ("promote", blobs, journal),
        ("train", blobs, journal),
        ("train", reader, home["workspace_id"]),
    }


def test_the_journal_is_protected_and_no_datastore_of_the_workspace() -> None:
    graph = plan("prod")
    assert graph.named("container-mlops").options["protect"] is True
    stores = graph.of("machinelearningservices:Datastore")
    assert stores and not [s for s in stores if s.get("properties.containerName") == "mlops"]


def test_the_first_environment_and_the_one_that_trains_read_no_journal() -> None:
    for stack in (TRAINS, "staging"):
        made = plan(stack).of("authorization:RoleAssignment")
        assert not [g.name for g in made if "environment-before" in g.name]

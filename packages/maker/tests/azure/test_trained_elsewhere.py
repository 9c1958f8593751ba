"""An environment that is trained for elsewhere, and comes after another one: its `apply` may assign roles
there, but only of the table, and a role that is missing is found before the nightly monitor misses it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from mlops.bootstrap.world import Stack, read_stack
from mlops.doctor import platform
from mlops.doctor.case import Case
from mlops.doctor.finding import Finding
from mlops.doctor.run import diagnose
from mlops.infra import roles
from mlops.spec.settings import load_settings
from tests.azure.forges.github import FakeGitHub
from tests.azure.fork import Place, place
from tests.azure.provisioned import principal, scopes_of

HERE = (
    "training workspace",
    "training storage account",
    "journal of the environment before",
    "workspace of the environment before",
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A fork of which only `prod` was asked for. Made once; tests put back what they take."""
    with (
        pytest.MonkeyPatch.context() as patch,
        place(tmp_path_factory.mktemp("hub"), patch, FakeGitHub()) as made,
    ):
        made.run(("prod",))
        yield made


@pytest.fixture
def prod(hub: Place, monkeypatch: pytest.MonkeyPatch) -> Stack:
    for name, value in hub.env.items():
        monkeypatch.setenv(name, value)
    return read_stack(hub.root, load_settings(hub.root), "prod")


def scopes(hub: Place, stack: Stack) -> dict[str, str]:
    found = scopes_of(hub.root, load_settings(hub.root), stack)
    return {name: found[name] for name in HERE}


def doctor(hub: Place) -> list[Finding]:
    checks = [c for c in platform.CHECKS if c.name == "roles"]
    found = diagnose(Case(hub.root, stacks=("shared", "prod")), checks=checks)
    return [f for f in found if f.severity != "ok"]


def test_the_stack_that_trains_and_the_environment_before_come_first(hub: Place) -> None:
    ups = [call.split()[2] for call in hub.pulumi.calls if call.startswith("up ")]
    assert ups == ["shared", load_settings(hub.root).azure.train, "staging", "prod"]


def test_apply_may_assign_there_what_the_table_lists_and_nothing_else(hub: Place, prod: Stack) -> None:
    for name, scope in scopes(hub, prod).items():
        (row,) = [
            r["properties"]
            for r in hub.azure.identity.assignments(f"{scope}/providers/Microsoft.Auth")
            if r["properties"]["principalId"] == principal(prod, "apply")
        ]
        assert row["roleDefinitionId"].endswith(roles.BUILT_IN["Role Based Access Control Administrator"])
        allowed = re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", row["condition"])
        table = {roles.BUILT_IN[g.role] for g in roles.GRANTS if g.scope == name}
        assert set(allowed) == table
        assert row["conditionVersion"] == "2.0"


@pytest.mark.parametrize(
    ("scope", "role", "duty"),
    [
        ("training workspace", "AzureML Data Scientist", "train"),
        ("training storage account", "Storage Blob Data Reader", "train"),
        ("journal of the environment before", "Storage Blob Data Reader", "promote"),
        ("journal of the environment before", "Storage Blob Data Reader", "train"),
        ("workspace of the environment before", "Reader", "train"),
    ],
)
def test_a_role_that_is_missing_there_is_named_with_its_reason(
    hub: Place, prod: Stack, scope: str, role: str, duty: str
) -> None:
    assert doctor(hub) == []
    (row,) = [
        r
        for r in hub.azure.identity.assignments(f"{scopes(hub, prod)[scope]}/providers/Microsoft.Auth")
        if r["properties"]["principalId"] == principal(prod, duty)
    ]
    hub.azure.arm.remove(row["id"])
    (found,) = doctor(hub)
    hub.azure.arm.put(row["id"], {"properties": row["properties"]})
    assert found.severity == "error"
    assert found.sentence.startswith(f"prod/{duty} lacks {role} on the {scope}: ")
    assert found.fix.endswith("pulumi up --stack prod --refresh")

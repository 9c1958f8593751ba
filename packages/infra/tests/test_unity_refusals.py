"""The stand-in for Databricks says no: for each kind what it needs, and a world in which that is missing."""

from __future__ import annotations

from typing import Any

import pytest

from mlops.infra.roles import BUILT_IN
from stand_in.unity import KINDS, holds

CONNECTOR = "/subscriptions/s/resourcegroups/g/providers/microsoft.databricks/accessconnectors/c"
ACCOUNT = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/files"
URL = "abfss://catalog@files.dfs.core.windows.net/"
USER = "user"


def azure(*, folders: bool = True, role: str = "Storage Blob Data Contributor") -> dict[str, Any]:
    return {
        CONNECTOR: {"kind": "", "id": CONNECTOR, "outputs": {"identity": {"principalId": "p"}}},
        "account": {"kind": "", "id": ACCOUNT, "outputs": {"isHnsEnabled": folders}},
        "grant": {
            "kind": "authorization:RoleAssignment",
            "id": "grant",
            "outputs": {
                "principalId": "p",
                "scope": ACCOUNT,
                "roleDefinitionId": f"/roleDefinitions/{BUILT_IN[role]}",
            },
        },
    }


THINGS: dict[str, dict[str, Any]] = {
    "1": {
        "kind": "StorageCredential",
        "inputs": {"name": "c", "azureManagedIdentity": {"accessConnectorId": CONNECTOR}},
    },
    "2": {"kind": "ExternalLocation", "inputs": {"name": "l", "url": URL, "credentialName": "c"}},
    "3": {"kind": "Catalog", "inputs": {"name": "dev", "storageRoot": URL}},
    "4": {"kind": "Schema", "inputs": {"catalogName": "dev", "name": "ml"}},
    "5": {"kind": "Volume", "inputs": {"catalogName": "dev", "schemaName": "ml", "name": "mlops"}},
    "6": {"kind": "ServicePrincipal", "inputs": {"applicationId": USER}},
    "7": {"kind": "SqlEndpoint", "inputs": {"name": "w"}},
}
ASKED: list[tuple[str, dict[str, Any], str]] = [
    ("StorageCredential", {"azureManagedIdentity": {"accessConnectorId": CONNECTOR}}, CONNECTOR),
    ("ExternalLocation", {"url": URL, "credentialName": "c"}, "1"),
    ("Catalog", {"storageRoot": URL}, "2"),
    ("Schema", {"catalogName": "dev"}, "3"),
    ("Volume", {"catalogName": "dev", "schemaName": "ml"}, "4"),
    ("Grant", {"schema": "dev.ml", "principal": USER, "privileges": ["SELECT"]}, "6"),
    ("Grant", {"schema": "dev.ml", "principal": USER, "privileges": ["SELECT"]}, "4"),
    ("Grant", {"catalog": "dev", "principal": USER, "privileges": ["USE_CATALOG"]}, "3"),
    ("Permissions", {"sqlEndpointId": "7", "accessControls": [{"servicePrincipalName": USER}]}, "7"),
    ("Permissions", {"sqlEndpointId": "7", "accessControls": [{"servicePrincipalName": USER}]}, "6"),
    ("ServicePrincipalFederationPolicy", {"servicePrincipalId": 6}, "6"),
]


@pytest.mark.parametrize(("kind", "inputs", "needs"), ASKED)
def test_what_is_missing_is_refused(kind: str, inputs: dict[str, Any], needs: str) -> None:
    subscription = azure()
    assert list(KINDS[kind](inputs, THINGS, subscription)) == []
    things = {k: v for k, v in THINGS.items() if k != needs}
    without = {k: v for k, v in subscription.items() if k != needs}
    assert len(list(KINDS[kind](inputs, things, without))) == 1


@pytest.mark.parametrize(
    "subscription",
    [
        azure(folders=False),
        azure(role="Storage Blob Data Reader"),
        {k: v for k, v in azure().items() if k != "grant"},
    ],
)
def test_a_location_needs_folders_and_a_right(subscription: dict[str, Any]) -> None:
    location = THINGS["2"]["inputs"]
    assert len(list(KINDS["ExternalLocation"](location, THINGS, subscription))) == 1


def test_a_privilege_belongs_to_its_kind() -> None:
    grant = {"schema": "dev.ml", "principal": USER, "privileges": ["USE_CATALOG"]}
    assert len(list(KINDS["Grant"](grant, THINGS, azure()))) == 1


@pytest.mark.parametrize(("thing", "inside"), [("1", "2"), ("2", "3"), ("3", "4"), ("4", "5")])
def test_what_holds_something_is_not_deleted(thing: str, inside: str) -> None:
    kind, inputs = THINGS[thing]["kind"], THINGS[thing]["inputs"]
    assert holds(kind, inputs, THINGS)
    assert not holds(kind, inputs, {k: v for k, v in THINGS.items() if k != inside})
    if kind in {"Catalog", "Schema"}:
        assert not holds(kind, {**inputs, "forceDestroy": True}, THINGS)

"""What the rules are about, said again: what falls out of a table of kinds, roles or tags is noticed."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo

import pytest

from mlops.infra.policy import checks_access, checks_data, checks_platform, checks_unity
from mlops.infra.policy.judge import REASONLESS, RULES, UNUSED
from mlops.infra.policy.rule import ResourceRule

KINDS: dict[str, set[str]] = {
    "MLOPS_ACCESS_1": {"authorization:RoleAssignment"},
    "MLOPS_ACCESS_2": {"authorization:RoleDefinition"},
    "MLOPS_ACCESS_3": {"managedidentity:FederatedIdentityCredential"},
    "MLOPS_ACCESS_4": {"applicationinsights:Component", "operationalinsights:Workspace"},
    "MLOPS_ACCESS_5": {"containerregistry:Registry"},
    "MLOPS_ACCESS_6": {"containerservice:ManagedCluster"},
    "MLOPS_ACCESS_7": {"keyvault:Vault"},
    "MLOPS_COMPUTE_1": {"machinelearningservices:Compute"},
    "MLOPS_COMPUTE_2": {"machinelearningservices:Compute"},
    "MLOPS_COMPUTE_3": {"machinelearningservices:Compute"},
    "MLOPS_COMPUTE_4": {"machinelearningservices:Compute"},
    "MLOPS_COMPUTE_5": {"machinelearningservices:Compute"},
    "MLOPS_COMPUTE_6": {"machinelearningservices:Compute"},
    "MLOPS_COMPUTE_7": {"machinelearningservices:Compute", "containerservice:ManagedCluster"},
    "MLOPS_COST_1": {"consumption:Budget"},
    "MLOPS_DATASTORE_1": {"machinelearningservices:Datastore"},
    "MLOPS_ENDPOINT_1": {"machinelearningservices:OnlineEndpoint"},
    "MLOPS_ENDPOINT_2": {"machinelearningservices:OnlineEndpoint"},
    "MLOPS_ENDPOINT_3": {"machinelearningservices:BatchEndpoint"},
    "MLOPS_EVENTS_1": {"eventgrid:SystemTopicEventSubscription"},
    "MLOPS_KUBERNETES_1": {"containerservice:ManagedCluster"},
    "MLOPS_LOGS_2": {"operationalinsights:Workspace"},
    "MLOPS_LOGS_3": {"monitor:DiagnosticSetting"},
    "MLOPS_PROTECT_1": {
        "keyvault:Vault",
        "machinelearningservices:Registry",
        "machinelearningservices:Workspace",
        "resources:ResourceGroup",
        "storage:StorageAccount",
        checks_unity.CATALOG,
        checks_unity.SCHEMA,
        checks_unity.VOLUME,
    },
    "MLOPS_STORAGE_1": {"storage:StorageAccount"},
    "MLOPS_STORAGE_2": {"storage:StorageAccount", "storage:BlobContainer"},
    "MLOPS_STORAGE_3": {"storage:BlobServiceProperties"},
    "MLOPS_TAGS_1": {
        "applicationinsights:Component",
        "containerinstance:ContainerGroup",
        "containerregistry:Registry",
        "containerservice:ManagedCluster",
        "databricks:AccessConnector",
        "databricks:Workspace",
        "datafactory:Factory",
        "eventgrid:SystemTopic",
        "keyvault:Vault",
        "machinelearningservices:BatchEndpoint",
        "machinelearningservices:Compute",
        "machinelearningservices:OnlineEndpoint",
        "machinelearningservices:Registry",
        "machinelearningservices:Workspace",
        "managedidentity:UserAssignedIdentity",
        "monitor:ActionGroup",
        "monitor:MetricAlert",
        "monitor:ScheduledQueryRule",
        "network:NetworkSecurityGroup",
        "network:PrivateEndpoint",
        "network:VirtualNetwork",
        "operationalinsights:Workspace",
        "privatedns:PrivateZone",
        "resources:ResourceGroup",
        "storage:StorageAccount",
    },
    "MLOPS_UNITY_1": {"databricks:index/grant:Grant"},
    "MLOPS_UNITY_2": {"databricks:index/grants:Grants"},
    "MLOPS_UNITY_3": {"databricks:index/catalog:Catalog", "databricks:index/schema:Schema"},
    "MLOPS_UNITY_4": {checks_unity.FEDERATION},
    "MLOPS_UNITY_5": {"databricks:index/sqlEndpoint:SqlEndpoint"},
    "MLOPS_WORKSPACE_1": {"machinelearningservices:Workspace"},
    "MLOPS_WORKSPACE_2": {"machinelearningservices:Workspace"},
    "MLOPS_WORKSPACE_3": {"machinelearningservices:Workspace"},
    "MLOPS_WORKSPACE_4": {"machinelearningservices:Workspace"},
}
"""Which resources each rule judges by their inputs."""
WHOLE_STACKS = {
    "MLOPS_ACCESS_8",
    "MLOPS_ACCESS_9",
    "MLOPS_ALERTS_1",
    "MLOPS_COST_2",
    "MLOPS_EVENTS_2",
    "MLOPS_LOGS_1",
}


def test_each_rule_judges_its_kinds() -> None:
    of_one = {rule.check: set(rule.kinds) for rule in RULES if isinstance(rule, ResourceRule)}
    assert of_one == KINDS
    assert {rule.check for rule in RULES} - of_one.keys() == WHOLE_STACKS
    assert all(len(rule.title) > 10 and "XX" not in rule.title for rule in RULES)


def test_what_keeps_an_audit_trail_and_which_tags_are_read() -> None:
    assert set(checks_data.DIAGNOSED) == {
        "containerregistry:Registry",
        "keyvault:Vault",
        "machinelearningservices:OnlineEndpoint",
        "machinelearningservices:Workspace",
        "storage:StorageAccount",
    }
    assert set(checks_data.REQUIRED_TAGS) == {"environment", "managed-by", "project"}


def test_roles_are_azures_own() -> None:
    """Ids of Microsoft Learn, "Azure built-in roles"."""
    assert {
        checks_access.OWNER: "Owner",
        checks_access.USER_ACCESS_ADMINISTRATOR: "User Access Administrator",
        checks_access.ROLE_ADMINISTRATOR: "Role Based Access Control Administrator",
        checks_access.CONTRIBUTOR: "Contributor",
    } == {
        "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
        "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": "User Access Administrator",
        "f58310d9-a9f6-439a-9e8d-f62e7b41a168": "Role Based Access Control Administrator",
        "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    }
    assert set(checks_access.ABROAD) == {
        "AzureML Data Scientist",
        "Azure AI Enterprise Network Connection Approver",
        "Reader",
        "Storage Blob Data Reader",
    }
    assert (checks_access.SHARED, checks_access.AUDIENCE) == ("shared", "api://AzureADTokenExchange")


def test_what_is_said_of_suppressions_has_ids_of_its_own() -> None:
    assert (UNUSED, REASONLESS) == ("MLOPS_SKIP_1", "MLOPS_SKIP_2")


def test_today_is_the_day_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        @staticmethod
        def now(zone: tzinfo | None = None) -> datetime:
            return datetime(2026, 1, 31, 23) if zone is UTC else datetime(2026, 2, 1, 9)

    monkeypatch.setattr(checks_platform, "datetime", Clock)
    assert checks_platform.today() == date(2026, 1, 31)

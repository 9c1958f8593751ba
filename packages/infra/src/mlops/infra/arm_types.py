"""Which ARM resource type and API version each azure-native token stands for, and which inputs make its
name and id.

The versions are the ones that the pinned pulumi-azure-native calls; a test compares them with its
sources.
"""

# ruff: noqa: E501  a table is read by column

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mlops.errors import InvalidInput


@dataclass(frozen=True)
class ArmType:
    """`names` are the inputs, outermost parent first, that fill the type's name segments; `=x` is the
    literal x.

    `scope` is the input that holds the id of what the resource extends; empty: the resource group; `/`:
    the subscription; with braces: the path of what it extends, inside the resource group. `renamed` maps
    inputs to ARM properties where azure-native chose another name. `flattened` lists where, below the
    body, azure-native flattened `properties` once more; `[]` stands for every item.
    """

    type: str
    version: str
    names: tuple[str, ...]
    scope: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)
    flattened: tuple[str, ...] = ()
    nested_renamed: Mapping[str, str] = field(default_factory=dict)
    inner: frozenset[str] = frozenset()
    """Inputs with the name of an envelope's key that belong under `properties` all the same."""
    typed: str = ""
    """Data Factory: the input whose object, or items, azure-native took out of `typeProperties`."""

    @property
    def resource_inputs(self) -> frozenset[str]:
        """Inputs that say where the resource is, and so are no part of its body."""
        extended = re.findall(r"{(\w+)}", self.scope) or [self.scope]
        return frozenset({"resourceGroupName", *extended, *(n for n in self.names if not n.startswith("="))})

    def segments(self, inputs: Mapping[str, Any]) -> list[str]:
        """The name of the resource and of its parents. Raises `InvalidInput` when one of them is not
        given."""
        missing = [n for n in self.names if not n.startswith("=") and not isinstance(inputs.get(n), str)]
        if missing:
            raise InvalidInput(
                f"{self.type}: {missing[0]} is not set. Azure's own naming is never used: give a name of mlops.infra.naming"
            )
        return [n[1:] if n.startswith("=") else inputs[n] for n in self.names]

    def id(self, inputs: Mapping[str, Any], subscription: str) -> str:
        """The ARM id that Azure will give the resource."""
        names = self.segments(inputs)
        if self.type == "Microsoft.Resources/resourceGroups":
            return f"/subscriptions/{subscription}/resourceGroups/{names[0]}"
        namespace, *types = self.type.split("/")
        path = "/".join(f"{kind}/{name}" for kind, name in zip(types, names, strict=True))
        if self.scope == "/":
            base = f"/subscriptions/{subscription}"
        elif "{" in self.scope:
            group = f"/subscriptions/{subscription}/resourceGroups/{inputs['resourceGroupName']}"
            base = f"{group}/providers/{self.scope.format(**inputs)}"
        elif self.scope:
            base = "/" + str(inputs[self.scope]).strip("/")
        else:
            base = f"/subscriptions/{subscription}/resourceGroups/{inputs['resourceGroupName']}"
        return f"{base}/providers/{namespace}/{path}"


_ML = "Microsoft.MachineLearningServices/workspaces"
_ST = "Microsoft.Storage/storageAccounts"
_ID = "Microsoft.ManagedIdentity/userAssignedIdentities"
_NET = "Microsoft.Network"
_ADF = "Microsoft.DataFactory/factories"
_DESTINATION = (
    "destination",
    "deliveryWithResourceIdentity.destination",
    "deadLetterDestination",
    "deadLetterWithResourceIdentity.deadLetterDestination",
)

ARM_TYPES: Final[Mapping[str, ArmType]] = {
    "resources:ResourceGroup": ArmType(
        "Microsoft.Resources/resourceGroups", "2024-03-01", ("resourceGroupName",), scope="/"
    ),
    "operationalinsights:Workspace": ArmType(
        "Microsoft.OperationalInsights/workspaces", "2023-09-01", ("workspaceName",), inner=frozenset({"sku"})
    ),
    "applicationinsights:Component": ArmType(
        "Microsoft.Insights/components", "2020-02-02", ("resourceName",),
        renamed={
            "applicationType": "Application_Type", "flowType": "Flow_Type", "requestSource": "Request_Source",
            "workspaceResourceId": "WorkspaceResourceId", "retentionInDays": "RetentionInDays",
            "samplingPercentage": "SamplingPercentage", "disableIpMasking": "DisableIpMasking",
            "disableLocalAuth": "DisableLocalAuth", "immediatePurgeDataOn30Days": "ImmediatePurgeDataOn30Days",
            "ingestionMode": "IngestionMode", "hockeyAppId": "HockeyAppId",
            "forceCustomerStorageForProfiler": "ForceCustomerStorageForProfiler",
        },
    ),
    "keyvault:Vault": ArmType("Microsoft.KeyVault/vaults", "2024-11-01", ("vaultName",)),
    "keyvault:Key": ArmType("Microsoft.KeyVault/vaults/keys", "2024-11-01", ("vaultName", "keyName")),
    "storage:StorageAccount": ArmType(
        _ST, "2024-01-01", ("accountName",),
        renamed={"enableHttpsTrafficOnly": "supportsHttpsTrafficOnly", "networkRuleSet": "networkAcls"},
        nested_renamed={
            "encryptionIdentity": "identity", "keyVaultProperties": "keyvaultproperties", "keyName": "keyname",
            "keyVersion": "keyversion", "keyVaultUri": "keyvaulturi",
            "encryptionUserAssignedIdentity": "userAssignedIdentity",
        },
    ),
    "storage:BlobServiceProperties": ArmType(f"{_ST}/blobServices", "2024-01-01", ("accountName", "blobServicesName")),
    "storage:FileServiceProperties": ArmType(f"{_ST}/fileServices", "2024-01-01", ("accountName", "=default")),
    "storage:QueueServiceProperties": ArmType(f"{_ST}/queueServices", "2024-01-01", ("accountName", "=default")),
    "storage:BlobContainer": ArmType(
        f"{_ST}/blobServices/containers", "2024-01-01", ("accountName", "=default", "containerName")
    ),
    "storage:Queue": ArmType(
        f"{_ST}/queueServices/queues", "2024-01-01", ("accountName", "=default", "queueName")
    ),
    "storage:ManagementPolicy": ArmType(
        f"{_ST}/managementPolicies", "2024-01-01", ("accountName", "managementPolicyName")
    ),
    "containerregistry:Registry": ArmType(
        "Microsoft.ContainerRegistry/registries", "2023-01-01-preview", ("registryName",)
    ),
    "managedidentity:UserAssignedIdentity": ArmType(_ID, "2023-01-31", ("resourceName",)),
    "managedidentity:FederatedIdentityCredential": ArmType(
        f"{_ID}/federatedIdentityCredentials", "2023-01-31",
        ("resourceName", "federatedIdentityCredentialResourceName"),
    ),
    "authorization:RoleAssignment": ArmType(
        "Microsoft.Authorization/roleAssignments", "2022-04-01", ("roleAssignmentName",), scope="scope"
    ),
    "authorization:RoleDefinition": ArmType(
        "Microsoft.Authorization/roleDefinitions", "2022-05-01-preview", ("roleDefinitionId",), scope="scope",
        renamed={"roleType": "type"},
    ),
    "authorization:ManagementLockByScope": ArmType(
        "Microsoft.Authorization/locks", "2020-05-01", ("lockName",), scope="scope"
    ),
    "machinelearningservices:Workspace": ArmType(_ML, "2025-12-01", ("workspaceName",)),
    "machinelearningservices:ManagedNetworkSettingsRule": ArmType(
        f"{_ML}/outboundRules", "2025-12-01", ("workspaceName", "ruleName")
    ),
    "machinelearningservices:Datastore": ArmType(f"{_ML}/datastores", "2025-12-01", ("workspaceName", "name")),
    "machinelearningservices:Compute": ArmType(f"{_ML}/computes", "2025-12-01", ("workspaceName", "computeName")),
    "machinelearningservices:OnlineEndpoint": ArmType(
        f"{_ML}/onlineEndpoints", "2025-12-01", ("workspaceName", "endpointName")
    ),
    "machinelearningservices:BatchEndpoint": ArmType(
        f"{_ML}/batchEndpoints", "2025-12-01", ("workspaceName", "endpointName")
    ),
    "machinelearningservices:Registry": ArmType(
        "Microsoft.MachineLearningServices/registries", "2025-12-01", ("registryName",)
    ),
    "network:NetworkSecurityGroup": ArmType(
        f"{_NET}/networkSecurityGroups", "2024-05-01", ("networkSecurityGroupName",), flattened=("securityRules[]",)
    ),
    "network:VirtualNetwork": ArmType(
        f"{_NET}/virtualNetworks", "2024-05-01", ("virtualNetworkName",), flattened=("subnets[]",)
    ),
    "network:Subnet": ArmType(
        f"{_NET}/virtualNetworks/subnets", "2024-05-01", ("virtualNetworkName", "subnetName"),
        flattened=("delegations[]",),
    ),
    "network:PrivateEndpoint": ArmType(
        f"{_NET}/privateEndpoints", "2024-05-01", ("privateEndpointName",),
        flattened=("subnet", "privateLinkServiceConnections[]", "manualPrivateLinkServiceConnections[]", "ipConfigurations[]"),
    ),
    "network:PrivateDnsZoneGroup": ArmType(
        f"{_NET}/privateEndpoints/privateDnsZoneGroups", "2024-05-01",
        ("privateEndpointName", "privateDnsZoneGroupName"), flattened=("privateDnsZoneConfigs[]",),
    ),
    "privatedns:PrivateZone": ArmType(f"{_NET}/privateDnsZones", "2024-06-01", ("privateZoneName",)),
    "privatedns:VirtualNetworkLink": ArmType(
        f"{_NET}/privateDnsZones/virtualNetworkLinks", "2024-06-01", ("privateZoneName", "virtualNetworkLinkName")
    ),
    "eventgrid:SystemTopic": ArmType("Microsoft.EventGrid/systemTopics", "2025-02-15", ("systemTopicName",)),
    "eventgrid:SystemTopicEventSubscription": ArmType(
        "Microsoft.EventGrid/systemTopics/eventSubscriptions", "2025-02-15",
        ("systemTopicName", "eventSubscriptionName"), flattened=_DESTINATION,
    ),
    "consumption:Budget": ArmType("Microsoft.Consumption/budgets", "2024-08-01", ("budgetName",), scope="scope"),
    "monitor:ActionGroup": ArmType("Microsoft.Insights/actionGroups", "2024-10-01-preview", ("actionGroupName",)),
    "monitor:DiagnosticSetting": ArmType(
        "Microsoft.Insights/diagnosticSettings", "2021-05-01-preview", ("name",), scope="resourceUri"
    ),
    "monitor:MetricAlert": ArmType(
        "Microsoft.Insights/metricAlerts", "2018-03-01", ("ruleName",), nested_renamed={"odataType": "odata.type"}
    ),
    "monitor:ScheduledQueryRule": ArmType(
        "Microsoft.Insights/scheduledQueryRules", "2025-01-01-preview", ("ruleName",)
    ),
    "containerservice:ManagedCluster": ArmType(
        "Microsoft.ContainerService/managedClusters", "2025-09-01", ("resourceName",),
    ),
    "kubernetesconfiguration:Extension": ArmType(
        "Microsoft.KubernetesConfiguration/extensions", "2023-05-01", ("extensionName",),
        scope="{clusterRp}/{clusterResourceName}/{clusterName}",
    ),
    "databricks:Workspace": ArmType("Microsoft.Databricks/workspaces", "2026-01-01", ("workspaceName",)),
    "databricks:AccessConnector": ArmType(
        "Microsoft.Databricks/accessConnectors", "2026-01-01", ("connectorName",)
    ),
    "datafactory:Factory": ArmType(_ADF, "2018-06-01", ("factoryName",)),
    "datafactory:LinkedService": ArmType(
        f"{_ADF}/linkedservices", "2018-06-01", ("factoryName", "linkedServiceName"), typed="properties"
    ),
    "datafactory:Dataset": ArmType(f"{_ADF}/datasets", "2018-06-01", ("factoryName", "datasetName"), typed="properties"),
    "datafactory:Pipeline": ArmType(f"{_ADF}/pipelines", "2018-06-01", ("factoryName", "pipelineName"), typed="activities"),
    "datafactory:Trigger": ArmType(f"{_ADF}/triggers", "2018-06-01", ("factoryName", "triggerName"), typed="properties"),
    "containerinstance:ContainerGroup": ArmType(
        "Microsoft.ContainerInstance/containerGroups", "2024-05-01-preview", ("containerGroupName",),
        inner=frozenset({"sku"}), flattened=("containers[]", "initContainers[]"),
    ),
}  # fmt: skip


def arm_type(token: str) -> ArmType:
    """The entry of an azure-native token such as `azure-native:storage:StorageAccount`.

    Raises `InvalidInput` for a token that the table lacks.
    """
    kind = token.removeprefix("azure-native:")
    entry = known(kind)
    if entry is None:
        raise InvalidInput(
            f"{token} is no kind of resource that plan and policy know; add {kind!r} to arm_types in infra/own.py, "
            "with its ARM type, API version and name inputs (docs/guides/own-resource.md)"
        )
    return entry


_OWN: dict[str, ArmType] = {}


def known(kind: str) -> ArmType | None:
    """The entry of a kind without the provider, such as `storage:StorageAccount`."""
    return ARM_TYPES.get(kind) or _OWN.get(kind)


def use_own(types: Mapping[str, ArmType]) -> None:
    """From here on the kinds of the repository at hand are these and those of the table."""
    _OWN.clear()
    _OWN.update(types)

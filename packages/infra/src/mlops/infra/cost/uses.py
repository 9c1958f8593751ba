"""How much of which meter a resource uses in a month: idle, and at a load that the reader is told.

A kind that is neither here nor in `FREE` has no known price, and the bill says so: silence would be a zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlops.infra.model import Resource

HOURS: Final = 730
"""Of a month, as Azure counts them."""
DAYS: Final = 30


@dataclass(frozen=True)
class Load:
    """What happens in a month of a stack, beside its being there."""

    node_hours: float = 40
    """Of each cluster."""
    storage_gb: float = 100
    logs_gb: float = 5
    traffic_gb: float = 50
    """Through each private endpoint, and through the firewall."""

    def __str__(self) -> str:
        return (
            f"{self.node_hours:g} node hours a cluster, {self.storage_gb:g} GB stored, "
            f"{self.logs_gb:g} GB of logs, {self.traffic_gb:g} GB through each private endpoint"
        )


@dataclass(frozen=True)
class Use:
    """`idle` units are used by being there, `busy` more at the load."""

    meter: str
    idle: float = 0
    busy: float = 0
    note: str = ""


Uses = Callable[[Resource, Load], Iterator[Use]]

FREE: Final = frozenset(
    {
        "authorization:RoleAssignment", "authorization:RoleDefinition", "consumption:Budget",
        "databricks:AccessConnector", "datafactory:Dataset", "datafactory:Factory",
        "datafactory:LinkedService",
        "datafactory:Pipeline", "datafactory:Trigger", "eventgrid:SystemTopicEventSubscription",
        "kubernetesconfiguration:Extension", "machinelearningservices:BatchEndpoint",
        "machinelearningservices:Datastore",
        "machinelearningservices:OnlineEndpoint", "managedidentity:FederatedIdentityCredential",
        "managedidentity:UserAssignedIdentity", "monitor:ActionGroup", "monitor:DiagnosticSetting",
        "network:NetworkSecurityGroup", "network:PrivateDnsZoneGroup", "network:Subnet",
        "network:VirtualNetwork",
        "applicationinsights:Component", "privatedns:VirtualNetworkLink", "resources:ResourceGroup",
        "storage:BlobContainer", "storage:BlobServiceProperties", "storage:ManagementPolicy", "storage:Queue",
        "databricks:index/catalog:Catalog", "databricks:index/externalLocation:ExternalLocation",
        "databricks:index/grant:Grant", "databricks:index/metastoreAssignment:MetastoreAssignment",
        "databricks:index/permissions:Permissions", "databricks:index/schema:Schema",
        "databricks:index/servicePrincipal:ServicePrincipal",
        "databricks:index/servicePrincipalFederationPolicy:ServicePrincipalFederationPolicy",
        "databricks:index/storageCredential:StorageCredential", "databricks:index/volume:Volume",
    }
)  # fmt: skip
"""Kinds that cost nothing by themselves; what passes through them is counted where it is kept."""


def _compute(resource: Resource, load: Load) -> Iterator[Use]:
    if resource.get("properties.computeType") != "AmlCompute":
        return
    size = resource.get("properties.properties.vmSize")
    nodes = float(resource.get("properties.properties.scaleSettings.minNodeCount") or 0)
    spot = resource.get("properties.properties.vmPriority") == "LowPriority"
    note = "at most: a spot price moves and is lower" if spot else ""
    yield Use(f"vm {size} hour", nodes * HOURS, load.node_hours, note)


def _private_endpoint(_: Resource, load: Load) -> Iterator[Use]:
    yield Use("private endpoint hour", HOURS)
    yield Use("private endpoint GB", 0, load.traffic_gb)


def _workspace(resource: Resource, load: Load) -> Iterator[Use]:
    if resource.get("managedNetwork.isolationMode") == "AllowOnlyApprovedOutbound":
        sku = resource.get("managedNetwork.firewallSku") or "Standard"
        yield Use(f"firewall {sku} hour", HOURS, 0, "made with the first approved domain")
        yield Use(f"firewall {sku} GB", 0, load.traffic_gb)
    if resource.get("encryption.status") == "Enabled":
        yield Use(
            "own keys of a workspace", 1, 0, "Cosmos DB, Search and storage in a group that Azure makes"
        )


def _rule(resource: Resource, load: Load) -> Iterator[Use]:
    if resource.get("properties.type") == "PrivateEndpoint":
        yield from _private_endpoint(resource, load)


def _registry(resource: Resource, _: Load) -> Iterator[Use]:
    yield Use(f"registry {resource.get('sku.name')} day", DAYS)


def _model_registry(resource: Resource, load: Load) -> Iterator[Use]:
    regions = len(resource.get("regionDetails") or [1])
    yield Use("registry Premium day", DAYS * regions)
    yield Use("storage LRS GB", 0, load.storage_gb * regions)


def _storage(resource: Resource, load: Load) -> Iterator[Use]:
    redundancy = str(resource.get("sku.name", "")).rpartition("_")[2]
    yield Use(f"storage {redundancy} GB", 0, load.storage_gb)


def _logs(resource: Resource, load: Load) -> Iterator[Use]:
    yield Use("log GB", 0, load.logs_gb)
    months = max((float(resource.get("retentionInDays") or 30) - 31) / DAYS, 0)
    if months:
        yield Use("log retention GB", 0, load.logs_gb * months)


def _query_alert(resource: Resource, _: Load) -> Iterator[Use]:
    match = re.fullmatch(r"PT(\d+)M", str(resource.get("evaluationFrequency")))
    minutes = int(match[1]) if match else 60
    step = next((s for s in (5, 10, 15) if minutes <= s), 15)
    yield Use(f"log alert {step} minutes", 1)


def _cluster(resource: Resource, _: Load) -> Iterator[Use]:
    if resource.get("sku.tier") in {"Standard", "Premium"}:
        yield Use("AKS uptime hour", HOURS)
    for pool in resource.get("agentPoolProfiles") or []:
        nodes = float(pool.get("minCount") or pool.get("count") or 0)
        yield Use(f"vm {pool.get('vmSize')} hour", nodes * HOURS)


def _one(meter: str, idle: float = 0, busy: float = 0) -> Uses:
    def uses(_: Resource, __: Load) -> Iterator[Use]:
        yield Use(meter, idle, busy)

    return uses


PRICED: Final[Mapping[str, Uses]] = {
    "containerregistry:Registry": _registry,
    "containerservice:ManagedCluster": _cluster,
    "eventgrid:SystemTopic": _one("event operations 100k", 0, 1),
    "keyvault:Key": _one("key transactions 10k", 0, 10),
    "keyvault:Vault": _one("vault transactions 10k", 0, 10),
    "machinelearningservices:Compute": _compute,
    "machinelearningservices:ManagedNetworkSettingsRule": _rule,
    "machinelearningservices:Registry": _model_registry,
    "machinelearningservices:Workspace": _workspace,
    "monitor:MetricAlert": _one("metric alert series", 1),
    "monitor:ScheduledQueryRule": _query_alert,
    "network:PrivateEndpoint": _private_endpoint,
    "operationalinsights:Workspace": _logs,
    "privatedns:PrivateZone": _one("private DNS zone", 1),
    "storage:StorageAccount": _storage,
}


def deployment(settings: Any) -> Use:
    """What serves a model in one environment: its instances never stop."""
    return Use(f"vm {settings.instance_type} hour", settings.instances * HOURS)

"""What Azure refuses by value, as data and pure functions: each rule names who says so.

The stand-in asks them in every call, fast tests ask them without an engine. A rule answers with sentences;
none means that Azure would go on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from mlops.spec.vm_sizes import packaged, series_of
from stand_in.rule import Inputs, Refusal, Rule, at
from stand_in.values import VALUES


def refusals(kind: str, inputs: Inputs, *, today: date) -> list[Refusal]:
    """Everything that Azure has against a resource of `kind` with these values on this day."""
    return [r for rule in RULES if rule.kind == kind for r in rule.judge(inputs, today)]


def _months(one: date, other: date) -> int:
    return (other.year - one.year) * 12 + other.month - one.month


def _budget_month(inputs: Inputs, today: date) -> Iterator[Refusal]:
    period = inputs.get("timePeriod", {})
    try:
        start, end = (date.fromisoformat(str(period[k])[:10]) for k in ("startDate", "endDate"))
    except (KeyError, ValueError):
        yield Refusal("400 BadRequest", f"the time period {period} is no pair of dates")
        return
    if start.day != 1:
        yield Refusal("400 BadRequest", f"the start date {start} must be the first of a month")
    if _months(start, today) > 0:
        yield Refusal(
            "400 BadRequest", f"the start date {start} must be within the current time grain period"
        )
    if _months(today, start) > 12:
        yield Refusal("400 BadRequest", f"the start date {start} is more than twelve months ahead")
    if end <= start:
        yield Refusal("400 BadRequest", f"the end date {end} must be after the start date {start}")


_GRAMMAR: Mapping[str, tuple[str, str]] = {
    "applicationinsights:Component": ("resourceName", r"[\w().-]{0,254}[\w()-]"),
    "containerregistry:Registry": ("registryName", r"[a-zA-Z0-9]{5,50}"),
    "eventgrid:SystemTopic": ("systemTopicName", r"[a-zA-Z0-9-]{3,50}"),
    "keyvault:Vault": ("vaultName", r"(?=.{3,24}$)[a-zA-Z](?!.*--)[a-zA-Z0-9-]*[a-zA-Z0-9]"),
    "machinelearningservices:BatchEndpoint": ("endpointName", r"[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]"),
    "machinelearningservices:Compute": ("computeName", r"[a-zA-Z][a-zA-Z0-9-]{1,22}[a-zA-Z0-9]"),
    "machinelearningservices:OnlineEndpoint": ("endpointName", r"[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]"),
    "machinelearningservices:Registry": ("registryName", r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}"),
    "machinelearningservices:Workspace": ("workspaceName", r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}"),
    "managedidentity:UserAssignedIdentity": ("resourceName", r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,127}"),
    "network:PrivateEndpoint": ("privateEndpointName", r"[a-zA-Z0-9][\w.-]{0,62}\w"),
    "network:VirtualNetwork": ("virtualNetworkName", r"[a-zA-Z0-9][\w.-]{0,62}\w"),
    "operationalinsights:Workspace": ("workspaceName", r"[a-zA-Z0-9][a-zA-Z0-9-]{2,61}[a-zA-Z0-9]"),
    "resources:ResourceGroup": ("resourceGroupName", r"[\w().-]{0,89}[\w()-]"),
    "storage:BlobContainer": ("containerName", r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*"),
    "storage:Queue": ("queueName", r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*"),
    "storage:StorageAccount": ("accountName", r"[a-z0-9]{3,24}"),
}
"""Of each kind the input with the name, and what Azure takes: written anew, not taken from the program."""
_ADDRESSED = {
    "containerregistry:Registry", "keyvault:Vault", "machinelearningservices:BatchEndpoint",
    "machinelearningservices:OnlineEndpoint", "machinelearningservices:Registry", "storage:StorageAccount",
}  # fmt: skip
"""Kinds with a host name of their own (learn.microsoft.com, Resolve errors for reserved resource names)."""
_PAGE = "learn.microsoft.com, Naming rules and restrictions for Azure resources"


def _named(kind: str) -> Callable[[Inputs, date], Iterator[Refusal]]:
    given, grammar = _GRAMMAR[kind]

    def judge(inputs: Inputs, _: date) -> Iterator[Refusal]:
        name = str(inputs.get(given))
        if not re.fullmatch(grammar, name):
            yield Refusal("400 InvalidResourceName", f"{given} {name!r} must match {grammar}")
        elif kind in _ADDRESSED and re.search("microsoft|windows|^login|^xbox", name, re.IGNORECASE):
            yield Refusal("400 ReservedResourceName", f"{name!r} holds a word that is reserved")
        elif kind == "machinelearningservices:Compute" and re.search(r"-\d+$", name):
            yield Refusal("400 InvalidResourceName", f"{name!r} must not end in a hyphen and digits")

    return judge


def sizes(kind: str, inputs: Inputs) -> list[str]:
    """Every VM size that a resource names."""
    if kind == "containerservice:ManagedCluster":
        return [str(pool["vmSize"]) for pool in inputs.get("agentPoolProfiles", [])]
    size = inputs.get("properties", {}).get("properties", {}).get("vmSize")
    return [str(size)] if size else []


def _sized(kind: str) -> Callable[[Inputs, date], Iterator[Refusal]]:
    def judge(inputs: Inputs, today: date) -> Iterator[Refusal]:
        for size in sizes(kind, inputs):
            series = series_of(size, packaged())
            if series and series.ends and series.ends <= today:
                yield Refusal(
                    "400 BadRequest", f"the requested VM size {size} is not available since {series.ends}"
                )

    return judge


def over_quota(kind: str, inputs: Inputs, quotas: Mapping[str, int]) -> list[Refusal]:
    """A cluster is refused when the cores of its family do not hold one node of it
    (learn.microsoft.com, Manage quotas for Azure ML). `quotas` is by family, such as NCASv3; what it lacks is
    enough."""
    found = []
    for size in sizes(kind, inputs):
        series = series_of(size, packaged())
        family = series.series if series else ""
        cores = int(next(iter(re.findall(r"\d+", size)), 0))
        if family in quotas and cores > quotas[family]:
            said = f"{family} has a quota of {quotas[family]} cores, and one {size} node takes {cores}"
            found.append(Refusal("400 ClusterMinNodesExceedCoreQuota", said))
    return found


@dataclass(frozen=True)
class Later:
    """A resource whose creation uses what somebody was granted a moment ago: Azure may not see it yet."""

    kind: str
    source: str
    said: str
    uses: Callable[[Inputs], bool] = lambda inputs: True


def _own_key(inputs: Inputs) -> bool:
    encryption = inputs.get("encryption") or {}
    return encryption.get("keySource") == "Microsoft.Keyvault" or encryption.get("status") == "enabled"


def _delivers_itself(inputs: Inputs) -> bool:
    return any(inputs.get(f"{what}WithResourceIdentity") for what in ("delivery", "deadLetter"))


def _in_a_subnet(inputs: Inputs) -> bool:
    """A cluster whose own identity joins its nodes to a subnet of somebody else."""
    own = (inputs.get("identity") or {}).get("type") == "UserAssigned"
    return own and any(pool.get("vnetSubnetID") for pool in inputs.get("agentPoolProfiles", []))


_KEY = "learn.microsoft.com, Troubleshoot Azure RBAC (role assignment changes are not being detected)"
LATER = (
    Later(
        "machinelearningservices:Workspace",
        _KEY,
        "KeyVaultAuthenticationFailure: the identity has no access to the vault",
    ),
    Later(
        "storage:StorageAccount",
        "Azure/bicep#16601; Azure/terraform-azurerm-avm-res-storage-storageaccount#391",
        "KeyVaultAuthenticationFailure: the operation failed because of an authentication issue at the vault",
        _own_key,
    ),
    Later(
        "containerregistry:Registry",
        "MicrosoftDocs/azure-docs#61015 (the words of a registry that cannot reach its key)",
        "KeyVaultAccessForbidden: verify that the identity has Get, Wrap Key, Unwrap Key on the key",
        _own_key,
    ),
    Later(
        "eventgrid:SystemTopicEventSubscription",
        "learn.microsoft.com, Event delivery with a managed identity (the role comes first)",
        "AuthorizationFailed: the identity of the topic may not send to the destination",
        _delivers_itself,
    ),
    Later(
        "containerservice:ManagedCluster",
        "Azure/AKS#1557 (the time until the role on the subnet counts)",
        "LinkedAuthorizationFailed: the identity may not join the subnet",
        _in_a_subnet,
    ),
)


def not_yet(kind: str, inputs: Inputs) -> str:
    """What Azure says while a grant that the resource needs does not count; empty where it needs none."""
    return next((one.said for one in LATER if one.kind == kind and one.uses(inputs)), "")


def in_use(kind: str, resource_id: str, resources: Mapping[str, Mapping[str, Any]]) -> Refusal | None:
    """What Azure says to a deletion while something still uses the resource; groups take all along.

    learn.microsoft.com, Troubleshoot subnet deletion (InUseSubnetCannotBeDeleted), and private DNS zones (one
    with links cannot be deleted)."""
    low = resource_id.lower()
    for other, found in resources.items():
        outputs = found["outputs"]
        if (
            kind in {"network:Subnet", "network:VirtualNetwork"}
            and found["kind"] == "network:PrivateEndpoint"
        ):
            subnet = str(outputs.get("subnet", {}).get("id", "")).lower()
            if subnet == low or subnet.startswith(f"{low}/"):
                return Refusal("400 InUseSubnetCannotBeDeleted", f"{resource_id} is in use by {other}")
        guard = str(outputs.get("networkSecurityGroup", {}).get("id", "")).lower()
        if kind == "network:NetworkSecurityGroup" and found["kind"] == "network:Subnet" and guard == low:
            said = f"{resource_id} guards {other}"
            return Refusal("400 InUseNetworkSecurityGroupCannotBeDeleted", said)
        linked = found["kind"] == "privatedns:VirtualNetworkLink" and other.startswith(f"{low}/")
        if kind == "privatedns:PrivateZone" and linked:
            return Refusal("409 CannotDeleteResource", f"{resource_id} still has the link {other}")
    return None


@dataclass(frozen=True)
class Kept:
    """A property that stays as it was made: Azure refuses a change in place, always or for some values."""

    kind: str
    path: str
    source: str
    said: str
    refused: Callable[[Any, Any], bool] = lambda before, after: before != after


def _layout(before: Any, after: Any) -> bool:
    """One data centre (LRS, GRS) against three zones (ZRS, GZRS)."""
    return ("ZRS" in str(before)) != ("ZRS" in str(after))


def _weaker(before: Any, after: Any) -> bool:
    order = ["Disabled", "AllowInternetOutbound", "AllowOnlyApprovedOutbound"]
    return before in order and after in order and order.index(after) < order.index(before)


def _sizes_of_pools(before: Any, after: Any) -> bool:
    sizes = [{p["name"]: p.get("vmSize") for p in pools or []} for pools in (before, after)]
    return any(name in sizes[1] and sizes[1][name] != size for name, size in sizes[0].items())


def _resources(before: Any, after: Any) -> bool:
    return [c.get("resources") for c in before or []] != [c.get("resources") for c in after or []]


_VAULT, _ACCOUNT, _GROUP = "keyvault:Vault", "storage:StorageAccount", "containerinstance:ContainerGroup"
_CLUSTER, _IMAGES = "containerservice:ManagedCluster", "containerregistry:Registry"
_WORKSPACE = "machinelearningservices:Workspace"
_ACI = "learn.microsoft.com, Update containers in Azure Container Instances (what needs a deletion)"
_ACR = "learn.microsoft.com, Overview of customer-managed keys for Container Registry (while creating)"
KEPT = (
    Kept(
        _VAULT,
        "properties.softDeleteRetentionInDays",
        "terraform-provider-azurerm#19006, MicrosoftDocs/azure-docs#110047",
        "BadRequest: softDeleteRetentionInDays has been set already and can not be modified",
    ),
    Kept(
        _VAULT,
        "properties.enablePurgeProtection",
        "terraform-provider-azurerm#19006",
        "BadRequest: enabling the purge protection is irreversible",
        lambda before, after: before is True and after is False,
    ),
    Kept(
        _ACCOUNT,
        "sku.name",
        "terraform-provider-azurerm#6526, #12271, #17639",
        "StorageAccountTypeConversionNotAllowed: the account can not be converted to that type",
        _layout,
    ),
    Kept(
        _ACCOUNT,
        "encryption.requireInfrastructureEncryption",
        "learn.microsoft.com, Enable infrastructure encryption for double encryption of data",
        "BadRequest: infrastructure encryption is set when the account is made",
        lambda before, after: bool(before) != bool(after),
    ),
    Kept(_IMAGES, "encryption.status", _ACR, "BadRequest: encryption is set when the registry is made"),
    Kept(
        _WORKSPACE,
        "managedNetwork.isolationMode",
        "learn.microsoft.com, Workspace managed virtual network isolation (one way)",
        "ValidationError: the isolation mode can not be weakened",
        _weaker,
    ),
    Kept(
        _WORKSPACE,
        "encryption.status",
        "learn.microsoft.com, Customer-managed keys for Azure Machine Learning (limitations)",
        "BadRequest: encryption is set when the workspace is made",
    ),
    Kept(
        "network:VirtualNetwork",
        "addressSpace.addressPrefixes",
        "learn.microsoft.com, Azure virtual network FAQ",
        "InUsePrefixCannotBeDeleted: a subnet is in the address space",
    ),
    Kept(
        "network:Subnet",
        "addressPrefix",
        "learn.microsoft.com, Troubleshoot subnets (in use)",
        "InUseSubnetCannotBeUpdated: the subnet is in use",
    ),
    Kept(
        "consumption:Budget",
        "timePeriod.startDate",
        "Azure/CanadaPubSecALZ#317, Azure/bicep#7149",
        "BadRequest: the start date of budgets cannot be updated",
    ),
    Kept(
        _CLUSTER,
        "agentPoolProfiles",
        "Azure/bicep-registry-modules#7130, pulumi-azure-native#959",
        "PropertyChangeNotAllowed: changing agentPoolProfile.vmSize is not allowed",
        _sizes_of_pools,
    ),
    Kept(
        _CLUSTER,
        "apiServerAccessProfile.enablePrivateCluster",
        "learn.microsoft.com, Create a private AKS cluster (limitations)",
        "PropertyChangeNotAllowed: changing enablePrivateCluster is not allowed",
    ),
    *(
        Kept(_GROUP, path, _ACI, f"InvalidContainerGroupUpdate: {path} can not be updated")
        for path in ("osType", "restartPolicy", "ipAddress.type", "subnetIds")
    ),
    Kept(_GROUP, "containers", _ACI, "InvalidContainerGroupUpdate: resources can not be updated", _resources),
)


def kept(kind: str, before: Inputs, after: Inputs) -> list[Refusal]:
    """Everything that Azure has against turning a resource with these values into one with those."""
    return [
        Refusal("400", k.said)
        for k in KEPT
        if k.kind == kind and k.refused(at(before, k.path), at(after, k.path))
    ]


@dataclass(frozen=True)
class Alone:
    """What a resource occupies while it is made: an operation on the same thing meanwhile ends badly.

    `of` names the things, from the inputs and the resource's own id."""

    kind: str
    source: str
    of: Callable[[Inputs, str], list[str]]


def _network_and_target(inputs: Inputs, own: str) -> list[str]:
    subnet = str(at(inputs, "subnet.id") or "")
    targets = [str(c.get("privateLinkServiceId")) for c in inputs.get("privateLinkServiceConnections", [])]
    return [subnet.rpartition("/subnets/")[0], *targets]


ALONE = (
    Alone(
        "network:PrivateEndpoint",
        "Azure/bicep-registry-modules#6001, terraform-provider-azurerm#28112, pulumi-azure-native#4509",
        _network_and_target,
    ),
    Alone(
        "network:PrivateDnsZoneGroup",
        "terraform-provider-azurerm#21293 (an endpoint that is updating)",
        lambda inputs, own: [own.rpartition("/privateDnsZoneGroups/")[0]],
    ),
    Alone(
        "network:Subnet",
        "pulumi-azure-native#1024, #699",
        lambda inputs, own: [own.rpartition("/subnets/")[0]],
    ),
    Alone(
        "managedidentity:FederatedIdentityCredential",
        "learn.microsoft.com, Important considerations for federated identity credentials (at a time)",
        lambda inputs, own: [own.rpartition("/federatedIdentityCredentials/")[0]],
    ),
    Alone(
        "machinelearningservices:ManagedNetworkSettingsRule",
        "learn.microsoft.com, Workspace managed virtual network isolation (one rule after another)",
        lambda inputs, own: [own.rpartition("/outboundRules/")[0]],
    ),
)
"""Azure says 409 or 429 to some of these and the provider tries again; what fails inside a long operation it
does not (pulumi-azure-native, provider/pkg/azure/client_azcore.go, `shouldRetryConflict`)."""


def occupied(kind: str, inputs: Inputs, own: str) -> list[str]:
    """What a resource occupies while it is made, as lower-case ids."""
    return [target.lower() for a in ALONE if a.kind == kind for target in a.of(inputs, own) if target]


RULES = (
    *(Rule(kind, _PAGE, _named(kind)) for kind in _GRAMMAR),
    *(
        Rule(kind, "mlops.spec.vm_sizes, from Microsoft's list of retired sizes", _sized(kind))
        for kind in ("machinelearningservices:Compute", "containerservice:ManagedCluster")
    ),
    Rule(
        "consumption:Budget",
        "pulumi_azure_native/consumption/budget.py, time_period; terraform-provider-azurerm#12121",
        _budget_month,
    ),
    *VALUES,
)

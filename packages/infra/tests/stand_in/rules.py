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

Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Refusal:
    """What Azure answers: its code and its words."""

    code: str
    said: str

    def __str__(self) -> str:
        return f"{self.code}: {self.said}"


@dataclass(frozen=True)
class Rule:
    """`source` is the page, the provider's source or the report that the rule was read in."""

    kind: str
    source: str
    judge: Callable[[Inputs, date], Iterator[Refusal]]


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
)

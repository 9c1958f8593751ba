"""What Azure refuses of single values and of twins, read in public reports and pages; written anew, not taken
from the program."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from mlops.spec.vm_offers import region_problem, size_problem
from stand_in.rule import Inputs, Refusal, Rule, at

Judge = Callable[[Inputs, date], Iterator[Refusal]]
_METRICS: Mapping[str, tuple[str, ...]] = {
    "/microsoft.machinelearningservices/workspaces/[^/]+$": ("AllMetrics",),
    "/(blob|queue|table|file)services/default$": ("Transaction", "Capacity"),
    "/microsoft.network/networksecuritygroups/[^/]+$": (),
    "/microsoft.keyvault/vaults/[^/]+$": ("AllMetrics",),
}
"""Metric categories of a resource by its id; other resources have some of their own."""
_NO_ZONES = {"westus", "northcentralus", "ukwest", "canadaeast", "koreasouth", "southindia", "westindia"}
_NO_PAIR = {"italynorth", "polandcentral", "spaincentral", "qatarcentral", "israelcentral", "mexicocentral"}
_TAGGED = (
    "storage:StorageAccount", "keyvault:Vault", "machinelearningservices:Workspace", "privatedns:PrivateZone",
    "machinelearningservices:Compute", "resources:ResourceGroup", "containerregistry:Registry",
)  # fmt: skip


_KUBERNETES_ENDED = {"1.31": date(2025, 11, 1), "1.32": date(2026, 3, 31), "1.33": date(2026, 7, 31)}


def _kubernetes(inputs: Inputs, today: date) -> Iterator[Refusal]:
    minor = ".".join(str(inputs.get("kubernetesVersion") or "").split(".")[:2])
    if (
        minor in _KUBERNETES_ENDED
        and today > _KUBERNETES_ENDED[minor]
        and at(inputs, "sku.tier") != "Premium"
    ):
        yield Refusal(
            "400 K8sVersionNotSupported", f"version {minor} is only available for Long-Term Support (LTS)"
        )


def _short_name(inputs: Inputs, _: date) -> Iterator[Refusal]:
    if not 1 <= len(name := str(inputs.get("groupShortName", ""))) <= 12:
        yield Refusal("400 InvalidGroupShortName", f"groupShortName {name!r} must have 1 to 12 characters")


def _metrics(inputs: Inputs, _: date) -> Iterator[Refusal]:
    watched = str(inputs.get("resourceUri", "")).lower()
    for pattern, known in _METRICS.items():
        if not re.search(pattern, watched):
            continue
        for given in inputs.get("metrics") or []:
            if (category := given.get("category")) not in known:
                has = ", ".join(known) or "none"
                yield Refusal(
                    "400 BadRequest",
                    f"metric category {category!r} is not supported, supported categories are: {has}",
                )


def _memory(inputs: Inputs, _: date) -> Iterator[Refusal]:
    for container in inputs.get("containers") or []:
        memory = at(container, "resources.requests.memoryInGB")
        if memory is not None and abs(memory * 10 - round(memory * 10)) > 1e-9:
            yield Refusal(
                "400 InvalidMemory", f"the memory requirement {memory} should be in increments of 0.1 GB"
            )


def _redundancy(inputs: Inputs, _: date) -> Iterator[Refusal]:
    kind, region = str(at(inputs, "sku.name")), str(inputs.get("location"))
    zones, pair = "ZRS" in kind, kind.startswith(("Standard_G", "Standard_RAG"))
    if (zones and region in _NO_ZONES) or (pair and region in _NO_PAIR):
        yield Refusal("400 RedundancyConfigurationNotAvailableInRegion", f"{region} has no {kind}")


def _tags(kind: str) -> Judge:
    most = 15 if kind == "privatedns:PrivateZone" else 50

    def judge(inputs: Inputs, _: date) -> Iterator[Refusal]:
        tags = inputs.get("tags") or {}
        if len(tags) > most:
            yield Refusal("400 TooManyTags", f"{len(tags)} tags, {most} may be")
        for name, value in tags.items():
            if len(name) > 128 or len(str(value)) > 256:
                yield Refusal("400 InvalidTag", f"the tag {name[:20]!r} is longer than Azure takes")
            if name.lower().startswith(("azure", "microsoft", "windows")):
                yield Refusal("400 ReservedTagName", f"the tag {name!r} begins with a word that is reserved")

    return judge


def _nodes(inputs: Inputs, _: date) -> Iterator[Refusal]:
    scale = at(inputs, "properties.properties.scaleSettings") or {}
    if scale.get("minNodeCount", 0) > scale.get("maxNodeCount", 0):
        yield Refusal("400 BadRequest", "minNodeCount must not exceed maxNodeCount")


def _sold(inputs: Inputs, _: date) -> Iterator[Refusal]:
    size, region = at(inputs, "properties.properties.vmSize"), inputs.get("location")
    if size and (said := size_problem(size) or (region_problem(size, region) if region else "")):
        yield Refusal("400 InvalidVMSize", said)


def _vault(inputs: Inputs, _: date) -> Iterator[Refusal]:
    if at(inputs, "properties.enablePurgeProtection") is False:
        yield Refusal("400 BadRequest", 'the property "enablePurgeProtection" cannot be set to false')
    days = at(inputs, "properties.softDeleteRetentionInDays")
    if days is not None and not 7 <= days <= 90:
        yield Refusal("400 BadRequest", f"softDeleteRetentionInDays {days} must be between 7 and 90")


def _notifications(inputs: Inputs, _: date) -> Iterator[Refusal]:
    notes = inputs.get("notifications") or {}
    if len(notes) > 5:
        yield Refusal("400 BadRequest", f"{len(notes)} notifications, 5 may be")
    for note in notes.values():
        if not 0 <= float(note.get("threshold", 0)) <= 1000:
            yield Refusal("400 BadRequest", f"the threshold {note.get('threshold')} is not within 0 and 1000")


def _retention(inputs: Inputs, _: date) -> Iterator[Refusal]:
    days = inputs.get("retentionInDays")
    if days is not None and not 30 <= days <= 730:
        yield Refusal("400 InvalidParameter", f"retentionInDays {days} must be between 30 and 730")


_TAGS = "learn.microsoft.com, Use tags to organize your Azure resources (limitations)"
VALUES = (
    Rule(
        "containerservice:ManagedCluster",
        "canonical/bundle-kubeflow#1320, kaito-project/kaito#1706, apecloud/kubeblocks#10136",
        _kubernetes,
    ),
    Rule("monitor:ActionGroup", "learn.microsoft.com, Action groups (the display name)", _short_name),
    Rule(
        "monitor:DiagnosticSetting",
        "Azure/Azure-Landing-Zones#2053; Azure/terraform-azurerm-avm-res-storage-storageaccount#181",
        _metrics,
    ),
    Rule("containerinstance:ContainerGroup", "CompositionalIT/farmer#1004; Azure/azure-cli#7355", _memory),
    Rule("storage:StorageAccount", "Esri/arcgis-gitops#160; Azure/ALZ-PowerShell-Module#291", _redundancy),
    *(Rule(kind, _TAGS, _tags(kind)) for kind in _TAGGED),
    Rule(
        "machinelearningservices:Compute",
        "learn.microsoft.com, Create a compute cluster (scale settings)",
        _nodes,
    ),
    Rule(
        "machinelearningservices:Compute",
        "mlops.spec.vm_offers, from Azure's price list; Azure/mlops-v2#81 (sizes and regions tried in turn)",
        _sold,
    ),
    Rule("keyvault:Vault", "terraform-provider-azurerm#19006; learn.microsoft.com, Soft delete", _vault),
    Rule("consumption:Budget", "learn.microsoft.com, Budgets - Create Or Update", _notifications),
    Rule("operationalinsights:Workspace", "learn.microsoft.com, Data retention in Azure Monitor", _retention),
)


@dataclass(frozen=True)
class Twin:
    """Two resources that Azure takes for one, whatever they are called."""

    kind: str
    source: str
    code: str
    of: Callable[[Inputs, str], tuple[str, ...]]
    """What only one may have, from the inputs and the resource's own id; empty values do not count."""


TWINS = (
    Twin(
        "authorization:RoleAssignment",
        "Azure/bicep#11367, Azure/bicep#19936, Azure/azure-dev#9253",
        "409 RoleAssignmentExists",
        lambda i, _: (str(i["principalId"]), str(i["roleDefinitionId"]).rsplit("/", 1)[-1], str(i["scope"])),
    ),
    Twin(
        "managedidentity:FederatedIdentityCredential",
        "Azure/bicep-types-az#2054 (issuer and subject combination already exists)",
        "400 BadRequest",
        lambda i, own: (own.rpartition("/federatedIdentityCredentials/")[0], str(i["issuer"]), i["subject"]),
    ),
    Twin(
        "eventgrid:SystemTopic",
        "learn.microsoft.com, System topics in Azure Event Grid (one a source)",
        "400 InvalidRequest",
        lambda i, _: (str(i["source"]),),
    ),
    Twin(
        "privatedns:VirtualNetworkLink",
        "learn.microsoft.com, What is a virtual network link? (one zone of a name a network)",
        "409 Conflict",
        lambda i, _: (str(at(i, "virtualNetwork.id")), str(i["privateZoneName"])),
    ),
)


def twin(kind: str, own: str, inputs: Inputs, resources: Mapping[str, Any]) -> Refusal | None:
    """What Azure has against a resource beside those that are there."""
    for one in TWINS:
        if one.kind != kind:
            continue
        mine = tuple(part.lower() for part in one.of(inputs, own))
        for other in resources.values():
            if other["kind"] != kind or other["id"].lower() == own.lower():
                continue
            if tuple(part.lower() for part in one.of(other["outputs"], other["id"])) == mine:
                return Refusal(one.code, f"{own} is the same as {other['id']}")
    return None

"""What Azure takes as a value, where no type knows it: tables and pure functions, each with its source.

A function answers with a sentence; an empty text means that Azure would go on."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from mlops.spec.near import hint

ZONELESS: Final = frozenset({
    "australiacentral", "australiasoutheast", "canadaeast", "koreasouth", "northcentralus", "southindia",
    "switzerlandwest", "ukwest", "westcentralus", "westindia", "westus",
})  # fmt: skip
"""Regions without availability zones, of March 2025 (MicrosoftDocs/azure-docs,
articles/reliability/regions-list.md; Esri/arcgis-gitops#160)."""
UNPAIRED: Final = frozenset({
    "austriaeast", "belgiumcentral", "chilecentral", "indonesiacentral", "israelcentral", "italynorth",
    "malaysiawest", "mexicocentral", "newzealandnorth", "polandcentral", "qatarcentral", "spaincentral",
})  # fmt: skip
"""Regions without a second one that takes copies (the same page; Azure/ALZ-PowerShell-Module#291)."""
REDUNDANCIES: Final = ("LRS", "ZRS", "GRS", "GZRS")

PRIVATE: Final = tuple(ipaddress.IPv4Network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
"""What a virtual network is made of (learn.microsoft.com, Azure Virtual Network FAQ; RFC 1918)."""
DOCKER: Final = ipaddress.IPv4Network("172.17.0.0/16")
"""Docker's bridge on the nodes of Azure ML (learn.microsoft.com, Secure an Azure ML training environment)."""
AKS_SERVICES: Final = ipaddress.IPv4Network("10.0.0.0/16")
AKS_PODS: Final = ipaddress.IPv4Network("10.244.0.0/16")
"""What a Kubernetes cluster takes for itself unless it is told (learn.microsoft.com, Azure CNI Overlay)."""

ZONES: Final[Mapping[str, str]] = {
    "blob": "privatelink.blob.core.windows.net",
    "file": "privatelink.file.core.windows.net",
    "queue": "privatelink.queue.core.windows.net",
    "vault": "privatelink.vaultcore.azure.net",
    "registry": "privatelink.azurecr.io",
    "workspace": "privatelink.api.azureml.ms",
    "notebooks": "privatelink.notebooks.azure.net",
    "databricks": "privatelink.azuredatabricks.net",
}
"""Private DNS zones by the service that they answer for (learn.microsoft.com, Private endpoint DNS
zone values)."""

TAG_NAME: Final = 128
"""Of storage accounts; other kinds take longer ones (the same page)."""
TAG_VALUE: Final = 256
TAGS: Final = 50
TAGS_OF_DNS: Final = 15
OURS: Final = ("environment", "managed-by", "model", "project", "ttl")
"""Tags that the program writes itself."""
RESERVED: Final = ("azure", "microsoft", "windows")
"""How no tag may begin (microsoft/vscode-azureresourcegroups#1164; learn.microsoft.com, Use tags)."""

OS_DISK_GB: Final = 128
"""Of a Kubernetes node; it lies on the machine's own disk (Azure/AKS#2635, rancher/rancher#33679:
VMCacheSizeTooSmall)."""
_GENERAL: Final = re.compile(
    r"Standard_(?P<family>[BDEF])(?P<cores>\d+)(?:-\d+)?(?P<features>[a-z]*)_v(?P<version>\d+)"
)
_NO_DISK: Final = re.compile(r"Standard_(A\d|B\d|DC\d|EC\d)")


def near(value: str, known: Collection[str]) -> str:
    """`; did you mean …?` for what looks like one of `known`, whatever its case and spaces."""
    plain = re.sub(r"[\s_-]", "", value.lower())
    return hint(plain, known, 0.75)


def redundancy(region: str, wanted: str) -> str:
    """Azure answers RedundancyConfigurationNotAvailableInRegion otherwise."""
    possible = [
        r
        for r in REDUNDANCIES
        if not ("Z" in r and region in ZONELESS) and not (r.startswith("G") and region in UNPAIRED)
    ]
    if wanted in possible:
        return ""
    lacks = "availability zones" if "Z" in wanted and region in ZONELESS else "second region for copies"
    return f"{region} has no {lacks}; there it must be {' or '.join(possible)}; got {wanted!r}"


def address_space(value: str) -> str:
    """Empty for a network that Azure and Docker leave to us."""
    network = ipaddress.IPv4Network(value)
    if not any(network.subnet_of(p) for p in PRIVATE) or not 16 <= network.prefixlen <= 22:
        allowed = ", ".join(str(p) for p in PRIVATE)
        return f"must be a private network between /16 and /22, inside of {allowed}"
    if network.overlaps(DOCKER):
        return f"must not overlap {DOCKER}, which Docker uses on the nodes"
    return ""


def beside_kubernetes(value: str) -> str:
    """The nodes are in this network; services and pods have one of their own, which must not overlap."""
    network = ipaddress.IPv4Network(value)
    for taken, what in ((AKS_SERVICES, "services"), (AKS_PODS, "pods")):
        if network.overlaps(taken):
            return f"must not overlap {taken}, where the option aks has its {what}; got {value!r}"
    return ""


def node_size(size: str) -> str:
    """The operating system of a Kubernetes node lies on the local disk of the machine, which must hold it."""
    if _NO_DISK.match(size):
        return _disk(size)
    match = _GENERAL.fullmatch(size)
    if match is None or int(match["version"]) < 4:
        return ""
    small = int(match["cores"]) < 4
    return _disk(size) if "d" not in match["features"] or small else ""


def _disk(size: str) -> str:
    return (
        f"must have a local disk of {OS_DISK_GB} GB for the operating system of the nodes, such as "
        f"Standard_D4ds_v5: a `d` in its name, and four cores or more; got {size!r}"
    )


def tag(name: str, value: str) -> str:
    if name in OURS:
        return f"the program writes the tag {name!r} itself; leave it out"
    if name.startswith(RESERVED):
        return f"no tag may begin with {', '.join(RESERVED)}: Azure keeps them to itself"
    if len(name) > TAG_NAME:
        return f"a tag's name must have at most {TAG_NAME} characters; it has {len(name)}"
    if len(value) > TAG_VALUE:
        return f"must have at most {TAG_VALUE} characters; it has {len(value)}"
    return ""


def tags(count: int, *, with_zones: bool) -> str:
    """Private DNS zones take few (learn.microsoft.com, Use tags to organize your Azure resources)."""
    most = (TAGS_OF_DNS if with_zones else TAGS) - len(OURS)
    if count <= most:
        return ""
    why = ", because private DNS zones take few" if with_zones else ""
    return f"must have at most {most} beside those that the program writes{why}; there are {count}"


def zone(key: str, resource_id: str) -> str:
    """A zone of another service would be linked without a word, and its names never be found."""
    wanted = f"/providers/Microsoft.Network/privateDnsZones/{ZONES[key]}"
    if resource_id.lower().endswith(wanted.lower()):
        return ""
    return f"must be the id of the zone {ZONES[key]}, so end with {wanted}; got {resource_id!r}"


_SECRETS: Final = frozenset({
    "sig", "sas", "token", "access_token", "api_key", "apikey", "password", "secret", "x-amz-signature",
    "x-goog-signature",
})  # fmt: skip
"""Parameters of an address that let whoever knows it in."""


def secret_in(url: str) -> str:
    """A stack file is read by everybody, and so is the plan."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        return "must hold no user or password"
    if found := sorted({name for name, _ in parse_qsl(parts.query) if name.lower() in _SECRETS}):
        return f"must hold no secret: leave out {', '.join(found)}, and let the source trust an identity"
    return ""


def twice(values: Iterable[object]) -> str:
    """The first value that is given again, as text; empty for none."""
    seen: set[object] = set()
    for value in values:
        if value in seen:
            return str(value)
        seen.add(value)
    return ""

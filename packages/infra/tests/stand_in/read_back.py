"""What Azure answers when it is asked again, and what the provider makes of it: here drift comes from.

The provider compares the answer with the one that it has kept, and carries the difference into the inputs
(pulumi-azure-native, provider/pkg/provider/diff.go, `applyDiff`). So whatever appears in a resource after
it was made is a change of its inputs at the next refresh, unless the program ignores it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Outputs = dict[str, Any]
Others = Mapping[str, Any]

ML = "machinelearningservices:"


def _workspace(outputs: Outputs, own: str, others: Others) -> Outputs:
    """Rules are shown in the workspace too, with Azure's own and a state (pulumi-azure-native#3225)."""
    network = outputs.get("managedNetwork")
    if not network or network.get("isolationMode") == "Disabled":
        return outputs
    rules = {
        r["id"].rsplit("/", 1)[1]: {**r["outputs"].get("properties", {}), "status": "Active"}
        for key, r in others.items()
        if r["kind"] == f"{ML}ManagedNetworkSettingsRule" and key.startswith(f"{own}/")
    }
    required = {"type": "ServiceTag", "category": "Required", "status": "Active"}
    shown = {**rules, "__SYS_ST_AzureActiveDirectory_TCP": required}
    status = {"status": "Active", "sparkReady": False}
    return {**outputs, "managedNetwork": {**network, "outboundRules": shown, "status": status}}


def _private_endpoint(outputs: Outputs, own: str, others: Others) -> Outputs:
    """A zone group writes the names that it answers for into its endpoint (the type's `customDnsConfigs`)."""
    groups = [
        k for k, r in others.items() if r["kind"] == "network:PrivateDnsZoneGroup" and k.startswith(f"{own}/")
    ]
    found = [{"fqdn": f"{k.rsplit('/', 1)[1]}.example", "ipAddresses": ["10.0.0.5"]} for k in groups]
    return {**outputs, "customDnsConfigs": found} if found else outputs


def _network(outputs: Outputs, own: str, others: Others) -> Outputs:
    """Subnets are listed in their network (SDK: "also available as standalone resources")."""
    subnets = [
        r["outputs"] for k, r in others.items() if r["kind"] == "network:Subnet" and k.startswith(f"{own}/")
    ]
    return {**outputs, "subnets": [{"name": s["name"]} for s in subnets]}


def _diagnostics(outputs: Outputs, own: str, others: Others) -> Outputs:
    """Some kinds take a destination and show none (Azure/azure-rest-api-specs#22400)."""
    return {k: v for k, v in outputs.items() if k != "logAnalyticsDestinationType"}


def _budget(outputs: Outputs, own: str, others: Others) -> Outputs:
    """A tag of its own that moves (MicrosoftDocs/azure-docs#34023)."""
    return {**outputs, "eTag": '"1d34d016a593709"'}


def _kubernetes(outputs: Outputs, own: str, others: Others) -> Outputs:
    """The autoscaler has added a node, and the patch channel a version (learn.microsoft.com, Automatically
    upgrade an AKS cluster)."""
    pools = [
        {**pool, "count": int(pool.get("count", 0)) + 1, "orchestratorVersion": "1.99.9"}
        for pool in outputs.get("agentPoolProfiles", [])
    ]
    return {"kubernetesVersion": "1.99.9", **outputs, "agentPoolProfiles": pools}


_SHOWN: Mapping[str, Callable[[Outputs, str, Others], Outputs]] = {
    f"{ML}Workspace": _workspace,
    "consumption:Budget": _budget,
    "containerservice:ManagedCluster": _kubernetes,
    "monitor:DiagnosticSetting": _diagnostics,
    "network:PrivateEndpoint": _private_endpoint,
    "network:VirtualNetwork": _network,
}


def read_back(resource: Mapping[str, Any], others: Others) -> Outputs:
    """The outputs of a resource as Azure shows them now, with what others have changed in it."""
    show = _SHOWN.get(resource["kind"])
    outputs: Outputs = resource["outputs"]
    return show(outputs, resource["id"].lower(), others) if show else outputs


def refreshed(inputs: Outputs, before: Outputs, now: Outputs) -> Outputs:
    """The inputs after a refresh: changed where the answer of Azure has changed, property by property."""
    result = {k: v for k, v in inputs.items() if not (k in before and k not in now)}
    for key, value in now.items():
        if key not in before:
            result[key] = value
        elif before[key] != value:
            result[key] = _value(inputs[key], before[key], value) if key in inputs else value
    return result


def _value(base: Any, before: Any, now: Any) -> Any:
    if isinstance(base, dict) and isinstance(before, dict) and isinstance(now, dict):
        return refreshed(base, before, now)
    if isinstance(base, list) and isinstance(before, list) and isinstance(now, list):
        known = min(len(base), len(before))
        return [_value(base[i], before[i], v) if i < known else v for i, v in enumerate(now)]
    return now

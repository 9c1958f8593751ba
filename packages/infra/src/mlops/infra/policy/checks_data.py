"""Rules on data and on keeping order: storage, delivery of events, tags, protection, diagnostics, budget."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mlops.infra.model import Resource
from mlops.infra.policy.rule import Message, ResourceRule, StackRule, must, relaxed

REQUIRED_TAGS = ("environment", "managed-by", "project")
TAGGED = (
    "applicationinsights:Component", "containerinstance:ContainerGroup", "containerregistry:Registry",
    "containerservice:ManagedCluster", "databricks:AccessConnector", "databricks:Workspace",
    "datafactory:Factory",
    "eventgrid:SystemTopic", "keyvault:Vault", "machinelearningservices:BatchEndpoint",
    "machinelearningservices:Compute", "machinelearningservices:OnlineEndpoint",
    "machinelearningservices:Registry", "machinelearningservices:Workspace",
    "managedidentity:UserAssignedIdentity", "monitor:ActionGroup", "monitor:MetricAlert",
    "monitor:ScheduledQueryRule", "network:NetworkSecurityGroup", "network:PrivateEndpoint",
    "network:VirtualNetwork", "operationalinsights:Workspace", "privatedns:PrivateZone",
    "resources:ResourceGroup", "storage:StorageAccount",
)  # fmt: skip
"""Kinds whose cost or owner somebody looks for by tag."""
PRECIOUS = (
    "keyvault:Vault", "machinelearningservices:Registry", "machinelearningservices:Workspace",
    "resources:ResourceGroup", "storage:StorageAccount",
    "databricks:index/catalog:Catalog", "databricks:index/schema:Schema", "databricks:index/volume:Volume",
)  # fmt: skip
DIAGNOSED = (
    "containerregistry:Registry", "keyvault:Vault", "machinelearningservices:OnlineEndpoint",
    "machinelearningservices:Workspace", "storage:StorageAccount",
)  # fmt: skip
"""Kinds whose audit trail must reach Log Analytics."""
METRICS = {
    r"/(blob|queue|table|file)services/default$": ("Transaction", "Capacity"),
    r"/networksecuritygroups/[^/]+$": (),
    r"\.(machinelearningservices/workspaces|keyvault/vaults|containerregistry/registries)/[^/]+$": (
        "AllMetrics",
    ),
}
"""Metric categories by the end of a resource's id in lower case; kinds that are not here have their own."""


def _storage(resource: Resource) -> Iterator[Message]:
    yield from must(
        resource, "allowSharedKeyAccess", False, why="whoever has the key can read everything, for ever"
    )
    yield from must(resource, "isLocalUserEnabled", False, None, why="local users bypass Entra ID")


def _anonymous(resource: Resource) -> Iterator[Message]:
    if resource.kind == "storage:StorageAccount":
        yield from must(resource, "allowBlobPublicAccess", False, why="blobs could be read by everybody")
    else:
        yield from must(resource, "publicAccess", "None", None, why="blobs could be read by everybody")


def _versions(resource: Resource) -> Iterator[Message]:
    yield from must(
        resource, "isVersioningEnabled", True, why="an overwritten model or data set could not be had back"
    )


def _delivery(resource: Resource) -> Iterator[Message]:
    if not resource.get("deliveryWithResourceIdentity"):
        yield "deliveryWithResourceIdentity must be set: without it events are delivered with a storage key"


def _budget(resource: Resource) -> Iterator[Message]:
    notes = resource.get("notifications") or {}
    if not any(
        n.get("enabled") and (n.get("contactEmails") or n.get("contactGroups")) for n in notes.values()
    ):
        yield "notifications must have one that is enabled and reaches somebody"


def _tags(resource: Resource) -> Iterator[Message]:
    missing = [t for t in REQUIRED_TAGS if not (resource.get("tags") or {}).get(t)]
    if missing:
        yield f"tags lack {', '.join(missing)}: nobody could tell whose cost it is"


def _protected(resource: Resource) -> Iterator[Message]:
    if resource.stack in {"prod", "shared"} and not resource.options.get("protect"):
        yield "must be protected (`mlops:protect: true`): one wrong line would delete data or history"


def _complete(resource: Resource) -> Iterator[Message]:
    if not relaxed(resource):
        yield from must(
            resource,
            "workspaceCapping.dailyQuotaGb",
            -1,
            None,
            why="above it the day's logs are lost, and alerts with them (mlops:logs.daily_quota_gb)",
        )


def _metrics(resource: Resource) -> Iterator[Message]:
    watched = str(resource.get("resourceUri", "")).lower()
    for ending, known in METRICS.items():
        for given in resource.get("metrics") or [] if re.search(ending, watched) else []:
            if given.get("category") not in known:
                has = " or ".join(known) or "no metrics"
                yield f"metrics: Azure has {has} there, not {given.get('category')}"


def _diagnosed(resources: Sequence[Resource]) -> Iterator[tuple[Resource, Message]]:
    settings = [r for r in resources if r.kind == "monitor:DiagnosticSetting"]
    for resource in resources:
        if resource.kind in DIAGNOSED and not any(s.uses(resource.urn, "resourceUri") for s in settings):
            yield resource, "has no diagnostic setting: who did what with it would be lost"


def _has_budget(resources: Sequence[Resource]) -> Iterator[tuple[Resource, Message]]:
    if not any(r.kind == "consumption:Budget" for r in resources):
        for resource in resources:
            if resource.kind == "machinelearningservices:Workspace":
                yield resource, "the stack has a workspace and no budget: nobody would hear of a runaway cost"


def _one_topic_a_source(resources: Sequence[Resource]) -> Iterator[tuple[Resource, Message]]:
    seen: set[tuple[str, ...]] = set()
    for resource in resources:
        source = resource.property_dependencies.get("source", ())
        if resource.kind == "eventgrid:SystemTopic" and source:
            if source in seen:
                yield resource, "its source has a system topic already; Azure refuses a second"
            seen.add(source)


def _prod_has_alerts(resources: Sequence[Resource]) -> Iterator[tuple[Resource, Message]]:
    alerts = [r for r in resources if r.kind in {"monitor:MetricAlert", "monitor:ScheduledQueryRule"}]
    for resource in resources:
        if resource.kind == "machinelearningservices:OnlineEndpoint" and not relaxed(resource):
            watched = any(a.uses(resource.urn, "scopes") for a in alerts)
            if not watched:
                yield resource, "no alert watches it: callers would be the first to notice a failure"


TAGS = ResourceRule("MLOPS_TAGS_1", "Resources name project and environment", TAGGED, _tags)
RULES = (
    ResourceRule("MLOPS_STORAGE_1", "Storage has no keys", ("storage:StorageAccount",), _storage),
    ResourceRule(
        "MLOPS_STORAGE_2",
        "No blob is public",
        ("storage:StorageAccount", "storage:BlobContainer"),
        _anonymous,
    ),
    ResourceRule("MLOPS_STORAGE_3", "Blobs keep versions", ("storage:BlobServiceProperties",), _versions),
    ResourceRule(
        "MLOPS_EVENTS_1",
        "Events are delivered by identity",
        ("eventgrid:SystemTopicEventSubscription",),
        _delivery,
    ),
    StackRule("MLOPS_EVENTS_2", "One system topic a source", _one_topic_a_source),
    ResourceRule("MLOPS_COST_1", "A budget tells somebody", ("consumption:Budget",), _budget),
    StackRule("MLOPS_COST_2", "Every environment has a budget", _has_budget),
    TAGS,
    ResourceRule("MLOPS_PROTECT_1", "What holds data cannot be deleted by mistake", PRECIOUS, _protected),
    StackRule("MLOPS_LOGS_1", "What holds data or secrets keeps an audit trail", _diagnosed),
    ResourceRule("MLOPS_LOGS_2", "No log is dropped", ("operationalinsights:Workspace",), _complete),
    ResourceRule("MLOPS_LOGS_3", "Metrics exist", ("monitor:DiagnosticSetting",), _metrics),
    StackRule("MLOPS_ALERTS_1", "Somebody hears of failing endpoints", _prod_has_alerts),
)

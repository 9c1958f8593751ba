"""Resource group, Log Analytics workspace and Application Insights: what everything else is put into or
reports to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import applicationinsights, operationalinsights, resources

from mlops.infra.components.base import Component
from mlops.infra.naming import Names


@dataclass(frozen=True, kw_only=True)
class FoundationProps:
    names: Names
    location: str
    tags: Mapping[str, str]
    protect: bool
    retention_days: int
    daily_quota_gb: int | None
    """Gigabytes a day after which ingestion stops; None for no limit."""


class Foundation(Component):
    """Attributes: `group`, `logs`, `insights`."""

    def __init__(self, name: str, props: FoundationProps, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self.group = resources.ResourceGroup(
            "group",
            resource_group_name=props.names("resource_group"),
            location=props.location,
            tags=props.tags,
            opts=self.child(protect=props.protect),
        )
        self.logs = operationalinsights.Workspace(
            "logs",
            resource_group_name=self.group.name,
            workspace_name=props.names("log_analytics"),
            location=props.location,
            sku=operationalinsights.WorkspaceSkuArgs(name="PerGB2018"),
            retention_in_days=props.retention_days,
            workspace_capping=operationalinsights.WorkspaceCappingArgs(
                daily_quota_gb=props.daily_quota_gb or -1
            ),
            features=operationalinsights.WorkspaceFeaturesArgs(disable_local_auth=True),
            tags=props.tags,
            opts=self.child(protect=props.protect),
        )
        self.insights = applicationinsights.Component(
            "insights",
            resource_group_name=self.group.name,
            resource_name_=props.names("app_insights"),
            location=props.location,
            kind="web",
            application_type="web",
            workspace_resource_id=self.logs.id,
            ingestion_mode="LogAnalytics",
            disable_local_auth=True,
            tags=props.tags,
            opts=self.child(),
        )
        self.register_outputs({"group": self.group.name, "logs": self.logs.id, "insights": self.insights.id})

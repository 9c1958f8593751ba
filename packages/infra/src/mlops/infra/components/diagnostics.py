"""Diagnostic settings: logs and metrics of every resource that has them, to Log Analytics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import monitor

from mlops.infra.components.base import Component


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A resource and the metric category that it knows; None when it has logs only."""

    resource_id: pulumi.Input[str]
    metrics: str | None = "AllMetrics"


@dataclass(frozen=True, kw_only=True)
class DiagnosticsProps:
    logs_id: pulumi.Input[str]
    watched: Mapping[str, Watched]


class Diagnostics(Component):
    """Attribute `settings`, by the label of what is watched."""

    def __init__(
        self, name: str, props: DiagnosticsProps, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self.settings = {
            label: monitor.DiagnosticSetting(
                f"diagnostics-{label}",
                resource_uri=watched.resource_id,
                name="to-log-analytics",
                workspace_id=props.logs_id,
                log_analytics_destination_type="Dedicated",
                logs=[monitor.DiagnosticsLogSettingsArgs(category_group="allLogs", enabled=True)],
                metrics=[monitor.DiagnosticsMetricSettingsArgs(category=watched.metrics, enabled=True)]
                if watched.metrics
                else None,
                # Some kinds answer with another destination than they were given, and some with none.
                opts=self.child(ignore_changes=["logAnalyticsDestinationType"]),
            )
            for label, watched in props.watched.items()
        }
        self.register_outputs({})

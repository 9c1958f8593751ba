"""Who is told, and when: endpoint latency, endpoint errors, failed jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import monitor

from mlops.infra.components.base import Component, Place

_ENDPOINTS = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"


@dataclass(frozen=True, kw_only=True)
class AlertsProps:
    place: Place
    logs_id: pulumi.Input[str]
    emails: Sequence[str]
    webhook: pulumi.Input[str] | None
    """Secret: whoever has it can post to the channel."""
    endpoints: Mapping[str, pulumi.Input[str]]
    """Id of the online endpoint by model."""
    endpoint_names: Mapping[str, pulumi.Input[str]]
    latency_ms: int
    errors_percent: float
    failed_jobs: int
    after: Sequence[pulumi.Resource]
    """Diagnostic settings: the queries' tables are empty before."""


class Alerts(Component):
    """Attribute `action_group`."""

    def __init__(self, name: str, props: AlertsProps, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place = props.place
        hook = monitor.WebhookReceiverArgs
        self.action_group = monitor.ActionGroup(
            "action-group",
            resource_group_name=place.resource_group,
            action_group_name=place.names("action_group"),
            group_short_name=f"ml-{place.names.short_environment}"[:12],
            location="Global",
            enabled=True,
            email_receivers=[
                monitor.MicrosoftCommonEmailReceiverArgs(
                    name=f"mail-{number}", email_address=email, use_common_alert_schema=True
                )
                for number, email in enumerate(props.emails, start=1)
            ],
            webhook_receivers=[hook(name="chat", service_uri=props.webhook, use_common_alert_schema=True)]
            if props.webhook is not None
            else None,
            tags=place.tags,
            opts=self.child(),
        )
        for model, endpoint_id in props.endpoints.items():
            self._latency(props, model, endpoint_id)
            query = pulumi.Output.format(
                'AmlOnlineEndpointTrafficLog\n| where EndpointName == "{0}"\n'
                '| summarize ErrorsPercent = 100.0 * countif(ResponseCode !startswith "2") / count()'
                " by bin(TimeGenerated, 5m)",
                props.endpoint_names[model],
            )
            self._query(
                props,
                f"errors-{model}",
                f"{model}: more than {props.errors_percent:g} % of answers are errors",
                monitor.ConditionArgs(
                    query=query,
                    metric_measure_column="ErrorsPercent",
                    time_aggregation="Average",
                    operator="GreaterThan",
                    threshold=props.errors_percent,
                    failing_periods=_once(),
                ),
                severity=1,
                window="PT15M",
            )
        self._query(
            props,
            "failed-jobs",
            f"more than {props.failed_jobs} failed jobs in an hour",
            monitor.ConditionArgs(
                query='AmlComputeJobEvent\n| where EventType == "JobFailed"',
                time_aggregation="Count",
                operator="GreaterThan",
                threshold=props.failed_jobs,
                failing_periods=_once(),
            ),
            severity=3,
            window="PT1H",
        )
        self.register_outputs({"action_group": self.action_group.id})

    def _latency(self, props: AlertsProps, model: str, endpoint_id: pulumi.Input[str]) -> None:
        monitor.MetricAlert(
            f"alert-latency-{model}",
            resource_group_name=props.place.resource_group,
            rule_name=props.place.names("alert", f"latency-{model}"),
            location="global",
            severity=2,
            enabled=True,
            auto_mitigate=True,
            description=f"{model}: the 95th percentile of latency is above {props.latency_ms} ms",
            scopes=[endpoint_id],
            evaluation_frequency="PT5M",
            window_size="PT15M",
            criteria=monitor.MetricAlertSingleResourceMultipleMetricCriteriaArgs(
                odata_type="Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                all_of=[
                    monitor.MetricCriteriaArgs(
                        criterion_type="StaticThresholdCriterion",
                        name="latency",
                        metric_namespace=_ENDPOINTS,
                        metric_name="RequestLatency_P95",
                        time_aggregation="Average",
                        operator="GreaterThan",
                        threshold=props.latency_ms,
                    )
                ],
            ),
            actions=[monitor.MetricAlertActionArgs(action_group_id=self.action_group.id)],
            tags=props.place.tags,
            opts=self.child(),
        )

    def _query(
        self,
        props: AlertsProps,
        label: str,
        sentence: str,
        condition: monitor.ConditionArgs,
        *,
        severity: int,
        window: str,
    ) -> None:
        monitor.ScheduledQueryRule(
            f"alert-{label}",
            resource_group_name=props.place.resource_group,
            rule_name=props.place.names("alert", label),
            location=props.place.location,
            kind="LogAlert",
            severity=severity,
            enabled=True,
            auto_mitigate=True,
            display_name=sentence,
            scopes=[props.logs_id],
            evaluation_frequency="PT5M" if window == "PT15M" else "PT15M",
            window_size=window,
            # The tables appear with the first record; until then Azure would refuse the rule.
            skip_query_validation=True,
            criteria=monitor.ScheduledQueryRuleCriteriaArgs(all_of=[condition]),
            actions=monitor.ActionsArgs(action_groups=[self.action_group.id]),
            tags=props.place.tags,
            opts=self.child(after=props.after),
        )


def _once() -> monitor.ConditionFailingPeriodsArgs:
    return monitor.ConditionFailingPeriodsArgs(number_of_evaluation_periods=1, min_failing_periods_to_alert=1)

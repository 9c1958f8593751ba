"""A monthly budget of the environment's resource group. It warns; Azure stops nothing by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pulumi
from pulumi_azure_native import consumption

from infra.components.base import Component, Place


@dataclass(frozen=True, kw_only=True)
class BudgetProps:
    place: Place
    scope: pulumi.Input[str]
    amount: int
    start: date
    """First day of a month."""
    contacts: Sequence[str]
    action_group_id: pulumi.Input[str]
    thresholds: Sequence[int]
    forecast: int


class Budget(Component):
    """Attribute `budget`."""

    def __init__(self, name: str, props: BudgetProps, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)

        def notification(threshold: int, kind: str) -> consumption.NotificationArgs:
            return consumption.NotificationArgs(
                enabled=True,
                operator="GreaterThan",
                threshold=threshold,
                threshold_type=kind,
                contact_emails=list(props.contacts),
                contact_groups=[props.action_group_id],
            )

        self.budget = consumption.Budget(
            "budget",
            scope=props.scope,
            budget_name=props.place.names("budget"),
            amount=props.amount,
            category="Cost",
            time_grain="Monthly",
            time_period=consumption.BudgetTimePeriodArgs(
                start_date=f"{props.start.isoformat()}T00:00:00Z",
                end_date=f"{props.start.replace(year=props.start.year + 10).isoformat()}T00:00:00Z",
            ),
            notifications={
                **{f"actual-{t}": notification(t, "Actual") for t in props.thresholds},
                f"forecast-{props.forecast}": notification(props.forecast, "Forecasted"),
            },
            # Azure refuses a new start for a budget that exists.
            opts=self.child(replace_on_changes=["timePeriod.startDate"], delete_before_replace=True),
        )
        self.register_outputs({"budget": self.budget.id})

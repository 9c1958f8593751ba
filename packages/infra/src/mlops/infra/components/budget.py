"""A monthly budget of the environment's resource group. It warns; Azure stops nothing by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pulumi
from pulumi_azure_native import consumption

from mlops.infra.clock import budget_period
from mlops.infra.components.base import Component, Place


@dataclass(frozen=True, kw_only=True)
class BudgetProps:
    place: Place
    scope: pulumi.Input[str]
    amount: int
    start: date | None
    """First day of a month that is still to come; else the month in which the budget is made counts."""
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

        start, end = budget_period(props.start)
        name_in_azure = props.place.names("budget")
        self.budget = consumption.Budget(
            # A replacement keeps ignored values of the old state, and Azure refuses a month that has passed:
            # in another group the budget is a new resource, with a month of its own.
            name_in_azure,
            scope=props.scope,
            budget_name=name_in_azure,
            amount=props.amount,
            category="Cost",
            time_grain="Monthly",
            time_period=consumption.BudgetTimePeriodArgs(start_date=start, end_date=end),
            notifications={
                **{f"actual-{t}": notification(t, "Actual") for t in props.thresholds},
                f"forecast-{props.forecast}": notification(props.forecast, "Forecasted"),
            },
            # Azure refuses a new start for a budget that exists, and every month would bring one; its tag is
            # Azure's own, and the latest that a refresh has seen must stay for a change to be taken.
            opts=self.child(ignore_changes=["timePeriod", "eTag"], aliases=[pulumi.Alias(name="budget")]),
        )
        self.register_outputs({"budget": self.budget.id})

"""What the command line and the plan call: the bills of captured stacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from mlops.infra.cost.bill import Bill, bill
from mlops.infra.cost.prices import Table, table, used
from mlops.infra.cost.uses import Load, Use, Uses, deployment
from mlops.infra.model import Captured
from mlops.spec.files import desired_path
from mlops.spec.settings import load_settings


@dataclass(frozen=True)
class Costs:
    """The bills of all stacks, and what they rest on. `before` are those of the commit compared with.

    `day` is the day on which somebody reads them; None in a plan, whose text is that of its commit.
    """

    bills: tuple[Bill, ...]
    table: Table
    load: Load
    before: Mapping[str, Bill] | None = None
    day: date | None = None


def costs(
    root: Path,
    captured: Sequence[Captured],
    load: Load | None = None,
    before: Mapping[str, Captured] | None = None,
    own: Mapping[str, Uses] | None = None,
) -> Costs:
    """Raises `InvalidInput` when the table of prices or mlops.toml is wrong."""
    prices, told = table(root), load or Load()
    old = None
    if before is not None:
        # What is deployed is no part of the program; the same on both sides, it is no difference.
        old = {
            name: bill(one, prices.meters, told, _deployments(root, name), own)
            for name, one in before.items()
        }
    bills = tuple(bill(one, prices.meters, told, _deployments(root, one.stack), own) for one in captured)
    meters = {line.meter for one in (*bills, *(old or {}).values()) for line in one.lines}
    return Costs(bills, used(prices, meters), told, old)


def _deployments(root: Path, stack: str) -> dict[str, Use]:
    """What each model has behind its online endpoint in the environment of this name."""
    models = load_settings(root).models
    return {
        name: deployment(model.online)
        for name, model in models.items()
        if model.online.kubernetes is None and (root / desired_path(stack, name)).is_file()
    }

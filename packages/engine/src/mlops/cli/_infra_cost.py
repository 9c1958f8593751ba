"""`mlops infra cost`: a month of each stack, and the table of prices that it rests on."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from mlops.cli._app import JsonOption, err, out, print_json, state, verb
from mlops.cli._infra import StackOption, _api, infra
from mlops.errors import Inconclusive, InvalidInput, TargetError


@infra.command(epilog="Example: mlops infra cost --stack prod --against origin/main")
@verb
def cost(
    stack: StackOption = None,
    against: Annotated[str, typer.Option(metavar="COMMIT", help="Show what changes since this commit.")] = "",
    node_hours: Annotated[float, typer.Option(min=0, help="Of each cluster, in a month.")] = 40,
    storage_gb: Annotated[float, typer.Option(min=0, help="Kept in each storage account.")] = 100,
    logs_gb: Annotated[float, typer.Option(min=0, help="Written to the logs in a month.")] = 5,
    traffic_gb: Annotated[float, typer.Option(min=0, help="Through each private endpoint in a month.")] = 50,
    renew: Annotated[
        bool,
        typer.Option(
            "--renew", help="Ask Azure's price list for the stacks' regions; writes environments/prices.yaml."
        ),
    ] = False,
    price_list: Annotated[
        str,
        typer.Option(metavar="URL", help="Where --renew finds the list: a copy of your own, for example."),
    ] = "",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown for a pull request.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what each stack costs a month, idle and at a load, per resource."""
    if as_json and markdown:
        raise InvalidInput("--json and --markdown are two formats; choose one")
    if price_list and not re.fullmatch(r"https?://[^\s?#]+", price_list):
        raise InvalidInput(f"--price-list must be an address such as https://host/path; got {price_list!r}")
    api, render = _api(), _api("mlops.infra.cost.render")
    load = api.Load(node_hours, storage_gb, logs_gb, traffic_gb)
    err().print("Running the program of the stacks without a cloud", style="dim")
    costs = replace(api.cost(state.root, load, stacks=stack, against=against), day=datetime.now(UTC).date())
    if renew:
        _renew(costs, price_list)
        return
    if as_json:
        print_json(render.data(costs))
    else:
        text = render.markdown(costs) if markdown else render.text(costs)
        out().print(text, markup=False, soft_wrap=True, end="")


def _renew(costs: Any, price_list: str) -> None:
    """Ask for every meter that a stack uses, in the region of the stack, and write the repository's table."""
    from mlops.infra.cost import renew as list_of_azure
    from mlops.infra.cost.prices import OWN

    page = price_list or list_of_azure.PAGE
    wanted: dict[str, set[str]] = {}
    for bill in costs.bills:
        for line in bill.lines:
            wanted.setdefault(line.meter, set()).add(bill.region)
    try:
        text, lacking = list_of_azure.renewed(wanted, datetime.now(UTC).date(), page=page)
    except OSError as error:
        raise TargetError(f"{page} cannot be read: {error}; the old table stays") from None
    except ValueError as error:
        raise TargetError(f"{page} {error}; the old table stays") from None
    kept = _kept(costs, lacking)
    path = Path(state.root) / OWN
    path.write_text(text + kept, encoding="utf-8")
    err().print(f"{OWN}: {len(wanted)} meters, {len(lacking)} without an answer")
    if unknown := [meter for meter in lacking if meter.rpartition(" (")[0] not in costs.table.meters]:
        raise Inconclusive(f"the price list has no single price of {', '.join(unknown)}; they stay uncounted")


def _kept(costs: Any, lacking: list[str]) -> str:
    """Lines of the old table for meters that the list does not have: what somebody wrote there stays."""
    import json

    lines = []
    for meter in dict.fromkeys(name.rpartition(" (")[0] for name in lacking):
        old = costs.table.meters.get(meter)
        if old is not None:
            prices = ", ".join(f"{region}: {amount:.10g}" for region, amount in old.prices.items())
            day = f"read: {old.read}, " if old.read else ""
            lines.append(f"  {meter}: {{from: {json.dumps(old.source)}, {day}prices: {{{prices}}}}}\n")
    return "".join(lines)

"""Bills as text, as Markdown for a pull request, as plain data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from mlops.infra.cost.api import Costs
from mlops.infra.cost.bill import Bill, Line, difference
from mlops.infra.cost.prices import RENEW, months_old, old, read_of_machines


def text(costs: Costs) -> str:
    """Each stack with its resources, dearest first."""
    warned = old(costs.table, costs.day)
    lines: list[str] = [warned] if warned else []
    for one in costs.bills:
        lines.append(
            f"stack {one.stack}: ${one.idle:,.2f} a month idle, ${one.loaded:,.2f} at the load below"
        )
        lines += [f"  {row}" for row in _rows(one)]
        lines += [f"  not counted: {said}" for said in one.missing]
        lines += [f"  {said}" for said in _changes(costs, one)]
    lines += _notes(costs)
    return "\n".join(lines) + "\n"


def markdown(costs: Costs) -> str:
    """A section of the plan: totals with the difference, then the changes, then what it rests on."""
    rows = ["| stack | idle a month | at the load | change |", "|---|---|---|---|"]
    for one in costs.bills:
        rows.append(f"| {one.stack} | ${one.idle:,.2f} | ${one.loaded:,.2f} | {_total_change(costs, one)} |")
    warned = old(costs.table, costs.day)
    blocks = ["\n## Cost\n", *([warned, ""] if warned else []), *rows, ""]
    for one in costs.bills:
        changed = difference(costs.before.get(one.stack), one) if costs.before is not None else []
        if changed:
            blocks += [f"**{one.stack}**", "", "| resource | idle | at the load |", "|---|---|---|"]
            blocks += [
                f"| `{name}` | {_signed(idle)} | {_signed(loaded)} |" for name, idle, loaded in changed
            ]
            blocks.append("")
    missing = sorted({said for one in costs.bills for said in one.missing})
    if missing:
        blocks += ["Not counted: " + "; ".join(missing) + ".", ""]
    blocks += ["<details><summary>What this rests on</summary>", "", *_notes(costs), "", "</details>"]
    return "\n".join(blocks) + "\n"


def data(costs: Costs) -> dict[str, Any]:
    """For `--json`: dollars a month."""
    return {
        "currency": "USD",
        "prices": {
            "read": costs.table.read,
            "source": costs.table.source,
            "months_old": months_old(costs.table.read, costs.day) if costs.day else None,
            "warning": old(costs.table, costs.day) or None,
        },
        "load": vars(costs.load),
        "stacks": {
            one.stack: {
                "idle": round(one.idle, 2),
                "loaded": round(one.loaded, 2),
                "lines": [_line(line) for line in one.lines],
                "missing": list(one.missing),
                "changes": None
                if costs.before is None
                else [
                    {"resource": name, "idle": round(idle, 2), "loaded": round(loaded, 2)}
                    for name, idle, loaded in difference(costs.before.get(one.stack), one)
                ],
            }
            for one in costs.bills
        },
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "resource": line.resource,
        "meter": line.meter,
        "idle": round(line.idle, 2) if line.priced else None,
        "busy": round(line.busy, 2) if line.priced else None,
        "region": line.region or None,
        "note": line.note or None,
    }


def _rows(one: Bill) -> Iterator[str]:
    by_resource: dict[str, list[Line]] = defaultdict(list)
    for line in one.lines:
        if line.priced:
            by_resource[line.resource].append(line)
    ordered = sorted(by_resource.items(), key=lambda p: (-sum(x.idle + x.busy for x in p[1]), p[0]))
    for name, lines in ordered:
        idle, busy = sum(x.idle for x in lines), sum(x.busy for x in lines)
        notes = "; ".join(dict.fromkeys(x.note for x in lines if x.note))
        yield f"${idle:>9,.2f} ${idle + busy:>9,.2f}  {name}" + (f" ({notes})" if notes else "")


def _changes(costs: Costs, one: Bill) -> Iterator[str]:
    if costs.before is None:
        return
    yield f"change: {_total_change(costs, one)}"
    for name, idle, loaded in difference(costs.before.get(one.stack), one):
        yield f"  {_signed(idle)} idle, {_signed(loaded)} at the load: {name}"


def _total_change(costs: Costs, one: Bill) -> str:
    if costs.before is None:
        return "not compared"
    old = costs.before.get(one.stack)
    idle = one.idle - (old.idle if old else 0)
    loaded = one.loaded - (old.loaded if old else 0)
    if abs(idle) < 0.005 and abs(loaded) < 0.005:
        return "none"
    return f"{_signed(idle)} idle, {_signed(loaded)} at the load"


def _signed(amount: float) -> str:
    return f"{'-' if amount < -0.005 else '+'}${abs(amount):,.2f}"


def _notes(costs: Costs) -> list[str]:
    regions = sorted({one.region for one in costs.bills if one.region})
    elsewhere = sorted(
        {x.region for one in costs.bills for x in one.lines if x.priced and x.region != one.region}
    )
    machines = read_of_machines(costs.table)
    notes = [
        f"The load: {costs.load}.",
        f"Retail prices in US dollars without a contract, read on {costs.table.read}"
        f"{machines and f' (of machines: {machines})'}: "
        f"{costs.table.source.rstrip('.')}. Newer ones: `{RENEW}`.",
    ]
    if elsewhere:
        notes.append(
            f"Without a price of {', '.join(regions)}, that of {', '.join(elsewhere)} stands in; "
            f"`{RENEW}` asks Azure's price list."
        )
    return notes

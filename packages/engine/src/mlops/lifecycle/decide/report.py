"""The verdict for people: a Rich table for a terminal, Markdown for a pull request. JSON is the report."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlops.spec.gates import GateReport, GateResult
from mlops.spec.visible import visible

if TYPE_CHECKING:
    from rich.table import Table

_COLOUR = {"pass": "green", "blocked": "bold red", "skipped": "dim", "bypassed": "yellow"}
_SIGN = {"pass": "✅", "blocked": "❌", "skipped": "⏭️", "bypassed": "⚠️"}


_ESCAPES = str.maketrans({c: f"\\{c}" for c in "\\|`*[]"} | {c: f"&#{ord(c)};" for c in "<>@#"})
_EDGE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""An underscore inside of a word is none of Markdown's marks, and names of metrics have them."""


def headline(report: GateReport) -> str:
    """One sentence: the outcome, with what blocks and by how much, and what was judged against what."""
    against = f"against version {report.champion}" if report.champion else "with no champion yet"
    what, judged = f"{report.model} version {report.version}", f"{against} on {report.rows:,} test rows"
    if report.passed:
        return f"{what}, {judged}, passes all gates"
    first, *others = report.blocking
    more = f"; also by {', '.join(gate.name for gate in others)}" if others else ""
    return f"{what} is blocked by {shortfall(first)}{more} ({judged})"


def shortfall(gate: GateResult) -> str:
    """A gate that blocks, with what was found, what was asked, and why."""
    why = f": {gate.detail}" if gate.detail else ""
    return f"{gate.name}: {gate.observed}, asked is {gate.limit}{why}"


def table(report: GateReport) -> Table:
    """Gate, verdict, observed and limit, one row a gate; the reason below what blocks."""
    from rich.markup import escape
    from rich.table import Table

    made = Table(title=escape(headline(report)), title_justify="left")
    for name in ("gate", "verdict", "observed", "limit"):
        made.add_column(name, overflow="fold", no_wrap=name in ("gate", "verdict"))
    for gate in report.gates:
        colour = _COLOUR[gate.verdict]
        limit = f"{gate.limit}\n{gate.detail}" if gate.verdict == "blocked" and gate.detail else gate.limit
        made.add_row(escape(gate.name), f"[{colour}]{gate.verdict}[/]", escape(gate.observed), escape(limit))
    return made


def markdown(report: GateReport) -> str:
    """For a pull request: the headline, the gates, and the metrics of both models on the same rows."""
    champion = f"version {report.champion}" if report.champion else "champion"
    lines = [
        f"**{cell(headline(report))}.**",
        "",
        "| | gate | observed | limit | detail |",
        "|---|---|---|---|---|",
    ]
    for gate in report.gates:
        cells = (gate.name, gate.observed, gate.limit, gate.detail)
        lines.append(f"| {_SIGN[gate.verdict]} {gate.verdict} | {' | '.join(map(cell, cells))} |")
    if report.metrics:
        interval = f"{report.confidence:.0%} interval"
        lines += [
            "",
            f"| metric | version {report.version} | {interval} | {champion} |",
            "|---|---:|---:|---:|",
        ]
    for name, metric in report.metrics.items():
        other = "" if metric.champion is None else f"{metric.champion:.4f}"
        span = f"{metric.low:.4f} to {metric.high:.4f}"
        lines.append(f"| {cell(name)} | {metric.value:.4f} | {span} | {other} |")
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """Text that cannot leave its table cell, or become markup, a mention or HTML."""
    return " ".join(_EDGE.sub(r"\\_", visible(text).translate(_ESCAPES)).split())

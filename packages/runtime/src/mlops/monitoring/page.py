"""A verdict as one HTML page: no script, no network, readable on a phone and in dark mode. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from mlops.spec.monitoring import MonitorReport, Signal

_STYLE = """
:root{color-scheme:light dark;--line:#8886;--bad:#c62828;--good:#2e7d32;--bar:#5b7bb5}
@media(prefers-color-scheme:dark){:root{--bad:#ff8a80;--good:#81c784;--bar:#8fb0ee}}
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:auto;padding:1rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}
caption{text-align:left;font-weight:600;padding:.5rem 0}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
.breach{color:var(--bad);font-weight:600}.pass{color:var(--good)}.skipped{opacity:.75}
svg{vertical-align:middle}
"""
_TITLES = {
    "performance": "Performance on labelled rows",
    "slice": "Performance by slice",
    "prediction": "Drift of predictions, against the release's test rows",
    "drift": "Drift of inputs, against the reference",
    "volume": "Volume",
    "quality": "Data quality",
}
_WORDS = {
    "pass": "Within its limits",
    "breach": "Beyond its limits",
    "inconclusive": "No verdict",
}


def page(report: MonitorReport) -> str:
    """The whole document."""
    title = f"{report.model} in {report.environment}"
    facts = {
        "Release": report.release,
        "Captured": f"{report.window.start:%Y-%m-%d %H:%M} to {report.window.end:%Y-%m-%d %H:%M %Z}",
        "Rows": f"{report.rows:,}, {report.labelled:,} with a label",
        "Compared with": f"{report.reference_rows:,} {report.reference}" if report.reference else "",
        "Made": f"{report.made:%Y-%m-%d %H:%M:%S %Z}",
    }
    rows = "".join(
        f"<tr><th scope=row>{escape(k)}</th><td>{escape(str(v))}</td></tr>" for k, v in facts.items() if v
    )
    colour = {"pass": "pass", "breach": "breach"}.get(report.outcome, "skipped")
    broken = {signal.kind for signal in report.breaches}
    kinds = sorted(_TITLES, key=lambda kind: kind not in broken)
    tables = "".join(_table(kind, _of(report, kind)) for kind in kinds if _of(report, kind))
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(title)}</h1><p class={colour}>{_WORDS[report.outcome]}: {escape(report.reason)}.</p>"
        f"<table><caption>What was judged</caption>{rows}</table>{tables}</main></body></html>\n"
    )


def _of(report: MonitorReport, kind: str) -> list[Signal]:
    """Signals of a kind, what is broken first."""
    order = {"breach": 0, "pass": 1, "skipped": 2}
    return sorted((s for s in report.signals if s.kind == kind), key=lambda s: order[s.verdict])


def _table(kind: str, signals: Iterable[Signal]) -> str:
    body = "".join(_row(signal) for signal in signals)
    heads = "".join(f"<th scope=col>{h}</th>" for h in ("", "on", "metric", "observed", "limit", ""))
    return (
        f"<div class=scroll><table><caption>{escape(_TITLES[kind])}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(signal: Signal) -> str:
    form = ",.0f" if signal.kind == "volume" else ".4g"
    figure = "" if signal.observed is None else format(signal.observed, form)
    if {"low", "high"} <= signal.values.keys():
        figure += f" [{signal.values['low']:.4g}, {signal.values['high']:.4g}]"
    if signal.p_value is not None:
        figure += f", p {signal.p_value:.2g}"
    share = signal.values.get("jensen_shannon")
    bar = _bar(share) if share is not None else ""
    cells = (signal.name, signal.metric, figure, signal.limit, signal.detail)
    return (
        f"<tr><td class={signal.verdict}>{signal.verdict}</td>"
        + "".join(f"<td>{escape(cell)}{bar if i == 2 else ''}</td>" for i, cell in enumerate(cells))
        + "</tr>"
    )


def _bar(share: float) -> str:
    """The Jensen-Shannon distance, 0 to 1, for the eye."""
    return (
        f' <svg width=60 height=8 role=img aria-label="Jensen-Shannon distance {share:.2f}">'
        f'<rect width=60 height=8 fill="var(--line)"/>'
        f'<rect width={60 * share:.0f} height=8 fill="var(--bar)"/></svg>'
    )

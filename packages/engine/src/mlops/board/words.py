"""How numbers, times and states read; the filters of the templates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from mlops.board.changes import Change

HEALTH = {
    "serving": ("good", "serving"),
    "rolling out": ("busy", "rolling out"),
    "behind": ("busy", "behind its file"),
    "held": ("bad", "held"),
    "down": ("bad", "down"),
    "empty": ("plain", "nothing yet"),
    "unknown": ("busy", "not reachable"),
}
"""Kind of badge and text, by what `mlops status` says."""
VERDICT = {
    "pass": ("good", "passed"),
    "blocked": ("bad", "blocked"),
    "skipped": ("plain", "skipped"),
    "bypassed": ("busy", "bypassed"),
    "": ("plain", "not judged"),
    "breach": ("bad", "breach"),
    "inconclusive": ("busy", "no verdict"),
    "served": ("good", "served"),
    "failed": ("bad", "sent back"),
    "no verdict": ("busy", "no verdict"),
    "hold cleared": ("busy", "hold cleared"),
}
_SIGNS = {"good": "✓", "bad": "✕", "busy": "!", "plain": "-"}


def badge(state: str) -> Markup:
    """A state in words, with a sign and a colour that repeat it."""
    kind, text = HEALTH.get(state) or VERDICT.get(state) or ("plain", state)
    return Markup('<span class="badge {}"><span aria-hidden="true">{}</span> {}</span>').format(
        kind, _SIGNS[kind], text
    )


def against(change: Change | None) -> Markup:
    """Better or worse than the champion: a sign, a word and a colour."""
    if change is None:
        return Markup("-")
    kind, sign = {"better": ("good", "▲"), "worse": ("bad", "▼")}.get(change.word, ("plain", "="))
    note = Markup('<br><span class="note">within the interval</span>') if change.within and change.by else ""
    return (
        Markup('<span class="badge {}"><span aria-hidden="true">{}</span> {}</span>').format(
            kind, sign, change.text
        )
        + note
    )


def moment(value: datetime | None) -> Markup:
    """A time in UTC, for people and machines; a dash when there is none."""
    if value is None:
        return Markup("-")
    utc = value.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.isoformat(timespec="seconds").replace("+00:00", "Z"), f"{utc:%Y-%m-%d %H:%M} UTC"
    )


def number(value: float | None) -> str:
    """Four digits behind the point for what is small, fewer for what is large."""
    if value is None:
        return "-"
    if value == int(value) and abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.4f}"


def short(commit: str) -> str:
    """What people write of a commit or a run."""
    return commit[:8]


def digest(value: str) -> str:
    return value.removeprefix("sha256:")[:12]


def link(address: str, text: str) -> Markup:
    """A link where there is an address, else the text alone. Only web addresses become links."""
    if address.startswith(("https://", "http://")):
        return Markup('<a href="{}">{}</a>').format(address, text)
    return escape(text)


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"

"""The end of `mlops demo --drift`: what retraining brought, month by month, and what it did not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops.cli._app import out

if TYPE_CHECKING:
    from mlops.demo.sandbox import Sandbox
    from mlops.demo.season import Gain
    from mlops.demo.story import Show
    from mlops.targets.base import Target


def tell(sandbox: Sandbox, target: Target, show: Show) -> None:
    """The chapters that have not been told, then both versions side by side."""
    from mlops.demo.season import Season

    season = Season(sandbox, target, show)
    season.tell()
    _show(season.measured())


def _show(gain: Gain) -> None:
    from rich.table import Table

    from mlops.demo.season import BREACH

    out().print()
    title = f"Release {gain.old} against release {gain.new}, which learned from {gain.trained_on}"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for heading in (
        "month",
        "flights",
        f"ROC AUC of {gain.old}",
        f"of {gain.new}",
        "gain",
        f"calibration gap of {gain.old}",
        f"of {gain.new}",
    ):
        table.add_column(heading, justify="right")
    for month in gain.months:
        old, new = gain.of(gain.old, month), gain.of(gain.new, month)
        colour = "green" if gain.gain(month) > 0 else "red"
        table.add_row(
            f"{month}{' *' if month == BREACH else '  '}",
            f"{new.rows:,}",
            f"{old.metrics['roc_auc']:.3f}",
            f"{new.metrics['roc_auc']:.3f}",
            f"[{colour}]{gain.gain(month):+.3f}[/]",
            f"{old.metrics['calibration_gap']:+.3f}",
            f"{new.metrics['calibration_gap']:+.3f}",
        )
    out().print(table)
    out().print(f"[dim]* release {gain.new} was tested on it; neither has seen the later ones[/]")
    for line in _said(gain, BREACH):
        out().print(line, highlight=False)


def _said(gain: Gain, breach: str) -> list[str]:
    """What these figures mean, by the limits of monitoring; pure."""
    later = [month for month in gain.months if month != breach]
    gains = [gain.gain(month) for month in later]
    beyond, before = gain.beyond(gain.new), gain.beyond(gain.old)
    farther = [m for m in later if abs(gain.gap(gain.new, m)) > abs(gain.gap(gain.old, m))]
    cured = (
        "The calibration is within its limits in every later month."
        if not beyond
        else f"It does not cure the calibration: beyond its limits in {', '.join(beyond)} "
        f"(release {gain.old}: {', '.join(before) or 'in none'}), so the next breach is to be expected. "
        "More of the same months cannot know a season that they have not seen."
    )
    return [
        f"It ranks flights better in {sum(g > 0 for g in gains)} of {len(later)} later months "
        f"({min(gains):+.3f} to {max(gains):+.3f}).",
        cured,
        f"Its calibration gap is farther from zero than before in {len(farther)} of {len(later)}.",
        f"What it cost: until the labels of {breach} came, the chances that were told were off by "
        f"{gain.gap(gain.old, breach):+.3f} on average; then one training, the gates and two rollouts.",
    ]

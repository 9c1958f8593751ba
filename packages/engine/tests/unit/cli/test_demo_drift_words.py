"""What the drift demo says of its figures: it must not be kinder than they are."""

from __future__ import annotations

from mlops.demo.gain import _said
from mlops.demo.season import BREACH, Gain
from mlops.lifecycle.watch.backtest import Cost


def made(**figures: tuple[float, float, float, float]) -> Gain:
    """Of a month (`m07` is 2013-07): ROC AUC old, new, calibration gap old, new."""
    costs = []
    for name, (old, new, gap_old, gap_new) in figures.items():
        month = f"2013-{name[1:]}"
        costs += [
            Cost(1, month, 100, {"roc_auc": old, "calibration_gap": gap_old}),
            Cost(4, month, 100, {"roc_auc": new, "calibration_gap": gap_new}),
        ]
    return Gain(1, 4, "2013-01..2013-05", costs, -0.07, 0.07)


def test_a_month_beyond_the_limits_is_not_cured() -> None:
    gain = made(
        m06=(0.70, 0.72, -0.081, -0.073), m07=(0.69, 0.70, -0.098, -0.092), m09=(0.65, 0.64, 0.06, 0.065)
    )
    assert BREACH == "2013-06"
    said = " ".join(_said(gain, BREACH))
    assert "better in 1 of 2 later months (-0.010 to +0.010)" in said
    assert "does not cure the calibration: beyond its limits in 2013-07 (release 1: 2013-07)" in said
    assert "farther from zero than before in 1 of 2" in said
    assert "off by -0.081 on average" in said


def test_within_the_limits_is_said_too() -> None:
    gain = made(m06=(0.70, 0.72, -0.081, -0.073), m07=(0.69, 0.70, 0.08, 0.01))
    said = " ".join(_said(gain, BREACH))
    assert "within its limits in every later month" in said
    assert gain.beyond(1) == ["2013-07"] and gain.beyond(4) == []


def test_without_limits_nothing_is_beyond() -> None:
    gain = Gain(1, 4, "", made(m06=(0.7, 0.7, 0, 0), m07=(0.7, 0.7, 0.9, 0.9)).costs, None, None)
    assert gain.beyond(4) == []

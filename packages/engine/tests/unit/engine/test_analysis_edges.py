"""The analysis exactly on its lines, and where there is nothing to count."""

from __future__ import annotations

import pytest
from engine_world import START
from scipy import stats

from mlops.lifecycle.decide import analysis
from mlops.lifecycle.decide.analysis import Fail, Pass, TooFew, Window, judge
from mlops.spec.desired import Strategy
from mlops.targets.base import TrafficSample
from mlops.targets.memory import LATENCY

STRATEGY = Strategy(min_requests=50)


def even(bins: int, each: int = 10_000) -> dict[float, int]:
    return {number / bins: each for number in range(bins)}


def flat(requests: int = 100, at: float = 0.002) -> Window:
    return Window(requests, 0, dict.fromkeys(LATENCY, 0) | {at: requests}, even(10))


def test_buckets_without_a_request_have_no_percentile():
    assert Window(0, 0, dict.fromkeys(LATENCY, 0)).p99() is None


def test_alone_there_is_no_shift_to_be_found():
    found = judge(flat(), None, Strategy(min_requests=50, detectable_shift=0.3), alone=True)
    assert isinstance(found, Pass)


@pytest.mark.parametrize(("most", "kind"), [(0.5, Pass), (0.499, Fail)])
def test_a_shift_that_chance_just_explains_passes(
    monkeypatch: pytest.MonkeyPatch, most: float, kind: type[object]
):
    monkeypatch.setattr(analysis, "shift", lambda *_: (0.5, most))
    assert isinstance(judge(flat(), flat(), STRATEGY), kind)


@pytest.mark.parametrize(("chance", "kind"), [(analysis._CHANCE, Fail), (analysis._CHANCE * 1.001, Pass)])
def test_latency_fails_from_the_share_of_chance_on(
    monkeypatch: pytest.MonkeyPatch, chance: float, kind: type[object]
):
    monkeypatch.setattr(analysis, "_exceeding", lambda *_: chance)
    assert isinstance(judge(flat(), flat(), STRATEGY), kind)


@pytest.mark.parametrize(("more", "kind"), [(0, Pass), (1, TooFew)])
def test_as_many_predictions_as_are_needed_are_enough(
    monkeypatch: pytest.MonkeyPatch, more: int, kind: type[object]
):
    rows = sum(flat().predictions.values())
    monkeypatch.setattr(analysis, "_needed", lambda *_: rows + more)
    assert isinstance(judge(flat(), flat(), Strategy(min_requests=50, detectable_shift=0.3)), kind)


def test_nothing_is_said_of_the_machine_where_the_live_one_was_as_quick_before():
    slow, quick = flat(at=1.0), flat()
    found = judge(slow, quick, STRATEGY)
    assert isinstance(found, Fail) and found.slow
    assert judge(slow, quick, STRATEGY, usual=quick) == found


@pytest.mark.parametrize(("bins", "freedom"), [(1, 1), (2, 1), (3, 2), (5, 4), (10, 9)])
def test_degrees_of_freedom_are_one_less_than_bins(bins: int, freedom: int):
    live = even(bins)
    unit = 2 / sum(live.values())
    expected = analysis._chi2(freedom, 0.05 / unit) * unit
    assert analysis.shift(live, live, 0.05) == (0.0, expected)
    found = analysis.blind(live, live, 0.05) / unit
    proven = analysis._chi2(freedom, 0.05 / unit)
    assert analysis._chi2(freedom, found, analysis._FOUND) == pytest.approx(proven)


@pytest.mark.parametrize("each", [1, 1_000, 10**8])
def test_what_is_found_is_known_for_few_predictions_and_for_very_many(each: int):
    live = even(10, each)
    unit = 2 / sum(live.values())
    found = analysis.blind(live, live, 0.2) / unit
    proven = analysis._chi2(9, 0.2 / unit)
    assert analysis._chi2(9, found, analysis._FOUND) == pytest.approx(proven)


def test_a_number_of_predictions_is_a_whole_one_from_one_on():
    live = even(10)
    assert analysis._needed(live, live, 0.05, 1e9) == 1
    for index in (0.1, 0.3, 0.7, 1.9):
        assert isinstance(analysis._needed(live, live, 0.05, index), int)


def test_what_would_just_be_found_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(analysis, "_blind", lambda n, m, bins, allowed: 8 / m)
    assert analysis._needed(even(10), even(10), 0.05, 0.5) == 16


def test_a_bound_that_one_side_does_not_have_counts_nothing_there():
    assert analysis._merge({0.1: 5}, {0.2: 7}, 5, 7) == [(5, 0), (0, 7)]


def test_chance_is_shared_among_looks():
    """Once in a thousand windows, each of which is looked at twenty times."""
    assert pytest.approx(stats.norm.isf(0.001 / 20), rel=1e-4) == analysis._Z
    assert pytest.approx(0.001) == analysis._CHANCE * analysis.LOOKS
    assert stats.norm.sf(analysis._Z) == pytest.approx(analysis._CHANCE, rel=1e-3)


def test_a_bin_holds_a_tenth():
    thousand = even(1000, 1)
    assert analysis._merge(thousand, thousand, 1000, 1000) == [(100, 100)] * 10


def test_a_deployment_that_counts_no_predictions_has_none():
    assert Window(1, 0) == Window(1, 0, {}, {})


def test_a_counter_that_stands_still_has_counted_nothing():
    sample = TrafficSample(START, 7, 0, {0.1: 7}, {0.5: 7})
    window = Window.between(sample, sample)
    assert window is not None and (window.requests, window.p99()) == (0, None)

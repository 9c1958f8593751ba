"""Each clause of the analysis, each of its conditions: on its line, beside it, with nothing to go by."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import pytest
from engine_world import START
from scipy import stats

from mlops.lifecycle.decide import analysis
from mlops.lifecycle.decide.analysis import LOOKS, Error, Fail, Pass, TooFew, Window, judge
from mlops.spec.desired import Strategy
from mlops.targets.base import TrafficSample
from mlops.targets.memory import LATENCY, PREDICTION

STRATEGY = Strategy(min_requests=50)


def flat(requests: int, *, slow: int = 0, errors: int = 0, at: float = 0.002, over: float = 1.0) -> Window:
    """All requests take `at` seconds, `slow` of them `over`; every prediction is in one bin."""
    latency = dict.fromkeys(LATENCY, 0) | {at: requests - slow}
    latency[over] = latency[over] + slow
    return Window(
        requests, errors, latency, dict.fromkeys(PREDICTION, 0) | {PREDICTION[3]: requests - errors}
    )


def verdict(new: Window, live: Window, **strategy: float) -> str:
    return type(judge(new, live, Strategy(**{"min_requests": 50, **strategy}))).__name__


def by_chance(over: int, new: int, live: int) -> float:
    """How often so many are slower than the live p99: counted over every order that both may have."""
    above = live // 100  # live requests slower than the one that is the p99
    orders = sum(
        math.comb(above + k, k) * math.comb(new - k + live - above - 1, new - k) for k in range(over, new + 1)
    )
    return orders / math.comb(new + live, new)


@pytest.mark.parametrize(
    ("new", "live"), [(50, 50), (50, 450), (450, 50), (100, 100), (200, 1800), (99, 101)]
)
def test_slow_requests_fail_from_the_number_that_chance_does_not_explain(new: int, live: int):
    least = next(k for k in range(new) if by_chance(k, new, live) <= 0.001 / LOOKS)
    assert verdict(flat(new, slow=least), flat(live)) == "Fail"
    assert verdict(flat(new, slow=least - 1), flat(live)) == "Pass"
    assert least > new * 0.01 + 1, "the limit alone is not what decides"


@pytest.mark.parametrize(("new", "live"), [(50, 50), (50, 450), (450, 50), (200, 1000), (7, 3)])
def test_what_chance_explains_is_the_share_of_orders_in_which_it_happens(new: int, live: int):
    for over in {0, 1, 2, new // 10, new // 2, new}:
        found = analysis._exceeding(over, new, live)
        assert found == pytest.approx(by_chance(over, new, live), rel=1e-6, abs=1e-15)


def test_against_very_many_live_requests_it_is_the_binomial_tail_and_still_quick():
    tail = 1 - math.fsum(math.comb(500, i) * 0.01**i * 0.99 ** (500 - i) for i in range(12))
    assert analysis._exceeding(12, 500, 1_000_000) == pytest.approx(tail, rel=0.02)


@pytest.mark.parametrize(
    ("over", "ratio", "said"),
    [
        (0.003, 1.5, "Pass"),  # its bucket, 0.002 to 0.003, contains the limit of 0.003
        (0.004, 1.5, "Fail"),  # wholly above
        (0.004, 1.75, "Pass"),  # contains 0.0035
        (0.004, 2.0, "Pass"),
        (0.005, 2.0, "Fail"),
        (0.0015, 0.5, "Fail"),  # people may ask to be faster than before
    ],
)
def test_only_buckets_wholly_above_the_allowed_ratio_count_as_slow(over: float, ratio: float, said: str):
    new = flat(200, slow=200, over=over)
    assert verdict(new, flat(200), max_latency_p99_ratio=ratio) == said


def test_a_failure_says_when_the_live_one_was_slower_than_before_too():
    usual = flat(1000)
    now = flat(200, slow=100, over=0.02)
    new = flat(200, slow=200)
    told = judge(new, now, STRATEGY, usual=usual)
    assert isinstance(told, Fail) and told.slow
    assert "the live one was slow too, p99 20 ms against 2 ms in its 1000 requests before" in told.reason
    for before in (None, Window(0, 0), now):
        told = judge(new, now, STRATEGY, usual=before)
        assert isinstance(told, Fail) and "slow too" not in told.reason
    both = judge(replace(new, errors=100), now, STRATEGY, usual=usual)
    assert isinstance(both, Fail) and not both.slow, "errors are never the machine's"


@pytest.mark.parametrize(
    ("now", "machine"),
    [(flat(200, slow=200), True), (flat(200), False), (flat(49, slow=49), False), (None, False)],
)
def test_the_machine_was_slow_when_the_live_one_is_slow_in_the_same_minute(now: Window | None, machine: bool):
    assert bool(analysis.slow_for_all(flat(200, slow=200), now, STRATEGY)) is machine


def test_what_was_counted_until_a_sample_is_a_window_too():
    sample = TrafficSample(START, 3, 1, {0.1: 2, math.inf: 3}, {0.5: 2})
    assert Window.until(sample) == Window(3, 1, {0.1: 2, math.inf: 1}, {0.5: 2})


def test_without_a_finite_latency_of_the_live_one_there_is_no_limit():
    assert verdict(flat(200, slow=200), flat(200, slow=200, over=math.inf)) == "Pass"
    nothing = replace(flat(200), latency={})
    assert verdict(flat(200, slow=200), nothing) == "Pass"
    assert verdict(nothing, flat(200)) == "Pass"


@pytest.mark.parametrize(
    ("limit", "new", "live", "said"),
    [
        (0.0, 0, 0, "Pass"),
        (0.0, 1, 0, "Fail"),
        (0.0, 1, 1, "Pass"),
        (0.0, 2, 1, "Fail"),
        (0.01, 2, 0, "Pass"),
        (0.01, 3, 0, "Fail"),
        (0.01, 3, 3, "Pass"),
        (0.01, 3, 2, "Fail"),
        (0.01, 2, 20, "Pass"),
        (0.01, 21, 20, "Fail"),
        (1.0, 200, 0, "Pass"),
    ],
)
def test_errors_fail_only_above_both_the_limit_and_the_live_one(limit: float, new: int, live: int, said: str):
    assert verdict(flat(200, errors=new), flat(200, errors=live), max_error_rate=limit) == said


def test_one_error_more_among_very_many_requests_is_more():
    live = flat(100_000, errors=1_000)
    for errors, said in ((1_000, "Pass"), (1_001, "Fail")):
        assert verdict(flat(100_000, errors=errors), live, max_error_rate=0.0) == said


@pytest.mark.parametrize(
    ("limit", "errors", "said"), [(0.0, 0, Pass), (0.0, 1, Fail), (0.01, 2, Pass), (0.01, 3, Fail)]
)
def test_alone_errors_are_judged_by_the_limit(limit: float, errors: int, said: type):
    strategy = Strategy(max_error_rate=limit)
    assert isinstance(judge(flat(200, errors=errors), None, strategy, alone=True), said)
    assert isinstance(judge(flat(200, errors=errors), flat(200, errors=150), strategy, alone=True), said)


def test_a_shift_counts_only_above_both_the_limit_and_the_noise():
    def at(share: float, n: int) -> Window:
        moved = round(share * n)
        predictions = dict.fromkeys(PREDICTION, 0) | {PREDICTION[3]: n - moved, PREDICTION[9]: moved}
        return replace(flat(n), predictions=predictions)

    index, noise = analysis.shift(at(0.5, 5000).predictions, at(0.6, 5000).predictions)
    assert noise < index < 0.2
    assert verdict(at(0.6, 5000), at(0.5, 5000)) == "Pass", "below the limit"
    assert verdict(at(0.6, 5000), at(0.5, 5000), max_prediction_shift=0.01) == "Fail", "above both"
    index, most = analysis.shift(at(0.5, 5000).predictions, at(0.6, 5000).predictions, 0.035)
    assert 0.035 < index < most
    assert verdict(at(0.6, 5000), at(0.5, 5000), max_prediction_shift=0.035) == "Pass", "not proven above it"
    index, noise = analysis.shift(at(0.5, 50).predictions, at(0.65, 50).predictions)
    assert 0.05 < index < noise
    assert verdict(at(0.65, 50), at(0.5, 50), max_prediction_shift=0.05) == "Pass", "chance explains it"


def test_the_noise_of_a_shift_is_what_equal_samples_exceed_once_in_twenty_thousand():
    """Chi-squared with nine degrees of freedom, twice as much for two samples as for one."""
    even = dict.fromkeys(PREDICTION, 100)
    _, noise = analysis.shift(even, even)
    assert noise == pytest.approx(35.0 * (1 / 2000 + 1 / 2000), rel=0.03)
    _, larger = analysis.shift(even, dict.fromkeys(PREDICTION, 1))
    assert larger == pytest.approx(35.0 * (1 / 2000 + 1 / 20), rel=0.03)


@pytest.mark.parametrize("freedom", [1, 2, 5, 9])
@pytest.mark.parametrize("noncentral", [0.0, 1.0, 5.0, 25.0, 200.0, 5000.0])
def test_the_quantile_errs_on_the_side_of_no_false_alarm(freedom: int, noncentral: float):
    wanted = stats.ncx2.ppf(1 - 0.001 / LOOKS, freedom, noncentral or 1e-9)
    assert wanted <= analysis._chi2(freedom, noncentral) <= 1.2 * wanted


def with_rows(requests: int, rows: int) -> Window:
    latency = {0.01: requests, 1.0: 0}
    return Window(requests, 0, latency, {float(i): rows // 10 for i in range(10)})


def test_a_pass_needs_the_predictions_that_find_what_may_not_be_missed():
    """Otherwise a strict limit passes whatever comes while there are few rows, and looks like proof."""
    strict = Strategy(max_prediction_shift=0.05, detectable_shift=0.5)
    few = judge(with_rows(50, 50), with_rows(450, 450), strict)
    assert isinstance(few, TooFew) and (few.seen, few.of) == (50, "predictions")
    assert 100 < few.needed < 1000
    enough = -(-few.needed // 10) * 10
    assert isinstance(judge(with_rows(50, enough), with_rows(450, 9 * enough), strict), Pass)
    less = enough - 20
    assert isinstance(judge(with_rows(50, less), with_rows(450, 9 * less), strict), TooFew)
    # Rows count, not requests; and without the setting a pass says how little it knows.
    told = judge(with_rows(50, 50), with_rows(450, 450), Strategy())
    assert isinstance(told, Pass) and "(one of 2.08 would have been found)" in told.summary
    assert isinstance(judge(with_rows(50, 0), with_rows(450, 0), strict), TooFew)


def test_what_is_allowed_cannot_be_what_must_be_found():
    with pytest.raises(ValueError, match="must be above max_prediction_shift"):
        Strategy(max_prediction_shift=0.2, detectable_shift=0.2)


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("alone", [False, True])
def test_a_window_that_is_lost_is_an_error_unless_nobody_needs_it(new: bool, live: bool, alone: bool):
    found = judge(flat(200) if new else None, flat(200) if live else None, STRATEGY, alone=alone)
    assert isinstance(found, Pass if new and (live or alone) else Error)
    # What it did before says nothing about the window that is lost.
    again = judge(flat(200) if new else None, None, STRATEGY, alone=alone, usual=flat(200))
    assert isinstance(again, Pass if new and alone else Error)


@pytest.mark.parametrize(
    ("new", "live", "alone", "said"),
    [
        (49, 50, False, TooFew(49, 50)),
        (50, 49, False, TooFew(49, 50)),
        (10, 20, False, TooFew(10, 50)),
        (50, 50, False, None),
        (50, 0, True, None),
        (49, 100, True, TooFew(49, 50)),
    ],
)
def test_both_need_enough_requests_for_a_verdict(new: int, live: int, alone: bool, said: TooFew | None):
    found = judge(flat(new), flat(live), STRATEGY, alone=alone)
    assert found == said if said else isinstance(found, Pass)


@pytest.mark.parametrize("worse", ["requests", "errors", "latency", "predictions"])
def test_any_counter_that_went_back_means_a_restart(worse: str):
    def sample(n: int) -> TrafficSample:
        return TrafficSample(START, n, n, {0.1: n, math.inf: n}, {1.0: n, math.inf: n})

    before, after = sample(5), sample(9)
    assert Window.between(before, after) == Window(4, 4, {0.1: 4, math.inf: 0}, {1.0: 4, math.inf: 0})
    assert Window.between(before, before) is not None
    assert Window.between(before, replace(after, **{worse: getattr(sample(4), worse)})) is None


def test_a_histogram_that_is_new_since_counts_from_zero():
    before = TrafficSample(START, 0, 0)
    after = TrafficSample(START, 3, 0, {0.1: 2, math.inf: 3}, {})
    assert Window.between(before, after) == Window(3, 0, {0.1: 2, math.inf: 1}, {})


@pytest.mark.parametrize(("slow", "p99"), [(0, 0.002), (1, 0.002), (2, 1.0), (100, 1.0)])
def test_the_p99_is_the_bucket_of_the_ninety_ninth_percentile(slow: int, p99: float):
    assert flat(100, slow=slow).p99() == p99
    assert Window(0, 0).p99() is None


def test_a_value_on_a_bound_counts_below_it_and_one_that_is_no_number_above_all():
    found = analysis.histogram([0.1, 0.100001, 0.2, 9.0, math.nan, -1.0], (0.2, 0.1, 0.3))
    assert found == {0.1: 2, 0.2: 2, 0.3: 2}
    assert analysis.histogram([1.0, math.nan], ()) == {math.inf: 2}


@cache
def bins(*pairs: tuple[int, int]) -> list[tuple[int, int]]:
    live, new = (dict(enumerate(side)) for side in zip(*pairs, strict=True))
    return analysis._merge(live, new, sum(live.values()), sum(new.values()))


def test_bins_hold_a_tenth_of_both_and_a_thin_last_one_joins_the_one_below():
    assert bins(*[(10, 10)] * 10) == [(10, 10)] * 10
    assert bins(*[(5, 5)] * 20) == [(10, 10)] * 10
    assert bins((10, 10), (86, 86), (4, 4)) == [(10, 10), (90, 90)]
    assert bins((10, 10), (85, 85), (5, 5)) == [(10, 10), (85, 85), (5, 5)]
    assert bins((50, 0), (0, 20), (50, 80)) == [(50, 0), (0, 20), (50, 80)]
    # Each side counts as much, however many more predictions the live one made.
    assert bins((9_000, 0), (0, 20), (1_000, 80)) == [(9_000, 0), (0, 20), (1_000, 80)]


@pytest.mark.parametrize("kind", [Window, Pass, Fail, TooFew, Error])
def test_what_decides_is_changed_by_nobody(kind: type):
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]


def test_buckets_are_taken_in_order_however_they_were_written():
    assert Window(100, 0, {2.0: 1, 0.1: 99}).p99() == 0.1
    assert (
        Window.of({"requests": 100, "errors": 0, "latency": {"inf": 2, "0.1": 98}, "predictions": {}}).p99()
        == math.inf
    )


def test_a_request_that_failed_counts_as_one_that_was_seen():
    """A live release that fails now and then would never be compared with, and its successor never pass."""
    assert verdict(flat(50), flat(50, errors=1), max_error_rate=0.5) == "Pass"
    assert verdict(flat(50, errors=1), flat(50), max_error_rate=0.5) == "Pass"


def test_the_chance_of_slow_requests_is_that_of_those_that_were_timed():
    """What failed at once has no latency: a hundred more such requests say nothing about the others."""
    slow, least = 200, next(k for k in range(50) if by_chance(k, 50, 50) <= 0.001 / LOOKS)
    failed = replace(flat(50, slow=least - 1), requests=slow), replace(flat(50), requests=slow)
    assert verdict(*failed) == "Pass"
    assert verdict(replace(failed[0], latency=flat(50, slow=least).latency), failed[1]) == "Fail"


def test_what_must_be_found_is_found_above_what_is_allowed():
    """The more is allowed, the more predictions show that a shift is more than that."""

    def needed(allowed: float) -> int:
        found = judge(
            with_rows(50, 50),
            with_rows(450, 450),
            Strategy(max_prediction_shift=allowed, detectable_shift=0.5),
        )
        assert isinstance(found, TooFew)
        return found.needed

    assert needed(0.01) < needed(0.1) < needed(0.3)
    assert needed(0.3) > 3 * needed(0.01)

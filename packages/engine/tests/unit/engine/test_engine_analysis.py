"""A verdict must hold against noise: a good release that is sent back by chance teaches people to switch
analysis off; a bad one that passes is what analysis is for."""

from __future__ import annotations

import json
import math
import random
from bisect import bisect_left
from dataclasses import replace
from itertools import accumulate

import pytest
from engine_world import START
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from mlops.lifecycle.decide import analysis
from mlops.lifecycle.decide.analysis import Error, Fail, Pass, TooFew, Window, judge, shift
from mlops.spec.desired import Strategy
from mlops.targets.base import TrafficSample
from mlops.targets.memory import LATENCY, PREDICTION

STRATEGY = Strategy(min_requests=50)


def histogram(values: list[float], bounds: tuple[float, ...]) -> dict[float, int]:
    counts = [0] * len(bounds)
    for value in values:
        counts[bisect_left(bounds, value)] += 1
    return dict(zip(bounds, counts, strict=True))


def window(
    requests: int = 200,
    *,
    errors: int = 0,
    latency: float = 0.004,
    centre: float = 0.3,
    spread: float = 0.15,
    seed: int = 1,
) -> Window:
    chance = random.Random(seed)  # noqa: S311  no secret is made of it
    answered = requests - errors
    return Window(
        requests,
        errors,
        histogram([chance.lognormvariate(0, 0.3) * latency for _ in range(requests)], LATENCY),
        histogram([chance.gauss(centre, spread) for _ in range(answered)], PREDICTION),
    )


def test_an_equal_release_passes_and_says_what_was_seen():
    verdict = judge(window(seed=1), window(seed=2), STRATEGY)
    assert isinstance(verdict, Pass), verdict
    assert "200 requests" in verdict.summary
    assert "p99" in verdict.summary


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (window(errors=10), "error rate 5.00%"),
        (window(latency=0.05), "latency p99"),
        (window(centre=0.7), "distribution of predictions moved"),
    ],
)
def test_each_kind_of_worse_release_fails_and_says_why(new: Window, says: str):
    verdict = judge(new, window(seed=2), STRATEGY)
    assert isinstance(verdict, Fail), verdict
    assert says in verdict.reason
    assert "allowed" in verdict.reason


def test_two_faults_are_both_named():
    verdict = judge(window(errors=10, latency=0.05), window(seed=2), STRATEGY)
    assert isinstance(verdict, Fail)
    assert "error rate" in verdict.reason
    assert "latency" in verdict.reason


def test_a_release_that_errs_no_more_than_the_live_one_is_not_sent_back():
    assert isinstance(judge(window(errors=10), window(errors=20), STRATEGY), Pass)


@pytest.mark.parametrize(("new", "live"), [(49, 200), (200, 49), (0, 0)])
def test_too_few_requests_are_no_verdict(new: int, live: int):
    verdict = judge(window(new), window(live), STRATEGY)
    assert verdict == TooFew(min(new, live), 50)


def test_a_restart_while_watched_is_an_error_and_not_a_verdict():
    before = TrafficSample(START, 100, 0, {0.1: 100}, {1.0: 100})
    after = TrafficSample(START, 10, 0, {0.1: 10}, {1.0: 10})
    assert Window.between(before, after) is None
    assert isinstance(judge(None, window(), STRATEGY), Error)


def test_alone_only_errors_are_judged():
    assert isinstance(judge(window(latency=5.0, centre=0.9), None, STRATEGY, alone=True), Pass)
    assert isinstance(judge(window(errors=10), None, STRATEGY, alone=True), Fail)


def test_windows_are_differences_of_cumulative_samples():
    def sample(counts: list[int]) -> TrafficSample:
        cumulative = dict(zip(LATENCY, accumulate(counts), strict=True))
        return TrafficSample(START, sum(counts), 0, cumulative, {})

    size = len(LATENCY)
    first, second = sample([5] * size), sample([5 + i for i in range(size)])
    found = Window.between(first, second)
    assert found is not None
    assert list(found.latency.values()) == list(range(size))


def test_a_window_survives_the_journal():
    original = window()
    assert Window.of(json.loads(json.dumps(original.plain()))) == original


@pytest.mark.parametrize("requests", [50, 200])
def test_false_alarms_are_rarer_than_one_in_a_hundred(requests: int):
    """Same distribution on both sides, 200 windows; three limits that each may err once in a thousand."""
    alarms = sum(
        isinstance(judge(window(requests, seed=2 * i), window(requests, seed=2 * i + 1), STRATEGY), Fail)
        for i in range(200)
    )
    assert alarms <= 2, f"{alarms} of 200 good releases would have been sent back"


@pytest.mark.parametrize(("requests", "slower"), [(50, 10), (200, 5)])
def test_what_matters_is_seen_even_in_a_small_window(requests: int, slower: int):
    for seed in range(30):
        live = window(requests, seed=1000 + seed)
        assert isinstance(judge(window(requests, latency=0.004 * slower, seed=seed), live, STRATEGY), Fail), (
            "slower"
        )
        assert isinstance(judge(window(requests, centre=0.7, seed=seed), live, STRATEGY), Fail), "shifted"


@examples(30)
@given(
    st.lists(st.integers(0, 50), min_size=20, max_size=20),
    st.lists(st.integers(0, 50), min_size=20, max_size=20),
)
def test_the_index_is_finite_and_zero_only_for_equal_shares(live: list[int], new: list[int]):
    a, b = (dict(zip(PREDICTION, counts, strict=True)) for counts in (live, new))
    index, noise = shift(a, b)
    assert 0 <= index < 50
    assert noise > 0
    same, _ = shift(a, a)
    assert same == pytest.approx(0, abs=1e-12)


def test_predictions_beyond_the_live_range_are_a_shift():
    live = window(500, centre=0.2, spread=0.02)
    new = replace(window(500, centre=0.2, spread=0.02, seed=3))
    moved = replace(new, predictions=dict.fromkeys(PREDICTION, 0) | {PREDICTION[-1]: 500})
    assert isinstance(judge(moved, live, STRATEGY), Fail)


@pytest.mark.parametrize("answer", [0.02, 0.98])
def test_a_live_model_that_gives_one_answer_hides_nothing(answer: float):
    """A rare event: nearly all predictions of the live one lie in one bucket."""
    bounds = (0.05, 0.5, 0.95, math.inf)
    live = histogram([answer] * 200, bounds)
    moved, noise = shift(live, histogram([1 - answer] * 60, bounds))
    assert moved > max(1.0, noise)
    stayed, _ = shift(live, histogram([answer] * 60, bounds))
    assert stayed == 0


def test_a_long_thin_tail_is_not_a_shift():
    """Chances of a rare event pile up near zero; a handful in the tail must not send a release back."""
    bounds = tuple(i / 20 for i in range(1, 21))
    over = 0
    for seed in range(200):
        generator = random.Random(seed)  # noqa: S311 (repeatable, not secret)
        live, new = ([generator.betavariate(2, 8) for _ in range(300)] for _ in range(2))
        index, noise = shift(histogram(live, bounds), histogram(new, bounds))
        over += index > noise
    assert over <= 2, f"{over} of 200 windows of one and the same model were called a shift"


# --- what a verdict says ------------------------------------------------------------------------------------


def quick(requests: int = 200, *, slow: int = 0, errors: int = 0, predictions: int = 200) -> Window:
    latency = {0.002: requests - slow, 0.01: 0, 1.0: slow, math.inf: 0}
    return Window(requests, errors, latency, {0.5: predictions, 1.0: 0})


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, "unknown"), (math.inf, "over the last bucket"), (0.0123, "12.3 ms")]
)
def test_a_latency_in_words(seconds: float | None, words: str):
    assert analysis._ms(seconds) == words


def test_a_pass_says_what_was_compared():
    told = judge(quick(), quick(), STRATEGY)
    assert isinstance(told, Pass)
    assert told.summary.startswith(
        "200 requests, error rate 0.00%, p99 2 ms against 2 ms, prediction shift 0.000 ("
    )
    assert "would have been found" in told.summary
    nothing = judge(quick(predictions=0), quick(predictions=0), STRATEGY)
    assert isinstance(nothing, Pass) and nothing.summary.endswith("prediction shift 0.000")
    alone = judge(quick(errors=2), None, Strategy(min_requests=50, max_error_rate=0.5), alone=True)
    assert alone == Pass("200 requests, error rate 1.00%")


def test_a_failure_says_what_was_allowed():
    told = judge(quick(slow=200), quick(), STRATEGY)
    assert told == Fail(
        "latency p99 1e+03 ms against 2 ms, allowed ratio 1.5 (200 of 200 requests were slower than 3 ms)",
        slow=True,
    )
    told = judge(quick(errors=20), quick(errors=1), STRATEGY)
    assert told == Fail("error rate 10.00%, the live one 0.50%, allowed 1.00%", slow=False)
    told = judge(quick(errors=20), None, STRATEGY, alone=True)
    assert told == Fail("error rate 10.00%, allowed 1.00%", slow=False)
    both = judge(quick(errors=20, slow=200), quick(), STRATEGY)
    assert isinstance(both, Fail) and not both.slow and both.reason.count("; ") == 1
    assert (Fail("x").slow, TooFew(1, 2).of) == (False, "requests")


def test_without_predictions_no_number_of_them_is_enough():
    for live, new in (({}, {0.5: 9}), ({0.5: 9}, {}), ({}, {})):
        assert analysis._needed(live, new, 0.05, 0.5) == 10_000_000
        assert analysis.shift(live, new) == (0.0, math.inf)
        assert analysis.blind(live, new, 0.05) == math.inf


def test_a_window_in_the_journal_has_infinity_as_text():
    assert quick(3, errors=1, predictions=2).plain() == {
        "requests": 3,
        "errors": 1,
        "latency": {"0.002": 3, "0.01": 0, "1.0": 0, "inf": 0},
        "predictions": {"0.5": 2, "1.0": 0},
    }
    assert Window(0, 0).error_rate == 0.0 and Window(4, 1).error_rate == 0.25


def test_a_machine_that_was_slow_is_named_with_both_latencies():
    told = analysis.slow_for_all(quick(slow=200), quick(slow=200), STRATEGY)
    assert told.count("1e+03 ms") == 2
    assert analysis.slow_for_all(quick(slow=200), quick(50, slow=50), STRATEGY), "fifty are enough"


def test_more_predictions_find_less_and_a_stricter_limit_needs_more():
    even = {float(i): 100 for i in range(10)}
    few = {float(i): 10 for i in range(10)}
    assert analysis.blind(even, even, 0.05) < analysis.blind(few, few, 0.05)
    assert analysis.blind(even, even, 0.05) < analysis.blind(even, even, 0.2)
    needed = analysis._needed(even, even, 0.05, 0.5)
    assert (
        analysis._blind(needed, needed, 10, 0.05) <= 0.5 < analysis._blind(needed - 1, needed - 1, 10, 0.05)
    )
    less = analysis._needed({k: 3 * v for k, v in even.items()}, even, 0.05, 0.5)
    assert less < needed, "of a live one with more traffic fewer are needed"

"""Distances and tests are what scipy computes; a wrong one either wakes people every night or never."""

from __future__ import annotations

import math

import numpy as np
import pytest
from examples import examples
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from scipy.spatial.distance import jensenshannon

from mlops.monitoring.distance import (
    benjamini_hochberg,
    chi_squared,
    holm,
    jensen_shannon,
    kolmogorov_smirnov,
    psi,
)

# A busy machine is no reason to fail.
CALM = examples(20, suppress_health_check=[HealthCheck.too_slow])

counts = hnp.arrays(np.int64, st.integers(2, 12), elements=st.integers(0, 10_000)).filter(
    lambda c: c.sum() > 0
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    first = draw(counts)
    second = draw(hnp.arrays(np.int64, len(first), elements=st.integers(0, 10_000)))
    return first, second if second.sum() else first


def test_psi_of_a_known_pair():
    # 0.2*ln(0.2/0.4) and so on, by hand: (0.5-0.4)ln(0.5/0.4) + (0.3-0.4)ln(0.3/0.4) + 0.
    expected = 0.1 * math.log(1.25) - 0.1 * math.log(0.75)
    assert psi(np.array([50, 30, 20]), np.array([400, 400, 200])) == pytest.approx(expected)


@CALM
@given(pairs())
def test_psi_is_symmetric_and_never_negative(pair):
    old, new = pair
    assert psi(old, new) >= 0
    assert psi(old, new) == pytest.approx(psi(new, old))


@CALM
@given(counts, st.integers(1, 50))
def test_nothing_moved_when_the_shares_are_equal(old, times):
    assert psi(old, old * times) == pytest.approx(0, abs=1e-12)
    assert jensen_shannon(old, old * times) == pytest.approx(0, abs=1e-6)
    assert chi_squared(old, old)[1] == pytest.approx(1)


@CALM
@given(pairs())
def test_jensen_shannon_is_scipys_symmetric_and_bounded(pair):
    old, new = pair
    found = jensen_shannon(old, new)
    assert 0 <= found <= 1
    assert found == pytest.approx(jensen_shannon(new, old))
    assert found == pytest.approx(float(jensenshannon(old, new, base=2)), abs=1e-6)


def test_jensen_shannon_of_disjoint_shares_is_one():
    assert jensen_shannon(np.array([5, 0]), np.array([0, 7])) == pytest.approx(1)


@CALM
@given(st.floats(0.05, 1.0), st.floats(0.05, 1.0))
def test_effects_grow_with_the_shift(first, second):
    """Mass moves from one bin into another: the more, the further apart."""
    less, more = sorted((first, second))
    old = np.array([1000.0, 1000.0, 1000.0])

    def moved(share: float) -> np.ndarray:
        return old + 1000 * np.array([-share, share, 0])

    for measure in (psi, jensen_shannon):
        assert measure(old, moved(less)) <= measure(old, moved(more)) + 1e-12


@CALM
@given(
    hnp.arrays(np.int64, 40, elements=st.integers(0, 30)),
    hnp.arrays(np.int64, 40, elements=st.integers(0, 30)),
)
def test_kolmogorov_smirnov_is_scipys_when_every_value_is_an_edge(old, new):
    a, b = np.repeat(np.arange(40), old), np.repeat(np.arange(40), new)
    statistic, p_value = kolmogorov_smirnov(old, new)
    if not len(a) or not len(b):
        assert math.isnan(statistic) and p_value == 1
        return
    theirs = stats.ks_2samp(a, b, method="asymp")
    assert statistic == pytest.approx(theirs.statistic)
    if min(len(a), len(b)) >= 100:
        assert p_value == pytest.approx(theirs.pvalue, abs=0.05)


@CALM
@given(pairs())
def test_chi_squared_is_scipys_where_no_bin_is_rare(pair):
    old, new = pair[0] + 50, pair[1] + 50
    table = np.stack([old, new])
    expected = stats.contingency.expected_freq(table)
    if expected.min() < 5:
        return
    theirs = stats.chi2_contingency(table, correction=False)
    statistic, p_value = chi_squared(old, new)
    assert statistic == pytest.approx(theirs.statistic, rel=1e-9, abs=1e-9)
    assert p_value == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)


def test_rare_categories_are_tested_together():
    old, new = np.array([1000, 1000, 3, 2, 1]), np.array([100, 100, 0, 1, 0])
    statistic, p_value = chi_squared(old, new)
    pooled = stats.chi2_contingency(np.array([[1000 + 6, 1000], [101, 100]]), correction=False)
    assert statistic == pytest.approx(pooled.statistic)
    assert p_value == pytest.approx(pooled.pvalue)
    assert p_value > 0.5, "one row in a rare category is no drift"


@pytest.mark.parametrize("empty", [(np.zeros(3), np.ones(3)), (np.ones(3), np.zeros(3))])
def test_nothing_to_compare_is_no_evidence(empty):
    assert chi_squared(*empty)[1] == 1
    assert kolmogorov_smirnov(*empty)[1] == 1


def test_corrections_of_a_known_list():
    raw = [0.01, 0.04, 0.03, 0.005]
    assert holm(raw) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg(raw) == pytest.approx(stats.false_discovery_control(raw, method="bh"))
    assert holm([]) == [] and benjamini_hochberg([]) == []


@CALM
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_corrections_only_raise_and_keep_the_order(raw):
    for correct in (holm, benjamini_hochberg):
        adjusted = correct(raw)
        assert all(a >= p - 1e-12 and a <= 1 for p, a in zip(raw, adjusted, strict=True))
        order = np.argsort(raw, kind="stable")
        assert np.all(np.diff(np.array(adjusted)[order]) >= -1e-12)
    assert np.all(np.array(holm(raw)) >= np.array(benjamini_hochberg(raw)) - 1e-12)

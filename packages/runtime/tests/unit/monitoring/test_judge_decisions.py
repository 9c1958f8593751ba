"""Verdicts of monitoring at their limits: each condition decides by itself, and of two limits the stricter.

An alarm that compares with the wrong thing is either silent or ignored after a week.
"""

from __future__ import annotations

import pytest

from mlops.monitoring import judge
from mlops.monitoring.judge import Compared
from mlops.monitoring.profile import ColumnProfile, Profile
from mlops.monitoring.scan import ColumnFacts
from mlops.monitoring.thresholds import Rules
from mlops.spec.gates import Interval
from mlops.spec.monitoring import PerformanceLimit, Signal, VolumeLimit
from mlops.spec.schema import Column

PSI, JS = "population_stability_index", "jensen_shannon_distance"
KS, CHI = "two_sample_kolmogorov_smirnov_test", "pearsons_chi_squared_test"


def as_it_is(values: list[float]) -> list[float]:
    return list(values)


def compared(name: str = "a", p: float = 0.5, kind: str = "numerical", **values: float) -> Compared:
    found = {"psi": 0.0, "jensen_shannon": 0.0, "ks": 0.0, "chi_squared": 0.0} | values
    return Compared(name, kind, found, p, 100)  # type: ignore[arg-type]


def decided(column: Compared, limits: dict[str, float]) -> Signal:
    (signal,) = judge._decide("drift", [column], Rules({column.kind: limits}), as_it_is)
    return signal


@pytest.mark.parametrize(
    ("limits", "psi", "p", "verdict"),
    [
        ({PSI: 0.2}, 0.2, 0.0, "pass"),  # at the limit is not beyond it
        ({PSI: 0.2}, 0.21, 1.0, "breach"),  # without a test, chance is not asked
        ({PSI: 0.2, KS: 0.05}, 0.21, 0.06, "pass"),
        ({PSI: 0.2, KS: 0.05}, 0.21, 0.05, "breach"),
        ({PSI: 0.2, KS: 0.05}, 0.2, 0.0, "pass"),  # certain, and too small to matter
        ({KS: 0.05}, 0.0, 0.05, "breach"),  # only a test: it decides
        ({KS: 0.05}, 9.0, 0.06, "pass"),
        ({PSI: 0.0}, 0.0, 0.0, "pass"),
        ({PSI: 0.0}, 0.01, 0.0, "breach"),
    ],
)
def test_effect_and_chance_decide_together(
    limits: dict[str, float], psi: float, p: float, verdict: str
) -> None:
    signal = decided(compared(psi=psi, p=p), limits)
    assert (signal.verdict, signal.p_value) == (verdict, p)


def test_of_two_effects_the_one_furthest_beyond_its_limit_is_told() -> None:
    limits = {PSI: 0.2, JS: 0.1}
    assert decided(compared(psi=0.3, jensen_shannon=0.05), limits).metric == "psi"
    both = decided(compared(psi=0.3, jensen_shannon=0.2), limits)
    assert (both.metric, both.observed, both.verdict) == ("jensen_shannon", 0.2, "breach")
    assert decided(compared(psi=0.1, jensen_shannon=0.2), limits).verdict == "breach"
    nothing_allowed = {PSI: 0.0, JS: 0.1}
    assert decided(compared(psi=0.01, jensen_shannon=0.2), nothing_allowed).metric == "jensen_shannon"
    assert decided(compared(psi=0.01, jensen_shannon=0.1), nothing_allowed).metric == "psi"


def test_a_column_without_a_limit_is_measured_and_never_alarms() -> None:
    rules = Rules({"numerical": {PSI: 0.1}}, features=("a", "c"))
    named, other, text = judge._decide(
        "drift",
        [compared("a", psi=9), compared("b", psi=9), compared("c", kind="categorical", psi=9)],
        rules,
        as_it_is,
    )
    assert (named.verdict, other.verdict, text.verdict) == ("breach", "skipped", "skipped")
    assert (other.limit, text.limit) == ("", ""), "what cannot alarm has no limit"
    assert other.values["psi"] == 9 and (other.p_value, text.p_value) == (None, None)


def test_only_columns_that_can_alarm_are_corrected_for() -> None:
    asked: list[list[float]] = []

    def correction(values: list[float]) -> list[float]:
        asked.append(list(values))
        return [min(1.0, value * len(values)) for value in values]

    columns = [compared("a", p=0.04), compared("b", p=0.01), compared("c", p=0.0)]
    rules = Rules({"numerical": {KS: 0.05}}, features=("a", "b"))
    found = judge._decide("drift", columns, rules, correction)
    assert asked == [[0.04, 0.01]]
    assert [s.verdict for s in found] == ["pass", "breach", "skipped"]


COLUMN = Column(name="a", type="number")


def reference(nulls: int = 0, rows: int = 100) -> Profile:
    column = ColumnProfile(name="a", kind="numeric", edges=[0.0], counts=[rows - nulls, 0, 0], nulls=nulls)
    return Profile.model_construct(columns=[column])


def rates(facts: ColumnFacts | None, before: Profile, **limits: float) -> list[Signal]:
    there = {} if facts is None else {"a": facts}
    return judge.quality([COLUMN], there, before, Rules({"numerical": limits}))


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        (50, 55, "pass"),
        (50, 60, "pass"),
        (50, 61, "breach"),
        (0, 10, "pass"),
        (0, 11, "breach"),
        (90, 10, "pass"),
    ],
)
def test_null_rates_are_judged_by_their_rise(before: int, now: int, verdict: str) -> None:
    (signal,) = rates(ColumnFacts(None, rows=100, nulls=now), reference(before), null_value_rate=0.1000001)
    assert signal.verdict == verdict
    assert signal.observed == pytest.approx((now - before) / 100)
    assert signal.values == {"null_rate": now / 100, "reference_null_rate": before / 100}


@pytest.mark.parametrize(
    ("metric", "field"), [("data_type_error_rate", "wrong_type"), ("out_of_bounds_rate", "out_of_bounds")]
)
@pytest.mark.parametrize(("count", "verdict"), [(20, "pass"), (21, "breach")])
def test_other_rates_are_judged_as_they_are(metric: str, field: str, count: int, verdict: str) -> None:
    facts = ColumnFacts(None, rows=100, nulls=50, **{field: count})
    (signal,) = rates(facts, reference(90), **{metric: 0.2})
    assert (signal.metric, signal.verdict, signal.observed) == (metric, verdict, count / 100)


def test_a_column_that_is_not_there_is_skipped_and_one_that_is_new_was_never_null() -> None:
    assert [s.verdict for s in rates(None, reference(), null_value_rate=0.1)] == ["skipped"]
    assert [s.verdict for s in rates(ColumnFacts(None, rows=0), reference(), null_value_rate=0.1)] == [
        "skipped"
    ]
    empty = Profile.model_construct(columns=[])
    (signal,) = rates(ColumnFacts(None, rows=100, nulls=20), empty, null_value_rate=0.1)
    assert (signal.verdict, signal.observed) == ("breach", 0.2)
    text = Column(name="a", type="string")
    limits = Rules({"numerical": {"null_value_rate": 0.1}})
    assert judge.quality([text], {"a": ColumnFacts(None, rows=1, nulls=1)}, reference(), limits) == []
    named = Rules({"numerical": {"null_value_rate": 0.1}}, features=("b",))
    assert judge.quality([COLUMN], {"a": ColumnFacts(None, rows=1, nulls=1)}, reference(), named) == []


LIMIT = VolumeLimit(max_fall=0.5, max_rise=3.0)


@pytest.mark.parametrize(
    ("rows", "verdict"), [(49, "breach"), (50, "pass"), (100, "pass"), (300, "pass"), (301, "breach")]
)
def test_volume_is_held_to_the_median_of_what_is_usual(rows: int, verdict: str) -> None:
    signal = judge.volume(rows, [90, 100, 5000], LIMIT, 10)
    assert (signal.verdict, signal.values["usual"], signal.observed) == (verdict, 100.0, float(rows))


def test_windows_of_smoke_tests_are_not_usual() -> None:
    assert judge.volume(100, [9, 9, 9, 100], LIMIT, 10).verdict == "pass"
    assert judge.volume(100, [10, 10, 100], LIMIT, 10).verdict == "breach"  # ten are enough to count
    for earlier in ([], [9, 9]):
        signal = judge.volume(100, earlier, LIMIT, 10)
        assert (signal.verdict, signal.observed) == ("skipped", 100.0)


def performed(limit: PerformanceLimit, low: float, high: float, released: float | None = None) -> Signal:
    interval = Interval.model_construct(value=(low + high) / 2, low=low, high=high)
    return judge.performance("performance", "m", limit, interval=interval, released=released, rows=50)


@pytest.mark.parametrize(
    ("given", "released", "low", "high", "verdict"),
    [
        ({"min": 0.5}, None, 0.3, 0.49, "breach"),
        ({"min": 0.5}, None, 0.3, 0.5, "pass"),  # all of the interval has to be beyond
        ({"max": 0.5}, None, 0.51, 0.6, "breach"),
        ({"max": 0.5}, None, 0.5, 0.6, "pass"),
        # The stricter of two limits decides, whichever it is.
        ({"min": 0.5, "max_loss": 0.1}, 0.9, 0.6, 0.7, "breach"),
        ({"min": 0.75, "max_loss": 0.4}, 0.9, 0.6, 0.7, "breach"),
        ({"max": 0.5, "max_loss": 0.1, "direction": "lower"}, 0.2, 0.35, 0.4, "breach"),
        ({"max": 0.3, "max_loss": 0.4, "direction": "lower"}, 0.2, 0.35, 0.4, "breach"),
        ({"max_loss": 0.1}, 0.9, 0.7, 0.79, "breach"),
        ({"max_loss": 0.1}, 0.9, 0.7, 0.81, "pass"),
        ({"max_loss": 0.1, "direction": "lower"}, 0.2, 0.31, 0.4, "breach"),
        ({"max_loss": 0.1, "direction": "lower"}, 0.2, 0.29, 0.4, "pass"),
        # What is better than the release is never a loss.
        ({"max_loss": 0.1}, 0.5, 0.9, 0.95, "pass"),
        ({"max_loss": 0.1, "direction": "lower"}, 0.5, 0.1, 0.2, "pass"),
        ({"min": 0.5, "max_loss": 0.1}, None, 0.3, 0.4, "breach"),
        ({"max_loss": 0.1}, None, 0.1, 0.2, "skipped"),
    ],
)
def test_the_stricter_of_two_limits_decides(
    given: dict[str, float], released: float | None, low: float, high: float, verdict: str
) -> None:
    signal = performed(PerformanceLimit(metric="auc", **given), low, high, released)  # type: ignore[arg-type]
    assert (signal.verdict, signal.metric) == (verdict, "auc")
    if verdict != "skipped":
        assert signal.values["rows"] == 50.0 and signal.values.get("released") == released


def test_a_metric_that_is_not_defined_is_skipped() -> None:
    limit = PerformanceLimit(metric="auc", min=0.5)
    signal = judge.performance("performance", "m", limit, interval=None, released=None, rows=1)
    assert (signal.verdict, signal.metric) == ("skipped", "auc")


def test_a_column_of_the_reference_that_was_not_captured_is_told() -> None:
    found = judge.drift(reference(), {}, Rules({}), as_it_is)
    assert [(s.name, s.verdict) for s in found] == [("a", "skipped")]
    (signal,) = judge.prediction_drift(None, reference().columns[0], Rules({}), as_it_is)
    assert signal.verdict == "skipped"
    (signal,) = judge.prediction_drift(reference().columns[0], None, Rules({}), as_it_is)
    assert signal.verdict == "skipped"


def test_a_numeric_column_is_compared_by_all_its_distances() -> None:
    edges = [float(i) for i in range(9)]
    old = ColumnProfile(name="a", kind="numeric", edges=edges, counts=[10] * 10, nulls=25)
    same = judge.compare(old, old)
    assert (same.name, same.kind, same.rows, same.p_value) == ("a", "numerical", 125, pytest.approx(1.0))
    unmoved = {"psi": 0, "jensen_shannon": 0, "ks": 0, "null_rate": 0.2, "reference_null_rate": 0.2}
    assert {name: same.values[name] for name in unmoved} == pytest.approx(unmoved, abs=1e-9)
    moved = ColumnProfile(name="a", kind="numeric", edges=edges, counts=[0] * 5 + [20] * 5, nulls=0)
    found = judge.compare(old, moved)
    assert found.values["ks"] == pytest.approx(0.5, abs=0.01) and found.p_value < 1e-6 and found.rows == 100
    assert found.values["psi"] > 1 and found.values["jensen_shannon"] > 0.1
    assert (found.values["null_rate"], found.values["reference_null_rate"]) == (0.0, 0.2)


def test_a_text_column_is_compared_by_its_counts_and_what_is_new() -> None:
    old = ColumnProfile(name="a", kind="category", values=["x", "y"], counts=[50, 50, 0])
    new = ColumnProfile(name="a", kind="category", values=["x", "y"], counts=[20, 60, 20])
    found = judge.compare(old, new)
    assert found.kind == "categorical" and found.values["unseen"] == 0.2 and found.p_value < 0.01
    assert found.values["chi_squared"] > 0 and "ks" not in found.values
    assert judge.compare(old, old).p_value == pytest.approx(1.0)
    empty = ColumnProfile(name="a", kind="category", values=["x", "y"], counts=[0, 0, 0])
    assert judge.compare(old, empty).values.get("unseen") == 0.0

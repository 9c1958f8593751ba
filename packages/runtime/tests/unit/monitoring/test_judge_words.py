"""What a signal says beside its verdict, and what a classifier says of values that never come twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlops.monitoring import judge, telling
from mlops.monitoring.judge import Compared
from mlops.monitoring.profile import ColumnProfile, Profile, RichProfile
from mlops.monitoring.scan import ColumnFacts
from mlops.monitoring.thresholds import Rules
from mlops.spec.gates import Interval
from mlops.spec.monitoring import PerformanceLimit, Signal, VolumeLimit
from mlops.spec.schema import Column

PSI, JS = "population_stability_index", "jensen_shannon_distance"
KS, CHI = "two_sample_kolmogorov_smirnov_test", "pearsons_chi_squared_test"
VALUES = {"psi": 0.5, "jensen_shannon": 0.25, "ks": 0.4, "chi_squared": 7.0}


def signal(limits: dict[str, float], p: float = 0.5, kind: str = "numerical", **values: float) -> Signal:
    column = Compared("a", kind, {**VALUES, **values}, p, 100)  # type: ignore[arg-type]
    (found,) = judge._decide("drift", [column], Rules({column.kind: limits}), list)
    return found


@pytest.mark.parametrize(
    ("limits", "kind", "metric", "observed", "limit"),
    [
        ({PSI: 1.0}, "numerical", "psi", 0.5, "psi at most 1"),
        ({JS: 1.0}, "numerical", "jensen_shannon", 0.25, "jensen_shannon at most 1"),
        ({PSI: 1.0, JS: 0.9}, "numerical", "psi", 0.5, "psi at most 1, jensen_shannon at most 0.9"),
        ({PSI: 1.0, KS: 0.05}, "numerical", "psi", 0.5, "psi at most 1, or p above 0.05"),
        ({KS: 0.05}, "numerical", "ks", 0.4, "p above 0.05"),
        ({CHI: 0.01}, "categorical", "chi_squared", 7.0, "p above 0.01"),
    ],
)
def test_a_signal_says_what_it_was_held_to(
    limits: dict[str, float], kind: str, metric: str, observed: float, limit: str
) -> None:
    found = signal(limits, kind=kind)
    assert (found.metric, found.observed, found.limit, found.verdict) == (metric, observed, limit, "pass")
    assert (found.kind, found.name, found.p_value, found.values, found.detail) == (
        "drift", "a", 0.5, VALUES, "",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("limits", "metric"),
    [
        ({PSI: 0.4, JS: 0.16}, "jensen_shannon"),  # 1.25 times its limit, and 1.56 times
        ({PSI: 0.25, JS: 0.16}, "psi"),
        ({PSI: 0.0, JS: 0.2}, "psi"),  # nothing at all was allowed
    ],
)
def test_the_effect_that_is_told_is_furthest_beyond_its_limit(limits: dict[str, float], metric: str) -> None:
    assert signal(limits).metric == metric


def test_of_two_tests_the_stricter_decides() -> None:
    assert signal({KS: 0.05, CHI: 0.01}, p=0.03).verdict == "pass"
    assert signal({KS: 0.05, CHI: 0.01}, p=0.01).verdict == "breach"


def test_a_distance_that_has_no_value_is_left_out() -> None:
    one = ColumnProfile(name="a", kind="category", values=["x"], counts=[9, 0])
    assert "chi_squared" not in judge.compare(one, one).values


def test_what_moved_and_may_be_chance_is_said() -> None:
    assert "chance" in signal({PSI: 0.1, KS: 0.05}).detail
    assert signal({PSI: 0.1, KS: 0.05}, p=0.01).detail == ""
    assert signal({PSI: 1.0, KS: 0.05}).detail == ""


def test_a_column_that_nobody_names_says_so() -> None:
    (found,) = judge._decide("drift", [Compared("a", "numerical", VALUES, 0.5, 100)], Rules({}), list)
    assert (found.verdict, found.limit, found.metric, found.observed) == ("skipped", "", "psi", 0.5)
    assert "monitor.yml" in found.detail


def test_a_trait_is_judged_where_its_column_is() -> None:
    trait = Compared("a (length)", "categorical", VALUES, 0.5, 100, column="a")
    rules = Rules({"categorical": {PSI: 0.1}}, features=("a",))
    found = judge._decide("drift", [trait, replace(trait, name="b (length)", column="b")], rules, list)
    assert [(one.name, one.verdict) for one in found] == [("a (length)", "breach"), ("b (length)", "skipped")]


# --- a classifier -------------------------------------------------------------------------------------------


def rich(sample: Any) -> RichProfile:
    return RichProfile(kind="vector", traits=[], sample=[list(map(float, row)) for row in sample])


def texts(sample: Any) -> ColumnProfile:
    return ColumnProfile(
        name="text", kind="category", values=["x"], counts=[max(len(sample), 1), 0], rich=rich(sample)
    )


def drawn(seed: int, centre: float, rows: int = 200) -> Any:
    return np.random.default_rng(seed).normal(centre, 1, (rows, 3))


def test_values_that_moved_are_told_apart_and_equal_ones_are_not() -> None:
    same, moved = drawn(1, 0), drawn(2, 2)
    (found,) = judge.traits(texts(same), texts(moved))
    assert (found.name, found.column, found.kind) == ("text (classifier)", "text", "categorical")
    assert found.rows == 200 and found.p_value < 1e-6
    area, p_value = telling.apart(same, moved)  # type: ignore[misc]
    assert (found.values["classifier_auc"], found.p_value) == (area, p_value) and area > 0.9
    assert found.values["psi"] > 1 and found.values["jensen_shannon"] > 0.3
    (equal,) = judge.traits(texts(same), texts(drawn(3, 0, 100)))
    assert equal.p_value > 0.01 and equal.rows == 100
    assert equal.values["psi"] < 0.5 and equal.values["jensen_shannon"] < 0.4


def test_a_sample_is_held_in_ten_bins_of_the_references_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = np.arange(100.0), np.full(50, 95.0)
    monkeypatch.setattr(telling, "apart", lambda *_: (0.9, 0.001))
    monkeypatch.setattr(telling, "scores", lambda *_: (ours, theirs))
    seen: list[Any] = []
    monkeypatch.setattr(judge, "_EFFECTS", {"m": ("psi", lambda *c: seen.append(c) or 0.0)})
    judge.traits(texts([[1.0]]), texts([[2.0]]))
    ((before, after),) = seen
    assert before.tolist() == [10] * 10 and after.tolist() == [0] * 9 + [50]


@pytest.mark.parametrize(("old", "new"), [([], [[1.0]]), ([[1.0]], []), ([], [])])
def test_of_nothing_a_classifier_is_not_asked(
    old: list[Any], new: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "apart", lambda *_: pytest.fail("there is nothing to tell apart"))
    assert judge.traits(texts(old), texts(new)) == []


def test_a_classifier_that_cannot_say_is_not_asked_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "apart", lambda *_: None)
    assert judge.traits(texts([[1.0]]), texts([[2.0]])) == []


# --- drift, quality, volume, performance --------------------------------------------------------------------


def numbers(name: str, nulls: int = 0) -> ColumnProfile:
    return ColumnProfile(name=name, kind="numeric", edges=[0.0], counts=[10 - nulls, 0, 0], nulls=nulls)


def test_every_column_of_the_reference_has_its_signal_and_none_is_made_up() -> None:
    reference = Profile(source="test", rows=10, columns=[numbers(name) for name in "abcd"])
    facts = {
        "a": ColumnFacts(numbers("a"), rows=10),
        "b": ColumnFacts(None, rows=0),
        "d": ColumnFacts(numbers("d"), rows=10),
        "more": ColumnFacts(numbers("more"), rows=10),
    }
    found = judge.drift(reference, facts, Rules({"numerical": {PSI: 0.1}}), list)
    assert {one.name: one.verdict for one in found} == {
        "a": "pass", "b": "skipped", "c": "skipped", "d": "pass",
    }  # fmt: skip
    assert len(found) == 4
    assert {one.kind for one in found} == {"drift"}


def test_traits_of_a_column_have_signals_of_their_own() -> None:
    told = RichProfile(kind="vector", traits=[numbers("norm")])
    column = numbers("a").model_copy(update={"rich": told})
    reference = Profile(source="test", rows=10, columns=[column])
    found = judge.drift(reference, {"a": ColumnFacts(column, rows=10)}, Rules({}), list)
    assert [one.name for one in found] == ["a", "a (norm)"]


def test_predictions_are_judged_whatever_inputs_are_named() -> None:
    rules = Rules({"numerical": {PSI: 0.1}}, features=("a",))
    moved = ColumnProfile(name="prediction", kind="numeric", edges=[0.0], counts=[0, 0, 10])
    (found,) = judge.prediction_drift(numbers("prediction"), moved, rules, list)
    assert (found.kind, found.verdict) == ("prediction", "breach")


@pytest.mark.parametrize(
    ("kind", "limits", "signals"),
    [
        ("integer", "numerical", 1),
        ("number", "numerical", 1),
        ("string", "categorical", 1),
        ("boolean", "categorical", 1),
        ("string", "numerical", 0),
        ("integer", "categorical", 0),
    ],
)
def test_rates_of_a_column_follow_its_kind(kind: Any, limits: Any, signals: int) -> None:
    column, facts = Column(name="a", type=kind), {"a": ColumnFacts(None, rows=10, nulls=1)}
    reference = Profile(source="test", rows=10, columns=[numbers("a")])
    found = judge.quality([column], facts, reference, Rules({limits: {"null_value_rate": 0.2}}))
    assert len(found) == signals


def test_every_rate_and_every_column_has_its_line() -> None:
    columns = [Column(name=name, type="number") for name in "abc"]
    facts = {"a": ColumnFacts(None, rows=10), "c": ColumnFacts(None, rows=10, nulls=5, out_of_bounds=1)}
    reference = Profile(source="test", rows=10, columns=[numbers("a"), numbers("c", nulls=2)])
    limits = {"null_value_rate": 0.2, "out_of_bounds_rate": 0.05, "data_type_error_rate": 0.0}
    found = judge.quality(columns, facts, reference, Rules({"numerical": limits}))
    assert [(one.name, one.metric, one.verdict) for one in found] == [
        *(("a", metric, "pass") for metric in limits),
        ("b", "", "skipped"),
        ("c", "null_value_rate", "breach"),
        ("c", "out_of_bounds_rate", "breach"),
        ("c", "data_type_error_rate", "pass"),
    ]
    assert {one.kind for one in found} == {"quality"}
    assert found[4].limit == "at most 20.00% over the reference's 20.00%"
    assert found[5].limit == "at most 5.00%" and found[5].values["null_rate"] == 0.5


def test_a_column_that_nobody_names_hides_no_other() -> None:
    columns = [Column(name="t", type="string"), *(Column(name=name, type="number") for name in "abc")]
    facts = {name: ColumnFacts(None, rows=10) for name in "abc"}
    reference = Profile(source="test", rows=10, columns=[])
    rules = Rules({"numerical": {"null_value_rate": 0.2}}, features=("a", "c", "t"))
    assert [one.name for one in judge.quality(columns, facts, reference, rules)] == ["a", "c"]


def test_a_volume_says_between_what() -> None:
    limit = VolumeLimit(max_fall=0.2, max_rise=3.0)
    found = judge.volume(100, [90, 100, 5000], limit, 10)
    assert found.limit == "80 to 300 (usual: 100)"
    assert (found.kind, found.name, found.metric) == ("volume", "rows", "rows")
    assert "10 rows" in judge.volume(100, [9], limit, 10).detail
    assert "not the last" in judge.volume(100, [], limit, 10).detail
    assert judge.volume(100, [9], limit, 10).name == "rows"


@pytest.mark.parametrize(
    ("given", "released", "limit", "detail"),
    [
        ({"min": 0.5}, None, "at least 0.5", False),
        ({"max": 0.5}, 0.7, "at most 0.5", False),
        ({"max": 0.5}, 0.0, "at most 0.5", False),
        ({"min": 0.1, "max": 0.5}, None, "at least 0.1 and at most 0.5", False),
        ({"max_loss": 0.1}, 0.9, "at least 0.8", True),
        ({"max_loss": 0.0}, 0.9, "at least 0.9", True),
        ({"max_loss": 0.0, "direction": "lower"}, 0.5, "at most 0.5", True),
        ({"max_loss": 0.1, "direction": "lower"}, 0.5, "at most 0.6", True),
        ({"min": 0.5, "max_loss": 0.1}, None, "at least 0.5", False),
    ],
)
def test_a_performance_says_what_it_was_held_to(
    given: dict[str, Any], released: float | None, limit: str, detail: bool
) -> None:
    interval = Interval(value=0.45, low=0.4, high=0.5)
    asked = PerformanceLimit(metric="auc", **given)
    found = judge.performance("performance", "m", asked, interval=interval, released=released, rows=50)
    assert (found.limit, found.observed, found.kind, found.name) == (limit, 0.45, "performance", "m")
    assert bool(found.detail) == detail
    wanted = {"low": 0.4, "high": 0.5, "rows": 50.0}
    assert found.values == (wanted if released is None else {**wanted, "released": released})


def test_a_performance_without_a_release_to_compare_with_still_shows_its_value() -> None:
    interval = Interval(value=0.45, low=0.4, high=0.5)
    limit = PerformanceLimit(metric="auc", max_loss=0.1)
    found = judge.performance("slice", "m", limit, interval=interval, released=None, rows=50)
    assert (found.verdict, found.metric, found.observed, found.kind) == ("skipped", "auc", 0.45, "slice")


@pytest.mark.parametrize("kind", [Compared])
def test_what_decides_is_changed_by_nobody(kind: type):
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]

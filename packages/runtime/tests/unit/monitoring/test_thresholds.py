"""Thresholds are what Azure ML's file says; one that would be ignored is refused: somebody relies on it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from mlops.errors import InvalidInput
from mlops.monitoring.thresholds import Rules, load_thresholds, monitor_path
from mlops.pipeline import lint

ROOT = Path(__file__).parents[5]
GOOD = """\
name: watch
trigger: {type: recurrence, frequency: day, interval: 1}
create_monitor:
  compute: {instance_type: standard_e4s_v3, runtime_version: "3.4"}
  monitoring_signals:
    drift:
      type: data_drift
      production_data: {data_window: {lookback_window_size: P2DT12H}}
      features: [a, b]
      metric_thresholds:
        numerical: {population_stability_index: 0.3}
        categorical: {pearsons_chi_squared_test: 0.01}
    generated:
      type: generation_token_statistics
      metric_thresholds: {totaltoken: {total_token_count: 5}}
"""


def write(root: Path, text: str) -> Path:
    path = root / monitor_path("toy")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return root


def test_production_data_need_to_be_named(tmp_path: Path):
    path = write(tmp_path, GOOD) / monitor_path("toy")
    (problem,) = lint(path)
    assert problem.field == "create_monitor.monitoring_signals.drift.production_data"
    assert "needs `input_data`" in problem.message


def test_a_file_is_read(tmp_path: Path):
    found = load_thresholds(write(tmp_path, GOOD), "toy")
    assert found.lookback == timedelta(days=2, hours=12)
    assert found.drift == Rules(
        {
            "numerical": {"population_stability_index": 0.3},
            "categorical": {"pearsons_chi_squared_test": 0.01},
        },
        ("a", "b"),
    )
    assert (found.quality, found.prediction, found.ignored) == (None, None, ("generated",))
    assert found.drift.admits("a") and not found.drift.admits("c")


NUMERICAL = "numerical: {population_stability_index: 0.3}"
CATEGORICAL = "categorical: {pearsons_chi_squared_test: 0.01}"
WRONG = {
    ("population_stability_index", "normalized_wasserstein_distance"): (
        "numerical.normalized_wasserstein_distance",
        "is not computed by mlops monitor",
    ),
    ("pearsons_chi_squared_test", "two_sample_kolmogorov_smirnov_test"): (
        "categorical.two_sample_kolmogorov_smirnov_test",
        "is not computed by mlops monitor",
    ),
    ("0.3", "high"): ("numerical.population_stability_index", "must be a number of 0 or more; got 'high'"),
    ("0.01", "-1"): ("categorical.pearsons_chi_squared_test", "0 or more"),
    ("[a, b]", "{top_n_feature_importance: none}"): (
        "top_n_feature_importance",
        "a whole number of 1 or more",
    ),
    ("[a, b]", "{top_n_feature_importance: 0}"): ("top_n_feature_importance", "a whole number of 1 or more"),
    ("[a, b]", "{top_feature: 5}"): ("drift.features", "a list of input columns"),
    ("P2DT12H", "7 days"): ("lookback_window_size", "a period such as P7D"),
    ("P2DT12H", "P0D"): ("lookback_window_size", "a period such as P7D"),
    (f"{NUMERICAL}\n        {CATEGORICAL}", "{}"): ("metric_thresholds", "needs a threshold"),
    ("generation_token_statistics", "data_drift"): ("generated", "second signal of the type data_drift"),
}


@pytest.mark.parametrize(("edit", "said"), WRONG.items())
def test_what_would_be_ignored_is_refused(tmp_path: Path, edit: tuple[str, str], said: tuple[str, str]):
    (old, new), (field, sentence) = edit, said
    assert old in GOOD
    with pytest.raises(InvalidInput) as refused:
        load_thresholds(write(tmp_path, GOOD.replace(old, new)), "toy")
    assert field in str(refused.value) and sentence in str(refused.value)
    assert str(refused.value).startswith("pipelines/toy/monitor.yml:"), "with file and line"


def test_the_most_important_columns_are_named_by_whoever_knows_them(tmp_path: Path):
    text = GOOD.replace("[a, b]", "{top_n_feature_importance: 2}")
    found = load_thresholds(write(tmp_path, text), "toy")
    assert [p for p in lint(tmp_path / monitor_path("toy")) if "features" in p.field] == []
    assert found.ranked and found.drift and not found.drift.admits("a"), "nothing is looked at by mistake"
    named = found.among(["c", "a", "b"])
    assert not named.ranked and named.drift
    assert [name for name in "abc" if named.drift.admits(name)] == ["a", "c"]
    assert not load_thresholds(write(tmp_path, GOOD), "toy").ranked


def test_two_lookbacks_are_refused(tmp_path: Path):
    more = GOOD + (
        "    quality:\n      type: data_quality\n"
        "      production_data: {data_window: {lookback_window_size: P1D}}\n"
        "      metric_thresholds: {numerical: {null_value_rate: 0.1}}\n"
    )
    with pytest.raises(InvalidInput, match="one lookback_window_size"):
        load_thresholds(write(tmp_path, more), "toy")


@pytest.mark.parametrize(
    "text", ["", "name: x\n", "create_monitor: {}\n", "create_monitor: {monitoring_signals: []}\n"]
)
def test_a_file_without_signals_is_refused(tmp_path: Path, text: str):
    with pytest.raises(InvalidInput, match="monitoring_signals"):
        load_thresholds(write(tmp_path, text), "toy")


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InvalidInput, match=r"pipelines/toy/monitor\.yml: the file does not exist"):
        load_thresholds(tmp_path, "toy")


def test_the_repositorys_monitor_is_good_for_both_readers():
    from flights import usecase

    found = load_thresholds(ROOT, "flights")
    assert lint(ROOT / monitor_path("flights")) == []
    known = set(usecase.contract().columns)
    for rules in (found.drift, found.quality):
        assert rules is not None and rules.features is not None
        assert set(rules.features) <= known, "a feature that the model does not have is never looked at"

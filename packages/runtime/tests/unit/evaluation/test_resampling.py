"""Of many rows, resamples are weighted block by block: every metric must be what it is on the weights of all
rows, and its interval must hold the truth as often as it says. A wrong interval lets a worse model in."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlops.metrics import resampling
from mlops.metrics.intervals import intervals, paired_differences, paired_intervals
from mlops.metrics.resampling import Cells, draws
from mlops.metrics.scores import About, Scores
from mlops.spec.metrics import METRICS

ROWS = 5000


def scores(task: str, seed: int = 0, rows: int = ROWS, positive: float = 0.3) -> Scores:
    """Rows whose answers are of some use."""
    generator = np.random.default_rng(seed)
    noise = generator.random((rows, 3))
    if task == "binary":
        truth = (generator.random(rows) < positive).astype(float)
        return Scores("binary", truth, np.clip(truth * 0.2 + noise[:, 0] * 0.8, 0, 1))
    if task == "multiclass":
        truth = generator.integers(3, size=rows).astype(float)
        raw = noise + np.eye(3)[truth.astype(int)] * 0.4
        return Scores("multiclass", truth, raw / raw.sum(axis=1, keepdims=True))
    if task == "multilabel":
        labels = (generator.random((rows, 3)) < 0.4).astype(float)
        return Scores("multilabel", labels, np.clip(labels * 0.3 + noise * 0.7, 0, 1))
    value = 1e4 + generator.normal(0, 2, rows)
    if task == "quantiles":
        answer = value[:, None] + generator.normal(0, 1, rows)[:, None] + np.array([-1.0, 0.0, 1.0])
        return Scores("quantiles", value, answer, about=About(outputs=("0.1", "0.5", "0.9")))
    about = About(baseline=value + generator.normal(0, 3, rows)) if task == "forecast" else About()
    return Scores(task, value, value + generator.normal(0.1, 1, rows), about=about)


TASKS = [task for task in METRICS if task not in ("custom", "ranking")]


@pytest.mark.parametrize("task", TASKS)
def test_a_metric_of_its_parts_is_the_metric_of_the_weights(task: str):
    given = scores(task)
    assert set(given.metrics) == set(METRICS[task])
    generator = np.random.default_rng(1)
    weights = np.stack([np.bincount(generator.integers(ROWS, size=ROWS), minlength=ROWS) for _ in range(4)])
    weights = weights.astype(float)
    for name, metric in given.metrics.items():
        sums = [p.sums(weights) if isinstance(p, Cells) else weights @ p for p in metric.parts]
        exact = np.array([metric(row) for row in weights])
        spread = np.std(exact)
        assert np.broadcast_to(metric.of(*sums), 4) == pytest.approx(exact, abs=max(spread / 50, 1e-9)), name


@pytest.mark.parametrize("positive", [0.004, 0.3])
def test_bins_keep_a_ranking_also_where_few_rows_are_positive(positive: float):
    given = scores("binary", positive=positive)
    weights = next(resampling.resamples_of(ROWS, 1, seed=3))[1]
    for name in ("roc_auc", "average_precision"):
        metric = given.metrics[name]
        (cells,) = metric.parts
        assert metric.of(cells.sums(weights[None]))[0] == pytest.approx(metric(weights), abs=2e-3), name


def test_equal_scores_share_a_bin():
    truth = np.array([0.0, 1.0] * 500)
    given = Scores("binary", truth, np.repeat([0.2, 0.7], 500))
    metric = given.metrics["roc_auc"]
    assert metric.parts[0].count == 4
    weights = next(resampling.resamples_of(1000, 1, seed=3))[1]
    assert metric.of(metric.parts[0].sums(weights[None]))[0] == pytest.approx(metric(weights))


@pytest.mark.parametrize("task", TASKS)
def test_intervals_of_many_rows_are_those_of_few(monkeypatch: pytest.MonkeyPatch, task: str):
    given = scores(task)
    few = intervals(given, confidence=0.9, resamples=400, seed=1)
    monkeypatch.setattr(resampling, "MANY", ROWS)
    many = intervals(given, confidence=0.9, resamples=400, seed=2)
    assert few.keys() == many.keys()
    for name, one in few.items():
        width = one.high - one.low
        assert many[name].value == one.value
        assert many[name].low == pytest.approx(one.low, abs=width / 5 + 1e-12), name
        assert many[name].high == pytest.approx(one.high, abs=width / 5 + 1e-12), name
        assert width == pytest.approx(many[name].high - many[name].low, rel=0.25, abs=1e-12), name


def test_every_row_is_drawn_once_on_average_and_a_resample_has_as_many_rows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resampling, "MANY", 1)
    rows = 2 * resampling.BLOCK + 17
    ones, last = np.ones(rows), np.zeros(rows)
    last[-17:] = 1
    metrics = {
        "rows": resampling.Summed(lambda total: total, ones),
        "last": resampling.Summed(lambda total: total, last),
    }
    found = draws([metrics], rows, 300, seed=5)[0]
    assert (found["rows"] == rows).all()
    assert found["last"].mean() == pytest.approx(17, abs=1)
    assert found["last"].var() == pytest.approx(17, rel=0.3)


def test_models_that_are_compared_are_drawn_the_same_rows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resampling, "MANY", 1)
    one, other = scores("binary"), scores("binary")
    assert (paired_differences("brier", one, other, resamples=20, seed=1) == 0).all()
    found = paired_intervals(one, other, confidence=0.9, resamples=20, seed=1)
    assert all((i.low, i.high) == (0, 0) for i in found.values())


def test_own_metrics_of_many_rows_are_resampled_by_themselves(monkeypatch: pytest.MonkeyPatch):
    given = scores("binary")
    few = intervals(given, confidence=0.9, resamples=50, seed=1, extra=lambda t, p: {"top": float(p.max())})
    monkeypatch.setattr(resampling, "MANY", 1)
    many = intervals(given, confidence=0.9, resamples=50, seed=1, extra=lambda t, p: {"top": float(p.max())})
    assert many["top"] == few["top"]
    plain = draws([{"first": lambda w: float(w[0])}], ROWS, 50, seed=1)[0]["first"]
    assert set(plain) <= {0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0}


def test_groups_of_many_rows_are_drawn_whole(monkeypatch: pytest.MonkeyPatch):
    generator = np.random.default_rng(0)
    value = generator.normal(0, 1, 400)
    given = Scores("regression", value, value + 1, about=About(groups=np.repeat(np.arange(4), 100)))
    before = given.draws(20, seed=1)
    monkeypatch.setattr(resampling, "MANY", 1)
    assert (given.draws(20, seed=1)["rmse"] == before["rmse"]).all()


def test_a_resample_of_one_class_has_no_ranking(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resampling, "MANY", 1)
    truth = np.zeros(300)
    truth[7] = 1
    found = Scores("binary", truth, np.linspace(0, 1, 300)).draws(60, seed=1)
    missing = np.isnan(found["roc_auc"])
    assert 0.2 < missing.mean() < 0.55
    assert np.isfinite(found["brier"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_intervals_cover_the_truth_as_often_as_they_say(monkeypatch: pytest.MonkeyPatch, task: str):
    """docs/scaling.md quotes what this prints with `-s`."""
    monkeypatch.setattr(resampling, "MANY", 1)
    rounds, confidence = 400, 0.95
    true = scores(task, seed=999, rows=400_000).values()
    inside = dict.fromkeys(true, 0)
    for number in range(rounds):
        found = intervals(scores(task, seed=number, rows=2000), confidence=confidence, resamples=300, seed=1)
        for name, interval in found.items():
            inside[name] += interval.low <= true[name] <= interval.high
    share = {name: count / rounds for name, count in inside.items()}
    print(task, {name: round(value, 3) for name, value in share.items()})  # noqa: T201
    slack = 4 * math.sqrt(confidence * (1 - confidence) / rounds)
    # The error of ten bins is a sum of sizes: noise alone makes it larger, in every resample once more.
    share.pop("expected_calibration_error", None)
    assert min(share.values()) >= confidence - slack, share

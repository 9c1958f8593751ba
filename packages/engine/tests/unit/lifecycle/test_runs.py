"""A run is found by the names that people use, and only what was tested on the same rows is compared."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops.errors import InvalidInput, NotFound
from mlops.lifecycle.train import runs as lifecycle
from mlops.lifecycle.train.beside import LAST, Early, beside
from mlops.lifecycle.train.compare import MetricRow, compare, verdict
from mlops.lifecycle.train.runs import Made
from mlops.pipeline import StepEvent
from mlops.spec.gates import Interval
from mlops.targets.base import ModelVersion, TrainingRun
from mlops.targets.memory import MemoryRegistry

ROOT = Path(__file__).parents[5]
DAY = datetime(2026, 11, 29, 14, tzinfo=UTC)
ROWS = 400


class Registry(MemoryRegistry):
    """Runs with predictions on the same rows, better the lower `noise` is; the newest was made last."""

    def made(
        self,
        run_id: str,
        tmp_path: Path,
        *,
        noise: float = 1.0,
        seed: int = 1,
        test_window: str = "2013-04",
        version: int | None = None,
        live: bool = False,
        tags: dict[str, str] | None = None,
        **params: str,
    ) -> TrainingRun:
        chance = np.random.default_rng(7)
        truth = (chance.random(ROWS) < 0.3).astype(float)
        scores = truth + noise * np.random.default_rng(seed).normal(size=ROWS)
        prediction = 1 / (1 + np.exp(-scores))
        folder = tmp_path / run_id / "report"
        folder.mkdir(parents=True)
        frame = pd.DataFrame({"time": pd.date_range("2013-04-01", periods=ROWS), "truth": truth})
        frame.assign(prediction=prediction).to_parquet(folder / "predictions.parquet")
        value = {"value": 0.6 - noise / 100, "low": 0.5, "high": 0.7}
        (folder / "evaluation.json").write_text(
            json.dumps(
                {
                    "task": "binary",
                    "rows": ROWS,
                    "confidence": 0.95,
                    "resamples": 200,
                    "seed": 1,
                    "metrics": {"roc_auc": value},
                    "artifact_bytes": 1,
                    "latency": {"seconds": 0.1, "repeats": 1, "reference_seconds": 0.1},
                }
            )
        )
        self.add_artifacts(run_id, folder, "report")
        facts = {
            "mlops.pipeline": "pipelines/flights/training.yml",
            "mlops.data.test_window": test_window,
            **({"mlops.version": str(version)} if version else {"mlops.try": "true"}),
            **(tags or {}),
        }
        metrics = {
            name + end: value[part]
            for name in ("roc_auc", "brier", "calibration_gap", "top_tenth_late", "odd")
            for end, part in (("", "value"), ("_low", "low"), ("_high", "high"))
        }
        made = TrainingRun(
            run_id, DAY + timedelta(hours=len(self.trained)), params, {**metrics, "test_rows": 9}, facts
        )
        self.trained.insert(0, made)
        if version:
            where = {"mlops.env.prod": "live"} if live else {}
            self._versions["flights", version] = ModelVersion("flights", version, run_id, "", where, DAY)
        return made


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    found = Registry()
    found.made("aaaa1111", tmp_path, noise=1.0, version=1, live=True, max_iter="200", window="2013-01")
    found.made("aaaa2222", tmp_path, noise=9.0, seed=2, max_iter="150")
    found.made("bbbb3333", tmp_path, noise=1.0, version=2, max_iter="200")
    return found


@pytest.mark.parametrize(
    ("called", "run_id"),
    [
        ("last", "bbbb3333"),
        ("champion", "aaaa1111"),
        ("2", "bbbb3333"),
        ("aaaa2", "aaaa2222"),
        ("bbbb", "bbbb3333"),
    ],
)
def test_a_run_is_found_by_what_people_call_it(registry: Registry, called: str, run_id: str) -> None:
    assert lifecycle.find(ROOT, registry, "flights", called).run_id == run_id


@pytest.mark.parametrize(
    ("called", "error", "sentence"),
    [
        ("aaaa", InvalidInput, "'aaaa' begins 2 runs of flights; write more of it"),
        ("cccc", NotFound, "flights has no run 'cccc'; name a version"),
        ("a", NotFound, "flights has no run 'a'"),
        ("7", NotFound, "no version 7"),
    ],
)
def test_a_name_that_is_none_is_a_sentence(
    registry: Registry, called: str, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        lifecycle.find(ROOT, registry, "flights", called)


def test_no_champion_and_no_run_are_sentences() -> None:
    with pytest.raises(NotFound, match="flights has no champion: nothing is live in the last environment"):
        lifecycle.find(ROOT, MemoryRegistry(), "flights", "champion")
    with pytest.raises(NotFound, match="flights has no run yet; mlops train makes one"):
        lifecycle.find(ROOT, MemoryRegistry(), "flights", "last")


def test_a_run_says_what_people_compare(registry: Registry) -> None:
    first = lifecycle.runs(ROOT, registry, "flights")[-1]
    assert (first.version, first.tried, first.params) == (1, False, {"max_iter": "200"})
    assert list(first.metrics) == ["roc_auc", "brier", "calibration_gap", "top_tenth_late", "odd"]


def test_the_best_is_among_those_of_the_newest_test_rows(registry: Registry, tmp_path: Path) -> None:
    registry.made("cccc4444", tmp_path, noise=5.0, test_window="2013-05")
    registry.made("dddd5555", tmp_path, noise=2.0, test_window="2013-05")
    every = lifecycle.runs(ROOT, registry, "flights")
    assert [made.run_id for made in lifecycle.best(ROOT, every, "flights")] == ["dddd5555", "cccc4444"]
    older = every[2:]
    assert lifecycle.best(ROOT, older, "flights")[-1].run_id == "aaaa2222"
    assert lifecycle.best(ROOT, older, "flights", "brier")[0].run_id == "aaaa2222", (
        "a lower Brier score is better"
    )


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        ("rmse", "no run of flights has the metric 'rmse'; they have roc"),
        ("odd", "nobody knows which way 'odd' is better"),
    ],
)
def test_a_metric_without_a_better_side_is_refused(registry: Registry, metric: str, sentence: str) -> None:
    every = lifecycle.runs(ROOT, registry, "flights")
    with pytest.raises(InvalidInput, match=sentence):
        lifecycle.best(ROOT, every, "flights", metric)


def _row(found: tuple[MetricRow, ...], name: str) -> MetricRow:
    return next(row for row in found if row.name == name)


def test_a_worse_run_is_worse_and_says_what_was_changed(registry: Registry) -> None:
    newest, bad, champion = lifecycle.runs(ROOT, registry, "flights")
    found = compare(ROOT, registry, "flights", bad, champion)
    auc = _row(found.metrics, "roc_auc")
    assert auc.verdict == "worse" and auc.difference is not None and auc.difference.high < 0
    assert found.params == {"max_iter": ("200", "150")} and not found.unpaired
    assert compare(ROOT, registry, "flights", champion, bad).metrics[0].verdict == "better"
    same = compare(ROOT, registry, "flights", newest, champion)
    assert _row(same.metrics, "roc_auc").verdict == "same" and not same.params


def test_other_test_months_are_shown_and_not_compared(registry: Registry, tmp_path: Path) -> None:
    registry.made("cccc4444", tmp_path, test_window="2013-05")
    newest, *_, champion = lifecycle.runs(ROOT, registry, "flights")
    found = compare(ROOT, registry, "flights", newest, champion)
    assert found.unpaired == "version 1 was tested on 2013-04, run cccc4444 on 2013-05"
    assert {row.verdict for row in found.metrics} == {"unknown"}
    assert found.data == {"test window": ("2013-04", "2013-05")}


def test_train_ends_beside_the_last_run_and_the_champion(registry: Registry) -> None:
    made, against = beside(ROOT, registry, "flights", "bbbb3333")
    assert made.run_id == "bbbb3333"
    assert {title: one.other.run_id for title, one in against.items()} == {
        LAST: "aaaa2222",
        "champion 1": "aaaa1111",
    }
    _, first = beside(ROOT, registry, "flights", "aaaa1111")
    assert not first, "the champion is not compared with itself, nor the first run with another"


@pytest.mark.parametrize(
    ("low", "high", "way", "expected"),
    [
        (-1, 1, "higher", "same"),
        (0.1, 0.3, "higher", "better"),
        (0.1, 0.3, "lower", "worse"),
        (0.1, 0.3, "zero", "worse"),
        (0.1, 0.3, None, "unknown"),
    ],
)
def test_a_difference_counts_when_its_interval_leaves_out_zero(low, high, way, expected) -> None:
    one, other = (Interval(value=v, low=0, high=1) for v in (0.5, 0.3))
    assert verdict(one, other, Interval(value=0.2, low=low, high=high), way) == expected


def test_made_reads_a_run_of_before_these_tags() -> None:
    made = Made.of(TrainingRun("r", DAY, {}, {}, {"mlops.commit": "c", "mlops.dirty": "true"}))
    assert (made.tree, made.version, made.data) == ("", None, ""), "uncommitted code is not its commit"


def rows_of(folder: Path, window: str) -> Path:
    """The output of the step `prep`, as far as it is read."""
    folder.mkdir()
    said = {"name": "nycflights", "version": "1", "digest": "sha256:" + "0" * 64, "window": window, "rows": 1}
    (folder / "manifest.json").write_text(json.dumps(said))
    return folder


@pytest.mark.parametrize("state", ["finished", "reused"])
def test_the_table_is_there_once_the_metrics_are(registry: Registry, tmp_path: Path, state: str) -> None:
    made = registry.made("cccc0000", tmp_path, noise=0.2)
    registry.trained.remove(made)  # it still runs
    early = Early(ROOT, registry, "flights", {"mlops.pipeline": "pipelines/flights/training.yml"})
    rows = {
        "train": str(rows_of(tmp_path / "train", "2013-01..2013-03")),
        "test": str(rows_of(tmp_path / "test", "2013-04")),
    }
    report = {"report": str(tmp_path / "cccc0000" / "report")}
    assert early.hear(StepEvent("prep", "reused", run_id="cccc0000", outputs=rows)) is None
    assert early.hear(StepEvent("train", state, run_id="cccc0000")) is None  # type: ignore[arg-type]
    found = early.hear(StepEvent("evaluate", state, run_id="cccc0000", outputs=report))  # type: ignore[arg-type]
    if state == "reused":
        assert found is None, "nothing is new"
        return
    assert found is not None
    one, against = found
    assert (one.name, one.window, one.test_window) == ("run cccc0000", "2013-01..2013-03", "2013-04")
    assert LAST in against
    assert {row.name: row.verdict for row in against[LAST].metrics}["roc_auc"] != "unknown"

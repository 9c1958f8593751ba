"""A trial tells the truth about the model that the pipeline would train with the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from flights import usecase
from mlops.spec.window import Window
from mlops.steps import trial


def _arguments(raw: Path, *more: str) -> list[str]:
    fixed = ["--usecase", "flights", "--raw", str(raw), "--window", "2013-01..2013-02"]
    return [*fixed, "--validation-window", "2013-03", "--metric", "roc_auc", *more]


def test_stage_by_stage_is_the_same_model_as_at_once(raw_sample: Path) -> None:
    frame = usecase.features(raw_sample, Window.parse("2013-01"))
    columns = list(usecase.contract().columns)
    params = {"max_iter": 20, "min_samples_leaf": 20}
    once = usecase.build(params).fit(frame[columns], frame[usecase.target])
    staged, sizes = usecase.build(params), []
    for grown in trial.stages(staged, 4):
        grown.fit(frame[columns], frame[usecase.target])
        sizes.append(grown.steps[-1][1].n_iter_)
    assert sizes == [5, 10, 15, 20]
    np.testing.assert_array_equal(once.predict_proba(frame[columns]), staged.predict_proba(frame[columns]))


@pytest.mark.parametrize(
    ("estimator", "count"), [(LogisticRegression(), 4), (RandomForestClassifier(n_estimators=3), 3)]
)
def test_stages_of_other_estimators(estimator: Any, count: int) -> None:
    if isinstance(estimator, LogisticRegression):
        # It has `warm_start` and `max_iter`, but these are iterations of a solver, not a growing ensemble.
        count = 1
    assert len(list(trial.stages(estimator, 4))) == count


def test_reports_a_metric_a_stage(raw_sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports: list[tuple[dict[str, float], int]] = []
    monkeypatch.setattr("mlops.tracking.log_metrics", lambda m, step=0: reports.append((m, step)))
    params = ["--param", "max_iter=20.0", "--param", "min_samples_leaf=20", "--stages", "2"]
    assert trial.main(_arguments(raw_sample, *params)) == 0
    assert [step for _, step in reports] == [0, 1]
    columns = list(usecase.contract().columns)
    train, later = (usecase.features(raw_sample, Window.parse(w)) for w in ("2013-01..2013-02", "2013-03"))
    model = usecase.build({"max_iter": 20, "min_samples_leaf": 20}).fit(train[columns], train["late"])
    expected = roc_auc_score(later["late"], model.predict_proba(later[columns])[:, 1])
    assert reports[-1][0]["roc_auc"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--metric", "rmse"], "a binary model has roc_auc"),
        (["--validation-window", "2013-02"], "before the training window"),
        (["--param", "depth=3"], "unknown hyper-parameter depth"),
        (["--param", "max_leaf_nodes=0"], "cannot be trained with"),
    ],
)
def test_refusals(
    raw_sample: Path, capsys: pytest.CaptureFixture[str], more: list[str], sentence: str
) -> None:
    assert trial.main(_arguments(raw_sample, *more)) == 5
    assert sentence in capsys.readouterr().err

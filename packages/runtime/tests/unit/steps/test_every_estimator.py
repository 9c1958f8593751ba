"""For any estimator of scikit-learn, behind any preprocessing, on any kind of column: no silent difference.

A model is answered for by its graph, by its own library, or is refused with a sentence. What may never be
is an answer that the trained model would not give.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from mlops.spec.schema import Task
from tests.unit.steps.every_estimator import Case, cases, estimators, tried

TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")
EVERY = [(task, name) for task in TASKS for name in estimators(task)]


def _end(case: Case, task: Task, folder: Path) -> str:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        end, why = tried(case, task, folder)
    assert end != "different", f"{case}: {why}"
    assert end == "graph" or why, f"{case} is {end} without a word"
    return end


@pytest.mark.parametrize(
    ("case", "task", "end"),
    [
        (Case("DecisionTreeClassifier", "numbers", "bare"), "multiclass", "graph"),
        (Case("ExtraTreesRegressor", "nullable", "bare"), "regression", "library"),
        (Case("LogisticRegression", "mixed", "one-hot"), "binary", "graph"),
        (Case("LinearSVC", "mixed", "ordinal"), "binary", "refused"),
        (Case("ExtraTreesClassifier", "image", "pixels"), "multiclass", "library"),
        (Case("Ridge", "nullable", "bare"), "regression", "refused"),
    ],
    ids=str,
)
def test_a_few_end_as_they_must(case: Case, task: Task, end: str, tmp_path: Path) -> None:
    assert _end(case, task, tmp_path / "model") == end


@pytest.mark.slow
@pytest.mark.parametrize(("task", "name"), EVERY, ids=[f"{task}-{name}" for task, name in EVERY])
def test_every_estimator_answers_as_trained_or_is_refused(task: Task, name: str, tmp_path: Path) -> None:
    for number, case in enumerate(c for c in cases(task) if c.name == name):
        _end(case, task, tmp_path / f"{number}")

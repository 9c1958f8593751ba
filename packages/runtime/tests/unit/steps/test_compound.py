"""For models that are made of several, and parts that people write: no silent difference, by any shell.

The trained model is the truth. An endpoint, a batch and a file of `mlops score` must say what it says, or the
model is refused with a sentence.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.steps.compound import Case, cases, ended, tried

FEW = [
    (Case("bagging of pipelines", "sparse", "binary"), "library"),
    (Case("log of the target", "own class", "regression"), "library"),
    (Case("calibrated margins", "words and numbers", "binary"), "library"),
    (Case("linear", "moments by function", "multiclass"), "library"),
    (Case("own ensemble", "moments", "regression"), "library"),
    # Finds by halves which of many rows it refuses: seconds. test_fidelity has quick ones.
    pytest.param(Case("linear", "function", "regression"), "refused", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("case", "end"), FEW, ids=str)
def test_a_few_end_as_they_must(case: Case, end: str, tmp_path: Path) -> None:
    assert ended(tried, case, tmp_path / "model") == end


@pytest.mark.slow
@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_each_answers_as_trained_or_is_refused(case: Case, tmp_path: Path) -> None:
    ended(tried, case, tmp_path / "model")

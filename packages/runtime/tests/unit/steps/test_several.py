"""For models of several answers, and of none that is known: no silent difference, by any shell.

A label that is called in a batch and not at the endpoint is a wrong answer that nobody sees.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.unit.steps.compound import Case
from tests.unit.steps.several import cases, tried

FEW = [
    (Case("each", "own function", "multilabel"), "library"),
    (Case("tree", "ordinal", "custom"), "graph"),
    (Case("chain", "moments", "multilabel"), "library"),
    (Case("least squares of parts", "union", "custom"), "library"),
    (Case("clusters", "moments by function", "regression"), "library"),
]


def _end(case: Case, folder: Path) -> str:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        end, why = tried(case, folder)
    assert end != "different", f"{case}: {why}"
    assert end == "graph" or why, f"{case} is {end} without a word"
    return end


@pytest.mark.parametrize(("case", "end"), FEW, ids=str)
def test_a_few_end_as_they_must(case: Case, end: str, tmp_path: Path) -> None:
    assert _end(case, tmp_path / "model") == end


@pytest.mark.slow
@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_each_answers_as_trained_or_is_refused(case: Case, tmp_path: Path) -> None:
    _end(case, tmp_path / "model")

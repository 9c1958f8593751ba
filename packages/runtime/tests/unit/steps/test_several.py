"""For models of several answers, and of none that is known: no silent difference, by any shell.

A label that is called in a batch and not at the endpoint is a wrong answer that nobody sees.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.steps.compound import Case, ended
from tests.unit.steps.several import cases, tried

FEW = [
    (Case("each", "own function", "multilabel"), "library"),
    (Case("tree", "ordinal", "custom"), "graph"),
    (Case("chain", "moments", "multilabel"), "library"),
    (Case("least squares of parts", "union", "custom"), "library"),
    (Case("clusters", "moments by function", "regression"), "library"),
]


@pytest.mark.parametrize(("case", "end"), FEW, ids=str)
def test_a_few_end_as_they_must(case: Case, end: str, tmp_path: Path) -> None:
    assert ended(tried, case, tmp_path / "model") == end


@pytest.mark.slow
@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_each_answers_as_trained_or_is_refused(case: Case, tmp_path: Path) -> None:
    ended(tried, case, tmp_path / "model")

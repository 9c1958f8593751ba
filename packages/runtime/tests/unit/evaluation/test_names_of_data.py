"""Columns are called what the data call them, and truths have the shape that the use case gives them.

A training that ends after the model was fitted and judged, because a tracking server or a plot takes no `"`
in a name, costs the whole run.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name, _validate_param_name

from mlops import tracking
from mlops.errors import InvalidInput
from mlops.metrics.intervals import intervals
from mlops.metrics.scores import Scores
from mlops.metrics.truth import encode_truth
from mlops.spec.schema import Column, ModelSchema
from mlops.steps import _plots
from mlops.usecase import place_of

CUSTOM = ModelSchema(model="kinds", task="custom", columns=[Column(name="x", type="number")])
SCORES = Scores("custom", np.ones(5), np.ones(5))
NAMES = (
    'size 5"',
    "temperature [°C]",
    "a/b",
    "a//b",
    "../x",
    "/x",
    "x/",
    ".",
    "..",
    "",
    "$",
    "Straße",
    "z" * 900,
)


@pytest.mark.parametrize("name", NAMES)
def test_mlflow_takes_the_key_of_any_name(name: str):
    _validate_metric_name(tracking.key_of(f"importance_{name}"))
    _validate_param_name(tracking.key_of(name))


@given(st.text(max_size=300))
def test_mlflow_takes_the_key_of_any_text(name: str):
    _validate_metric_name(tracking.key_of(name))


def test_a_name_that_mlflow_takes_is_kept_and_two_that_become_one_are_two():
    assert tracking.key_of("driver age") == "driver age"
    taken: dict[str, float] = {}
    for name in ('size 5"', "size 5'", "size 5?"):
        taken[tracking.key_of(name, taken)] = 1.0
    assert list(taken) == ["size 5_", "size 5_-2", "size 5_-3"]


def test_importance_is_drawn_of_names_that_look_like_formulas_and_of_many(tmp_path: Path):
    names = ["$a_{$", "price $", "price $", "\\frac", *(f"c{i}" for i in range(2000))]
    drawn = _plots.importance(tmp_path / "one.png", names, np.arange(len(names)), np.ones(len(names)), "mae")
    assert drawn.read_bytes().startswith(b"\x89PNG")
    _plots.importance(tmp_path / "two.png", names[:4], np.arange(4), np.ones(4), "mae")


def test_a_truth_of_another_shape_than_the_answer_is_judged_and_not_drawn(tmp_path: Path):
    result = SimpleNamespace(task="custom")
    truth, answers = np.ones((8, 2)), np.ones((8, 3))
    assert _plots.evaluation(tmp_path / "apart", result, truth, answers) == []  # type: ignore[arg-type]
    assert _plots.evaluation(tmp_path / "one", result, truth, np.ones(8)) == []  # type: ignore[arg-type]


def test_a_metric_that_mlflow_would_not_take_is_refused_with_its_name():
    scores = Scores("custom", np.ones(20), np.ones(20))
    with pytest.raises(InvalidInput, match="cost@5%"):
        intervals(scores, confidence=0.95, resamples=10, seed=1, extra=lambda t, p: {"cost@5%": 1.0})


def test_an_error_names_the_line_of_the_use_case(tmp_path: Path):
    package = tmp_path / "prices"
    package.mkdir()
    (package / "model.py").write_text("def fit():\n    return int('x')\n")
    code = compile((package / "model.py").read_text(), str(package / "model.py"), "exec")
    space: dict[str, object] = {}
    exec(code, space)  # noqa: S102 - the two lines above
    try:
        space["fit"]()  # type: ignore[operator]
    except ValueError as error:
        assert place_of(error, package) == "prices/model.py, line 2"
        assert place_of(error, Path(sys.prefix)) == ""


@pytest.mark.parametrize("error", [TypeError, AttributeError, ZeroDivisionError])
def test_whatever_evaluate_raises_is_a_sentence_that_names_its_line(error: type[Exception]):
    def failing(truth: object, prediction: object) -> dict[str, float]:
        raise error("no")

    with pytest.raises(InvalidInput, match=rf"test_names_of_data\.py, line \d+: {error.__name__}: no"):
        intervals(
            Scores("custom", np.ones(5), np.ones(5)), confidence=0.9, resamples=5, seed=1, extra=failing
        )


@pytest.mark.parametrize(
    "rows",
    [
        [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
        pd.Series([[1, 2, 3], [4, 5, 6]]),
        pd.Series([np.arange(1.0, 4), np.arange(4.0, 7)]),
    ],
)
def test_lists_of_numbers_are_a_table_also_where_an_answer_is_one_number(rows: object):
    """A clustering is judged by the rows themselves, and answers which cluster."""
    found = encode_truth(
        ModelSchema(model="kinds", task="custom", columns=[Column(name="x", type="number")]), rows
    )
    assert found.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    "rows", [[["a", "b"], ["c", "d"]], [[1.0], [1.0, 2.0]], ["x", "y"], pd.Series([None, 3.0], dtype=object)]
)
def test_other_targets_stay_what_they_are(rows: list[object]):
    found = encode_truth(
        ModelSchema(model="kinds", task="custom", columns=[Column(name="x", type="number")]), rows
    )
    assert found.shape == (2,)
    assert list(found) == list(rows)

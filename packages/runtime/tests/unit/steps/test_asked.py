"""The test that a scaffold writes trains as the step `train` does: also a model that is made of another's
files, which only that step is given."""

from __future__ import annotations

import os
import unittest
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

from mlops import pretrained
from mlops.steps.asked import answers
from tests.unit.steps.toy import Toy

ROWS = pd.DataFrame({"a": [1.0, 2.0, 3.0], "y": [0.0, 0.0, 0.0]})


class Constant(RegressorMixin, BaseEstimator):
    """Answers what a file says."""

    def fit(self, rows: Any, truth: Any) -> Constant:
        self.level_ = float(pretrained.path("asset:level.txt").read_text())
        return self

    def predict(self, rows: Any) -> Any:
        return np.full(len(rows), self.level_)


class Levels(Toy):
    def build(self, params: Mapping[str, Any]) -> Any:
        return Constant()


def _training(tmp_path: Path, given: str, path: str) -> Path:
    file = tmp_path / "pipelines" / "training.yml"
    file.parent.mkdir()
    file.write_text(
        f"inputs:\n  files: {{type: uri_folder, path: '{path}'}}\n"
        f"jobs:\n  prep: {{}}\n  train:\n    inputs:\n      pretrained: {given}\n"
    )
    return file


def _answered(training: Path | None, tmp_path: Path) -> list[float]:
    sides: Any = {"train": ROWS, "test": ROWS.head(2)}
    found: list[float] = answers(Levels("regression", {"a": "float64"}), sides, tmp_path, training).tolist()
    return found


@pytest.mark.parametrize("given", ["${{parent.inputs.files}}", "{type: uri_folder, path: ../levels}"])
def test_files_of_the_step_are_those_of_the_test(given: str, tmp_path: Path) -> None:
    (tmp_path / "levels").mkdir()
    (tmp_path / "levels" / "level.txt").write_text("7")
    assert _answered(_training(tmp_path, given, "../levels"), tmp_path) == [7.0, 7.0]
    assert pretrained.FOLDER not in os.environ


def test_files_that_are_not_here_skip_the_test_until_somebody_brings_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = _training(tmp_path, "${{parent.inputs.files}}", "azureml:levels:1")
    with pytest.raises(unittest.SkipTest, match="azureml:levels:1"):
        _answered(training, tmp_path)
    (tmp_path / "level.txt").write_text("2")
    monkeypatch.setenv(pretrained.FOLDER, str(tmp_path))
    assert _answered(training, tmp_path) == [2.0, 2.0]

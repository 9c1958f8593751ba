"""The use case's rows and its last run, in three lines of any notebook or REPL.

from mlops.lifecycle.train.lab import lab
here = lab("flights")
here.train, here.test, here.run
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import InvalidInput
from mlops.lifecycle.train.lineage import lineage
from mlops.lifecycle.train.runs import Made, runs
from mlops.pipeline import Selection
from mlops.spec.files import training_path
from mlops.spec.settings import FILE, Settings, load_settings
from mlops.targets import open_target
from mlops.targets.base import Target
from mlops.usecase import UseCase, load_usecase

if TYPE_CHECKING:
    import pandas as pd

ROWS = "prep"
"""The step that makes the rows."""


@dataclass(frozen=True)
class Lab:
    """One model on this machine. Nothing is made before it is asked for, and nothing is registered."""

    root: Path
    model: str
    settings: Settings
    inputs: Mapping[str, str]

    @cached_property
    def usecase(self) -> UseCase:
        """`usecase.build({})` is the estimator, not fitted."""
        return load_usecase(self.settings.models[self.model].usecase, self.root / "src")

    @property
    def train(self) -> pd.DataFrame:
        """Rows to learn from, as the training job gets them."""
        return self._frames["train"]

    @property
    def test(self) -> pd.DataFrame:
        """Later rows to test on."""
        return self._frames["test"]

    @property
    def columns(self) -> list[str]:
        """Those that the model may see, in the order of its signature."""
        return [str(name) for name in self.usecase.contract().columns]

    @property
    def run(self) -> Made | None:
        """The last run, with its parameters and metrics; None when there is none yet."""
        return next(iter(runs(self.root, self._target.registry, self.model)), None)

    @cached_property
    def _target(self) -> Target:
        return open_target("local", self.root, self.settings)

    @cached_property
    def _frames(self) -> dict[str, pd.DataFrame]:
        from mlops.steps import dataset
        from mlops.steps.estimators import typed

        pipeline = self.root / training_path(self.model)
        result = self._target.jobs.run(
            pipeline,
            self.inputs,
            lineage(self.root, pipeline).as_tags(),
            lambda _: None,
            Selection(until=(ROWS,)),
        )
        train, test = (dataset.read(result.outputs[f"{ROWS}.{name}"])[0] for name in ("train", "test"))
        return {"train": typed(self.usecase, train), "test": typed(self.usecase, test, train)}


def lab(model: str | None = None, start: Path | None = None, **inputs: str) -> Lab:
    """The model (optional when there is only one) of the repository around `start` or the current folder.

    `inputs` replace inputs of training.yml, such as window="2013-01..2013-02". Raises `InvalidInput`.
    """
    here = (start or Path.cwd()).resolve()
    root = next((folder for folder in (here, *here.parents) if (folder / FILE).is_file()), None)
    if root is None:
        raise InvalidInput(f"no {FILE} in {here} or above; open the notebook below the repository")
    settings = load_settings(root)
    name, _ = settings.model(model)
    return Lab(root, name, settings, inputs)


def notebook(model: str) -> str:
    """A notebook that begins with all of it."""
    cells = [
        (
            f"# {model}\n\nRows as the training job gets them, and the last run. "
            "After an edit of `src/` restart the kernel."
        ),
        f'from mlops.lifecycle.train.lab import lab\nhere = lab("{model}")\nhere.train.describe()',
        "here.run and {name: interval.value for name, interval in here.run.metrics.items()}",
        (
            "estimator = here.usecase.build({})\n"
            "estimator.fit(here.train[here.columns], here.train[here.usecase.target])"
        ),
    ]
    made: dict[str, Any] = {
        "cells": [_cell(text, at) for at, text in enumerate(cells)],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(made, indent=1) + "\n"


def _cell(text: str, at: int) -> dict[str, Any]:
    shared = {"id": f"cell-{at}", "metadata": {}, "source": text.splitlines(keepends=True)}
    if text.startswith("# "):
        return {"cell_type": "markdown", **shared}
    return {"cell_type": "code", "execution_count": None, "outputs": [], **shared}

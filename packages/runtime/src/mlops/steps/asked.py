"""What the tests of a use case ask of it: the rows that its training file names, and answers to those that
it has not seen. They hold whatever the data, so they stay when others take the place of the example's."""

from __future__ import annotations

import os
import re
import unittest
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops import pretrained
from mlops.errors import InvalidInput, Problem
from mlops.spec._yaml import Document
from mlops.spec.split import Side, Split
from mlops.spec.window import Window

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops.usecase import UseCase


def sides_of(usecase: UseCase, training: Path, raw: Path) -> dict[Side, pd.DataFrame]:
    """The rows to learn from and to test on, as `prep` makes them of the folder `raw`.

    `training` is the pipeline file whose inputs say `split`, or `window` and `test_window`. Raises
    `InvalidInput` when it says neither, and what `prep` raises.
    """
    from mlops.steps.prep import parts

    given = _inputs(training)
    window, test_window = (Window.parse(given[n]) if n in given else None for n in ("window", "test_window"))
    split = Split.parse(given["split"]) if "split" in given else None
    if split is None and (window is None or test_window is None):
        why = "says neither split, nor window and test_window: which rows to test on"
        raise InvalidInput(Problem(training.name, why, "inputs"))
    train, test = (frame for _, frame in parts(usecase, raw, window, test_window, split))
    return {"train": train, "test": test}


def answers(
    usecase: UseCase, sides: Mapping[Side, pd.DataFrame], scratch: Path, training: Path | None = None
) -> np.ndarray[Any, np.dtype[Any]]:
    """What a model with the default hyper-parameters, trained on the one side, answers to the other: a row
    of probabilities or values for each row. `scratch` takes the model of a use case that trains itself.

    `training` says which folder of pre-trained files the step `train` is given. Raises `unittest.SkipTest`,
    which pytest takes as its own, where that is a data asset of which nobody has brought a copy.
    """
    with _encoders(training):
        return _answers(usecase, sides, scratch)


def _answers(
    usecase: UseCase, sides: Mapping[Side, pd.DataFrame], scratch: Path
) -> np.ndarray[Any, np.dtype[Any]]:
    import numpy as np

    from mlops.spec.tasks import is_values
    from mlops.steps.estimators import fit, typed, usable
    from mlops.usecase import Trains

    train = typed(usecase, sides["train"])
    inputs = list(usecase.contract().columns)
    asked = typed(usecase, sides["test"], train)[inputs]
    if isinstance(usecase, Trains):
        import mlflow.pyfunc

        usecase.train(train, {}, scratch / "model")
        answer = mlflow.pyfunc.load_model(str(scratch / "model")).predict(asked)
    else:
        estimator = usable(usecase.build({}), usecase.task)
        fit(usecase, estimator, train[inputs], train)
        answer = (estimator.predict if is_values(usecase.task) else estimator.predict_proba)(asked)
    if isinstance(answer, list):  # an estimator for each label
        answer = np.column_stack([np.asarray(one)[:, -1] for one in answer])
    return np.asarray(answer, dtype=np.float64)


@contextmanager
def _encoders(training: Path | None) -> Iterator[None]:
    """While it lasts, `asset:FILE` is where the step `train` would find it."""
    place = None if training is None or os.environ.get(pretrained.FOLDER) else _pretrained(training)
    if training is None or place is None:
        yield
        return
    folder = training.parent / place
    if not folder.is_dir():
        raise unittest.SkipTest(
            f"the model is made of files in {place}, which are not here; "
            f"bring a copy of the folder: {pretrained.FOLDER}=FOLDER"
        )
    os.environ[pretrained.FOLDER] = str(folder.resolve())
    try:
        yield
    finally:
        del os.environ[pretrained.FOLDER]


def _pretrained(training: Path) -> str | None:
    """What a job is given as `pretrained`: a path, or the address of a data asset."""
    jobs = (Document.read(training, training.name).value or {}).get("jobs") or {}
    given = (job.get("inputs") or {} for job in jobs.values() if isinstance(job, Mapping))
    value = next((inputs["pretrained"] for inputs in given if "pretrained" in inputs), None)
    if isinstance(value, Mapping):
        value = value.get("path")
    bound = re.fullmatch(r"\$\{\{\s*parent\.inputs\.(\w+)\s*\}\}", str(value))
    return _inputs(training).get(bound[1]) if bound else None if value is None else str(value)


def _inputs(training: Path) -> dict[str, str]:
    given = (Document.read(training, training.name).value or {}).get("inputs") or {}
    values = {n: v.get("default", v.get("path")) if isinstance(v, Mapping) else v for n, v in given.items()}
    return {name: str(value) for name, value in values.items() if value not in (None, "")}

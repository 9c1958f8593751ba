"""Trial of a sweep: learn with one set of hyper-parameters, report how well other rows are told.

These must be none of the rows that the pipeline tests on (they lie before its test window, or are on the
training side of its split): what was tuned on rows says nothing about them any more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mlops.errors import InvalidInput
from mlops.spec.parts import final
from mlops.steps import _args
from mlops.steps.train import param
from mlops.usecase import rows

if TYPE_CHECKING:
    import pandas as pd

    from mlops.usecase import UseCase

GROWING = ("max_iter", "n_estimators")
"""Parameters by which scikit-learn's ensembles grow when they have `warm_start`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Report `metric` once a stage, as a metric of the run, so that a bad trial can be ended early."""
    options = _args.parser("trial", __doc__)
    options.add_argument("--raw", type=_args.existing, required=True, help="folder with the raw data")
    options.add_argument("--window", type=_args.window, help="window of time to train on")
    options.add_argument("--validation-window", type=_args.window, help="later window")
    options.add_argument("--split", type=_args.split, help="of the pipeline, where time does not split")
    options.add_argument("--validation-split", type=_args.split, help="of its training side")
    options.add_argument("--metric", required=True, help="the sweep's primary metric")
    options.add_argument("--stages", type=int, default=1, help="reports of an ensemble that can grow")
    options.add_argument(
        "--param",
        action="append",
        default=[],
        type=_args.typed(param),
        metavar="NAME=VALUE",
        help="hyper-parameter, a number; may be repeated",
    )
    return _args.run(_trial, options, argv)


def _trial(given: argparse.Namespace) -> None:
    from mlops import tracking
    from mlops.spec.metrics import METRICS
    from mlops.steps import dataset
    from mlops.steps.estimators import fit, typed, usable
    from mlops.usecase import load_usecase

    usecase = load_usecase(given.usecase)
    if given.metric not in METRICS[usecase.task]:
        raise InvalidInput(
            f"--metric {given.metric}: a {usecase.task} model has {', '.join(METRICS[usecase.task])}"
        )
    dataset.read_raw(given.raw)
    params = dict(given.param)
    tracking.log_params(params)
    train, later = _rows(usecase, given)
    train, later = typed(usecase, train), typed(usecase, later, train)
    columns = list(usecase.contract().columns)
    estimator = usable(usecase.build(params), usecase.task)
    try:
        for stage, grown in enumerate(stages(estimator, max(given.stages, 1))):
            fit(usecase, grown, train[columns], train)
            value = score(usecase, grown, later[columns], later, given.metric)
            tracking.log_metrics({given.metric: value}, step=stage)
    except ValueError as error:
        # scikit-learn says so for a hyper-parameter out of range and for rows that it cannot take.
        raise InvalidInput(f"{usecase.name} cannot be trained with {params}: {error}") from None


def _rows(usecase: UseCase, given: argparse.Namespace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What a trial learns from, and what it is judged on."""
    from mlops.steps.split import sides

    if given.split is None:
        if given.window is None or given.validation_window is None:
            raise InvalidInput(
                "a trial needs --window and --validation-window, or --split and "
                "--validation-split where the rows "
                "are not split by time"
            )
        if given.validation_window.first < given.window.end:
            raise InvalidInput(
                f"the validation window {given.validation_window} starts before the training window "
                f"{given.window} has ended"
            )
        return rows(usecase, given.raw, given.window), rows(usecase, given.raw, given.validation_window)
    if given.validation_split is None or given.validation_window is not None:
        raise InvalidInput(
            "with --split, --validation-split says which rows of its training side a trial is judged on"
        )
    names = list(usecase.contract().columns)
    learned = sides(rows(usecase, given.raw, given.window), given.split, names)["train"]
    judged = sides(learned, given.validation_split, names)
    return judged["train"], judged["test"]


def stages(estimator: Any, count: int) -> Iterator[Any]:
    """The estimator, to be fitted at each stage: an ensemble that can continue grows to its full size.

    Fitted stage by stage it ends as the same model as fitted at once. Anything else has one stage.
    """
    last = final(estimator)
    settable = last.get_params()
    # Linear models have `max_iter` too, as a limit of their solver.
    grows = "warm_start" in settable and type(last).__module__.startswith("sklearn.ensemble")
    name = next((n for n in GROWING if grows and n in settable), None)
    if name is None or count == 1:
        yield estimator
        return
    full = int(settable[name])
    last.set_params(warm_start=True)
    for size in sorted({max(1, full * (stage + 1) // count) for stage in range(count)}):
        last.set_params(**{name: size})
        yield estimator


def score(usecase: UseCase, estimator: Any, inputs: pd.DataFrame, rows: pd.DataFrame, metric: str) -> float:
    """The metric on `rows`, whose inputs are `inputs`, as the step `evaluate` computes it."""
    import numpy as np

    from mlops.metrics.scores import About, Scores
    from mlops.steps.about import weights

    truth, about = rows[usecase.target], About(weights=weights(usecase, rows))
    if usecase.task == "regression":
        return Scores(usecase.task, truth.to_numpy(), estimator.predict(inputs), about=about).value(metric)
    codes = np.searchsorted(estimator.classes_, truth.to_numpy())
    if not np.isin(truth.to_numpy(), estimator.classes_).all():
        raise InvalidInput("the rows of validation have classes that those of training lack")
    predicted = estimator.predict_proba(inputs)
    if usecase.task == "binary":
        predicted = predicted[:, 1]
    return Scores(usecase.task, codes, predicted, about=about).value(metric)


if __name__ == "__main__":
    sys.exit(main())

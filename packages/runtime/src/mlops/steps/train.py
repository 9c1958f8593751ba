"""Step `train`: fit the use case's estimator, or let it train itself, and write the artifact: one folder
with all."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mlops.errors import ContractViolation, InvalidInput
from mlops.steps import _args

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops.usecase import Trains, UseCase


def main(argv: Sequence[str] | None = None) -> int:
    """Write the artifact to `model`. The use case knows which hyper-parameters there are."""
    options = _args.parser("train", __doc__)
    options.add_argument("--train", type=_args.existing, required=True, help="folder that prep wrote")
    options.add_argument(
        "--contract", type=_args.existing, required=True, help="report of validate; it must hold no violation"
    )
    options.add_argument(
        "--test",
        type=_args.existing,
        help="folder that prep wrote; what is served is compared on it with the trained model",
    )
    options.add_argument(
        "--made",
        type=_args.existing,
        help="an MLflow model folder that another step of the pipeline has trained: nothing is fitted here",
    )
    options.add_argument(
        "--pretrained",
        type=_args.existing,
        help="folder with files that somebody else has trained: the places `asset:` of mlops.pretrained",
    )
    options.add_argument("--model", type=Path, required=True, help="output folder")
    options.add_argument(
        "--param",
        action="append",
        default=[],
        type=_args.typed(param),
        metavar="NAME=VALUE",
        help="hyper-parameter, a number; may be repeated",
    )
    return _args.run(_train, options, argv)


def param(text: str) -> tuple[str, float | int]:
    """`name=number`; raises `ValueError` with what is wrong."""
    name, separator, value = text.partition("=")
    if not separator or not name.isidentifier():
        raise ValueError("a hyper-parameter is written name=value")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"the hyper-parameter {name} must be a number")
    # Whether 200 arrives as `200` or `200.0` depends on who renders the command.
    return name, int(number) if number.is_integer() else number


def _train(given: argparse.Namespace) -> None:
    from mlops import pretrained, tracking
    from mlops.steps import artifact, dataset
    from mlops.steps.adopted import adopt
    from mlops.steps.estimators import fit, refusal, typed, usable
    from mlops.usecase import Trains, load_usecase, package_folder, place_of

    _require_clean(given.contract)
    params = dict(given.param)
    usecase = load_usecase(given.usecase)
    frame, manifest = dataset.read(given.train)
    frame = typed(usecase, frame)
    inputs, truth = frame[list(usecase.contract().columns)], frame[usecase.target]
    if usecase.task in ("binary", "multiclass") and truth.nunique() < 2:
        raise InvalidInput(
            f"all {len(truth)} rows of {manifest.window} have the same {usecase.target!r}; "
            "a classifier needs at least two classes"
        )
    test = dataset.read(given.test)[0] if given.test is not None else None
    if given.pretrained is not None:
        os.environ[pretrained.FOLDER] = str(given.pretrained)
    started = time.perf_counter()
    if given.made is not None:
        seconds = 0.0
        adopt(given.model, usecase, given.made, frame, test)
    elif isinstance(usecase, Trains):
        with TemporaryDirectory() as scratch:
            made = _trained(usecase, frame, params, Path(scratch) / "model")
            seconds = time.perf_counter() - started
            adopt(given.model, usecase, made, frame, test)
    else:
        estimator = usable(usecase.build(params), usecase.task)
        try:
            fit(usecase, estimator, inputs, frame)
        except Exception as error:
            if (why := refusal(error, inputs)) is None:
                raise
            place = place_of(error, package_folder(given.usecase))
            raise InvalidInput(
                f"{usecase.name} cannot be trained with {params or 'its defaults'}: {why}"
                + (f" ({place})" if place else "")
            ) from None
        seconds = time.perf_counter() - started
        cut = _threshold(usecase, params, inputs, frame)
        written = artifact.save(
            given.model, usecase, estimator, frame, test, package=given.usecase, threshold=cut
        )
        tracking.log_params({f"pretrained.{name}": digest for name, digest in named(written.pretrained)})
        if cut is not None:
            tracking.log_metrics({"threshold": cut})
    tracking.log_params({**params, "window": manifest.window})
    tracking.log_metrics({"fit_seconds": seconds, "train_rows": float(len(frame))})


def named(files: Mapping[str, str]) -> list[tuple[str, str]]:
    """Places as names that MLflow takes."""
    return [(re.sub(r"[^\w./ -]", ".", place), digest) for place, digest in files.items()]


def _threshold(
    usecase: UseCase, params: Mapping[str, float], inputs: pd.DataFrame, frame: pd.DataFrame
) -> float | None:
    """Where yes begins, by the rule of the use case; None when it states none."""
    import numpy as np

    from mlops.steps.about import weights
    from mlops.steps.estimators import fit, usable
    from mlops.steps.threshold import decide
    from mlops.usecase import Decides

    if not isinstance(usecase, Decides) or usecase.task != "binary":
        return None
    labels = np.unique(frame[usecase.target])

    def fitted(rows: np.ndarray[Any, Any]) -> Any:
        estimator = usable(usecase.build(params), usecase.task)
        fit(usecase, estimator, inputs.iloc[rows], frame.iloc[rows])
        return estimator

    truth = (frame[usecase.target] == labels[-1]).to_numpy(float)
    return decide(usecase.decision, fitted, inputs, truth, weights(usecase, frame))


def _trained(usecase: Trains, frame: pd.DataFrame, params: Mapping[str, float], folder: Path) -> Path:
    """The folder that the use case's own training has written."""
    usecase.train(frame, params, folder)
    if not folder.is_dir():
        raise InvalidInput(
            f"`train` of the use case wrote no folder {folder.name!r}: it must save an MLflow "
            "model to the path "
            "that it is given (mlflow.sklearn.save_model, mlflow.pyfunc.save_model, …)"
        )
    return folder


def _require_clean(folder: Path) -> None:
    """The step must not run on rows that broke the contract, even when it is started by hand."""
    path = folder / "contract.json"
    try:
        violations = json.loads(path.read_text(encoding="utf-8"))["violations"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        raise InvalidInput(f"{path} is no report of the step `validate`; run that step first") from None
    if violations:
        raise ContractViolation(
            f"{path} lists {len(violations)} violation(s) of the data contract; nothing was trained"
        )


if __name__ == "__main__":
    sys.exit(main())

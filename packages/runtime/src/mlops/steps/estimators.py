"""What the lifecycle needs of an estimator, asked before minutes of fitting."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.errors import InvalidInput
from mlops.spec.parts import final
from mlops.spec.tasks import is_values
from mlops.steps.metrics import indicators, labels_of, several
from mlops.usecase import Groups, Outputs

if TYPE_CHECKING:
    import pandas as pd

    from mlops.spec.schema import Task
    from mlops.usecase import UseCase

_INSTEAD = {
    "LinearSVC": "LogisticRegression, or CalibratedClassifierCV(LinearSVC(…))",
    "NuSVC": "CalibratedClassifierCV(NuSVC(…))",
    "Perceptron": "LogisticRegression, or SGDClassifier(loss='log_loss')",
    "RidgeClassifier": "LogisticRegression, which is penalised in the same way",
    "RidgeClassifierCV": "LogisticRegressionCV, which is penalised in the same way",
    "SGDClassifier": "SGDClassifier(loss='log_loss')",
    "SVC": "CalibratedClassifierCV(SVC(…))",
    "VotingClassifier": "VotingClassifier(voting='soft')",
}
"""What gives probabilities and is closest to it, by the class that gives none."""


def usable(estimator: Any, task: Task) -> Any:
    """`estimator`, when it can be trained and asked. Raises `InvalidInput` with the way out otherwise."""
    name = type(estimator).__name__
    if missing := [m for m in ("fit", "predict") if not hasattr(type(estimator), m)]:
        raise InvalidInput(
            f"`build` returned {name}, which has no {' and no '.join(missing)}; return an estimator with the "
            "interface of scikit-learn"
        )
    if not is_values(task) and not _gives_probabilities(estimator):
        last = type(_last(estimator)).__name__
        instead = _INSTEAD.get(last, f"CalibratedClassifierCV({last}(…)), which learns them from its scores")
        raise InvalidInput(
            f"{last} gives no probabilities (predict_proba), and thresholds, metrics and gates of a "
            f"{task} model "
            f"need them; let `build` return {instead}"
        )
    return estimator


def _last(estimator: Any) -> Any:
    """What answers at the end of pipelines and searches."""
    while True:
        if (last := final(estimator)) is not estimator:
            estimator = last
        elif hasattr(estimator, "param_grid") or hasattr(estimator, "param_distributions"):
            estimator = estimator.estimator
        else:
            return estimator


def _gives_probabilities(estimator: Any) -> bool:
    last = _last(estimator)
    if type(last).__name__ == "StackingClassifier" and last.final_estimator is None:
        return True  # it becomes a logistic regression, which it does not know before it is fitted
    return hasattr(last, "predict_proba")


def fit(usecase: UseCase, estimator: Any, inputs: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Fit `estimator` on `inputs` of `rows`, as its task wants it. Raises what `fit` raises, and
    `InvalidInput`.

    Several labels become a table of 0 and 1, one column for each of `labels`; several values a table with a
    column for each of `outputs`. A ranker hears which rows
    compete, as `group` (LightGBM) or `qid` (XGBoost): these rows then come one after the other.
    """
    truth: Any = rows[usecase.target]
    if usecase.task == "multilabel":
        estimator.fit(inputs, indicators(truth, labels(truth)).astype(int))
        return
    if usecase.task == "custom" and isinstance(usecase, Outputs):
        estimator.fit(inputs, several(truth, len(usecase.outputs)))
        return
    if usecase.task == "ranking" and isinstance(usecase, Groups) and (name := _group_argument(estimator)):
        codes = np.unique(rows[usecase.group].astype(str), return_inverse=True)[1]
        order = np.argsort(codes, kind="stable")
        told = np.bincount(codes) if name == "group" else codes[order]
        estimator.fit(inputs.iloc[order], truth.iloc[order], **{name: told})
        return
    estimator.fit(inputs, truth)


def labels(truth: Any) -> list[str]:
    """All labels of the rows, sorted. Raises `InvalidInput` when there is none."""
    found = sorted({label for value in truth for label in labels_of(value)})
    if not found:
        raise InvalidInput("no training row has a label; the target is a list of labels for each row")
    return found


def _group_argument(estimator: Any) -> str:
    known = inspect.signature(type(estimator).fit).parameters
    return next((name for name in ("qid", "group") if name in known), "")


_SAY_SO = ("lightgbm", "xgboost", "catboost", "sklearn", "torch", "statsmodels")
"""Libraries whose own errors are about what they were given."""


def refusal(error: Exception, inputs: pd.DataFrame) -> str | None:
    """What a library says of a hyper-parameter out of range or of rows that it cannot take, with the way out.

    None for an error that only its traceback explains.
    """
    root = type(error).__module__.partition(".")[0].lstrip("_")
    if not (isinstance(error, ValueError | TypeError) or root in _SAY_SO):
        return None
    said = " ".join(str(error).split()) or type(error).__name__
    texts = [str(name) for name in inputs if str(inputs[name].dtype) in ("object", "str", "string")]
    if texts and any(word in said.lower() for word in ("string", "object", "dtype", "str")):
        return (
            f"{said}. Text is in {', '.join(texts[:5])}: let `build` begin with what makes numbers of "
            "it, such as OrdinalEncoder(handle_unknown='use_encoded_value', unknown_value=-1) in "
            "make_column_transformer"
        )
    return said

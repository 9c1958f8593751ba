"""What the lifecycle needs of an estimator, asked before minutes of fitting."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.errors import InvalidInput
from mlops.metrics.truth import indicators, labels_of, several
from mlops.spec.parts import final
from mlops.spec.tasks import is_values
from mlops.usecase import Groups, Outputs, Weighs

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
_NO_CLASSIFIER = {
    "regressor": "a classifier, or say task = 'regression'",
    "outlier_detector": "a class of your own in src/<model> that makes them of its scores "
    "(docs/guides/tasks.md, Without labels)",
    "clusterer": "a classifier, or say task = 'custom', whose answer may be the number of a cluster "
    "(docs/guides/tasks.md, Without labels)",
}
"""The same for what scikit-learn does not call a classifier."""


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
        instead = _INSTEAD.get(last) or _instead_of(_last(estimator)) or f"CalibratedClassifierCV({last}(…))"
        raise InvalidInput(
            f"{last} gives no probabilities (predict_proba), and thresholds, metrics and gates of a "
            f"{task} model "
            f"need them; let `build` return {instead}"
        )
    return estimator


def _instead_of(estimator: Any) -> str | None:
    """What to return in place of something that is no classifier, whose scores nothing can calibrate."""
    from sklearn.utils import get_tags

    try:
        kind = get_tags(estimator).estimator_type
    except (AttributeError, TypeError):  # of another library, with the interface and no more
        return None
    return _NO_CLASSIFIER.get(kind or "")


def _last(estimator: Any) -> Any:
    """What answers at the end of pipelines and searches."""
    while True:
        if (last := final(estimator)) is not estimator:
            estimator = last
        elif _searches(estimator):
            estimator = estimator.estimator
        else:
            return estimator


def _searches(estimator: Any) -> bool:
    """Whether it answers by the best that it finds; a class of the use case may name its own things so."""
    named = hasattr(estimator, "param_grid") or hasattr(estimator, "param_distributions")
    return named and hasattr(getattr(estimator, "estimator", None), "fit")


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
    compete, as `group` (LightGBM) or `qid` (XGBoost): these rows then come one after the other. Weights of
    rows go to what answers at the end of pipelines.
    """
    truth: Any = rows[usecase.target]
    weights = _weights(usecase, estimator, rows)
    if usecase.task == "multilabel":
        estimator.fit(inputs, indicators(truth, labels(truth)).astype(int), **weights)
        return
    if usecase.task == "custom" and isinstance(usecase, Outputs):
        estimator.fit(inputs, several(truth, len(usecase.outputs)), **weights)
        return
    if usecase.task == "ranking" and isinstance(usecase, Groups) and (name := _group_argument(estimator)):
        codes = np.unique(rows[usecase.group].astype(str), return_inverse=True)[1]
        order = np.argsort(codes, kind="stable")
        told = np.bincount(codes) if name == "group" else codes[order]
        in_order = {key: values[order] for key, values in weights.items()}
        if name == "qid":  # XGBoost weighs queries, not rows
            in_order = {key: _means(values, codes[order]) for key, values in in_order.items()}
        estimator.fit(inputs.iloc[order], truth.iloc[order], **{name: told}, **in_order)
        return
    estimator.fit(inputs, truth, **weights)


def _means(values: Any, codes: Any) -> Any:
    """Of each group, in their order."""
    return np.bincount(codes, values) / np.bincount(codes)


def _weights(usecase: UseCase, estimator: Any, rows: pd.DataFrame) -> dict[str, Any]:
    """How much each row counts, as the argument of `fit`; empty where the use case does not say."""
    from mlops.steps.about import weights

    if not isinstance(usecase, Weighs) or (values := weights(usecase, rows)) is None:
        return {}
    name, last = "", estimator
    while True:
        if (end := final(last)) is not last:
            name, last = f"{name}{last.steps[-1][0]}__", end
        elif type(last).__module__.startswith("sklearn.") and _passes_on(last) is not None:
            last = _passes_on(last)
        else:
            break
    if "sample_weight" not in inspect.signature(type(last).fit).parameters:
        raise InvalidInput(
            f"the use case weighs its rows by {usecase.weight!r}, and `fit` of {type(last).__name__} takes "
            "no sample_weight; let `build` return an estimator that does, or leave `weight` out"
        )
    return {f"{name}sample_weight": values}


def _passes_on(estimator: Any) -> Any:
    """What a search, or a regression of a transformed target, hands the arguments of `fit` to."""
    known = inspect.signature(type(estimator).fit).parameters
    if "sample_weight" in known or all(p.kind is not p.VAR_KEYWORD for p in known.values()):
        return None
    return getattr(estimator, "estimator", None) or getattr(estimator, "regressor", None)


def typed(usecase: UseCase, rows: pd.DataFrame, seen: pd.DataFrame | None = None) -> pd.DataFrame:
    """`rows` with the categories of the contract in the columns that it calls so, as the model is to see
    them; where it names none, those of the training rows `seen`. Raises `InvalidInput`."""
    import pandas as pd

    from mlops.monitoring.rules import category_levels

    seen = rows if seen is None else seen
    found = {
        name: pd.CategoricalDtype(levels or sorted(set(seen[name].dropna().astype(str))))
        for name, levels in category_levels(usecase.contract()).items()
        if name in rows
    }
    return rows.astype(found) if found else rows


def labels(truth: Any) -> list[str]:
    """All labels of the rows, sorted. Raises `InvalidInput` when there is none."""
    every = sorted({label for value in truth for label in labels_of(value)})
    if not every:
        raise InvalidInput("no training row has a label; the target is a list of labels for each row")
    return every


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
    said = (" ".join(str(error).split()) or type(error).__name__).removesuffix(".")
    ways = [way for words, way in _ways_out(inputs) if re.search(words, said, re.IGNORECASE)]
    return ". ".join([said, *ways[:1]])


def _ways_out(inputs: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Words of a library's refusal, and what to do about the columns that they may mean; plainest first."""
    kinds = {str(name): str(inputs[name].dtype) for name in inputs}

    def shown(names: list[str]) -> str:
        return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")

    gaps = [name for name in kinds if inputs[name].isna().any()]
    own = [name for name in gaps if kinds[name][0].isupper() or kinds[name] == "boolean"]
    moments = [name for name, kind in kinds.items() if kind.startswith("datetime")]
    texts = [name for name, kind in kinds.items() if kind in ("object", "str", "string")]
    if own:
        yield (
            r"pandas\.NA|NAType|<NA>",
            f"Null of pandas' own types is in {shown(own)}: let `build` begin with SimpleImputer for them, "
            'or `features` make them float64, whose null is NaN, with "float64" in the contract',
        )
    if gaps:
        yield (
            r"nan\b|null|none|missing",
            f"Null is in {shown(gaps)}: let `build` begin with what fills it, such as SimpleImputer (for "
            "text strategy='constant', fill_value='none') in make_column_transformer",
        )
    if moments:
        yield (
            r"datetime|timestamp|\d{4}-\d\d-\d\d[T ]",
            f"Moments are in {shown(moments)}: let `build` begin with what makes numbers of them, such as "
            "FunctionTransformer of a function in the use case (its hour, its weekday)",
        )
    if texts:
        yield (
            "string|object|dtype|str",
            f"Text is in {shown(texts)}: let `build` begin with what makes numbers of "
            "it, such as OrdinalEncoder(handle_unknown='use_encoded_value', unknown_value=-1) in "
            "make_column_transformer",
        )

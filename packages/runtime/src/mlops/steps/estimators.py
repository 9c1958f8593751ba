"""What the lifecycle needs of an estimator, asked before minutes of fitting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops.errors import InvalidInput

if TYPE_CHECKING:
    from mlops.spec.schema import Task

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
    if task != "regression" and not _gives_probabilities(estimator):
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
        if getattr(estimator, "steps", None):
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "param_grid") or hasattr(estimator, "param_distributions"):
            estimator = estimator.estimator
        else:
            return estimator


def _gives_probabilities(estimator: Any) -> bool:
    last = _last(estimator)
    if type(last).__name__ == "StackingClassifier" and last.final_estimator is None:
        return True  # it becomes a logistic regression, which it does not know before it is fitted
    return hasattr(last, "predict_proba")

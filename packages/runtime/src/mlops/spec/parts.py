"""What a scikit-learn estimator is made of.

A class of a use case may call its own things `steps` or `estimators_`; only what scikit-learn keeps there
counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

_HELD = ("estimator", "estimator_", "best_estimator_", "estimators_", "calibrated_classifiers_")


def stages(estimator: Any) -> list[Any]:
    """The steps of a pipeline in their order; empty for anything else."""
    return [step for _, step in estimator.steps] if _is(estimator, "Pipeline") else []


def final(estimator: Any) -> Any:
    """The last step of a pipeline; the estimator itself when it is none."""
    return next(reversed(stages(estimator)), estimator)


def inside(estimator: Any) -> list[Any]:
    """The estimators and transformers that `estimator` holds directly."""
    held = stages(estimator)
    if _is(estimator, "ColumnTransformer"):
        held += [part for _, part, *_ in getattr(estimator, "transformers_", [])]
    if _is(estimator, "FeatureUnion"):
        held += [part for _, part in estimator.transformer_list]
    for name in _HELD:
        held += _flat(getattr(estimator, name, None))
    return [part for part in held if not isinstance(part, type) and _answers(part)]


def _is(estimator: Any, name: str) -> bool:
    """Whether it is scikit-learn's own class or made from it, asked without an import of scikit-learn."""
    known = type(estimator).__mro__
    return any(base.__name__ == name and base.__module__.startswith("sklearn.") for base in known)


def _flat(held: Any) -> Iterable[Any]:
    """Boosting keeps an array of one row a stage, a forest a list, one-versus-rest a list too."""
    if isinstance(held, np.ndarray):
        return list(held.ravel())
    return held if isinstance(held, list) else [held]


def _answers(part: Any) -> bool:
    return any(hasattr(part, name) for name in ("fit", "predict", "predict_proba", "transform"))

"""What a use case says of its labelled rows beyond truth and prediction: groups, baseline, weights,
metrics of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.errors import InvalidInput
from mlops.metrics.scores import About
from mlops.spec.metrics import MAIN
from mlops.usecase import Compares, Forecasts, Groups, Judges, Weighs

if TYPE_CHECKING:
    import pandas as pd

    from mlops.spec.gatepolicy import Direction
    from mlops.usecase import UseCase

    Array = np.ndarray[Any, np.dtype[Any]]


def about(usecase: UseCase, frame: pd.DataFrame) -> About:
    """Of the rows of `frame`. Raises `InvalidInput` when a column is missing that the use case names."""
    baseline = None
    if isinstance(usecase, Compares):
        baseline = _column(usecase, frame, usecase.baseline, "baseline").to_numpy(dtype=np.float64)
    return About(
        groups=groups(usecase, frame),
        baseline=baseline,
        weights=weights(usecase, frame),
        extra=usecase.evaluate,
    )


def weights(usecase: UseCase, frame: pd.DataFrame) -> Array | None:
    """How much each row counts; None where the use case does not say. Raises `InvalidInput`."""
    if not isinstance(usecase, Weighs):
        return None
    values: Array
    try:
        values = _column(usecase, frame, usecase.weight, "weight").to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):  # no numbers
        values = np.array([np.nan])
    if not (np.isfinite(values) & (values >= 0)).all() or not values.any():
        raise InvalidInput(
            f"the column {usecase.weight!r} weighs the rows (`weight` of the use case); it must hold finite "
            "numbers from 0 up, and not 0 in every row"
        )
    return values


def named(usecase: UseCase, columns: Sequence[str]) -> list[str]:
    """The columns of the rows, of those that they have, that `about` looks at."""
    told = [usecase.group] if isinstance(usecase, Groups) else []
    told += [usecase.baseline] if isinstance(usecase, Compares) else []
    told += [usecase.weight] if isinstance(usecase, Weighs) else []
    told += [usecase.time] if usecase.task == "forecast" and usecase.time is not None else []
    return [name for name in dict.fromkeys(told) if name in columns]


def groups(usecase: UseCase, frame: pd.DataFrame) -> Array | None:
    """Which rows belong together; None where each stands alone.

    Errors of a forecast resemble each other over all series of a day and over neighbouring days. So its rows
    belong together by stretches of time as long as the horizon, unless the use case names a group.
    """
    if isinstance(usecase, Groups):
        return _column(usecase, frame, usecase.group, "group").astype(str).to_numpy()
    if usecase.task == "ranking":
        raise InvalidInput(
            f"the use case {usecase.name!r} ranks, and does not say which rows compete with each other; name "
            "their column in its attribute `group`"
        )
    if usecase.task == "forecast" and usecase.time is not None:
        horizon = usecase.horizon if isinstance(usecase, Forecasts) else 1
        _, place = np.unique(_column(usecase, frame, usecase.time, "time").to_numpy(), return_inverse=True)
        return np.asarray(place // horizon)
    return None


def main_metric(usecase: UseCase) -> tuple[str, Direction]:
    """The metric that says most, and which way is better. Raises `InvalidInput` when nobody has said it."""
    if isinstance(usecase, Judges) and usecase.directions:
        return next(iter(usecase.directions.items()))
    if usecase.task in MAIN:
        return MAIN[usecase.task]
    raise InvalidInput(
        f"the use case {usecase.name!r} has the task custom, and names no metric; give it "
        "`directions = {'name': 'higher'}` (or 'lower'), the most important metric first, and "
        "return them from "
        "`evaluate`"
    )


def _column(usecase: UseCase, frame: pd.DataFrame, name: str, role: str) -> pd.Series[Any]:
    if name not in frame:
        raise InvalidInput(
            f"the use case {usecase.name!r} names {name!r} as its {role}, and its rows do not "
            "have this column"
        )
    return frame[name]

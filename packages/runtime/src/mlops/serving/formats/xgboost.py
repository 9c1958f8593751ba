"""XGBoost: saved as UBJSON, which is read and never run; rows go to the library as they lie in memory."""

from __future__ import annotations

import ctypes
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlops.errors import InvalidInput
from mlops.serving.formats import Answer, Saved, pinned
from mlops.spec.schema import Task

REQUIREMENTS = ("xgboost", "mlflow-skinny", "numpy", "pandas", "scipy")
FILE = "model.ubj"
_CONFIG = json.dumps(
    {"type": 0, "training": False, "iteration_begin": 0, "iteration_end": 0, "missing": math.nan,
     "strict_shape": True, "cache_id": 0}
).encode()  # fmt: skip


def fits(estimator: Any) -> bool:
    """A fitted estimator of the library itself; a class that is derived from one may answer otherwise."""
    return type(estimator).__module__.startswith("xgboost.") and hasattr(estimator, "get_booster")


def save(estimator: Any, to: Saved) -> None:
    """MLflow's flavour of XGBoost, in UBJSON: the trees up to the best round."""
    import mlflow.xgboost

    mlflow.xgboost.save_model(
        _booster(estimator),
        str(to.folder),
        signature=to.signature,
        input_example=to.example,
        pip_requirements=pinned(REQUIREMENTS),
        model_format="ubj",
    )


def _booster(estimator: Any) -> Any:
    """What answers like the estimator without it. Raises `InvalidInput` for what only the estimator knows."""
    missing = estimator.get_params().get("missing")
    if missing is not None and not math.isnan(missing):
        raise InvalidInput(
            f"{type(estimator).__name__}(missing={missing!r}): XGBoost's file does not keep what stands for "
            "a missing value; let `features` make it null, and leave `missing` out"
        )
    booster = estimator.get_booster()
    # Without early stopping there is no such attribute, and asking for it raises.
    best = booster.attr("best_iteration")
    booster = booster[: int(best) + 1] if best is not None else booster.copy()
    booster.set_attr(best_iteration=None, best_score=None)
    if estimator.get_params().get("objective") == "multi:softmax":
        # It would answer with a class; the estimator makes probabilities of it.
        booster.set_param({"objective": "multi:softprob"})
    return booster


def load(folder: Path, task: Task, trusted: Sequence[str]) -> Answer:
    """See `mlops.serving.formats.Format`."""
    from xgboost import Booster

    booster = Booster({"nthread": 1})
    booster.load_model(folder / FILE)
    booster.set_param({"nthread": 1})
    return _Answer(booster)


class _Answer:
    """Calls run side by side, so each is one thread."""

    def __init__(self, booster: Any) -> None:
        from xgboost import core

        self._booster = booster
        self._library: Any = getattr(core, "_LIB", None)
        kind = json.loads(booster.save_config())["learner"]["gradient_booster"]["name"]
        # A linear booster reads no plain array, and trees that may be dropped are not thread-safe there.
        self._plain = kind == "gbtree"

    def __call__(self, given: Any) -> Any:
        import xgboost

        if self._plain and self._library is not None and isinstance(given, np.ndarray):
            return self._raw(given)
        if self._plain:
            return self._booster.inplace_predict(given, validate_features=False)
        return self._booster.predict(xgboost.DMatrix(given, nthread=1), validate_features=False)

    def _raw(self, rows: Any) -> Any:
        """`XGBoosterPredictFromDense`: what `inplace_predict` calls in the end."""
        data = np.ascontiguousarray(rows)
        place = (
            f'{{"data":[{data.ctypes.data},true],"shape":[{data.shape[0]},{data.shape[1]}],'
            f'"typestr":"{data.dtype.str}","version":3}}'
        )
        shape, dims = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64()
        answer = ctypes.POINTER(ctypes.c_float)()
        failed = self._library.XGBoosterPredictFromDense(
            self._booster.handle,
            place.encode(),
            _CONFIG,
            None,
            ctypes.byref(shape),
            ctypes.byref(dims),
            ctypes.byref(answer),
        )
        if failed:
            return self._booster.inplace_predict(rows, validate_features=False)
        size = tuple(shape[i] for i in range(dims.value))
        # The memory is the library's own, and this thread's next call writes it again; a list copies it.
        values = np.array(answer[: math.prod(size)], dtype=np.float32)
        return values if size[-1:] == (1,) else values.reshape(size)

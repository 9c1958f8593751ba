"""LightGBM: saved as its own text, which is read and never run. One row takes the library's short way."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlops.serving.formats import Answer, Saved, pinned
from mlops.spec.schema import Task

REQUIREMENTS = ("lightgbm", "mlflow-skinny", "numpy", "pandas", "scipy")
FILE = "model.lgb"
_NORMAL = 0
_TYPES = {np.dtype(np.float32): 0, np.dtype(np.float64): 1}
"""By their numbers in LightGBM's C interface."""


def fits(estimator: Any) -> bool:
    """A fitted estimator of the library itself; a class that is derived from one may answer otherwise."""
    return type(estimator).__module__.startswith("lightgbm.") and hasattr(estimator, "booster_")


def save(estimator: Any, to: Saved) -> None:
    """MLflow's flavour of LightGBM. Its booster holds the trees up to the best round, and no Python."""
    import mlflow.lightgbm

    mlflow.lightgbm.save_model(
        estimator.booster_,
        str(to.folder),
        signature=to.signature,
        input_example=to.example,
        pip_requirements=pinned(REQUIREMENTS),
    )


def load(folder: Path, task: Task, trusted: Sequence[str]) -> Answer:
    """See `mlops.serving.formats.Format`."""
    from lightgbm import Booster

    return _Answer(Booster(model_file=str(folder / FILE)))


class _Answer:
    """Calls run side by side, so each is one thread."""

    def __init__(self, booster: Any) -> None:
        self._booster = booster
        self._alone = threading.local()

    def __call__(self, given: Any) -> Any:
        if isinstance(given, np.ndarray) and len(given) == 1 and (one := self._one(given.dtype)) is not None:
            return one(given)
        return self._booster.predict(given, num_threads=1)

    def _one(self, dtype: np.dtype[Any]) -> _OneRow | None:
        """What is prepared for rows of this type belongs to a thread: it has buffers of its own."""
        if dtype not in _TYPES:
            return None
        prepared = self._alone.__dict__
        if dtype.name not in prepared:
            prepared[dtype.name] = _OneRow.of(self._booster, dtype)
        one_row: _OneRow | None = prepared[dtype.name]
        return one_row


class _OneRow:
    """`LGBM_BoosterPredictForMatSingleRowFast`: parameters are read once, and a row is a pointer."""

    def __init__(self, library: Any, prepared: ctypes.c_void_p, booster: Any) -> None:
        self._call = library.LGBM_BoosterPredictForMatSingleRowFast
        self._free = library.LGBM_FastConfigFree
        self._prepared = prepared
        self._booster = booster  # what is prepared is of no use once it is gone
        self._answer = np.empty(booster.num_model_per_iteration(), dtype=np.float64)
        self._place = self._answer.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
        self._length = ctypes.c_int64()

    @classmethod
    def of(cls, booster: Any, dtype: np.dtype[Any]) -> _OneRow | None:
        """None where this release of LightGBM has not what is needed; then its `predict` answers."""
        from lightgbm import basic

        library, handle = getattr(basic, "_LIB", None), getattr(booster, "_handle", None)
        if library is None or handle is None:
            return None
        prepared = ctypes.c_void_p()
        failed = library.LGBM_BoosterPredictForMatSingleRowFastInit(
            handle,
            ctypes.c_int(_NORMAL),
            ctypes.c_int(0),
            ctypes.c_int(-1),
            ctypes.c_int(_TYPES[dtype]),
            ctypes.c_int32(booster.num_feature()),
            ctypes.c_char_p(b"num_threads=1"),
            ctypes.byref(prepared),
        )
        return None if failed else cls(library, prepared, booster)

    def __call__(self, row: Any) -> Any:
        data = np.ascontiguousarray(row)
        place = ctypes.c_void_p(data.ctypes.data)
        if self._call(self._prepared, place, ctypes.byref(self._length), self._place):
            return self._booster.predict(row, num_threads=1)
        values = self._answer.copy()
        return values if len(values) == 1 else values.reshape(1, -1)

    def __del__(self) -> None:
        self._free(self._prepared)

"""scikit-learn, and whatever has its interface: saved by skops, which loads by naming every type it makes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput
from mlops.serving.formats import Answer, Saved, pinned, texts
from mlops.serving.formats.canonical import rewrite
from mlops.serving.formats.unsavable import unsavable
from mlops.serving.formats.vouched import refused
from mlops.spec.parts import stages
from mlops.spec.schema import Task

REQUIREMENTS = ("mlflow-skinny", "numpy", "pandas", "scikit-learn", "skops")
FILE = "model.skops"


def fits(estimator: Any) -> bool:
    """Anything."""
    return True


def save(estimator: Any, to: Saved, requirements: Sequence[str] = REQUIREMENTS) -> None:
    """MLflow's flavour of scikit-learn, in skops' format."""
    import mlflow.sklearn

    asked = _asked(estimator, to)
    with warnings.catch_warnings():
        # Integer columns without nulls are what the contract promises; MLflow warns of them all the same.
        warnings.filterwarnings("ignore", message="(?s).*Inferred schema contains integer column")
        mlflow.sklearn.save_model(
            estimator,
            str(to.folder),
            serialization_format="skops",
            skops_trusted_types=asked,
            signature=to.signature,
            input_example=to.example,
            pip_requirements=pinned(requirements),
            pyfunc_predict_fn="predict" if to.task == "regression" else "predict_proba",
            code_paths=to.code_paths if to.carried else None,
        )
    rewrite(to.folder / FILE)


def _written(names: Sequence[str]) -> str:
    """A tuple, as it is written in Python with double quotes."""
    quoted = ", ".join(f'"{name}"' for name in sorted(set(names)))
    return f"({quoted},)" if len(set(names)) == 1 else f"({quoted})"


def load(folder: Path, task: Task, trusted: Sequence[str]) -> Answer:
    """See `mlops.serving.formats.Format`."""
    return answer(read(folder / FILE, trusted), task)


def read(path: Path, trusted: Sequence[str] = ()) -> Any:
    """The estimator in a file of skops. Raises `InvalidInput` that names the types nobody vouches for."""
    from skops import io

    asked: list[str] = io.get_untrusted_types(file=path)
    if foreign := refused(asked, trusted):
        raise InvalidInput(
            f"the model holds {', '.join(foreign)}, for which nobody vouches: loading it could run code"
        )
    return io.load(path, trusted=asked)


def answer(estimator: Any, task: Task) -> Answer:
    """The method that answers, in one thread: calls run side by side, and a sum in threads has no order."""
    one_thread(estimator)
    # One warning a request that a plain array has no names: it was proven to be answered all the same.
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    method: Answer = _Texts(estimator, task) if texts_alone(estimator) else _method(estimator, task)
    return method


def _method(estimator: Any, task: Task) -> Any:
    return estimator.predict if task == "regression" else estimator.predict_proba


def texts_alone(estimator: Any) -> bool:
    """Whether columns of text go each to a vectorizer of its own, and what comes out to the rest."""
    steps = stages(estimator)
    first: Any = steps[0] if len(steps) > 1 else None
    parts = getattr(first, "transformers_", [])
    return (
        type(first).__name__ == "ColumnTransformer"
        and not first.transformer_weights
        and bool(parts)
        and all(isinstance(column, str) and hasattr(part, "build_analyzer") for _, part, column in parts)
    )


class _Texts:
    """A pipeline that `texts_alone` knows: given columns by name, it asks its parts and makes no table.

    A `ColumnTransformer` checks names and types of a table for longer than a short text takes to be answered.
    """

    def __init__(self, estimator: Any, task: Task) -> None:
        first, *between, last = stages(estimator)
        self._parts = [(part, column) for _, part, column in first.transformers_]
        self._between, self._last = between, _method(last, task)
        self._whole = _method(estimator, task)
        self._quick = None if between else texts.quick(self._parts, last, task, self._by_parts)
        self.by_characters = self._quick is not None and not any(map(texts.own_words, first.transformers_))
        """Whether the time of an answer follows from the number of characters."""

    def __call__(self, given: Any) -> Any:
        if not isinstance(given, dict):
            return self._whole(given)
        if self._quick is not None and len(given[self._parts[0][1]]) <= texts.ROWS:
            return self._quick(given)
        return self._by_parts(given)

    def _by_parts(self, given: Any) -> Any:
        from scipy import sparse

        blocks = [part.transform(given[column]) for part, column in self._parts]
        rows = blocks[0] if len(blocks) == 1 else sparse.hstack(blocks, format="csr")
        for step in self._between:
            rows = step.transform(rows)
        return self._last(rows)


def one_thread(estimator: Any) -> None:
    """Every `n_jobs` within `estimator` becomes 1; None is one to scikit-learn and all cores to others."""
    settable = hasattr(estimator, "get_params") and hasattr(estimator, "set_params")
    parameters = estimator.get_params() if settable else {}
    threads = [name for name, value in parameters.items() if name.split("__")[-1] == "n_jobs" and value != 1]
    if threads:
        estimator.set_params(**dict.fromkeys(threads, 1))


def _asked(estimator: Any, to: Saved) -> list[str]:
    """Types beyond skops' own list, once all are vouched for; those of the use case are carried along."""
    from skops import io

    try:
        asked: list[str] = io.get_untrusted_types(data=io.dumps(estimator))
    # Whatever a part's own code raises when it is asked for its state: pandas' tables a TypeError.
    except Exception as error:
        if (part := unsavable(estimator)) is None:
            raise
        raise InvalidInput(
            f"the model holds what skops cannot save: {part} ({' '.join(str(error).split())}). Use another "
            "estimator for it; let a class of your own in src/ keep what it needs as numbers, texts, lists, "
            "dictionaries and arrays; or save a pickle, which the gates must allow "
            "(docs/guides/any-model.md)"
        ) from None
    if to.own is not None:
        to.carried.extend(name for name in asked if name.split(".")[0] == to.own.name)
    if foreign := refused(asked, [*to.trusted, *to.carried]):
        raise InvalidInput(
            f"the model holds {', '.join(foreign)}, for which nobody vouches: loading it could run code. Use "
            "parts of scikit-learn; or read these types, and let the use case name them: "
            f"trusted_types = {_written([*to.trusted, *foreign])}"
        )
    return asked

"""One file a library: how a fitted estimator is saved without code that runs at load, and called again.

`serving.json` names the format. A new library is a new module here and a line in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol, cast

from mlops.errors import InvalidInput, TargetError
from mlops.spec.schema import Task

Answer = Callable[[Any], Any]
"""From a table or an array to probabilities ([n, classes]) or values ([n])."""


@dataclass(frozen=True)
class Saved:
    """What a format needs to know of the MLflow model that it writes."""

    folder: Path
    task: Task
    signature: Any
    example: Any
    trusted: Sequence[str]
    own: Path | None = None
    """The package of the use case, where the estimator may be made of its classes."""
    carried: list[str] = field(default_factory=list)
    """Filled by `save`: types of that package, which the model needs wherever it is loaded."""

    @property
    def code_paths(self) -> list[str] | None:
        """As MLflow wants what travels with the model."""
        return [str(self.own)] if self.own is not None else None


class Format(Protocol):
    """A module of this package."""

    REQUIREMENTS: tuple[str, ...]
    """Distributions without which the model cannot be loaded."""

    def fits(self, estimator: Any) -> bool:
        """Whether this library made the estimator."""

    def save(self, estimator: Any, to: Saved) -> None:
        """Write an MLflow model. Raises `InvalidInput` when it holds what would run code at load."""

    def load(self, folder: Path, task: Task, trusted: Sequence[str]) -> Answer:
        """Load what `save` wrote, and nothing else; raises whatever it likes when it cannot."""


FORMATS = ("lightgbm", "xgboost", "catboost", "torch", "mlflow", "sklearn", "pickle", "mlflow_code")
"""By name; the first that fits saves. `sklearn` takes what has `fit` and `predict`; `pickle` is asked for."""


PICKLE = "pickle"
RUNS_CODE = (PICKLE, "mlflow_code")
"""Formats whose loading runs what the file says: verified before, and let in by `allow_code`."""
_OTHER_NAMES = {"xgboost": "xgboost-cpu"}
"""Distributions that bring the same module under another name."""


def pinned(requirements: Sequence[str]) -> list[str]:
    """`requirements` at the versions that are installed here."""
    return [_pin(name) for name in requirements]


def _pin(name: str) -> str:
    try:
        return f"{name}=={version(name)}"
    except PackageNotFoundError:
        if name not in _OTHER_NAMES:
            raise
        return f"{_OTHER_NAMES[name]}=={version(_OTHER_NAMES[name])}"


@contextmanager
def as_installed() -> Iterator[None]:
    """While a model is saved whose requirements are `pinned`: MLflow does not compare them with what is
    installed, for which it lists every file of every package."""
    from mlflow.utils import environment

    name = "warn_dependency_requirement_mismatches"
    compare = getattr(environment, name, None)
    if compare is None:
        yield
        return
    setattr(environment, name, lambda _: None)
    try:
        yield
    finally:
        setattr(environment, name, compare)


def find(name: str) -> Format:
    """Raises `InvalidInput` for a name that is not in `FORMATS`."""
    if name not in FORMATS:
        raise InvalidInput(f"the model's format {name!r} is not known here; known: {', '.join(FORMATS)}")
    return cast("Format", import_module(f"{__name__}.{name}"))


def format_of(estimator: Any) -> tuple[str, Format]:
    """The format that saves `estimator`."""
    return next((name, format_) for name in FORMATS if (format_ := find(name)).fits(estimator))


def open_model(folder: Path, name: str, task: Task, trusted: Sequence[str] = ()) -> Answer:
    """Load a saved model. Raises `TargetError` when the library is not there or cannot load it."""
    module = find(name)
    try:
        return module.load(folder, task, trusted)
    except ModuleNotFoundError as error:
        raise TargetError(
            f"{folder} needs {', '.join(module.REQUIREMENTS)} to answer, and {error.name} is not installed "
            "here; install the model's own requirements.txt"
        ) from None
    # Foreign code runs here: whatever it raises means that the model does not load.
    except Exception as error:
        text = str(error).strip().splitlines()
        raise TargetError(f"{folder} cannot be loaded as {name}: {text[0] if text else error!r}") from error

"""The protocol between the lifecycle and a use case: everything that a fork replaces, and nothing more.

A use case is an importable package with an object called `usecase`; `mlops.toml` names the package.
It knows nothing of targets, CI or Azure.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mlops.errors import InvalidInput
from mlops.spec.schema import Task
from mlops.spec.window import Window

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np
    import pandas as pd
    from pandera.pandas import DataFrameSchema

    from mlops.tables import Tables

ATTRIBUTE = "usecase"


@runtime_checkable
class UseCase(Protocol):
    """What the lifecycle needs to know about a model."""

    name: str
    """The model's name, as in `mlops.toml`."""
    task: Task
    target: str
    """Label column of the frames that `features` returns; absent when labels are not known yet."""
    time: str
    """Timestamp column of those frames (datetime64); rows come sorted by it. Not a model input."""
    slices: tuple[str, ...]
    """Input columns by whose values metrics are broken down."""

    def load(self, folder: Path) -> None:
        """Write the raw data set into the empty `folder`. The only method that may use the network."""

    def features(self, raw: Path, window: Window) -> pd.DataFrame:
        """Rows of `window` from the raw folder: model inputs, `target` and `time`; float32 numbers.

        Raises `mlops.errors.InvalidInput` when a raw file or column is missing or the window is empty.
        """

    def contract(self) -> DataFrameSchema:
        """The data contract of one frame of model inputs (pandera); used in training and serving.

        Column order is the order of the model's signature. `unknown_category` and `description` of a
        column may be given in pandera's column `metadata`.
        """

    def build(self, params: Mapping[str, Any]) -> Any:
        """An unfitted scikit-learn estimator from raw columns to probabilities or values."""

    def evaluate(self, truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
        """Metrics beyond the task's standard ones; may be empty.

        `prediction` has shape [n] (regression; binary: probability of the positive class) or
        [n, classes]. Higher-is-better is told by the gates, not here. It is also asked about resamples: leave
        a metric out (or give NaN) where it is not defined. One that half of them lack has no interval.
        """


@dataclass(frozen=True)
class Rejected:
    """What a delivery of raw data had and the data set did not take: rows of a file, or the file itself."""

    file: str
    reason: str
    """After "it": `is outside the window 2013-07`."""
    rows: int = 0
    """0 when the whole file was rejected."""
    frame: pd.DataFrame | None = None
    path: Path | None = None


@dataclass(frozen=True)
class Delivery:
    """What became of a delivery."""

    accepted: Mapping[str, int]
    """Rows that were taken, by file."""
    rejected: Sequence[Rejected]


@runtime_checkable
class Ingests(Protocol):
    """What a use case has beside `UseCase` when its raw data come in windows (`mlops ingest`)."""

    files: tuple[str, ...]
    """Names that a delivery may have, for sources that cannot be listed (a web address)."""

    def ingest(self, source: Path, window: Window, base: Path, fresh: Path) -> Delivery:
        """Write the raw data of `base`, with the months of `window` as `source` has them, to `fresh`.

        The same arguments give the same bytes. Rows and files that break a rule are left out and answered.
        Raises `InvalidInput` when nothing of the window is left.
        """


@runtime_checkable
class Scales(Protocol):
    """What a use case has beside `UseCase` when Spark can make its rows too (docs/scaling.md).

    Its `features` is then `mlops.tables.frame(self, raw, window)`: the same expression on DuckDB.
    """

    def rows(self, raw: Tables, window: Window) -> nw.LazyFrame[Any]:
        """What `features` promises, as an expression of Narwhals over the raw tables; in any order.

        Raises `InvalidInput` when a raw table or column is missing; a window without rows is no error here.
        """


@runtime_checkable
class Trusts(Protocol):
    """What a use case has beside `UseCase` when its estimator holds types that nobody else vouches for."""

    trusted_types: tuple[str, ...]
    """Full names. Loading a model may make them and call them: read them before you name them here."""


def trusted_types(usecase: UseCase) -> tuple[str, ...]:
    """Those of `Trusts`; none when the use case says nothing."""
    return tuple(usecase.trusted_types) if isinstance(usecase, Trusts) else ()


def load_usecase(package: str, path: Path | None = None) -> UseCase:
    """Import `package` (with `path` in front of the search path) and return its use case.

    Raises `InvalidInput` when the package, the object or a member of the protocol is missing.
    """
    if path is not None and str(path) not in sys.path:
        sys.path.insert(0, str(path))
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"the use case {package!r} cannot be imported (no module named {error.name!r}); "
            f"it must be a package under src/ that mlops.toml names"
        ) from None
    found = getattr(module, ATTRIBUTE, None)
    members = [
        *vars(UseCase)["__annotations__"],
        "load",
        "features",
        "contract",
        "build",
        "evaluate",
    ]
    if found is None:
        raise InvalidInput(f"the package {package!r} has no object called {ATTRIBUTE!r}")
    if missing := [m for m in members if not hasattr(found, m)]:
        raise InvalidInput(f"{package}.{ATTRIBUTE} lacks {', '.join(missing)} (see mlops.usecase.UseCase)")
    return found  # type: ignore[no-any-return]

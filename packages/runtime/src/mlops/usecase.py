"""The protocol between the lifecycle and a use case: everything that a fork replaces, and nothing more.

A use case is an importable package with an object called `usecase`; `mlops.toml` names the package.
It knows nothing of targets, CI or Azure.
"""

from __future__ import annotations

import importlib
import sys
import traceback
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
    time: str | None
    """Timestamp column of those frames (datetime64); rows come sorted by it. Not a model input. None where
    the data have no clock: rows are then dealt by `split` of the training pipeline, and `features` takes no
    window."""
    slices: tuple[str, ...]
    """Input columns by whose values metrics are broken down."""

    def load(self, folder: Path) -> None:
        """Write the raw data set into the empty `folder`. The only method that may use the network."""

    def features(self, raw: Path, *window: Any, **_: Any) -> pd.DataFrame:
        """Rows from the raw folder: model inputs, `target`, `time` and what `beside` names.

        Written `features(self, raw, window)` where there is a `time`: the rows of that window; and
        `features(self, raw)` where there is none: all rows. Raises `mlops.errors.InvalidInput` when a raw
        file or column is missing or the window is empty.
        """

    def contract(self) -> DataFrameSchema:
        """The data contract of one frame of model inputs (pandera); used in training and serving.

        Column order is the order of the model's signature. `unknown_category` and `description` of a
        column may be given in pandera's column `metadata`.
        """

    def build(self, params: Mapping[str, Any]) -> Any:
        """An unfitted scikit-learn estimator from raw columns to probabilities or values; see also
        `Trains`."""

    def evaluate(self, truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
        """Metrics beyond the task's standard ones; may be empty.

        `prediction` has shape [n] (one value; binary: probability of the positive class) or [n, classes],
        [n, labels], [n, quantiles]; `truth` is encoded likewise. Higher-is-better is told by the gates and
        by `Judges`, not here. It is also asked about resamples: leave a metric out (or give NaN) where it
        is not defined. One that half of them lack has no interval. With `Weighs` it takes a third argument
        `weights` [n], and lets every row count for its weight.
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

    def ingest(self, source: Path, window: Any, base: Path, fresh: Path) -> Delivery:
        """Write the raw data of `base`, with the rows of `window` as `source` has them, to `fresh`.

        `window` is None where the use case has no clock: `source` is then taken whole. The same arguments
        give the same bytes. Rows and files that break a rule are left out and answered. Raises
        `InvalidInput` when nothing of the window is left.
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


@runtime_checkable
class Decides(Protocol):
    """What a use case has beside `UseCase` when its answer is yes or no, and 0.5 is not where yes begins."""

    decision: str
    """`cost:5` (a miss costs as much as 5 false alarms), `f:1` (the F score with this beta) or `rate:0.1` (a
    tenth of the rows is called): the threshold is chosen so on training rows, and travels with the model."""


@runtime_checkable
class Beside(Protocol):
    """What a use case has beside `UseCase` when its rows have columns that the model does not see."""

    beside: tuple[str, ...]
    """Ids, groups and folds: to split by, to resample by, to look up a row by."""


@runtime_checkable
class Groups(Protocol):
    """What a use case has beside `UseCase` when some of its rows belong together."""

    group: str
    """Column of the rows: a query whose rows compete (ranking), a patient, a shop. A bootstrap draws
    groups."""


@runtime_checkable
class Weighs(Protocol):
    """What a use case has beside `UseCase` when some rows count for more than others."""

    weight: str
    """Column of the rows with numbers from 0 up: exposure, how recent, how sure. `fit` gets it as
    `sample_weight`; metrics, gates and comparisons weigh the test rows by it."""


@runtime_checkable
class Compares(Protocol):
    """What a use case has beside `UseCase` when a trivial model is to be beaten."""

    baseline: str
    """Column of the rows: what the trivial model would answer. Gates hold every version against it."""


@runtime_checkable
class Judges(Protocol):
    """What a use case has beside `UseCase` when `evaluate` gives metrics that gates go by (task `custom`)."""

    directions: Mapping[str, Any]
    """`{"cost": "lower", "hits": "higher"}`: which way is better, the most important metric first."""


@runtime_checkable
class Quantiles(Protocol):
    """What a use case of the task `quantiles` has."""

    quantiles: tuple[float, ...]
    """In the order of the answer's values, between 0 and 1."""


@runtime_checkable
class Forecasts(Protocol):
    """What a use case of the task `forecast` has; `mlops.forecasting.Forecast` makes its rows."""

    horizon: int
    """How many steps ahead it forecasts."""


@runtime_checkable
class Outputs(Protocol):
    """What a use case of the task `custom` has when an answer is a list of values."""

    outputs: tuple[str, ...]
    """Their names."""


@runtime_checkable
class Trains(Protocol):
    """What a use case has in place of `build` when it trains by itself: by any library, in any way."""

    def train(self, rows: pd.DataFrame, params: Mapping[str, Any], folder: Path) -> None:
        """Learn from `rows` (inputs, target, and what is beside) and write an MLflow model to the absent
        `folder`.

        It needs a signature of the contract's columns. Its pyfunc must answer probabilities of the classes
        in the order of `classes`, or values.
        """


def rows(usecase: UseCase, raw: Path, window: Window | None = None) -> pd.DataFrame:
    """The rows of `window`, or all rows where the use case has no clock.

    Raises `InvalidInput` when one is given without the other, and what `features` raises.
    """
    if usecase.time is None:
        if window is not None:
            raise InvalidInput(
                f"the use case {usecase.name!r} has no time column (time = None), so the window "
                f"{window} chooses no "
                "rows; leave it out: `split` of the training pipeline deals the rows"
            )
        return usecase.features(raw)
    if window is None:
        raise InvalidInput(
            f"the use case {usecase.name!r} has the time column {usecase.time!r}; say which window of time"
        )
    return usecase.features(raw, window)


def beside(usecase: UseCase) -> tuple[str, ...]:
    """Columns of its rows that are no input of the model: target, time, and those of `Beside`."""
    more = tuple(usecase.beside) if isinstance(usecase, Beside) else ()
    clock = () if usecase.time is None else (usecase.time,)
    told = [usecase.group] if isinstance(usecase, Groups) else []
    told += [usecase.baseline] if isinstance(usecase, Compares) else []
    told += [usecase.weight] if isinstance(usecase, Weighs) else []
    if told or more:
        inputs = usecase.contract().columns
        return tuple(
            dict.fromkeys((usecase.target, *clock, *(name for name in (*more, *told) if name not in inputs)))
        )
    return (usecase.target, *clock)


@runtime_checkable
class Pickles(Protocol):
    """What a use case has beside `UseCase` when no file without code can hold its estimator."""

    pickled: bool
    """True: saved by cloudpickle. The gates block it but for `allow_code` in the model's gates file."""


def pickled(usecase: UseCase) -> bool:
    """Whether the use case asks for a pickle."""
    return isinstance(usecase, Pickles) and usecase.pickled


def trusted_types(usecase: UseCase) -> tuple[str, ...]:
    """Those of `Trusts`; none when the use case says nothing."""
    return tuple(usecase.trusted_types) if isinstance(usecase, Trusts) else ()


class Brought:
    """Base of a use case whose training pipeline is somebody's own (docs/guides/own-pipeline.md).

    The gates and the endpoint need `name`, `task`, `target` and `contract`; the pipeline does the rest.
    """

    time: str | None = None
    slices: tuple[str, ...] = ()
    pickled: bool = False
    """Say True for models that are saved as a pickle; `allow_code` of the gates must say why."""

    def load(self, folder: Path) -> None:
        raise InvalidInput("the training pipeline brings its own data; there is nothing to load")

    def features(self, raw: Path, *window: Any, **_: Any) -> pd.DataFrame:
        raise InvalidInput("the training pipeline makes its own rows; take them from its output `test`")

    def train(self, rows: pd.DataFrame, params: Mapping[str, Any], folder: Path) -> None:
        raise InvalidInput("the training pipeline trains; run it with: mlops train")

    def evaluate(self, truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
        """No metrics beyond those of the task."""
        return {}


def package_folder(package: str) -> Path:
    """Where the files of an imported use case's package are."""
    place = sys.modules[package.partition(".")[0]].__file__
    assert place is not None, package  # noqa: S101 - it has a use case, so it is no folder without code
    return Path(place).parent


def place_of(error: BaseException, folder: Path) -> str:
    """Where in the Python files of `folder` an error came up: `prices/model.py, line 41`; else empty."""
    told = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if Path(frame.filename).is_relative_to(folder):
            told = f"{folder.name}/{Path(frame.filename).relative_to(folder)}, line {frame.lineno}"
    return told


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
    usecase = getattr(module, ATTRIBUTE, None)
    if usecase is None:
        raise InvalidInput(f"the package {package!r} has no object called {ATTRIBUTE!r}")
    method = "train" if isinstance(usecase, Trains) else "build"
    members = [*vars(UseCase)["__annotations__"], "load", "features", "contract", method, "evaluate"]
    if missing := [m for m in members if not hasattr(usecase, m)]:
        raise InvalidInput(f"{package}.{ATTRIBUTE} lacks {', '.join(missing)} (see mlops.usecase.UseCase)")
    return usecase  # type: ignore[no-any-return]

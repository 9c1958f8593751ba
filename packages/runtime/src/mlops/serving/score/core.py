"""The scoring core: a model artifact, verified before anything in it is read, as one `predict`.

Every shell (HTTP endpoint, `score.py` for Azure's inference server, batch driver) and the gates call
this module, so that a number cannot depend on where it was computed.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from mlops.errors import IntegrityError, InvalidInput, Problem, TargetError
from mlops.spec.artifact import leads_outside
from mlops.spec.digest import tree_digest
from mlops.spec.schema import FILE, ModelSchema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Cell = str | float | int | bool | None
Row = tuple[Cell, ...]
"""One input row in the order of the signature."""

Predictions = np.ndarray[Any, np.dtype[Any]]
"""[N] for binary (probability of the last class) and single values, [N, k] for classes, labels, quantiles."""

SAMPLE = "sample.json"


class Scorer(ABC):
    """A loaded model. Thread-safe: any number of threads may predict at once."""

    steady = False
    """Whether the time of a call follows from its `size`, so that it may be measured beforehand."""
    spread = 1
    """How many times as long as usual rows of a size the slowest ones of that size take."""

    def __init__(self, schema: ModelSchema) -> None:
        self.schema = schema
        self.names = tuple(c.name for c in schema.columns)
        self._binary = schema.task == "binary"
        self._decides, self._cut = schema.labels, schema.threshold

    def size(self, rows: Sequence[Row]) -> int:
        """What the time of a call follows from, where it is steady: the number of rows."""
        return len(rows)

    @abstractmethod
    def predict_rows(self, rows: Sequence[Row]) -> Predictions:
        """Predict rows that `mlops.serving.score.request` has validated: N tuples in signature order."""

    @abstractmethod
    def predict_frame(self, frame: pd.DataFrame | pa.Table | pa.RecordBatch) -> Predictions:
        """Predict a whole table (pandas or Arrow); columns by name, others are ignored.

        Raises `InvalidInput` that names the missing columns.
        """

    def predict_columns(self, columns: Mapping[str, Sequence[Cell]]) -> Predictions:
        """Predict columns of equal length, by name. Raises `InvalidInput` that names what is missing."""
        self._require(columns)
        return self.predict_rows(list(zip(*(columns[name] for name in self.names), strict=True)))

    def answer(self, predictions: Predictions) -> dict[str, list[Any]]:
        """What a client gets: `predictions`, and `labels` in the same order where a threshold makes them."""
        values = predictions.tolist()
        labels = self.labels(values)
        return {"predictions": values} if labels is None else {"predictions": values, "labels": labels}

    def labels(self, values: Sequence[float]) -> list[str] | None:
        """The class that the threshold makes of each probability; None for a model that decides nothing.

        `values` are Python's own numbers: a threshold is compared in the precision that a client reads.
        """
        cut = self._cut
        if cut is None or self._decides is None:
            return None
        no, yes = self._decides
        return [yes if value >= cut else no for value in values]

    def _require(self, given: Any) -> None:
        if missing := [name for name in self.names if name not in given]:
            raise InvalidInput(
                Problem(f"input of model {self.schema.model}", f"lacks the columns {', '.join(missing)}")
            )

    def _shaped(self, raw: Any, rows: int) -> Predictions:
        """Bring a model's output into the shape that `Predictions` promises, or say why it cannot be."""
        if isinstance(raw, list) and self.schema.task == "multilabel":
            # Several of scikit-learn's estimators give a table of two probabilities for each label.
            raw = np.stack([np.asarray(one)[:, -1] for one in raw], axis=1)
        values = np.asarray(raw)
        if values.dtype.kind not in "fiu":
            raise TargetError(self._misfit(f"values of type {values.dtype}"))
        listed = len(self.schema.listed)
        if not self._binary and not listed:
            if values.shape not in ((rows,), (rows, 1)):
                raise TargetError(self._misfit(f"shape {values.shape} for {rows} rows"))
            return values.reshape(rows)
        if self._binary:
            if values.shape == (rows, 2):
                return values[:, 1]
            if values.shape in ((rows,), (rows, 1)) and values.dtype.kind == "f":
                return values.reshape(rows)
        elif values.shape == (rows, listed):
            return values
        raise TargetError(self._misfit(f"shape {values.shape} of type {values.dtype} for {rows} rows"))

    def _misfit(self, got: str) -> str:
        return (
            f"model {self.schema.model} returned {got}, which is no {self.schema.task} prediction"
            f"{f' of {len(self.schema.listed)} values a row' if self.schema.listed else ''}; "
            "a classifier must return probabilities (pyfunc_predict_fn='predict_proba')"
        )


class OnnxScorer(Scorer):
    """The ONNX export: text columns as one [N, k] input, all others as one [N, m] float32 input."""

    steady = True

    def __init__(self, schema: ModelSchema, folder: Path) -> None:
        super().__init__(schema)
        import onnxruntime as ort

        if schema.onnx is None:
            raise TargetError(f"model {schema.model} has no ONNX export")
        options = ort.SessionOptions()
        # One thread a call: the server runs calls side by side, and more threads only fight over cores.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        # Both pay off for one shape over and over; requests differ in rows, and a pool never shrinks.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.log_severity_level = 4
        path = folder / schema.onnx.file
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        # ONNX Runtime raises classes of its own, without a common root: a missing file is one of them.
        except Exception as error:
            raise TargetError(f"{path} cannot be loaded by ONNX Runtime: {first_line(error)}") from error
        self._graph = schema.onnx
        self._strings = [i for i, c in enumerate(schema.columns) if c.type == "string"]
        self._floats = [i for i, c in enumerate(schema.columns) if c.type != "string"]
        self._pick_strings, self._pick_floats = _picker(self._strings), _picker(self._floats)
        self._null_strings = any(schema.columns[i].nullable for i in self._strings)
        self._check_graph()

    def _check_graph(self) -> None:
        wanted = {self._graph.strings: self._strings, self._graph.floats: self._floats}
        named = {name for name in wanted if name is not None}
        have = {node.name for node in self._session.get_inputs()}
        outputs = {node.name for node in self._session.get_outputs()}
        if named != have or self._graph.output not in outputs:
            raise TargetError(
                f"{self._graph.file} takes {sorted(have)} and gives {sorted(outputs)}, but {FILE} says "
                f"{sorted(named)} and {self._graph.output!r}"
            )
        if (self._strings and self._graph.strings is None) or (self._floats and self._graph.floats is None):
            raise TargetError(f"{FILE} has columns for which {self._graph.file} has no input")

    def predict_rows(self, rows: Sequence[Row]) -> Predictions:
        feeds: dict[str, Any] = {}
        count = len(rows)
        # One flat pass: given nested tuples, numpy first looks through all of them for the shape.
        if self._graph.strings is not None:
            texts: Iterable[Cell] = chain.from_iterable(map(self._pick_strings, rows))
            if self._null_strings:
                # The graph has no null for text; "" is what an absent text is in training's export too.
                texts = (text or "" for text in texts)
            size = count * len(self._strings)
            feeds[self._graph.strings] = np.fromiter(texts, object, size).reshape(count, -1)
        if self._graph.floats is not None:
            size = count * len(self._floats)
            numbers: Any = chain.from_iterable(map(self._pick_floats, rows))
            feeds[self._graph.floats] = np.fromiter(numbers, np.float32, size).reshape(count, -1)
        return self._run(feeds, count)

    def predict_frame(self, frame: pd.DataFrame | pa.Table | pa.RecordBatch) -> Predictions:
        table: Any = frame
        self._require(table.columns if hasattr(table, "iloc") else table.schema.names)
        count = len(table)
        feeds: dict[str, Any] = {}
        if self._graph.strings is not None:
            texts = np.empty((count, len(self._strings)), dtype=object)
            for k, i in enumerate(self._strings):
                texts[:, k] = _texts(table[self.names[i]])
            feeds[self._graph.strings] = texts
        if self._graph.floats is not None:
            floats = np.empty((count, len(self._floats)), dtype=np.float32)
            for k, i in enumerate(self._floats):
                floats[:, k] = _floats(table[self.names[i]])
            feeds[self._graph.floats] = floats
        return self._run(feeds, count)

    def _run(self, feeds: dict[str, Any], rows: int) -> Predictions:
        try:
            (raw,) = self._session.run([self._graph.output], feeds)
        # ONNX Runtime raises classes of its own, without a common root: all of them are the model's failure.
        except Exception as error:
            raise TargetError(f"the ONNX graph failed: {first_line(error)}") from error
        return self._shaped(raw, rows)


class PyfuncScorer(Scorer):
    """Any MLflow model folder: slower by two orders of magnitude, but it serves what ONNX cannot express."""

    def __init__(self, schema: ModelSchema, folder: Path) -> None:
        super().__init__(schema)
        import mlflow.pyfunc

        # Byte code written beside the model's own modules would change the artifact's digest.
        keep, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            # MLflow would compare every installed package with the model's list, for more than a second.
            self._model = mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
        # Foreign code runs here: whatever it raises means that the model does not load.
        except Exception as error:
            raise TargetError(f"{folder} cannot be loaded by MLflow: {first_line(error)}") from error
        finally:
            sys.dont_write_bytecode = keep
        signature = self._model.metadata.get_input_schema()
        wanted = {c.name: c.type.to_pandas() for c in signature} if signature is not None else {}
        self._dtypes = {c.name: wanted.get(c.name, _dtype(c.type)) for c in schema.columns}

    def predict_rows(self, rows: Sequence[Row]) -> Predictions:
        import pandas as pd

        return self.predict_frame(pd.DataFrame(list(rows), columns=list(self.names)))

    def predict_frame(self, frame: pd.DataFrame | pa.Table | pa.RecordBatch) -> Predictions:
        given: Any = frame
        table: Any = given if hasattr(given, "iloc") else given.to_pandas()
        self._require(table.columns)
        table = table.loc[:, list(self.names)].copy()
        for name, dtype in self._dtypes.items():
            # A null does not fit into an integer column; the model then sees NaN, as it did in training.
            has_null = dtype != np.dtype(object) and bool(table[name].isna().any())
            table[name] = table[name].astype(np.float32 if has_null else dtype)
        try:
            raw = self._model.predict(table)
        except Exception as error:
            raise TargetError(f"the model failed: {first_line(error)}") from error
        return self._shaped(raw, len(table))


def read_schema(folder: Path) -> ModelSchema:
    """`serving.json` of an artifact. Raises `InvalidInput` with file, field and what is allowed."""
    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InvalidInput(
            Problem(str(path), "does not exist; the artifact was not written by `mlops train` or register")
        ) from None
    try:
        return ModelSchema.model_validate_json(text)
    except ValidationError as error:
        raise InvalidInput(
            [Problem(str(path), e["msg"], ".".join(map(str, e["loc"]))) for e in error.errors()]
        ) from None


def find_artifact(mounted: Path) -> Path:
    """The folder with `serving.json`: Azure ML mounts a model one or two levels below its own folder.

    Raises `InvalidInput` when there is none, or more than one.
    """
    folders = sorted({p.parent for depth in ("", "*/", "*/*/") for p in mounted.glob(f"{depth}{FILE}")})
    if len(folders) != 1:
        what = "no model artifact" if not folders else f"{len(folders)} model artifacts"
        raise InvalidInput(Problem(str(mounted), f"holds {what}; one folder with {FILE} is needed"))
    return folders[0]


def verify(folder: Path, digest: str) -> None:
    """Raises `IntegrityError` when the files of `folder` are not those that `digest` names."""
    try:
        actual = tree_digest(folder)
    except FileNotFoundError:
        raise IntegrityError(f"{folder} does not exist, so the digest {digest} cannot be verified") from None
    if actual != digest:
        raise IntegrityError(
            f"{folder} has the digest {actual}, but {digest} was released; nothing was loaded. "
            "Fetch the artifact again, and find out who changed it"
        )


def load(folder: Path, *, digest: str | None = None, trusted: Collection[str] = ()) -> Scorer:
    """A scorer for a model artifact.

    With `digest` every file is verified before any is read. Without one, only formats that cannot run
    code when they are loaded are accepted: ONNX, and the formats of `mlops.serving.formats`, which then make
    only types that they vouch for and those of `trusted`.
    Raises `IntegrityError`, `InvalidInput` (serving.json) or `TargetError` (the model does not load).
    """
    if digest is not None:
        verify(folder, digest)
    schema = read_schema(folder)
    if schema.onnx is not None:
        return OnnxScorer(schema, folder)
    if schema.library is not None:
        from mlops.serving.score.library import LibraryScorer

        return LibraryScorer.load(schema, folder, trusted=None if digest is not None else trusted)
    if digest is None and not _loads_without_code(folder):
        raise IntegrityError(
            f"{folder} holds a model whose loading can run code (pickle or Python files); "
            "name its digest so that it can be verified first"
        )
    if outside := leads_outside(_described(folder)):
        raise IntegrityError(
            f"{folder / 'MLmodel'} names files outside of the model ({'; '.join(outside)}), which its digest "
            "does not count; nothing was loaded. Save the model again with all its files inside"
        )
    return PyfuncScorer(schema, folder)


def sample_rows(folder: Path) -> dict[str, Any] | None:
    """The artifact's `sample.json`: a request body of valid rows; None when there is none."""
    import msgspec

    try:
        body: dict[str, Any] = msgspec.json.decode((folder / SAMPLE).read_bytes(), type=dict)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput(Problem(str(folder / SAMPLE), f"not valid JSON: {error}")) from None
    return body


def _described(folder: Path) -> dict[str, Any]:
    """The parsed MLmodel; empty when it cannot be read, which MLflow tells better."""
    import yaml

    try:
        described = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return described if isinstance(described, dict) else {}


def _loads_without_code(folder: Path) -> bool:
    from mlops.serving.formats.elsewhere import code_in

    described = _described(folder)
    try:
        # A flavour without a loader is one that pyfunc would not load.
        return bool(described["flavors"]["python_function"]["loader_module"]) and not code_in(
            folder, described
        )
    except (OSError, KeyError, TypeError):
        return False


def _picker(indices: list[int]) -> Callable[[Row], tuple[Cell, ...]]:
    """The cells at `indices` as a tuple: in C, which for one row is a third of the work."""
    if len(indices) > 1:
        return itemgetter(*indices)
    return lambda row: tuple(row[i] for i in indices)


def _texts(column: Any) -> Any:
    if hasattr(column, "to_pylist"):
        return [value if value is not None else "" for value in column.to_pylist()]
    values = column.astype(object)
    return values.where(column.notna(), "").to_numpy(dtype=object)


def _floats(column: Any) -> Any:
    if hasattr(column, "to_pylist"):
        import pyarrow as pa

        from mlops.spec.arrays import numbers

        return numbers(column, pa.float32())
    return column.to_numpy(dtype=np.float32, na_value=np.nan)


def _dtype(kind: str) -> Any:
    return {"string": np.dtype(object), "boolean": np.dtype(bool)}.get(kind, np.dtype(np.float32))


def first_line(error: BaseException) -> str:
    """What an exception of foreign code says, short enough for a sentence."""
    text = str(error).strip()
    return (text.splitlines()[0] if text else type(error).__name__)[:400]

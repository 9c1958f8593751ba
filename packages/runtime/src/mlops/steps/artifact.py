"""The model artifact: an MLflow model folder plus what serving needs, under one digest.

What is served is proven here to answer as the trained model does; see `mlops.steps.fidelity`.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from mlops.errors import InvalidInput, TargetError
from mlops.monitoring.rules import columns_of, unchecked
from mlops.pretrained import used
from mlops.serving.formats import PICKLE, Format, Saved, as_installed, canonical, find, format_of
from mlops.serving.formats.sklearn import texts_alone
from mlops.serving.score.core import OnnxScorer, Scorer
from mlops.serving.score.inputs import KNOWN, matrix_type
from mlops.serving.score.library import LibraryScorer
from mlops.serving.score.own_code import copied
from mlops.spec.admits import RICH
from mlops.spec.schema import FILE, Column, Library, ModelSchema
from mlops.spec.tasks import asked_as, is_values
from mlops.steps import fidelity, probes
from mlops.steps.estimators import labels
from mlops.steps.export import NoGraphError, export
from mlops.steps.sample import ROWS
from mlops.steps.sample import write as write_sample
from mlops.usecase import Decides, Outputs, Quantiles, package_folder, pickled, trusted_types

if TYPE_CHECKING:
    import pandas as pd

    from mlops.usecase import UseCase

log = logging.getLogger(__name__)

MLMODEL = "MLmodel"
CODE = "code"
"""Where MLflow puts what travels with a model."""
COMPARED_ROWS = 20_000
"""Of training and of test rows each, evenly spread, that every candidate is compared on."""
_FEW_ROWS = 5_000
"""Threads that share fewer wait for each other longer than they work, some hundred times a model."""


@dataclass(frozen=True)
class _Truth:
    """What a candidate is held against."""

    trained: LibraryScorer
    estimator: Any
    inputs: pd.DataFrame
    asked: fidelity.Asked


def save(
    folder: Path,
    usecase: UseCase,
    estimator: Any,
    rows: pd.DataFrame,
    test: pd.DataFrame | None = None,
    *,
    package: str | None = None,
    threshold: float | None = None,
) -> ModelSchema:
    """Write the fitted `estimator` to the empty or absent `folder` and return its `serving.json`.

    `rows` are its training rows; the sample is spread evenly over them. `test` are more rows on which
    what is served is compared with the estimator; nothing is learned from them. Classes of `package`, the use
    case's own, travel with the model, and so does `threshold`, from which probability on yes begins.
    Raises `InvalidInput` when the estimator holds types that cannot be loaded without trust, when it refuses
    what the contract admits, or when it cannot be saved so that it answers the same.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise TargetError(f"{folder} is not empty; a model artifact is written once")
    # Numbers at the ends of their type overflow within a model; what counts is what it answers.
    threads = 1 if len(rows) + (0 if test is None else len(test)) < _FEW_ROWS else None
    with np.errstate(all="ignore"), warnings.catch_warnings(), threadpool_limits(threads):
        warnings.simplefilter("ignore", RuntimeWarning)
        return _write(folder, usecase, estimator, rows, test, package=package, threshold=threshold)


def _write(
    folder: Path,
    usecase: UseCase,
    estimator: Any,
    rows: pd.DataFrame,
    test: pd.DataFrame | None,
    *,
    package: str | None,
    threshold: float | None,
) -> ModelSchema:
    estimator = _chosen(estimator)
    name, saver = (PICKLE, find(PICKLE)) if pickled(usecase) else format_of(estimator)
    trusted = trusted_types(usecase)
    inputs = rows[list(usecase.contract().columns)]
    classes = _classes(usecase, estimator, rows)
    library = Library(
        format=name, dtypes=dtypes_of(inputs), levels=levels_of(inputs), trusted=sorted(trusted)
    )
    schema = described(usecase, inputs, library, classes)
    if name == PICKLE:
        schema = schema.model_copy(update={"runs_code": "its file is a pickle"})
    if files := used(estimator):
        schema = schema.model_copy(update={"pretrained": files})
    if threshold is not None and isinstance(usecase, Decides):
        schema = schema.model_copy(update={"threshold": threshold, "decision": usecase.decision})
    trained = _trained(schema, estimator)
    _require_fitted(trained, inputs)
    schema, notes = fidelity.settled(schema, trained, inputs, stated(usecase))
    for note in notes:
        log.warning(note)
    sample = inputs.iloc[:: max(1, len(inputs) // ROWS)].head(ROWS).reset_index(drop=True)
    schema = _save(folder, saver, estimator, schema, sample, package=package, trained=trained)
    truth = _Truth(trained, estimator, inputs, asked_of(schema, trained, inputs, test))
    schema = _proven(schema, folder, truth)
    schema = _with_graph(schema, folder, estimator, truth)
    (folder / FILE).write_text(schema.model_dump_json(indent=2) + "\n", encoding="utf-8")
    write_sample(folder, schema, inputs)
    return schema


def _classes(usecase: UseCase, estimator: Any, rows: pd.DataFrame) -> list[str]:
    """In the order of the probabilities: as the estimator says, else sorted, which is the field's order."""
    if is_values(usecase.task):
        return []
    if usecase.task == "multilabel":
        return labels(rows[usecase.target])
    told = getattr(estimator, "classes_", None)
    return [str(label) for label in (np.unique(rows[usecase.target]) if told is None else told)]


def described(usecase: UseCase, inputs: pd.DataFrame, library: Library, classes: list[str]) -> ModelSchema:
    """What is known of a model before it is asked for the first time."""
    contract = usecase.contract()
    return ModelSchema(
        model=usecase.name,
        task=usecase.task,
        columns=columns_of(contract, _categories(inputs)),
        classes=classes,
        outputs=_outputs(usecase),
        library=library,
        unchecked=unchecked(contract),
    )


def _outputs(usecase: UseCase) -> list[str]:
    if usecase.task == "quantiles":
        if not isinstance(usecase, Quantiles) or not usecase.quantiles:
            raise InvalidInput(
                f"the use case {usecase.name!r} has the task quantiles, and does not say which; give it "
                "`quantiles = (0.1, 0.5, 0.9)`"
            )
        return [f"{level:g}" for level in usecase.quantiles]
    return list(usecase.outputs) if usecase.task == "custom" and isinstance(usecase, Outputs) else []


def _chosen(estimator: Any) -> Any:
    """A search answers by the best that it has found; how it searched need not travel."""
    searched = type(estimator).__module__.startswith("sklearn.model_selection._search")
    return getattr(estimator, "best_estimator_", estimator) if searched else estimator


def _trained(schema: ModelSchema, estimator: Any) -> LibraryScorer:
    """The estimator in memory: the truth that every candidate is held against."""
    assert schema.library is not None  # noqa: S101 - `save` has just made it
    answer = estimator.predict if is_values(schema.task) else estimator.predict_proba
    return LibraryScorer(schema, schema.library, answer)


def _require_fitted(trained: LibraryScorer, inputs: pd.DataFrame) -> None:
    """Raises `InvalidInput` where scikit-learn takes what has just been fitted for what has not."""
    from sklearn.exceptions import NotFittedError

    try:
        trained.as_it_is(inputs.head(2))
    except NotFittedError as error:
        raise InvalidInput(
            f"after `fit` the model says: {str(error).splitlines()[0]} scikit-learn takes a class for fitted "
            "by its attributes: let `fit` keep what it learns in names that end in '_' (self.model_ = …)"
        ) from None
    # Whatever else it refuses is asked for row by row, and told with the row.
    except Exception as error:  # noqa: BLE001
        log.debug("asked for training rows, it said: %s", error)


def stated(usecase: UseCase) -> set[str]:
    """Columns whose contract says itself what a value outside its categories means."""
    columns = usecase.contract().columns.items()
    return {str(name) for name, column in columns if "unknown_category" in (column.metadata or {})}


def dtypes_of(inputs: pd.DataFrame) -> dict[str, str]:
    """The type of each column's values, as pandas names it. Raises `InvalidInput` for what no request can
    bring."""
    dtypes = {str(name): str(inputs[name].dtype) for name in inputs}
    if odd := [f"{name} ({kind})" for name, kind in dtypes.items() if kind not in KNOWN]:
        raise InvalidInput(
            f"the training rows have columns of types that no request can bring: {', '.join(odd)}; let "
            f"`features` "
            f"make them {', '.join(KNOWN[:4])}, an integer or a float of NumPy or pandas"
        )
    return dtypes


def levels_of(inputs: pd.DataFrame) -> dict[str, list[str]]:
    """The categories of each column that has the type of that name, in their order."""
    return {str(name): inputs[name].cat.categories.tolist() for name in inputs.select_dtypes("category")}


def _save(
    folder: Path,
    saver: Format,
    estimator: Any,
    schema: ModelSchema,
    sample: pd.DataFrame,
    *,
    package: str | None,
    trained: LibraryScorer,
) -> ModelSchema:
    """Write the MLflow model; the schema that says which classes of the use case it is made of."""
    from mlflow.exceptions import MlflowException
    from mlflow.models import infer_signature

    two = schema.task == "binary"
    answer = estimator.predict_proba(sample) if two else trained.as_it_is(sample)
    signature = infer_signature(model_output=answer)
    signature.inputs = _signature(schema)
    trusted = tuple(schema.library.trusted) if schema.library else ()
    with tempfile.TemporaryDirectory() as scratch:
        own = copied(package_folder(package), Path(scratch)) if package else None
        # MLflow writes its example as JSON, which has texts and no categories.
        example = sample.head(3).astype(dict.fromkeys(levels_of(sample), object))
        given = Saved(folder, asked_as(schema.task), signature, example, trusted, own)
        try:
            with as_installed():
                saver.save(estimator, given)
        except MlflowException as error:
            if refusal := _refusal(error):
                raise refusal from None
            raise
    canonical.described(folder / MLMODEL)
    if not (folder / CODE).is_dir() or schema.library is None:
        return schema
    library = schema.library.model_copy(
        update={"code": CODE, "trusted": sorted({*schema.library.trusted, *given.carried})}
    )
    return schema.model_copy(update={"library": library})


def _signature(schema: ModelSchema) -> Any:
    """The columns as MLflow checks them. Its integers and booleans cannot be absent: such a column is "
    "a double."""
    from mlflow.types import ColSpec, DataType, Schema

    dtypes = schema.library.dtypes if schema.library else {}
    specs = []
    for column in schema.columns:
        kind = dtypes[column.name].lower()
        if column.type in RICH:
            specs.append(ColSpec(_rich(column), column.name, required=not column.nullable))
            continue
        if column.type == "string":
            of = DataType.string
        elif column.type != "number" and column.nullable:
            of = DataType.double
        elif column.type == "boolean":
            of = DataType.boolean
        elif column.type == "integer":
            of = DataType.integer if kind in ("int8", "int16", "int32", "uint8", "uint16") else DataType.long
        else:
            of = DataType.float if kind in ("float16", "float32") else DataType.double
        specs.append(ColSpec(of, column.name, required=not column.nullable))
    return Schema(specs)


def _rich(column: Column) -> Any:
    """MLflow's type of a moment, a vector, a list or an image."""
    from mlflow.types import DataType
    from mlflow.types.schema import Array

    if column.type == "datetime":
        return DataType.datetime
    if column.type == "image":
        return DataType.binary
    return Array(DataType.string if column.items == "string" else DataType.double)


def _refusal(error: BaseException) -> OSError | None:
    """What the operating system said, when that is behind it: MLflow calls a full disk a wrong format."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    return cause


def _categories(inputs: pd.DataFrame) -> dict[str, list[str]]:
    return {
        str(c): sorted(texts.unique().tolist())
        for c in inputs.select_dtypes(["object", "string", "category"])
        if (texts := inputs[c].dropna()).map(lambda value: isinstance(value, str)).all()
    }


# --- proof ----------------------------------------------------------------------------------------------


def asked_of(
    schema: ModelSchema, trained: Scorer, inputs: pd.DataFrame, test: pd.DataFrame | None
) -> fidelity.Asked:
    """Everything that a candidate is compared on, and what the trained model answers."""
    usual = probes.usual(schema, inputs, COMPARED_ROWS)
    if test is not None:
        usual += probes.usual(schema, test[[c.name for c in schema.columns]], COMPARED_ROWS)
    if not usual:
        raise InvalidInput("the contract admits no row of training as a request, so nothing could be served")
    scale = fidelity.scale_of(schema.task, np.asarray(trained.predict_rows([p.row for p in usual])))
    asked = fidelity.ask(trained, [*usual, *probes.drawn(schema, inputs)], scale)
    for index in range(0, len(usual), max(1, len(usual) // 5)):
        alone = np.asarray(trained.predict_rows([usual[index].row]), dtype=np.float64).reshape(1, -1)
        if (np.abs(alone - asked.answers[index]) > asked.allowed[index]).any():
            raise InvalidInput(
                "the trained model answers a row otherwise alone than among others, so its answers "
                "would depend on "
                "who else asks; let the estimator use nothing of a row but the row itself"
            )
    return asked


def _proven(schema: ModelSchema, folder: Path, truth: _Truth) -> ModelSchema:
    """`schema` once the saved model was loaded and has answered as the one in memory, by arrays if it can."""
    library = schema.library
    assert library is not None  # noqa: S101 - `save` has just made it
    some = truth.inputs.iloc[:: max(1, len(truth.inputs) // COMPARED_ROWS)].head(COMPARED_ROWS)
    expected = _raw(truth.trained, some)

    def apart(candidate: LibraryScorer) -> str | None:
        difference = fidelity.difference(candidate, truth.asked)
        return difference or fidelity.in_a_table(candidate, some, expected, truth.asked.scale)

    problem = apart(LibraryScorer.load(schema, folder))
    plainer = getattr(find(library.format), "plainer", None)
    if problem is not None and plainer is not None and plainer(folder):
        log.warning("what stands in for %s %s; it answers itself", library.format, problem)
        problem = apart(LibraryScorer.load(schema, folder))
    if problem is not None:
        raise InvalidInput(
            f"the saved model {problem}; a null text must be None in training, and an estimator must keep "
            "all that it has learned in what it saves"
        )
    nullable = [c.nullable for c in schema.columns]
    try:
        matrix_type([library.dtypes[c.name] for c in schema.columns], nullable)
    except TypeError:
        texts = schema.model_copy(update={"library": library.model_copy(update={"columns": True})})
        only = all(c.type == "string" for c in schema.columns) and texts_alone(truth.estimator)
        return texts if only and apart(LibraryScorer.load(texts, folder)) is None else schema
    quick = schema.model_copy(update={"library": library.model_copy(update={"arrays": True})})
    return schema if apart(LibraryScorer.load(quick, folder)) else quick


def _raw(trained: LibraryScorer, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    """The estimator asked with the very rows it was trained on, untouched."""
    answers = np.asarray(trained.as_it_is(frame), dtype=np.float64)
    return answers.reshape(len(answers), -1)


def _with_graph(schema: ModelSchema, folder: Path, estimator: Any, truth: _Truth) -> ModelSchema:
    """`schema` with the graph, when there is one that answers as the trained model does."""
    try:
        graph = export(estimator, schema.columns, asked_as(schema.task), folder)
        served = schema.model_copy(update={"onnx": graph})
        why = _unfaithful(served, folder, truth)
        if why is None:
            if (plainer := getattr(format_of(estimator)[1], "plainer", None)) is not None:
                plainer(folder)
            return served
        path = folder / graph.file
        path.unlink()
        path.parent.rmdir()
    except NoGraphError as error:
        why = str(error)
    log.warning("there is no ONNX graph, so the model's own library answers: %s", why)
    return schema.model_copy(update={"no_graph": why})


def _unfaithful(schema: ModelSchema, folder: Path, truth: _Truth) -> str | None:
    """Why the graph must not answer in the model's place; None when it may."""
    try:
        candidate = OnnxScorer(schema, folder)
    except TargetError as error:
        return f"the exported graph does not load: {error}"
    difference = fidelity.difference(candidate, truth.asked)
    if difference is None and (near := probes.borders(schema, truth.inputs, truth.trained)):
        difference = fidelity.difference(candidate, fidelity.ask(truth.trained, near, truth.asked.scale))
    return None if difference is None else f"the exported graph {difference}"

"""A training pipeline of somebody else: its outputs are all that the lifecycle asks of it.

`model` is an MLflow model folder; `test` are the rows that it was tested on, with the target (`predictions`
in their place, when they have the model's columns too). `train` are those it learned from, where the pipeline
gives them. The gates ask the model about the test rows themselves, beside the champion; whatever else the
pipeline gives (`predictions`, `report`) is kept with the version. A pipeline without such rows is judged by
its predictions or its report, where the gates' file says that they count (`mlops.lifecycle.train.said`).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.errors import InvalidInput, Problem
from mlops.pipeline import JobResult
from mlops.pipeline.documents import open_document
from mlops.spec.digest import tree_digest
from mlops.spec.files import training_path
from mlops.spec.settings import load_settings
from mlops.targets.base import Target
from mlops.usecase import load_usecase

if TYPE_CHECKING:
    import pandas as pd

    from mlops.lifecycle.train.said import Said
    from mlops.spec.schema import ModelSchema
    from mlops.usecase import UseCase

MODEL, TEST, TRAIN = "model", "test", "train"
KEPT = ("predictions", "report")
"""Outputs that people may look at beside the version; `predictions` also stand in for `test`."""
FOLDER = "pipeline"
"""Run artifacts: what the pipeline gave of these."""
RUN = "mlops.training.run"
"""Tag of a version: the run of its pipeline."""
SOURCE = {"mlops.source": "pipeline"}
_SPLIT = "column:pipeline,test=test"
"""How rows were split, where the pipeline has no windows: as it saw fit."""
_MLMODEL = "MLmodel"
_ASKED = 1000
"""Rows that the model is asked about for its latency, and requests are made of."""


@dataclass(frozen=True)
class Registered:
    """The version of a run. `new` is False when the registry had this artifact already."""

    version: int
    digest: str
    new: bool


def brings(root: Path, model: str) -> bool:
    """Whether the pipeline of `model` gives a model and has no step that registers it."""
    outputs = _outputs(root, model)
    return MODEL in outputs and "registered" not in outputs


def _outputs(root: Path, model: str) -> Mapping[str, object]:
    outputs = open_document(root / training_path(model)).value.get("outputs")
    return outputs if isinstance(outputs, dict) else {}


def register(root: Path, target: Target, model: str, result: JobResult) -> Registered:
    """Make a version of what the run gave, with the evidence that the gates judge.

    Raises `InvalidInput` for outputs that are missing, a folder that is no MLflow model, rows without the
    columns of the contract, and a model that refuses what the contract admits.
    """
    from mlops.lifecycle.train.examine import evidence
    from mlops.lifecycle.train.said import write
    from mlops.steps.adopted import adopt

    usecase = load_usecase(load_settings(root).model(model)[1].usecase, root / "src")
    given = {name: _output(target, result, name) for name in _outputs(root, model)}
    test = _tested(given, usecase)
    if test is None and not (TRAIN in given and {"predictions", "report"} & given.keys()):
        raise _wrong(
            root,
            model,
            f"gives no rows that the model was tested on; add an output {TEST!r} (Parquet or CSV, with the "
            f"column {usecase.target!r}), or `predictions` that have the model's columns too. Where it "
            f"cannot: `predictions` or a `report`, with an output {TRAIN!r} of rows that the model knows",
        )
    train = rows(given[TRAIN], usecase) if TRAIN in given else test
    assert train is not None  # noqa: S101 - one of them is there
    tags = {**result.tags, **SOURCE, RUN: result.run_id}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        schema = adopt(place / "model", usecase, _model_in(given[MODEL]), train, test)
        said = _said(given, usecase, schema) if test is None else None
        # Without test rows, some that the model knows stand in where only their form counts.
        frames = {"train": train, "test": train.head(_ASKED) if test is None else test}
        evidence_tags = evidence(
            usecase, place / "model", to=place / "evidence", frames=frames, names=_named(root, model)
        )
        if said is not None:
            write(usecase, schema, said, place / "evidence")
        for name in (name for name in KEPT if name in given):
            _copy(given[name], place / "evidence" / FOLDER / name)
        digest = tree_digest(place / "model")
        made = target.registry.register(model, place / "model", digest, {**tags, **evidence_tags})
        new = made.tags.get(RUN) == result.run_id
        if new:
            for part in sorted((place / "evidence").iterdir()):
                target.registry.add_artifacts(made.run_id, part, part.name)
    return Registered(made.version, digest, new)


def _tested(given: Mapping[str, Path], usecase: UseCase) -> pd.DataFrame | None:
    """The rows that the model was tested on; None when the pipeline gives none with the model's columns."""
    if TEST in given:
        return rows(given[TEST], usecase)
    if "predictions" not in given:
        return None
    frame = table(given["predictions"])
    return None if lacking(frame, usecase) else rows(given["predictions"], usecase)


def _said(given: Mapping[str, Path], usecase: UseCase, schema: ModelSchema) -> Said:
    """What the pipeline says of its model: its predictions where they can be read, else its report."""
    from mlops.lifecycle.train.said import columns_of_table, of_report, of_table

    if "predictions" in given and (predictions := of_table(table(given["predictions"]), usecase, schema)):
        return predictions
    if "report" in given:
        return of_report(given["report"])
    raise InvalidInput(
        f"{given['predictions']} must have the columns {columns_of_table(usecase, schema)} (or those of the "
        "model, and the gates ask it themselves)"
    )


def _wrong(root: Path, model: str, message: str) -> InvalidInput:
    name = training_path(model)
    line = open_document(root / name).line(("outputs",))
    return InvalidInput(Problem(f"{name}:{line}", message, "outputs"))


def _output(target: Target, result: JobResult, name: str) -> Path:
    return result.outputs[name] if name in result.outputs else target.jobs.output(result.run_id, name)


def _model_in(folder: Path) -> Path:
    """The folder that holds `MLmodel`: the output itself, or the one below it that has it."""
    if (folder / _MLMODEL).is_file():
        return folder
    folders = sorted(path.parent for path in folder.rglob(_MLMODEL)) if folder.is_dir() else []
    if len(folders) != 1:
        there = "none" if not folders else ", ".join(str(path.relative_to(folder)) for path in folders)
        raise InvalidInput(
            f"the output `model` ({folder}) must hold one MLflow model, saved by save_model; it has {there}"
        )
    return folders[0]


def rows(path: Path, usecase: UseCase) -> pd.DataFrame:
    """The rows of a file, or of all files of a folder. Raises `InvalidInput` for a column that is missing."""
    frame = table(path)
    if missing := lacking(frame, usecase):
        raise InvalidInput(
            f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}. "
            "The gates ask the model about these rows, so they need its inputs and the target"
        )
    return _typed(frame, usecase)


def lacking(frame: pd.DataFrame, usecase: UseCase) -> list[str]:
    """What a table lacks of the model's columns, the target and the time."""
    wanted = [*usecase.contract().columns, usecase.target, *([usecase.time] if usecase.time else [])]
    return [column for column in wanted if column not in frame]


def table(path: Path) -> pd.DataFrame:
    """All rows of a file or folder, as they are. Raises `InvalidInput` when there are none."""
    import pandas as pd

    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    frames = []
    for file in files:
        ending = file.suffix.lower()
        if ending in (".parquet", ".pq"):
            frames.append(pd.read_parquet(file))
        elif ending == ".csv" or (ending == "" and path.is_file()):
            frames.append(pd.read_csv(file))
    if not frames:
        raise InvalidInput(f"{path} holds no Parquet or CSV file of rows")
    return pd.concat(frames, ignore_index=True)


def _typed(frame: pd.DataFrame, usecase: UseCase) -> pd.DataFrame:
    """Columns with the types of the contract: a CSV has none, and whole numbers may stand for others."""
    contract = usecase.contract()
    kinds = {name: str(column.dtype) for name, column in contract.columns.items() if column.dtype is not None}
    try:
        return frame.astype(kinds)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"rows of the pipeline do not have the types of the contract: {error}") from None


def _named(root: Path, model: str) -> dict[str, str]:
    """Which rows they are: the windows of the pipeline where it has them."""
    inputs = open_document(root / training_path(model)).value.get("inputs") or {}
    window, tested = inputs.get("window"), inputs.get("test_window")
    if isinstance(window, str) and isinstance(tested, str):
        return {"train": window, "test": tested}
    return {"train": f"train by {_SPLIT}", "test": f"test by {_SPLIT}"}


def _copy(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, to)
    else:
        to.mkdir()
        shutil.copy(source, to / source.name)

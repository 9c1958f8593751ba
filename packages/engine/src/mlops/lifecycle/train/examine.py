"""Evidence for a model that was trained elsewhere: what the training pipeline would have left for the gates.

It is tested on the rows that `training.yml` tests on, by the same step. So the gates compare it with the
champion on the same rows, and monitoring has something to compare its traffic with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.errors import InvalidInput
from mlops.lifecycle.train.evidence import REPORT, TEST_ROWS
from mlops.lifecycle.train.lineage import lineage
from mlops.pipeline.read import load_pipeline
from mlops.serving.score.core import read_schema
from mlops.spec.digest import tree_digest
from mlops.spec.files import training_path
from mlops.spec.settings import load_settings
from mlops.spec.split import Split
from mlops.spec.window import Window
from mlops.steps import dataset, evaluate, profile
from mlops.steps.prep import parts
from mlops.steps.register import data_tags
from mlops.targets.base import DataAssets
from mlops.targets.here import on_this_machine
from mlops.usecase import UseCase, load_usecase

if TYPE_CHECKING:
    import pandas as pd

_ASSET = re.compile(r"azureml:(?P<name>[^:/]+):(?P<version>[^:/]+)")


def examine(
    root: Path, data: DataAssets, model: str, *, folder: Path, to: Path, window: Window | None = None
) -> dict[str, str]:
    """Write `evaluation/`, `report/` and `monitoring/` for the model in `folder` below `to`.

    `window` is what the model learned from; None means that of the training pipeline. Answers
    tags of data and pipeline, as a version has them that was trained here.

    Raises `InvalidInput` when the pipeline has no such inputs, when a month is in both windows, or when the
    model cannot be asked for the rows, and `NotFound` when the raw data are not there.
    """
    settings = load_settings(root)
    usecase = load_usecase(settings.model(model)[1].usecase, root / "src")
    rule = _given(root, model, "split")
    learned, tested = (window, None) if rule else _windows(root, model, window)
    raw = on_this_machine(data, root, settings, *_asset(root, model))
    manifest = dataset.read_raw(raw)
    split = Split.parse(rule) if rule else None
    by_side = dict(zip(("train", "test"), parts(usecase, raw, learned, tested, split), strict=True))
    frames = {name: frame for name, (_, frame) in by_side.items()}
    names = {name: str(part) for name, (part, _) in by_side.items()}
    tags = evidence(usecase, folder, to=to, frames=frames, names=names, raw=manifest)
    return {**lineage(root, root / training_path(model)).as_tags(), **tags}


def evidence(
    usecase: UseCase,
    folder: Path,
    *,
    to: Path,
    frames: Mapping[str, pd.DataFrame],
    names: Mapping[str, str],
    raw: dataset.RawManifest | None = None,
) -> dict[str, str]:
    """Write what the gates and monitoring read of the model in `folder` below `to`; the tags of its data.

    `frames` are the rows `train` and `test`, `names` say which they are, `raw` where they come from: None
    means that nobody but they knows. Raises `InvalidInput` when the model cannot be asked for the rows.
    """
    rows = to.parent / "rows"
    for name, frame in frames.items():
        (rows / name).mkdir(parents=True)
        frame.to_parquet(rows / name / dataset.ROWS, index=False)
    source = raw or dataset.RawManifest(name=usecase.name, version="pipeline", digest=tree_digest(rows))
    manifests = []
    for name, frame in frames.items():
        manifests.append(dataset.write(rows / name, frame, source, names[name]))
    # Named, so that code may run where whoever registers it has allowed that (`register` asks).
    evaluate.report(usecase, folder, rows / "test", to / REPORT, digest=tree_digest(folder))
    (to / TEST_ROWS).parent.mkdir(parents=True)
    dataset.copy_rows(rows / "test", to / TEST_ROWS)
    (to / profile.ARTIFACT).mkdir()
    profile.write_profile(rows / "train", to / REPORT, read_schema(folder), to / profile.ARTIFACT)
    return data_tags(*manifests)


def _asset(root: Path, model: str) -> tuple[str, str]:
    """Name and version of the raw data."""
    given = _input(root, model, "raw")
    match = _ASSET.fullmatch(given)
    if match is None:
        raise InvalidInput(f"{training_path(model)}: raw must be azureml:<name>:<version>; got {given!r}")
    return match["name"], match["version"]


def _windows(root: Path, model: str, window: Window | None) -> tuple[Window, Window]:
    learned = window or Window.parse(_input(root, model, "window"))
    tested = Window.parse(_input(root, model, "test_window"))
    if tested.first < learned.end:
        raise InvalidInput(
            f"the model learned from {learned} and would be tested on {tested} of {training_path(model)}; a "
            "model is tested on later rows that it has not seen: say with --window what it learned from"
        )
    return learned, tested


def _input(root: Path, model: str, name: str) -> str:
    value = _given(root, model, name)
    if not value:
        path = training_path(model)
        raise InvalidInput(f"{path} has no input {name!r}, so nothing says what the model is tested on")
    return value


def _given(root: Path, model: str, name: str) -> str:
    inputs = load_pipeline(root / training_path(model)).job.inputs
    value = inputs[name].given if name in inputs else None
    return "" if value is None else str(value)

"""What a pipeline step logs to its own run, the one in MLFLOW_RUN_ID; without one, nothing is logged."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, TargetError
from mlops.tracking import _local
from mlops.tracking._connection import absent, client, translated

_NOT_IN_A_KEY = re.compile(r"[^/\w.\- :]")
"""What MLflow does not take in the name of a metric or a parameter."""
_LONGEST_KEY = 200
_BATCH = 100
"""Parameters and tags that one request may carry, on every server."""
_MLFLOW_DIGEST = 36
"""Characters that MLflow keeps of a data set's digest; the tag has it whole."""


@dataclass(frozen=True)
class StepRun:
    """The run that a step reports to."""

    uri: str
    run_id: str


@dataclass(frozen=True)
class Dataset:
    """What a run read: `digest` is `sha256:<hex>`, `window` may be empty."""

    name: str
    version: str
    digest: str
    window: str
    context: str
    """`training` or `testing`."""


def current() -> StepRun | None:
    """The run of this process, or None; raises `TargetError` for a run without a tracking store."""
    run_id = os.environ.get("MLFLOW_RUN_ID", "")
    if not run_id:
        return None
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        raise TargetError("MLFLOW_RUN_ID is set but MLFLOW_TRACKING_URI is not; set both or neither")
    return StepRun(uri, run_id)


def log_params(params: Mapping[str, Any]) -> None:
    """Log hyper-parameters; logging another value for the same name raises `TargetError`."""
    if run := current():
        log_batch(run, params=params)


def log_metrics(metrics: Mapping[str, float], step: int = 0) -> None:
    """Log numbers at `step`; raises `TargetError`."""
    if run := current():
        log_batch(run, metrics=metrics, step=step)


def key_of(name: str, taken: Collection[str] = ()) -> str:
    """`name` as MLflow takes the name of a metric or a parameter, and none of `taken`.

    A column of the data may be called `size 5"`, `../x` or have a thousand letters; what MLflow lacks becomes
    `_`.
    """
    plain = _NOT_IN_A_KEY.sub("_", name)[:_LONGEST_KEY]
    # MLflow takes it for a path, which must not lead elsewhere: no empty part, none of dots alone.
    plain = "/".join(part if part.strip(".") else "_" * max(1, len(part)) for part in plain.split("/"))
    found, number = plain, 2
    while found in taken:
        found, number = f"{plain}-{number}", number + 1
    return found


def set_tags(tags: Mapping[str, str]) -> None:
    """Set or replace tags; raises `TargetError`."""
    if run := current():
        log_batch(run, tags=tags)


def log_artifacts(folder: Path, path: str) -> None:
    """Copy `folder` below `path` of the run's artifacts; raises `InvalidInput`, `TargetError`."""
    if run := current():
        upload(run, folder, path)


def log_batch(
    run: StepRun,
    *,
    params: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
    step: int = 0,
) -> None:
    """Log all of it to `run` in as few requests as every server allows."""
    api = client(run.uri)
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    rows = [("params", Param(key, str(value))) for key, value in (params or {}).items()]
    rows += [("metrics", Metric(key, float(value), now, step)) for key, value in (metrics or {}).items()]
    rows += [("tags", RunTag(key, str(value))) for key, value in (tags or {}).items()]
    with translated(run.uri, f"log to run {run.run_id}"):
        for start in range(0, len(rows), _BATCH):
            batch: dict[str, list[Any]] = {"params": [], "metrics": [], "tags": []}
            for kind, entry in itertools.islice(rows, start, start + _BATCH):
                batch[kind].append(entry)
            api.log_batch(run.run_id, **batch)


def upload(run: StepRun, folder: Path, path: str) -> None:
    """Copy `folder` below `path` of the run's artifacts."""
    if not folder.is_dir():
        raise InvalidInput(f"cannot log {folder}: it is not a folder")
    if (local := _local.opened(run.uri)) is not None:
        root = _local.folder(local.artifact_uri(run.run_id))
        if root is not None:
            _local.copy(folder, root / path, f"upload {folder.name}/ to run {run.run_id}")
            return
    with translated(run.uri, f"upload {folder.name}/ to run {run.run_id}"):
        client(run.uri).log_artifacts(run.run_id, str(folder), path)


def log_input(run: StepRun, dataset: Dataset) -> bool:
    """Attach `dataset` as MLflow's own data-set input; False when the server lacks that (Azure ML may)."""
    api = client(run.uri)
    from mlflow.entities import Dataset as MlflowDataset
    from mlflow.entities import DatasetInput, InputTag
    from mlflow.exceptions import MlflowException

    entry = MlflowDataset(
        name=dataset.name,
        digest=dataset.digest.removeprefix("sha256:")[:_MLFLOW_DIGEST],
        source_type="azureml",
        source=f"azureml:{dataset.name}:{dataset.version}",
    )
    tags = [InputTag("mlflow.data.context", dataset.context)]
    if dataset.window:
        tags.append(InputTag("mlops.window", dataset.window))
    try:
        with translated(run.uri, f"log the data set {dataset.name} to run {run.run_id}"):
            api.log_inputs(run.run_id, [DatasetInput(entry, tags)])
    except TargetError as error:
        if isinstance(error.__cause__, MlflowException) and absent(error.__cause__):
            return False
        raise
    return True

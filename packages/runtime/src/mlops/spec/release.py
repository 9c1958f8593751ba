"""`releases/<model>/<version>.yaml`: an immutable record of everything that travels together."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from mlops.spec._base import Commit, Digest, ModelName, Spec, Version, WindowText
from mlops.spec.gates import GateResult, Interval


class Source(Spec):
    commit: Commit
    """That the training ran from."""
    branch: str = ""
    """That it was on."""
    dirty: bool = False
    """Whether files differed from the commit."""
    actor: str
    """Who started it."""
    run_id: str
    """Of the MLflow run."""
    pipeline: str
    """Its file."""
    pipeline_digest: Digest
    """Of the file, its components and its environment."""
    engine: str = ""
    """Version of the engine that trained it."""


class Data(Spec):
    name: str
    """Of the data asset."""
    version: str
    """Of the data asset."""
    digest: Digest
    """Of all its files."""
    window: WindowText
    """Rows the model was trained on: a window of time, or `train by` a split."""
    test_window: WindowText
    """Rows it was judged on: a later window, or the other side of the split."""


class Release(Spec):
    """Written once by the pipeline, never edited; `version` is the version in the registry."""

    model: ModelName
    """Its name in mlops.toml."""
    version: Version
    """In the registry; also the file's name."""
    digest: Digest
    """Of the model artifact (every file, see `mlops.spec.digest`)."""
    created: datetime
    """When the file was written."""
    source: Source
    """What it was trained from."""
    data: Data
    """What it learned and was judged on."""
    environment: Digest
    """Of the locked serving environment."""
    metrics: dict[str, Interval] = Field(min_length=1)
    """On the test rows, with intervals."""
    gates: list[GateResult] = Field(min_length=1)
    """Every verdict that let it through."""
    gates_digest: Digest | None = None
    """Of the file of gates that judged it; null in releases from before it was recorded."""

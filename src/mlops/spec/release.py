"""`releases/<model>/<version>.yaml`: an immutable record of everything that travels together."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from mlops.spec._base import Commit, Digest, ModelName, Spec, Version, WindowText
from mlops.spec.gates import GateResult, Interval


class Source(Spec):
    commit: Commit
    branch: str = ""
    dirty: bool = False
    actor: str
    run_id: str
    pipeline: str
    pipeline_digest: Digest


class Data(Spec):
    name: str
    version: str
    digest: Digest
    window: WindowText
    """Months the model was trained on."""
    test_window: WindowText
    """Months it was judged on; always after `window`."""


class Release(Spec):
    """Written once by the pipeline, never edited; `version` is the version in the registry."""

    model: ModelName
    version: Version
    digest: Digest
    """Of the model artifact (every file, see `mlops.spec.digest`)."""
    created: datetime
    source: Source
    data: Data
    environment: Digest
    """Of the locked serving environment."""
    metrics: dict[str, Interval] = Field(min_length=1)
    gates: list[GateResult] = Field(min_length=1)

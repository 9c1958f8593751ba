"""The one place that talks to MLflow: log, register, tag. Importing it does not import MLflow.

Only calls that SQLite, an MLflow server and an Azure ML workspace all answer are used; where one of
them lacks a call (aliases, dataset inputs), tags carry the fact and the call is a mirror.
"""

from __future__ import annotations

from mlops.tracking._sqlite import uri_of as sqlite_uri
from mlops.tracking.models import ModelStore, RegisteredVersion
from mlops.tracking.runs import PipelineTracker, Run, RunStatus
from mlops.tracking.step import (
    Dataset,
    StepRun,
    current,
    key_of,
    log_artifacts,
    log_metrics,
    log_params,
    set_tags,
)

__all__ = [
    "Dataset",
    "ModelStore",
    "PipelineTracker",
    "RegisteredVersion",
    "Run",
    "RunStatus",
    "StepRun",
    "current",
    "key_of",
    "log_artifacts",
    "log_metrics",
    "log_params",
    "set_tags",
    "sqlite_uri",
]

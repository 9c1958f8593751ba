"""The laptop's registry and tracking: SQLite and files below the state folder, or an MLflow server."""

from __future__ import annotations

from pathlib import Path

from mlops.targets._mlflow_registry import MlflowRegistry
from mlops.tracking import PipelineTracker, sqlite_uri


def local_tracker(state: Path, tracking_uri: str = "") -> PipelineTracker:
    """Tracking at `tracking_uri`, or in `<state>/mlflow.db` and `<state>/artifacts` when that is empty."""
    if tracking_uri:
        return PipelineTracker(tracking_uri)
    return PipelineTracker(sqlite_uri(state / "mlflow.db"), state / "artifacts")


class LocalRegistry(MlflowRegistry):
    """Implements `mlops.targets.base.Registry` beside the tracking of `local_tracker`."""

    def __init__(self, state: Path, tracking_uri: str = "", root: Path | None = None) -> None:
        super().__init__(local_tracker(state, tracking_uri), state / "models", root)

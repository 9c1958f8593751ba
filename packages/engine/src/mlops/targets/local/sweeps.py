"""Sweeps of the local target: the file that Azure ML takes, with Optuna and processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mlops.targets.base import DataAssets, SweepResult, TrialResult
from mlops.tracking import PipelineTracker


class LocalSweeps:
    """Implements `mlops.targets.base.Sweeps` with `state` (`.mlops/`) for studies and logs."""

    def __init__(self, tracker: PipelineTracker, state: Path, data: DataAssets, root: Path) -> None:
        self._tracker = tracker
        self._state = state
        self._data = data
        self._lock = root / "uv.lock"

    def run(
        self,
        sweep: Path,
        inputs: Mapping[str, str],
        tags: Mapping[str, str],
        *,
        trials: int | None,
        workers: int | None,
        progress: Callable[[TrialResult], None],
    ) -> SweepResult:
        """See `mlops.targets.base.Sweeps.run`."""
        from mlops.pipeline import installed_environment
        from mlops.pipeline.run.sweep import run_sweep

        return run_sweep(
            sweep,
            inputs,
            tracker=self._tracker,
            state_dir=self._state,
            resolve_asset=self._data.resolve,
            progress=progress,
            tags=tags,
            trials=trials,
            workers=workers,
            environment_digest=installed_environment(self._lock),
        )

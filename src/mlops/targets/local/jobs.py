"""Jobs of the local target: the pipeline YAML that Azure ML runs, run by child processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mlops.pipeline import JobResult, StepEvent, StepServer, Tracker, installed_environment, run_pipeline
from mlops.targets.base import DataAssets


class LocalJobs:
    """Runs pipelines with `state` (`.mlops/`) for logs and cached steps.

    `lock` is the lock file of what is installed here: when it changes, no step is reused.
    """

    def __init__(self, tracker: Tracker, state: Path, data: DataAssets, lock: Path | None = None) -> None:
        self._tracker = tracker
        self._state = state
        self._data = data
        self._lock = lock
        self._server: StepServer | None = None

    def run(
        self,
        pipeline: Path,
        inputs: Mapping[str, str],
        tags: Mapping[str, str],
        progress: Callable[[StepEvent], None],
    ) -> JobResult:
        """See `mlops.targets.base.Jobs.run`."""
        return run_pipeline(
            pipeline,
            inputs,
            tracker=self._tracker,
            state_dir=self._state,
            resolve_asset=self._data.resolve,
            progress=progress,
            tags=tags,
            environment_digest=installed_environment(self._lock),
            server=self._steps(),
        )

    def _steps(self) -> StepServer:
        """One step server for all runs of this process, which it ends with: its imports cost seconds."""
        if self._server is None or not self._server.alive:
            self._server = StepServer()
        return self._server

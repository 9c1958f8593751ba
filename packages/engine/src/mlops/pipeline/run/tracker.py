"""What the runner needs from tracking: a handful of calls, so that it never imports MLflow itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

RunStatus = Literal["FINISHED", "FAILED", "KILLED"]


class Tracker(Protocol):
    """Runs of a tracking server. Called from several threads at once; the runner serialises the calls."""

    def create_parent(self, experiment: str, name: str, tags: Mapping[str, str]) -> str:
        """A new RUNNING run in the experiment (made when absent); its id."""

    def create_child(self, parent: str, name: str, tags: Mapping[str, str]) -> str:
        """A new RUNNING run below `parent` (tag `mlflow.parentRunId`); its id."""

    def finish(self, run_id: str, status: RunStatus) -> None:
        """End a run; ending one that has ended is no error."""

    def left_open(self, parent: str = "") -> dict[str, Mapping[str, str]]:
        """The tags of each run that is RUNNING: those right below `parent`, or those below none."""

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set or overwrite tags."""

    def env(self) -> Mapping[str, str]:
        """What a step's process needs to reach the server, MLFLOW_TRACKING_URI first of all."""

    def log_artifacts(self, run_id: str, folder: Path, path: str) -> None:
        """Keep the files of `folder` below `path` of the run's artifacts."""

    def copy_results(self, from_run: str, to_run: str) -> None:
        """Copy metrics and parameters. Raises `mlops.errors.NotFound` when `from_run` is gone."""

    def history(self, run_id: str, metric: str) -> list[float]:
        """Every value of `metric`, oldest first. Raises `NotFound` when the run is gone."""

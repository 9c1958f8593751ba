"""Jobs of the local target: the pipeline YAML that Azure ML runs, run by child processes of this machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.errors import InvalidInput, NotFound
from mlops.targets.base import WHOLE, DataAssets, JobResult, Selection, StepEvent
from mlops.targets.local.detached import DetachedRuns

if TYPE_CHECKING:
    from mlops.pipeline import StepServer, Tracker


class LocalJobs:
    """Runs pipelines of the repository at `root` with `state` (`.mlops/`) for logs and cached steps.

    When its `uv.lock` changes, what is installed here does: no step is reused.
    """

    def __init__(self, tracker: Tracker, state: Path, data: DataAssets, root: Path) -> None:
        self._tracker = tracker
        self._state = state
        self._data = data
        self._lock = root / "uv.lock"
        self._detached = DetachedRuns(state / "jobs", root)
        self._server: StepServer | None = None

    def run(
        self,
        pipeline: Path,
        inputs: Mapping[str, str],
        tags: Mapping[str, str],
        progress: Callable[[StepEvent], None],
        selection: Selection = WHOLE,
    ) -> JobResult:
        """See `mlops.targets.base.Jobs.run`."""
        from mlops.pipeline import installed_environment, run_pipeline
        from mlops.pipeline.run.again import remember

        key = self._key(pipeline, inputs, tags) if selection.whole else ""
        result = run_pipeline(
            pipeline,
            inputs,
            tracker=self._tracker,
            state_dir=self._state,
            resolve_asset=self._data.resolve,
            progress=progress,
            tags=tags,
            environment_digest=installed_environment(self._lock),
            server=self._steps(),
            selection=selection,
        )
        # Another key now: somebody has edited a file meanwhile, and nobody knows which of both was read.
        if key and key == self._key(pipeline, inputs, tags):
            remember(self._state / "cache" / "whole", key, result)
        return result

    def again(self, pipeline: Path, inputs: Mapping[str, str], tags: Mapping[str, str]) -> JobResult | None:
        """See `mlops.targets.base.Jobs.again`."""
        from mlops.pipeline.run.again import recall

        known = self._state / "cache" / "whole"
        # The key asks for the raw data, which may have to be made first.
        key = self._key(pipeline, inputs, tags) if known.is_dir() else ""
        return recall(known, key) if key else None

    def _key(self, pipeline: Path, inputs: Mapping[str, str], tags: Mapping[str, str]) -> str:
        from mlops.pipeline.checked import bring_engine
        from mlops.pipeline.run.again import key_of
        from mlops.pipeline.run.key import installed_environment

        # Steps take the engine along as a copy: a run would bring it, and change what the key is made of.
        bring_engine(pipeline)
        try:
            return key_of(pipeline, inputs, tags, installed_environment(self._lock), self._data.resolve)
        except InvalidInput:
            return ""  # the run itself says what is wrong

    def submit(self, pipeline: Path, inputs: Mapping[str, str], tags: Mapping[str, str]) -> str:
        """See `mlops.targets.base.Jobs.submit`: a background process of this machine."""
        return self._detached.start(pipeline, inputs, tags)

    def wait(
        self, name: str, progress: Callable[[StepEvent], None], patience: float = math.inf
    ) -> JobResult | None:
        """See `mlops.targets.base.Jobs.wait`."""
        return self._detached.follow(name, progress, patience)

    def output(self, name: str, output: str) -> Path:
        """See `mlops.targets.base.Jobs.output`: a result has all of them already."""
        raise NotFound(f"the run {name} has no output {output!r}")

    def _steps(self) -> StepServer:
        """One step server for all runs of this process, which it ends with: its imports cost seconds."""
        from mlops.pipeline import StepServer

        if self._server is None or not self._server.alive:
            self._server = StepServer()
        return self._server

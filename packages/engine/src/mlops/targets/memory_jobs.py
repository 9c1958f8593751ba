"""Jobs in memory: what `Jobs` promises, without a process. For tests of the lifecycle."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import NotFound
from mlops.pipeline import WHOLE, JobResult, Selection, StepEvent


@dataclass(frozen=True)
class Submitted:
    """One run that was asked for."""

    name: str
    pipeline: Path
    inputs: Mapping[str, str]
    tags: Mapping[str, str]


class MemoryJobs:
    """`Jobs` whose runs end as `outcome` says, which may raise what a run raises.

    A name in `slow` still runs: `wait` with patience answers None, without patience it ends the run.
    """

    def __init__(self, outcome: Callable[[Submitted], JobResult]) -> None:
        self.submitted: dict[str, Submitted] = {}
        self.slow: set[str] = set()
        self.selections: list[Selection] = []
        self._outcome = outcome

    def run(
        self,
        pipeline: Path,
        inputs: Mapping[str, str],
        tags: Mapping[str, str],
        progress: Callable[[StepEvent], None],
        selection: Selection = WHOLE,
    ) -> JobResult:
        """See `mlops.targets.base.Jobs.run`."""
        self.selections.append(selection)
        return self._end(self.submit(pipeline, inputs, tags), progress)

    def again(self, pipeline: Path, inputs: Mapping[str, str], tags: Mapping[str, str]) -> JobResult | None:
        """None: nothing is kept."""
        return None

    def submit(self, pipeline: Path, inputs: Mapping[str, str], tags: Mapping[str, str]) -> str:
        """See `mlops.targets.base.Jobs.submit`."""
        name = f"{pipeline.parent.name}-{len(self.submitted) + 1}"
        self.submitted[name] = Submitted(name, pipeline, dict(inputs), dict(tags))
        return name

    def wait(
        self, name: str, progress: Callable[[StepEvent], None], patience: float = math.inf
    ) -> JobResult | None:
        """See `mlops.targets.base.Jobs.wait`."""
        if name not in self.submitted:
            raise NotFound(f"there is no run {name!r}; known: {', '.join(self.submitted) or 'none'}")
        if name in self.slow and patience < math.inf:
            return None
        return self._end(name, progress)

    def output(self, name: str, output: str) -> Path:
        """See `mlops.targets.base.Jobs.output`."""
        raise NotFound(f"the run {name} has no output {output!r}")

    def _end(self, name: str, progress: Callable[[StepEvent], None]) -> JobResult:
        self.slow.discard(name)
        result = self._outcome(self.submitted[name])
        for event in result.steps:
            progress(event)
        return result

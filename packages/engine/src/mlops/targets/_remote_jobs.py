"""Jobs that a cloud service runs. This process only asks how far they are, and may end before they do."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from mlops.errors import InvalidInput, MlopsError, NotFound, TargetError, Unavailable
from mlops.pipeline import WHOLE, JobResult, Selection, StepEvent
from mlops.targets._log_tail import log_tail

Progress = Callable[[StepEvent], None]
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 10.0
_PATIENT = 6
"""Questions in a row that a service may leave unanswered, beyond what its client repeats on its own."""
_CANCEL_SECONDS = 60.0
_LAST_LINES = 15


class StepEvents:
    """The newest event of each step. `progress` is told of those that are news."""

    def __init__(self, progress: Progress) -> None:
        self.newest: dict[str, StepEvent] = {}
        self._progress = progress

    def tell(self, event: StepEvent) -> None:
        """Pass the event on, unless the step was in that state at the last look."""
        before = self.newest.get(event.step)
        if before is None or before.state != event.state:
            self.newest[event.step] = event
            self._progress(event)


class RemoteJobs(ABC):
    """Starting, following and cancelling of `mlops.targets.base.Jobs`. A job is what the service's client
    returns for one."""

    _runs_whole: ClassVar[str]
    """Why no part of a pipeline can run there, and what to do."""

    def run(
        self,
        pipeline: Path,
        inputs: Mapping[str, str],
        tags: Mapping[str, str],
        progress: Progress,
        selection: Selection = WHOLE,
    ) -> JobResult:
        """See `mlops.targets.base.Jobs.run`; an interruption cancels the job."""
        if not selection.whole:
            raise InvalidInput(
                "--only, --from, --here, --environment and --stand-in run steps on this machine; "
                f"{self._runs_whole}"
            )
        name = self.submit(pipeline, inputs, tags)
        try:
            result = self.wait(name, progress)
        except KeyboardInterrupt:
            self._cancel(name)
            raise
        assert result is not None, "without a limit the wait ends with the job"  # noqa: S101
        return result

    def again(self, pipeline: Path, inputs: Mapping[str, str], tags: Mapping[str, str]) -> JobResult | None:
        """None: what can be reused of an earlier run is the service's to know."""
        return None

    @abstractmethod
    def submit(self, pipeline: Path, inputs: Mapping[str, str], tags: Mapping[str, str]) -> str:
        """See `mlops.targets.base.Jobs.submit`."""

    def wait(self, name: str, progress: Progress, patience: float = math.inf) -> JobResult | None:
        """See `mlops.targets.base.Jobs.wait`."""
        until = time.monotonic() + patience
        events = StepEvents(progress)
        pause, failures = _FIRST_WAIT, 0
        while True:
            ended = False
            try:
                job = self._job(name)
                self._tell(job, events)
                ended = self._has_ended(job)
                failures = 0
            except NotFound:
                raise
            except TargetError as error:
                failures += 1
                if not isinstance(error, Unavailable) or failures > _PATIENT:
                    raise TargetError(_goes_on(name, error)) from error
            if ended:
                return self._result(name, job, events)
            if time.monotonic() + pause > until:
                return None
            time.sleep(pause)
            pause = min(pause * 1.3, _LONGEST_WAIT)

    def _cancel(self, name: str) -> None:
        """Ask for the end of a job and wait a moment for it; a second interruption leaves it to the
        service."""
        try:
            self._request_end(name)
            until = time.monotonic() + _CANCEL_SECONDS
            while time.monotonic() < until and not self._has_ended(self._job(name)):
                time.sleep(_FIRST_WAIT)
        except MlopsError as error:
            raise TargetError(_goes_on(name, error)) from error

    @abstractmethod
    def _job(self, name: str) -> Any:
        """The job as it is now; raises `NotFound`."""

    @abstractmethod
    def _has_ended(self, job: Any) -> bool:
        """Whether nothing of it will change any more."""

    @abstractmethod
    def _tell(self, job: Any, events: StepEvents) -> None:
        """Tell of every step that is under way or has ended."""

    @abstractmethod
    def _result(self, name: str, job: Any, events: StepEvents) -> JobResult:
        """What a job that has ended made. Raises `StepFailed` or `TargetError` when it did not end well."""

    @abstractmethod
    def _request_end(self, name: str) -> None:
        """Ask the service to cancel the job; returns before it has ended."""


def step_failure(step: str, log: str, url: str) -> str:
    """The sentence of a step that failed: what it said last, and where all of it is."""
    words = log_tail(log, _LAST_LINES) or "; it wrote nothing to its log"
    return f"step {step!r} failed{words}\n  log: {url}"


def _goes_on(name: str, error: MlopsError) -> str:
    said = str(error).rstrip(".")
    return f"{said}. The job goes on without this command; follow it with: mlops train --resume {name}"

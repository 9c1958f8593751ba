"""The trials of a sweep, whether it is a job of its own or a job of a pipeline.

What was learned survives a kill: trials that ended are in the study, and the others are drawn again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from mlops.errors import MlopsError, NotFound, StepFailed
from mlops.pipeline.run.perform import Performer
from mlops.pipeline.run.process import failure
from mlops.pipeline.run.state import RunFolder
from mlops.pipeline.run.study import Study
from mlops.pipeline.run.tracker import RunStatus, Tracker
from mlops.pipeline.run.work import Task, remove, workplace
from mlops.pipeline.sweep.models import SweepSpec
from mlops.pipeline.sweep.result import Progress, TrialResult, TrialState
from mlops.pipeline.sweep.stopping import reason_to_stop

HOPELESS = 3
"""When the first trials all fail, the command is wrong and not the numbers."""
_STATUS: Mapping[TrialState, RunStatus] = {"finished": "FINISHED", "failed": "FAILED"}


@dataclass
class Sweeping:
    """One process's work on a sweep. `_trial` runs in several threads.

    `label` tells folders and logs of two sweeps of one pipeline apart.
    """

    sweep: SweepSpec
    task: Task
    performer: Performer
    study: Study
    tracker: Tracker
    folder: RunFolder
    snapshot: Path
    outputs: Path
    """A folder a trial, which stays for a sweep that goes on."""
    progress: Progress
    label: str = ""
    note: str = ""
    _talk: threading.RLock = field(default_factory=threading.RLock)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _reports: dict[int, list[float]] = field(default_factory=dict)
    _ended: set[int] = field(default_factory=set)
    _error: MlopsError | None = None

    def run(self) -> tuple[TrialResult, ...]:
        """All trials, also those of an earlier process. Raises `StepFailed` when none can be finished."""
        limits = self.sweep.limits
        self._deadline = time.monotonic() + limits.timeout if limits.timeout else float("inf")
        for known in self.study.trials():
            if known.state in ("finished", "stopped") and known.run_id:
                self._reports[known.number] = self._history(known.run_id)
                self._ended.add(known.number)
        workers = min(limits.max_concurrent_trials or os.cpu_count() or 1, limits.max_total_trials)
        ended = False
        pool = ThreadPoolExecutor(workers, thread_name_prefix="trial")
        try:
            self.performer.server.warm()
            for future in [pool.submit(self._work) for _ in range(workers)]:
                future.result()
            ended = True
        finally:
            if not ended:
                self.stop()
                self.performer.server.stop_steps()
            pool.shutdown(wait=True, cancel_futures=True)
        if self._error:
            raise self._error
        return self.study.trials()

    def stop(self) -> None:
        """End the trials that run; they are drawn again when the sweep goes on."""
        self._stopped.set()

    def outputs_of(self, trial: TrialResult) -> Path:
        """The folder that holds what a trial has made."""
        return self.outputs / f"trial-{trial.number}"

    def _work(self) -> None:
        """One worker: trials, one after the other, until a limit."""
        while True:
            with self._talk:
                used = [t for t in self.study.trials() if t.state != "killed"]
                full = len(used) >= self.sweep.limits.max_total_trials
                late = time.monotonic() >= self._deadline
                asked = None if full or late or self._error or self._stopped.is_set() else self.study.ask()
                if asked is None:
                    return
                tags = {"mlops.trial": str(asked.number)}
                run_id = self.tracker.create_child(self.study.parent, f"trial {asked.number}", tags)
                self.folder.opened(run_id)
                self.study.begun(asked.number, run_id)
                self._reports[asked.number] = []
                self.progress(asked)
            self._trial(asked, run_id)

    def _trial(self, asked: TrialResult, run_id: str) -> None:
        started = time.monotonic()
        reason: list[str] = []

        def stop() -> bool:
            limit = self.sweep.limits.trial_timeout
            if self._stopped.is_set():
                return True
            if limit and time.monotonic() - started > limit:
                reason.append(f"it took more than {limit} s (limits.trial_timeout)")
            elif time.monotonic() > self._deadline:
                reason.append("the sweep's time is up (limits.timeout)")
            elif why := self._early(asked.number, run_id):
                reason.append(why)
            return bool(reason)

        name = f"{self.label}trial-{asked.number}"
        log = self.folder.log(name)
        remove(self.outputs_of(asked))
        place = workplace(
            self.task.drawing(asked.values),
            self.snapshot,
            code=self.folder.code / name,
            inputs=self.folder.inputs / name,
            outputs=self.outputs_of(asked),
        )
        with self._talk:
            tracking = dict(self.tracker.env())
        how: int | str
        how, log = self.performer.perform(
            place, tracking, run=run_id, root=self.folder.path.name, log=log, note=self.note, stop=stop
        )
        for kept in place.left:
            with self._talk:
                self.tracker.log_artifacts(run_id, place.code / kept, kept)
        how = how or place.broken()
        remove(place.code)
        remove(self.folder.inputs / name)
        with self._talk:
            if self._stopped.is_set():
                # Still running for the study, so that it is drawn again.
                self._close(run_id, "KILLED")
                return
            reports = self._reports[asked.number] = self._history(run_id)
            state, detail = self._verdict(how, reports, reason, time.monotonic() - started, log)
            self._ended.add(asked.number)
            told = self.study.tell(asked.number, state, reports, detail)
            self._close(run_id, _STATUS.get(state, "KILLED"))
            self.progress(told)
            self._give_up(detail)

    def _verdict(
        self, how: int | str, reports: list[float], reason: list[str], seconds: float, log: Path
    ) -> tuple[TrialState, str]:
        if reason:
            early = "limits." not in reason[0]
            return ("stopped" if early else "failed"), reason[0]
        if how:
            return "failed", failure("trial", how, seconds, log)
        metric = self.sweep.objective.primary_metric
        if not reports:
            return "failed", f"its command logged no metric {metric!r}, the objective; log: {log}"
        if not abs(reports[-1]) < float("inf"):
            return "failed", f"its last {metric} is {reports[-1]}, which is no result; log: {log}"
        return "finished", ""

    def _early(self, number: int, run_id: str) -> str:
        policy = self.sweep.policy
        if policy is None:
            return ""
        with self._talk:
            known = len(self._reports[number])
            reports = self._reports[number] = self._history(run_id)
            others = [(row, n in self._ended) for n, row in self._reports.items() if n != number]
            for length in range(known + 1, len(reports) + 1):
                goal = self.sweep.objective.goal
                if why := reason_to_stop(policy, goal, reports[:length], others):
                    return f"ended at report {length}: {why}"
        return ""

    def _history(self, run_id: str) -> list[float]:
        try:
            return self.tracker.history(run_id, self.sweep.objective.primary_metric)
        except NotFound:
            return []

    def _close(self, run_id: str, status: RunStatus) -> None:
        self.tracker.finish(run_id, status)
        self.folder.ended(run_id)

    def _give_up(self, detail: str) -> None:
        trials = [t for t in self.study.trials() if t.state not in ("running", "killed")]
        enough = min(HOPELESS, self.sweep.limits.max_total_trials)
        if len(trials) >= enough and all(t.state == "failed" for t in trials):
            self._error = StepFailed(f"no trial of {len(trials)} could be finished; the last one: {detail}")

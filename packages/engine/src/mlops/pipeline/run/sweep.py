"""Run a sweep job on this machine, as Azure ML would: one parent run, a child run a trial.

What was learned survives a kill: the study is found again by what its results depend on (search space,
command, code, data, environment), and goes on where it was. Another number of trials is the same study.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mlops.errors import InvalidInput, Locked, MlopsError, NotFound, StepFailed
from mlops.lint import lint
from mlops.pipeline.binding import expand
from mlops.pipeline.models import Environment
from mlops.pipeline.read import resolve_environment
from mlops.pipeline.run.cache import StepCache, content_digest
from mlops.pipeline.run.executor import PRELOAD, StepServer, plan_invocation
from mlops.pipeline.run.locks import FileLock
from mlops.pipeline.run.process import failure, step_environment
from mlops.pipeline.run.runner import interruptible
from mlops.pipeline.run.snapshot import code_digest, take_snapshot
from mlops.pipeline.run.state import RunFolder, recover
from mlops.pipeline.run.study import Study
from mlops.pipeline.run.tracker import RunStatus, Tracker
from mlops.pipeline.run.values import AssetResolver, Given, job_inputs
from mlops.pipeline.run.work import DEFAULT_MODE, place_inputs, remove
from mlops.pipeline.sweep.models import Sweep, SweepFile, Trial, read_sweep
from mlops.pipeline.sweep.result import Progress, SweepResult, TrialResult, TrialState
from mlops.pipeline.sweep.stopping import reason_to_stop
from mlops.spec.digest import data_digest

HOPELESS = 3
"""When the first trials all fail, the command is wrong and not the numbers."""
_STATUS: Mapping[TrialState, RunStatus] = {"finished": "FINISHED", "failed": "FAILED"}


class History(Tracker, Protocol):
    """A tracker that also reads what a trial has reported."""

    def history(self, run_id: str, metric: str) -> list[float]:
        """Every value of `metric`, oldest first."""


def run_sweep(
    path: Path,
    inputs: Mapping[str, str],
    *,
    tracker: History,
    state_dir: Path,
    resolve_asset: AssetResolver,
    progress: Progress = lambda _: None,
    tags: Mapping[str, str] | None = None,
    trials: int | None = None,
    workers: int | None = None,
    environment_digest: str = "",
    server: StepServer | None = None,
) -> SweepResult:
    """Run the sweep of `path` until its limits. `trials` and `workers` replace the limits of the file.

    Raises `InvalidInput` (lint, inputs), `StepFailed` when no trial can be finished, `Locked` when another
    process runs the same sweep, KeyboardInterrupt (the trials have been ended and are drawn again next time).
    """
    if problems := lint(path):
        raise InvalidInput(problems)
    file = read_sweep(path)
    sweep = _limited(file, trials, workers)
    state = state_dir.resolve()
    given = job_inputs(file.document, path, sweep.inputs, inputs, resolve_asset)
    trial = _command(file)
    source = (path.parent / trial.code).resolve() if trial.code else None
    code = code_digest(source) if source else ""
    folder = state / "sweeps" / _key(file, trial, given, code, environment_digest)
    folder.mkdir(parents=True, exist_ok=True)
    experiment = sweep.experiment_name or sweep.name or path.stem
    with ExitStack() as stack:
        stack.enter_context(interruptible())
        lock = FileLock(folder / "lock")
        if not lock.try_acquire():
            raise Locked(
                f"another process runs {file.document.name} with the same code and data; wait for it"
            )
        stack.callback(lock.release)
        if server is None:
            server = StepServer(PRELOAD)
            stack.callback(server.close)
        recover(state, StepCache(state / "cache"), tracker)
        study = Study(folder, sweep)
        if not study.parent:
            name = sweep.display_name or sweep.name or path.stem
            study.parent = tracker.create_parent(experiment, name, tags or {})
        runs = RunFolder(state, study.parent)
        snapshot = runs.code / ".0"
        take_snapshot(source, snapshot)
        if source and code_digest(snapshot) != code:
            raise InvalidInput(f"{source} changed while it was copied; run again")
        return _Sweeping(sweep, trial, study, tracker, server, runs, snapshot, given, progress).run()


@dataclass
class _Sweeping:
    """One process's work on a sweep. `_trial` runs in several threads."""

    sweep: Sweep
    trial: Trial
    study: Study
    tracker: History
    server: StepServer
    folder: RunFolder
    snapshot: Path
    inputs: Mapping[str, Given]
    progress: Progress
    _talk: threading.RLock = field(default_factory=threading.RLock)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _reports: dict[int, list[float]] = field(default_factory=dict)
    _ended: set[int] = field(default_factory=set)
    _error: MlopsError | None = None

    def run(self) -> SweepResult:
        limits = self.sweep.limits
        self._deadline = time.monotonic() + limits.timeout if limits.timeout else float("inf")
        for known in self.study.trials():
            if known.state in ("finished", "stopped") and known.run_id:
                self._reports[known.number] = self._history(known.run_id)
                self._ended.add(known.number)
        workers = min(limits.max_concurrent_trials or os.cpu_count() or 1, limits.max_total_trials)
        status: RunStatus = "KILLED"
        pool = ThreadPoolExecutor(workers, thread_name_prefix="trial")
        try:
            self.server.warm()
            for future in [pool.submit(self._work) for _ in range(workers)]:
                future.result()
            status = "FAILED" if self._error else "FINISHED"
        finally:
            if status == "KILLED":
                self._stopped.set()
                self.server.stop_steps()
            pool.shutdown(wait=True, cancel_futures=True)
            self.tracker.finish(self.study.parent, status)
            self.folder.ended(self.study.parent)
            self.folder.close()
        if self._error:
            raise self._error
        goal = self.sweep.objective
        return SweepResult(self.study.parent, goal.primary_metric, goal.goal, self.study.trials())

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
        log = self.folder.path / f"trial-{asked.number}.log"
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

        outputs = {}
        for name, output in self.sweep.outputs.items():
            place = self.folder.path / f"trial-{asked.number}" / name
            (place.parent if output.type == "uri_file" else place).mkdir(parents=True, exist_ok=True)
            outputs[name] = str(place)
        code = self.folder.code / f"trial-{asked.number}"
        shutil.copytree(self.snapshot, code, dirs_exist_ok=True)
        modes = {name: self.sweep.inputs[name].mode or DEFAULT_MODE for name in self.inputs}
        placed = place_inputs(self.inputs, modes, self.folder.inputs / f"trial-{asked.number}")
        texts = {name: value.text for name, value in placed.items()}
        paths = [name for name, value in placed.items() if value.is_path]
        drawn = {name: str(value) for name, value in asked.values.items()}
        command = expand(self.trial.command, texts, outputs, drawn, paths=paths)
        variables = {k: str(v) for k, v in self.trial.environment_variables.items()}
        log.write_text(f"$ {command}\n", encoding="utf-8")
        with self._talk:
            tracking = dict(self.tracker.env())
        env = step_environment(tracking, run_id) | variables
        exit_code = self.server.run(plan_invocation(command, variables), code, env, log, stop)
        remove(code)
        remove(self.folder.inputs / code.name)
        with self._talk:
            if self._stopped.is_set():
                # Still running for the study, so that it is drawn again.
                self._close(run_id, "KILLED")
                return
            reports = self._reports[asked.number] = self._history(run_id)
            state, detail = self._verdict(exit_code, reports, reason, time.monotonic() - started, log)
            self._ended.add(asked.number)
            told = self.study.tell(asked.number, state, reports, detail)
            self._close(run_id, _STATUS.get(state, "KILLED"))
            self.progress(told)
            self._give_up(detail)

    def _verdict(
        self, code: int, reports: list[float], reason: list[str], seconds: float, log: Path
    ) -> tuple[TrialState, str]:
        if reason:
            early = "limits." not in reason[0]
            return ("stopped" if early else "failed"), reason[0]
        if code != 0:
            return "failed", failure("trial", code, seconds, log)
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


def _limited(file: SweepFile, trials: int | None, workers: int | None) -> Sweep:
    limits = file.job.limits
    total = trials or limits.max_total_trials
    concurrent = workers or limits.max_concurrent_trials
    replaced = limits.model_copy(update={"max_total_trials": total, "max_concurrent_trials": concurrent})
    return file.job.model_copy(update={"limits": replaced})


def _command(file: SweepFile) -> Trial:
    if isinstance(file.job.trial, Trial):
        return file.job.trial
    raise InvalidInput(
        file.document.problem(("trial",), "is run here only when it is written in place (command, code, …)")
    )


def _key(file: SweepFile, trial: Trial, given: Mapping[str, Given], code: str, installed: str) -> str:
    """What the result of a trial depends on, beside the values that are drawn."""
    sweep = file.job
    parts = {
        "space": sweep.search_space,
        "sampling": sweep.sampling_algorithm.model_dump(),
        "objective": sweep.objective.model_dump(),
        "termination": sweep.early_termination,
        "command": trial.command,
        "variables": {k: str(v) for k, v in trial.environment_variables.items()},
        "inputs": {name: value.identity for name, value in given.items()},
        "code": code,
        "environment": _environment(file, trial),
        "installed": installed,
    }
    return data_digest(parts).removeprefix("sha256:")[:20]


def _environment(file: SweepFile, trial: Trial) -> object:
    found, _, _, place = resolve_environment(
        trial.environment, file.document, ("trial", "environment"), file.path
    )
    if found is None:
        return trial.environment.reference
    content = found.model_dump(mode="json", exclude={"description", "tags", "schema_url"})
    if isinstance(found, Environment) and isinstance(found.conda_file, str):
        content["conda_file"] = content_digest(place.parent / found.conda_file)
    return content

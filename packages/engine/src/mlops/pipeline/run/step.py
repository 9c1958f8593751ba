"""One step of a run: its key, reuse or process, its child run, its outputs."""

from __future__ import annotations

import math
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mlops.errors import IntegrityError, InvalidInput, NotFound, StepFailed
from mlops.pipeline.parts import Pipeline, Step
from mlops.pipeline.result import StepEvent, StepState
from mlops.pipeline.run.cache import Entry, StepCache
from mlops.pipeline.run.environments import Environments
from mlops.pipeline.run.executor import StepServer, plan_invocation
from mlops.pipeline.run.here import check_here, run_here
from mlops.pipeline.run.key import environment_content, step_key
from mlops.pipeline.run.perform import Performer
from mlops.pipeline.run.process import failure, name_sources, step_environment
from mlops.pipeline.run.selection import Plan
from mlops.pipeline.run.snapshot import code_digest, take_snapshot
from mlops.pipeline.run.spread import spread
from mlops.pipeline.run.state import RunFolder
from mlops.pipeline.run.study import Study
from mlops.pipeline.run.tracker import RunStatus, Tracker
from mlops.pipeline.run.trials import Sweeping
from mlops.pipeline.run.unlike import unlike_azure
from mlops.pipeline.run.used import UsedFiles, digest, recorded
from mlops.pipeline.run.values import AssetResolver, Given, step_inputs
from mlops.pipeline.run.work import Task, Workplace, task_of, workplace
from mlops.pipeline.sweep.models import SweepSpec
from mlops.pipeline.sweep.result import SweepResult, TrialResult, TrialState
from mlops.spec import engine
from mlops.spec.digest import data_digest

RECORD = "used.json"
"""Beside the outputs of a step: the files that it used."""
Key = Callable[..., str]
"""`step_key` with all but the digest of the code."""
_OF_TRIALS: Mapping[TrialState, StepState] = {
    "running": "running",
    "finished": "finished",
    "failed": "failed",
    "stopped": "skipped",
    "killed": "skipped",
}


@dataclass(frozen=True)
class _Begun:
    """A step that has a run of its own by now."""

    step: Step
    task: Task
    performer: Performer
    child: str
    log: Path
    note: str
    snapshot: Path
    kept: Path
    """Where its outputs are made."""


@dataclass
class Run:
    """The state of one run. `step` is called from several threads."""

    pipeline: Pipeline
    inputs: Mapping[str, Given]
    run_id: str
    folder: RunFolder
    cache: StepCache
    server: StepServer
    tracker: Tracker
    resolve: AssetResolver
    progress: Callable[[StepEvent], None]
    installed: str
    used: UsedFiles
    part: Plan
    debug: bool = False
    environments: Environments | None = None
    """Makes the environments that steps ask for; None: they run in this one."""
    outputs: dict[tuple[str, str], Given] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _talk: threading.RLock = field(default_factory=threading.RLock)
    _copy: threading.Lock = field(default_factory=threading.Lock)
    _snapshots: dict[tuple[Path | None, tuple[Path, ...]], tuple[str, Path]] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)
    _sweeps: list[Sweeping] = field(default_factory=list)

    def tell(self, event: StepEvent) -> StepEvent:
        """Pass progress on, one event at a time."""
        with self._talk:
            self.progress(event)
        return event

    def stop(self) -> None:
        """End the steps that run, and the waits for another run's step."""
        self._stopped.set()
        for sweeping in self._sweeps:
            sweeping.stop()
        self.server.stop_steps()

    def end(self, status: RunStatus) -> None:
        """Give every run that is still open its final status."""
        with self._talk:
            for child in list(self._open):
                self._finish(child, "KILLED" if status == "FINISHED" else status)
            self.tracker.finish(self.run_id, status)
            self.folder.ended(self.run_id)
        self.cache.discard(self.run_id)
        self.folder.close()

    def step(self, step: Step) -> StepEvent:
        """Reuse or run one step. Raises `StepFailed`."""
        started = time.monotonic()
        given = self._given(step)
        code, snapshot = self._snapshot(step)
        key = self._key(step, given)
        settings = self.pipeline.job.settings
        # Jobs before and after all others are there for what they do, not for an output.
        hook = step.name in (settings.on_init, settings.on_finalize)
        forced = settings.force_rerun or hook or step.name in self.part.anew
        reusable = step.component.is_deterministic and not forced
        if reusable and (entry := self._made_before(step, key, code, snapshot)) is not None:
            return self._finished(step, entry, "reused", started)
        lock = self.cache.lock_build(key(code=code), self._stopped.is_set)
        if lock is None:
            return StepEvent(step.name, "skipped")
        try:
            # Another run may have made it while this one waited.
            if reusable and (entry := self._made_before(step, key, code, snapshot)) is not None:
                return self._finished(step, entry, "reused", started)
            return self._finished(step, self._execute(step, key, code, given, snapshot), "finished", started)
        finally:
            lock.release()

    def _key(self, step: Step, given: Mapping[str, Given]) -> Key:
        own_environment = self.environments.of(step) if self.environments else None
        # What a debugger may have touched stands for nothing but itself.
        once = step.name in self.part.here or not step.component.is_deterministic
        return partial(
            step_key,
            step,
            inputs={name: value.identity for name, value in given.items()},
            outputs={name: self.pipeline.output_type(step, name) for name in step.component.outputs},
            environment=environment_content(step),
            installed=own_environment.digest if own_environment else self.installed,
            nonce=self.run_id + step.name if once else "",
            sweep=step.sweep.model_dump(mode="json") if step.sweep else None,
        )

    def _made_before(self, step: Step, key: Key, code: str, snapshot: Path) -> Entry | None:
        """The results of the same step by the same code, as far as it uses it."""
        parts = (digest(snapshot, files) for files in self.used.known(key(code="")))
        for part in (code, *filter(None, parts)):
            entry = self.cache.find(key(code=part))
            if entry is not None and self._reuse(step, entry):
                return entry
        return None

    def _given(self, step: Step) -> dict[str, Given]:
        given = step_inputs(
            self.pipeline, step, inputs=self.inputs, outputs=self.outputs, resolve=self.resolve
        )
        for name, value in given.items():
            if value.kept and not Path(value.text).exists():
                raise StepFailed(
                    f"step {step.name!r} cannot start: its input {name!r} is an output that the step before "
                    "has left empty; on Azure ML there is nothing to mount either"
                )
        return given

    def _snapshot(self, step: Step) -> tuple[str, Path]:
        """Digest of a step's code and of the engine, and a copy of the code that no step works in."""
        source = (step.code, step.includes)
        with self._copy:
            if source not in self._snapshots:
                target = self.folder.code / f".{len(self._snapshots)}"
                take_snapshot(step.code, target, step.includes)
                # Digest of the copy, so that an edit during the copy cannot be recorded as something else.
                digest = data_digest([code_digest(target), engine.digest()])
                self._snapshots[source] = (digest, target)
            return self._snapshots[source]

    def _reuse(self, step: Step, entry: Entry) -> bool:
        """A child run with the results of the run that made the entry; False when that run is gone."""
        child = self._begin(step, {"mlops.reused": entry.key})
        try:
            with self._talk:
                self.tracker.copy_results(entry.run_id, child)
                self.tracker.set_tags(child, {"mlops.reused.run": entry.run_id})
        except NotFound:
            self._finish(child, "KILLED")
            return False
        self._finish(child, "FINISHED")
        return True

    def _execute(self, step: Step, key: Key, code: str, given: Mapping[str, Given], snapshot: Path) -> Entry:
        started = time.monotonic()
        log = self.folder.log(step.name)
        own_environment = self.environments.of(step) if self.environments else None
        planned = spread(step)
        own = own_environment.notes if own_environment else ()
        note = "; ".join((*planned.notes, *own, *unlike_azure(self.pipeline, step)))
        self.tell(StepEvent(step.name, "running", log=str(log), note=note))
        child = self._begin(step, {"mlops.key": key(code=code)})
        kept = self.cache.begin(self.run_id, step.name)
        task = task_of(self.pipeline, step, given)
        variables = {k: str(v) for k, v in step.variables.items()}
        performer = Performer(
            self.server, planned, variables, own_environment.programs if own_environment else None
        )
        if len(self.part.wanted) - len({job for job, _ in self.outputs}) > 1:
            # One step alone is sooner done with its own imports than with everybody's.
            self.server.warm()
        begun = _Begun(step, task, performer, child, log, note, snapshot, kept)
        if step.sweep is None:
            why, failed = self._process(begun)
        else:
            why, failed = self._trials(begun, step.sweep, key(code=code))
        seconds = time.monotonic() - started
        if self._stopped.is_set():
            self._finish(child, "KILLED")
            raise StepFailed(f"step {step.name!r} was interrupted; log: {log}")
        if why:
            name_sources(failed, step, self.folder.code / step.name)
            self._finish(child, "FAILED")
            shutil.rmtree(kept, ignore_errors=True)
            self.tell(StepEvent(step.name, "failed", seconds, str(failed)))
            raise StepFailed(failure(step.name, why, seconds, failed))
        used = recorded(kept / RECORD, self.folder.code / step.name)
        part = digest(snapshot, used) if used is not None else None
        try:
            entry = self.cache.commit(
                kept,
                key=key(code=part or code),
                step=step.name,
                run_id=child,
                names=list(task.outputs),
                seconds=seconds,
            )
        except IntegrityError as error:
            self._finish(child, "FAILED")
            shutil.rmtree(kept, ignore_errors=True)
            raise StepFailed(f"the output of step {step.name!r} cannot be kept: {error}") from None
        if used is not None and part is not None:
            self.used.remember(key(code=""), used)
        self._finish(child, "FINISHED")
        return entry

    def _process(self, begun: _Begun) -> tuple[str | int, Path]:
        """Run the step's processes; how they failed (0 when they did not), and the log that tells."""
        step = begun.step
        place = workplace(
            begun.task,
            begun.snapshot,
            code=self.folder.code / step.name,
            inputs=self.folder.inputs / step.name,
            outputs=begun.kept / "outputs",
        )
        with self._talk:
            tracking = dict(self.tracker.env())
        if step.name in self.part.here:
            return self._in_this_process(begun, place, tracking)
        limit = step.limits.timeout if step.limits else math.inf
        started = time.monotonic()

        def late() -> bool:
            return time.monotonic() - started > limit

        status, failed = begun.performer.perform(
            place,
            tracking,
            run=begun.child,
            root=self.run_id,
            log=begun.log,
            note=begun.note,
            stop=late if step.limits else None,
            record=begun.kept / RECORD,
        )
        if not self._stopped.is_set():
            for name in place.left:
                with self._talk:
                    self.tracker.log_artifacts(begun.child, place.code / name, name)
        if status == 0:
            place.keep_default()
        if status != 0 and late():
            return f"was ended after {limit} s, as its limits.timeout asks", failed
        return status or place.broken(), failed

    def _in_this_process(
        self, begun: _Begun, place: Workplace, tracking: Mapping[str, str]
    ) -> tuple[str | int, Path]:
        performer = begun.performer
        invocation = plan_invocation(place.command, performer.variables)
        check_here(begun.step, performer.planned, invocation)
        env = step_environment(tracking, begun.child, self.run_id) | dict(performer.variables)
        begun.log.write_text(f"$ {place.command}\n", encoding="utf-8")
        status = run_here(invocation, begun.step, cwd=place.code, env=env, debug=self.debug)
        return status or place.broken(), begun.log

    def _trials(self, begun: _Begun, spec: SweepSpec, key: str) -> tuple[str, Path]:
        """Run a sweep; its outputs are those of the best trial. Why there are none, and the log."""
        step, log = begun.step, begun.log
        if step.name in self.part.here:
            raise InvalidInput(
                f"step {step.name!r} is a sweep, so it cannot run in this process; leave out --here, or name "
                "another step with --only"
            )
        folder = self.folder.path.parents[1] / "sweeps" / key[:20]
        folder.mkdir(parents=True, exist_ok=True)
        study = Study(folder, spec)
        study.parent = begun.child
        sweeping = Sweeping(
            spec,
            begun.task,
            begun.performer,
            study,
            self.tracker,
            self.folder,
            begun.snapshot,
            folder,
            progress=lambda trial: self._told(step, trial),
            label=f"{step.name}.",
            note=begun.note,
        )
        self._sweeps.append(sweeping)
        try:
            trials = sweeping.run()
        except StepFailed as error:
            log.write_text(f"$ trials\n{error}\n", encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            return f"failed: {error}", log
        goal = spec.objective
        best = SweepResult(begun.child, goal.primary_metric, goal.goal, trials).best
        if best is None:
            return f"failed: no trial of {len(trials)} was finished", log
        values = {name: str(value) for name, value in best.values.items()}
        with self._talk:
            chosen = {f"mlops.best.{name}": value for name, value in values.items()}
            self.tracker.set_tags(begun.child, {"mlops.best": best.run_id, **chosen})
            self.tracker.copy_results(best.run_id, begun.child)
        shutil.copytree(sweeping.outputs_of(best), begun.kept / "outputs", dirs_exist_ok=True)
        drawn = ", ".join(f"{name}={value}" for name, value in values.items())
        said = f"best of {len(trials)}: trial {best.number}, {goal.primary_metric} {best.value}: {drawn}"
        log.write_text(f"$ trials\n{said}\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        return "", log

    def _told(self, step: Step, trial: TrialResult) -> None:
        value = f" {trial.value:.5g}" if trial.value is not None else ""
        note = trial.detail.splitlines()[0] if trial.detail else ""
        name = f"{step.name} trial {trial.number}{value}"
        self.tell(StepEvent(name, _OF_TRIALS[trial.state], None, note=note))

    def _begin(self, step: Step, tags: Mapping[str, str]) -> str:
        with self._talk:
            child = self.tracker.create_child(self.run_id, step.name, {"mlops.step": step.name, **tags})
            self._open.append(child)
            self.folder.opened(child)
            return child

    def _finish(self, child: str, status: RunStatus) -> None:
        with self._talk:
            if child in self._open:
                self.tracker.finish(child, status)
                self._open.remove(child)
                self.folder.ended(child)

    def _finished(self, step: Step, entry: Entry, state: Any, started: float) -> StepEvent:
        for name, content in entry.outputs.items():
            self.outputs[step.name, name] = Given(
                str(self.cache.output(entry.key, name)), content, is_path=True, kept=True
            )
        log = self.folder.log(step.name) if state == "finished" else ""
        seconds = time.monotonic() - started
        places = {name: self.cache.output(entry.key, name) for name in entry.outputs}
        made = {name: str(path) for name, path in places.items() if path.exists()}
        notes = [f"left no file as its output {name}" for name in places if name not in made]
        if state == "reused":
            notes = [*unlike_azure(self.pipeline, step), *notes]
        event = StepEvent(
            step.name, state, seconds, str(log), note="; ".join(notes), run_id=self.run_id, outputs=made
        )
        return self.tell(event)

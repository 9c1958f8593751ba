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

from mlops.errors import IntegrityError, NotFound, StepFailed
from mlops.pipeline.binding import parse_parent
from mlops.pipeline.read import Pipeline, Step
from mlops.pipeline.result import StepEvent
from mlops.pipeline.run.cache import Entry, StepCache
from mlops.pipeline.run.executor import StepServer, plan_invocation
from mlops.pipeline.run.here import check_here, run_here
from mlops.pipeline.run.key import environment_content, step_key
from mlops.pipeline.run.process import failure, name_sources, step_environment
from mlops.pipeline.run.selection import Plan
from mlops.pipeline.run.snapshot import code_digest, take_snapshot
from mlops.pipeline.run.spread import Spread, spread
from mlops.pipeline.run.spread import run as run_spread
from mlops.pipeline.run.state import RunFolder
from mlops.pipeline.run.tracker import RunStatus, Tracker
from mlops.pipeline.run.used import UsedFiles, digest, recorded
from mlops.pipeline.run.values import AssetResolver, Given, step_input
from mlops.pipeline.run.work import Workplace, workplace

RECORD = "used.json"
"""Beside the outputs of a step: the files that it used."""
Key = Callable[..., str]
"""`step_key` with all but the digest of the code."""


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
    outputs: dict[tuple[str, str], Given] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _talk: threading.RLock = field(default_factory=threading.RLock)
    _copy: threading.Lock = field(default_factory=threading.Lock)
    _snapshots: dict[tuple[Path | None, tuple[Path, ...]], tuple[str, Path]] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def tell(self, event: StepEvent) -> StepEvent:
        """Pass progress on, one event at a time."""
        with self._talk:
            self.progress(event)
        return event

    def stop(self) -> None:
        """End the steps that run, and the waits for another run's step."""
        self._stopped.set()
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
        here = step.name in self.part.here
        # What a debugger may have touched stands for nothing but itself.
        once = here or not step.component.is_deterministic
        key = partial(
            step_key,
            step,
            inputs={name: value.identity for name, value in given.items()},
            outputs={name: self.pipeline.output_type(step, name) for name in step.component.outputs},
            environment=environment_content(step),
            installed=self.installed,
            nonce=self.run_id + step.name if once else "",
        )
        forced = self.pipeline.job.settings.force_rerun or step.name in self.part.anew
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

    def _made_before(self, step: Step, key: Key, code: str, snapshot: Path) -> Entry | None:
        """The results of the same step by the same code, as far as it uses it."""
        parts = (digest(snapshot, files) for files in self.used.known(key(code="")))
        for part in (code, *filter(None, parts)):
            entry = self.cache.find(key(code=part))
            if entry is not None and self._reuse(step, entry):
                return entry
        return None

    def _given(self, step: Step) -> dict[str, Given]:
        found = {
            name: step_input(
                self.pipeline, step, name, inputs=self.inputs, outputs=self.outputs, resolve=self.resolve
            )
            for name in step.component.inputs
        }
        return {name: value for name, value in found.items() if value is not None}

    def _snapshot(self, step: Step) -> tuple[str, Path]:
        """Digest of a step's code, and a copy that no step works in; one a run for each code."""
        source = (step.code, step.includes)
        with self._copy:
            if source not in self._snapshots:
                target = self.folder.code / f".{len(self._snapshots)}"
                take_snapshot(step.code, target, step.includes)
                # Digest of the copy, so that an edit during the copy cannot be recorded as something else.
                self._snapshots[source] = (code_digest(target), target)
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
        planned = spread(step)
        note = "; ".join((*planned.notes, *unlike_azure(self.pipeline, step)))
        self.tell(StepEvent(step.name, "running", log=str(log), note=note))
        child = self._begin(step, {"mlops.key": key(code=code)})
        kept = self.cache.begin(self.run_id, step.name)
        folder = self.folder.code / step.name
        shutil.copytree(snapshot, folder)
        place = workplace(
            self.pipeline,
            step,
            given,
            code=folder,
            inputs=self.folder.inputs / step.name,
            outputs=kept / "outputs",
        )
        with log.open("w", encoding="utf-8") as stream:
            stream.write(f"$ {place.command}" + (f"  # {note}\n" if note else "\n"))
        why, failed = self._process(place, planned, child, log, kept / RECORD)
        seconds = time.monotonic() - started
        if self._stopped.is_set():
            self._finish(child, "KILLED")
            raise StepFailed(f"step {step.name!r} was interrupted; log: {log}")
        for name in place.left:
            with self._talk:
                self.tracker.log_artifacts(child, folder / name, name)
        why = why or place.broken()
        if why:
            name_sources(failed, step, folder)
            self._finish(child, "FAILED")
            shutil.rmtree(kept, ignore_errors=True)
            self.tell(StepEvent(step.name, "failed", seconds, str(failed)))
            raise StepFailed(failure(step.name, why, seconds, failed))
        used = recorded(kept / RECORD, folder)
        part = digest(snapshot, used) if used is not None else None
        try:
            entry = self.cache.commit(
                kept,
                key=key(code=part or code),
                step=step.name,
                run_id=child,
                names=list(place.outputs),
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

    def _process(
        self, place: Workplace, planned: Spread, child: str, log: Path, record: Path
    ) -> tuple[str | int, Path]:
        """Run the step's processes; how they failed (0 when they did not), and the log that tells."""
        step = place.step
        variables = {k: str(v) for k, v in step.node.environment_variables.items()}
        with self._talk:
            tracking = dict(self.tracker.env())
        env = step_environment(tracking, child, self.run_id) | variables
        invocation = plan_invocation(place.command, variables)
        if step.name in self.part.here:
            check_here(step, planned, invocation)
            return run_here(invocation, step, cwd=place.code, env=env, debug=self.debug), log
        if len(self.part.wanted) - len({job for job, _ in self.outputs}) > 1:
            # One step alone is sooner done with its own imports than with everybody's.
            self.server.warm()
        limit = step.node.limits.timeout if step.node.limits else math.inf
        begun = time.monotonic()

        def late() -> bool:
            return time.monotonic() - begun > limit

        status, failed = run_spread(
            self.server,
            planned,
            invocation,
            cwd=place.code,
            env=env,
            log=log,
            stop=late if step.node.limits else None,
            record=record,
        )
        if status != 0 and late():
            return f"was ended after {limit} s, as its limits.timeout asks", failed
        return status, failed

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
        return self.tell(StepEvent(step.name, state, time.monotonic() - started, str(log)))


def unlike_azure(pipeline: Pipeline, step: Step) -> list[str]:
    """What Azure ML would do for this step and this machine does not; shown when it starts."""
    notes = []
    for name, output in step.node.outputs.items():
        bound = parse_parent(output.binding)
        owner = pipeline.job.outputs.get(bound.name) if bound is not None else output
        if owner is not None and owner.path and "://" in owner.path:
            notes.append(f"output {name} stays on this machine, on Azure ML it goes to {owner.path}")
    return notes

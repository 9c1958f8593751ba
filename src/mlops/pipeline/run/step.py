"""One step of a run: its key, reuse or process, its child run, its outputs."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops.errors import IntegrityError, NotFound, StepFailed
from mlops.pipeline.binding import expand
from mlops.pipeline.read import Pipeline, Step
from mlops.pipeline.result import StepEvent
from mlops.pipeline.run.cache import Entry, StepCache
from mlops.pipeline.run.executor import StepServer, plan_invocation
from mlops.pipeline.run.key import environment_content, step_key
from mlops.pipeline.run.snapshot import code_digest, take_snapshot
from mlops.pipeline.run.spread import run as run_spread
from mlops.pipeline.run.spread import spread
from mlops.pipeline.run.state import RunFolder
from mlops.pipeline.run.tracker import RunStatus, Tracker
from mlops.pipeline.run.values import AssetResolver, Given, step_input

_LAST_LINES = 15
_INVALID_INPUT = 5


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
    outputs: dict[tuple[str, str], Given] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _talk: threading.RLock = field(default_factory=threading.RLock)
    _copy: threading.Lock = field(default_factory=threading.Lock)
    _snapshots: dict[Path, tuple[str, Path]] = field(default_factory=dict)
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
        code, folder = self._snapshot(step)
        key = step_key(
            step,
            inputs={name: value.identity for name, value in given.items()},
            code=code,
            environment=environment_content(step),
            installed=self.installed,
            nonce="" if step.component.is_deterministic else self.run_id + step.name,
        )
        reusable = step.component.is_deterministic and not self.pipeline.job.settings.force_rerun
        if reusable and (entry := self.cache.find(key)) is not None and self._reuse(step, entry):
            return self._finished(step, entry, "reused", started)
        lock = self.cache.lock_build(key, self._stopped.is_set)
        if lock is None:
            return StepEvent(step.name, "skipped")
        try:
            # Another run may have made it while this one waited.
            if reusable and (entry := self.cache.find(key)) is not None and self._reuse(step, entry):
                return self._finished(step, entry, "reused", started)
            return self._finished(step, self._execute(step, key, given, folder), "finished", started)
        finally:
            lock.release()

    def _given(self, step: Step) -> dict[str, Given]:
        found = {
            name: step_input(
                self.pipeline, step, name, inputs=self.inputs, outputs=self.outputs, resolve=self.resolve
            )
            for name in step.component.inputs
        }
        return {name: value for name, value in found.items() if value is not None}

    def _snapshot(self, step: Step) -> tuple[str, Path]:
        """Digest of a step's code and the copy to run it in; one copy a run for each code folder."""
        source = step.code
        with self._copy:
            if source is None:
                empty = self.folder.code / "none"
                empty.mkdir(parents=True, exist_ok=True)
                return "", empty
            if source not in self._snapshots:
                target = self.folder.code / str(len(self._snapshots))
                take_snapshot(source, target)
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

    def _execute(self, step: Step, key: str, given: Mapping[str, Given], code: Path) -> Entry:
        started = time.monotonic()
        log = self.folder.log(step.name)
        planned = spread(step)
        self.tell(StepEvent(step.name, "running", log=str(log), note=planned.note))
        child = self._begin(step, {"mlops.key": key})
        work = self.cache.begin(self.run_id, step.name)
        outputs = {name: work / "outputs" / name for name in step.component.outputs}
        for name, output in step.component.outputs.items():
            if output.type != "uri_file":
                outputs[name].mkdir()
        texts = {name: value.text for name, value in given.items()}
        command = expand(step.component.command, texts, {n: str(p) for n, p in outputs.items()})
        variables = {k: str(v) for k, v in step.node.environment_variables.items()}
        with log.open("w", encoding="utf-8") as stream:
            stream.write(f"$ {command}" + (f"  # {planned.note}\n" if planned.note else "\n"))
        with self._talk:
            tracking = dict(self.tracker.env())
        env = step_environment(tracking, child) | variables
        if len(self.pipeline.steps) - len({job for job, _ in self.outputs}) > 1:
            # One step alone is sooner done with its own imports than with everybody's.
            self.server.warm()
        invocation = plan_invocation(command, variables)
        status, failed = run_spread(self.server, planned, invocation, cwd=code, env=env, log=log)
        seconds = time.monotonic() - started
        if self._stopped.is_set():
            self._finish(child, "KILLED")
            raise StepFailed(f"step {step.name!r} was interrupted; log: {log}")
        if status != 0:
            self._finish(child, "FAILED")
            shutil.rmtree(work, ignore_errors=True)
            self.tell(StepEvent(step.name, "failed", seconds, str(failed)))
            raise StepFailed(failure(step.name, status, seconds, failed))
        try:
            entry = self.cache.commit(
                work, key=key, step=step.name, run_id=child, names=list(outputs), seconds=seconds
            )
        except IntegrityError as error:
            self._finish(child, "FAILED")
            shutil.rmtree(work, ignore_errors=True)
            raise StepFailed(f"the output of step {step.name!r} cannot be kept: {error}") from None
        self._finish(child, "FINISHED")
        return entry

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
        for name, digest in entry.outputs.items():
            self.outputs[step.name, name] = Given(str(self.cache.output(entry.key, name)), digest)
        log = self.folder.log(step.name) if state == "finished" else ""
        return self.tell(StepEvent(step.name, state, time.monotonic() - started, str(log)))


def step_environment(tracking: Mapping[str, str], child: str) -> dict[str, str]:
    """The environment of a step's process that reports to the run `child`."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_RUN")}
    # `python` in a command is this one, also when its virtual environment is not activated.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    fixed = {
        "PATH": path,
        "PYTHONUNBUFFERED": "1",
        "MPLBACKEND": "agg",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_RUN_ID": child,
    }
    return {**inherited, **tracking, **fixed}


def failure(step: str, status: int, seconds: float, log: Path) -> str:
    """Why a step failed, with what it said last."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    last = "\n".join(f"    {line}" for line in [x for x in lines if x.strip()][-_LAST_LINES:])
    if status == _INVALID_INPUT and last:
        # The step has refused its input with a sentence of its own: that is what there is to read.
        return f"step {step!r} refuses its input:\n{last}\n  log: {log}"
    if status < 0:
        name = signal.Signals(-status).name
        hint = "; often the machine ran out of memory" if name == "SIGKILL" else ""
        how = f"was ended by {name}{hint}"
    else:
        how = f"failed with exit code {status}"
    said = f"; the last lines of its log:\n{last}" if last else "; it wrote nothing to its log"
    return f"step {step!r} {how} after {seconds:.1f} s{said}\n  log: {log}"

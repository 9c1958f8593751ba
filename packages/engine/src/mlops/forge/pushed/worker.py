"""`python -m mlops.forge.pushed.worker BARE RUN`: one run from its queue to its end, in a process of its own.

It alone writes the run's state. It holds a lock that others take for its life, so nothing waits for the dead.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from mlops.errors import Blocked, InvalidInput, MlopsError
from mlops.forge.git import Git
from mlops.forge.pushed import act, warm
from mlops.forge.pushed.admit import context_of
from mlops.forge.pushed.expressions import fill
from mlops.forge.pushed.stand_in import IMPOSSIBLE
from mlops.forge.pushed.store import ENDED, Run, State, Store
from mlops.forge.pushed.workflows import ACTIONS, FOLDER, Workflow, called, read, remote_actions

PAUSE = 0.05
GRACE = 10.0
"""Seconds that act has to end after it was asked to."""


class Cancelled(Exception):
    """Somebody or a newer run ended this one."""


class Worker:
    """One run."""

    def __init__(self, store: Store, number: int) -> None:
        self.store, self.number = store, number
        self.folder = store.run_folder(number)
        self.reader = act.Reader(store.get(number), self.folder)

    def work(self) -> None:
        """Wait, run, and write how it ended; whatever happens the group is left."""
        try:
            self._wait()
            self._save(replace(self.reader.run, state="running", started=time.time()))
            self._end(*self._run())
        except Cancelled as reason:
            self._end("cancelled", str(reason))
        except (MlopsError, OSError) as error:
            self._end("failure", str(error))
        finally:
            self.store.forget_work(self.number)
            self.store.leave(str(self.number))

    def _wait(self) -> None:
        workflow = self._workflow()
        if workflow.concurrency is None:
            return
        group = fill(workflow.concurrency.group, context_of(self.store, self.reader.run))
        while (standing := self.store.standing(group, str(self.number))) == "waiting":
            self._check()
            time.sleep(PAUSE)
        if standing == "out":
            self._check()
            raise Cancelled(f"a newer run waits in the group {group} instead")

    def _run(self) -> tuple[State, str]:
        run, git, workflow = self.reader.run, Git(self.store.bare), self._workflow()
        others = list(called(git, run.sha, workflow).values())
        _gated(workflow, others)
        places = act.stand_ins(remote_actions(git, run.sha, workflow))
        source = self.folder / "source"
        source.mkdir()
        for path in git.files(run.sha, FOLDER + "/", ACTIONS + "/"):
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_text(git.show(run.sha, path) or "", encoding="utf-8")
        runners = [job.runner for w in (workflow, *others) for job in w.jobs.values() if job.runner]
        command = act.command(run, self.folder, self.store.settings(), places, runners)
        for name, value in act.context(run, self.store.bare).items():
            command += ["--env", f"{name}={value}"]
        variables = act.environment(run, self.store.bare, os.environ)
        warm.start(self.store.settings(), variables)
        with subprocess.Popen(
            command,
            cwd=source,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=variables,
        ) as process:
            try:
                lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
                threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True).start()
                self._follow(lines)
            finally:
                _stop(process)
        return self._verdict(process.returncode)

    def _follow(self, lines: queue.SimpleQueue[str | None]) -> None:
        while True:
            self._check()
            try:
                line = lines.get(timeout=0.2)
            except queue.Empty:
                continue
            if line is None:
                return
            before = self.reader.run
            for job in self.reader.feed(line):
                self.store.leave(f"{self.number}/{job}")
            if self.reader.run is not before:
                self.store.save(self.reader.run)

    def _check(self) -> None:
        reason = self.store.cancelled(self.number)
        if reason:
            raise Cancelled(reason)

    def _verdict(self, code: int) -> tuple[State, str]:
        jobs = self.reader.run.jobs.values()
        failed = [job for job in jobs if job.state not in ("success", "skipped")]
        if failed:
            steps = [step.name for job in failed for step in job.steps if step.state == "failure"]
            return "failure", f"{', '.join(j.id for j in failed)} failed" + (
                f" in: {steps[0]}" if steps else ""
            )
        if code:
            return "failure", self.reader.error or f"act ended with {code}; see worker.log in {self.folder}"
        return ("success", "") if jobs else ("skipped", "the condition of every job is false")

    def _end(self, state: State, reason: str) -> None:
        ended = time.time()
        jobs = {
            name: job if job.state in ENDED else replace(job, state="cancelled", ended=ended)
            for name, job in self.reader.run.jobs.items()
        }
        self._save(replace(self.reader.run, state=state, reason=reason, ended=ended, jobs=jobs))

    def _save(self, run: Run) -> None:
        self.reader.run = run
        self.store.save(run)

    def _workflow(self) -> Workflow:
        run = self.reader.run
        return read(run.path, Git(self.store.bare).show(run.sha, run.path) or "")


def _gated(workflow: Workflow, others: Sequence[Workflow]) -> None:
    """A job that must queue or be approved has to ask first; raises `InvalidInput` for one that cannot."""
    for where in (workflow, *others):
        for job in where.jobs.values():
            gated = bool(job.concurrency or job.environment)
            asks = job.first.partition("@")[0] in ("actions/checkout", *IMPOSSIBLE)
            if gated and job.calls:
                raise InvalidInput(
                    f"{where.path}: job {job.id} calls a workflow and has a concurrency group of its own, "
                    "which the local forge could not enforce; give the group to the workflow"
                )
            if gated and not asks:
                raise InvalidInput(
                    f"{where.path}: job {job.id} has an environment or a concurrency group, and its first "
                    "step is not actions/checkout; the local forge could not enforce them"
                )
    for other in others:
        if other.concurrency or other.uses:
            raise InvalidInput(
                f"{other.path} is called by {workflow.path} and has a concurrency group, or calls another "
                "workflow; the local forge knows neither there: let the caller do it"
            )


def _pump(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        sys.stdout.write(line)  # worker.log keeps what act said, as it said it
        lines.put(line)
    sys.stdout.flush()
    lines.put(None)


def _stop(process: subprocess.Popen[str]) -> None:
    """act ends its jobs when it is interrupted; the terminals that it gave them end with it."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)


def main() -> None:
    """Entry point; the pull request of a run that was its check may be merged now."""
    store, number = Store(Path(sys.argv[1])), int(sys.argv[2])
    worker = Worker(store, number)
    worker.work()
    pull = worker.reader.run.pull
    if pull is not None:
        from mlops.forge.local import LocalForge

        os.environ["MLOPS_FORGE_RUN"] = str(number)  # what the merge starts comes from this run
        with contextlib.suppress(Blocked):
            LocalForge(store.bare).checked(pull)


if __name__ == "__main__":
    main()

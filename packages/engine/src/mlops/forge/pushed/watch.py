"""Look on while runs happen, and the runs that they start."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from mlops.forge.pushed.store import APPROVAL, ENDED, STEP_MARK, Job, Run, Step, Store

PAUSE = 0.1


@dataclass(frozen=True)
class Seen:
    """One change. `job` and `step` are set as far as the change is about them."""

    kind: Literal["run", "waits", "step", "output", "job"]
    run: Run
    job: Job | None = None
    step: Step | None = None
    text: str = ""
    """What a job waits for; a line that it said."""


def follow(
    store: Store, numbers: Sequence[int], show: Callable[[Seen], None], *, attended: bool = False
) -> list[Run]:
    """Until these runs and all that they started have ended; their last states.

    It also returns when only a person can move them on, unless it is `attended`: `show` answers them itself.
    """
    watcher = Watcher(store, numbers)
    while True:
        for seen in watcher.look():
            show(seen)
        if watcher.over or (not attended and watcher.stuck):
            return watcher.runs
        time.sleep(PAUSE)


class Watcher:
    """Remembers what was seen, so that every change is told once."""

    def __init__(self, store: Store, numbers: Sequence[int]) -> None:
        self._store = store
        self._last: dict[int, Run | None] = dict.fromkeys(numbers)
        self._waits: dict[tuple[int, str], str] = {}
        self._read: dict[tuple[int, str], int] = {}
        self._step: dict[tuple[int, str], str] = {}
        self.over = False

    @property
    def runs(self) -> list[Run]:
        return [run for run in self._last.values() if run is not None]

    @property
    def stuck(self) -> bool:
        """Whether every run that goes on waits for an approval that nobody has given yet."""
        going = [run for run in self._last.values() if run is None or run.state not in ENDED]
        return bool(going) and all(run is not None and self._asks(run) for run in going)

    def _asks(self, run: Run) -> bool:
        working = [job.id for job in run.jobs.values() if job.state not in ENDED]
        return bool(working) and all(
            text.startswith(APPROVAL) and not self._store.approved(run.number, text.removeprefix(APPROVAL))
            for text in (self._store.waits(run.number, job) for job in working)
        )

    def look(self) -> Iterator[Seen]:
        """What changed since the last look, in order."""
        ended = all(self._gone(number) for number in self._last)
        for run in self._store.runs(after=min(self._last)):
            if run.parent in self._last:
                self._last.setdefault(run.number, None)
        for number in list(self._last):
            yield from self._changes(self._store.get(number), self._last[number])
        # A worker starts other runs before it is gone: one look after all were has seen every one of them.
        self.over = ended and all(self._gone(number) for number in self._last)

    def _gone(self, number: int) -> bool:
        last = self._last[number]
        return last is not None and last.state in ENDED and not self._store.alive(number)

    def _changes(self, run: Run, before: Run | None) -> Iterator[Seen]:
        self._last[run.number] = run
        if before is None:
            yield Seen("run", run)
        for job in run.jobs.values():
            yield from self._job(run, job, before.jobs.get(job.id) if before else None)
        yield from self._waiting(run)
        if run.state in ENDED and (before is None or before.state not in ENDED):
            yield Seen("run", run)

    def _waiting(self, run: Run) -> Iterator[Seen]:
        for path in self._store.run_folder(run.number).glob("*.waits"):
            job = path.name.removesuffix(".waits")
            text = self._store.waits(run.number, job)
            if text and self._waits.get((run.number, job)) != text:
                self._waits[run.number, job] = text
                yield Seen("waits", run, run.jobs.get(job) or Job(job), text=text)

    def _job(self, run: Run, job: Job, before: Job | None) -> Iterator[Seen]:
        old = before.steps if before else ()
        lines = self._lines(run, job)
        for at, step in enumerate(job.steps):
            if at >= len(old):
                yield Seen("step", run, job, Step(step.name))
            for line in (text for name, text in lines if name == step.name):
                yield Seen("output", run, job, step, line)
            if step.state != "running" and (at >= len(old) or old[at].state == "running"):
                yield Seen("step", run, job, step)
        if job.state in ENDED and (before is None or before.state not in ENDED):
            yield Seen("job", run, job)

    def _lines(self, run: Run, job: Job) -> list[tuple[str, str]]:
        """Whole lines of a job's log that were not seen yet, each with its step's name."""
        path = self._store.run_folder(run.number) / f"{job.id}.log"
        try:
            with path.open("rb") as stream:
                stream.seek(self._read.get((run.number, job.id), 0))
                new = stream.read()
        except FileNotFoundError:
            return []
        whole = new[: new.rfind(b"\n") + 1]
        self._read[run.number, job.id] = self._read.get((run.number, job.id), 0) + len(whole)
        unseen = []
        for line in filter(None, whole.decode("utf-8", "replace").splitlines()):
            if line.startswith(STEP_MARK):
                self._step[run.number, job.id] = line.removeprefix(STEP_MARK)
            else:
                unseen.append((self._step.get((run.number, job.id), ""), line))
        return unseen


def printer(store: Store, say: Callable[[Iterable[str]], None]) -> Callable[[Seen], None]:
    """Plain lines, for a hook: what a step took, what a job waits for, and what to do when a run failed."""

    def show(seen: Seen) -> None:
        place = f"{seen.run.workflow} {seen.run.number}"
        if seen.kind == "waits":
            say([f"{place}: {seen.job.id if seen.job else ''} waits for {seen.text}"])
        elif seen.kind == "step" and seen.step and seen.step.state != "running" and _told(seen.step):
            mark = "ok" if seen.step.state == "success" else seen.step.state
            say([f"{place}: {mark} {seen.step.name} ({seen.step.seconds or 0:.1f} s)"])
        elif seen.kind == "run":
            failed = explained(store, seen.run) if seen.run.state == "failure" else Explained()
            say(verdict(seen.run, failed.said))
            say(failed.lines)

    return show


def unanswered(store: Store, runs: Iterable[Run]) -> list[str]:
    """With which verb to answer the runs that wait for a person."""
    waiting = [(run, store.asked(run.number)) for run in runs if run.state not in ENDED]
    return [
        f"{run.workflow} {run.number} waits for your approval of {environment}: "
        f"mlops forge approve {run.number} && mlops forge watch {run.number}"
        for run, environment in waiting
        if environment
    ]


@dataclass(frozen=True)
class Explained:
    """What the summary of a run says of its failures."""

    said: str = ""
    """The sentence of the first verb that failed: which gate, and by how much."""
    lines: tuple[str, ...] = ()
    """The command, its exit code, and how to see it locally."""


def explained(store: Store, run: Run) -> Explained:
    """Read it from the summary that `.github/scripts/run` writes."""
    path = store.run_folder(run.number) / "summary.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    advice: list[str] = []
    said = ""
    for section in f"\n{text}".split("\n### ")[1:]:
        lines = [line for line in section.splitlines() if line]
        fences = [at for at, line in enumerate(lines) if line.startswith("~~~")]
        if lines[0].startswith("Failed: ") and len(fences) >= 2:
            code = next((line for line in lines if line.startswith("Exit code ")), "")
            if fences[0] < lines.index(code):
                said = said or lines[fences[0] + 1]
            advice += [lines[0].replace("`", ""), code, "To see it on your machine:"]
            advice += [f"  {line}" for line in lines[fences[-2] + 1 : fences[-1]]]
    return Explained(said, tuple(advice))


def verdict(run: Run, said: str = "") -> list[str]:
    """How a run stands, and why."""
    place = f"{run.workflow} {run.number}"
    if run.state not in ENDED:
        return [f"{place}: {run.state}, {run.why}"]
    took = (run.ended or 0) - (run.started or run.created)
    why = f": {said}" if said else f", {run.reason}" if run.reason else ""
    end = f"{place}: {run.state} after {took:.1f} s{why}"
    return [end, f"{place}: mlops forge log {run.number} shows it"] if run.state == "failure" else [end]


def _told(step: Step) -> bool:
    """Commands, not the actions around them."""
    return " " in step.name or step.state == "failure"

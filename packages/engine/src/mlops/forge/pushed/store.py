"""Runs of workflows on disk, below the bare repository: `actions/`.

forge.json                what this forge runs and how (`Settings`)
groups.json, lock         concurrency groups
runs/<n>/run.json         the run, written by its worker alone
        /event.json       `github.event`
        /<job>.log        what a job said
        /summary.md       what GitHub would show as the run's summary
        /cancel, <job>.waits, <job>.entered, approved-<environment>   what others and its jobs tell
        /alive            locked as long as its worker lives
        /artifacts/<name>/
code/<tree>/src           a commit's own code, kept because servers that a job started go on with it
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from mlops.errors import InvalidInput, NotFound
from mlops.forge.pushed.groups import Group, join, leave
from mlops.spec import writing

FOLDER = "actions"
State = Literal["queued", "running", "success", "failure", "cancelled", "skipped"]
APPROVAL = "an approval of environment "
"""How a job says that it waits for a person; the environment's name follows."""
STEP_MARK = "# "
"""How a line of a job's log begins that names the step whose output follows."""
ENDED = ("success", "failure", "cancelled", "skipped")


@dataclass(frozen=True)
class Settings:
    """What GitHub keeps in a repository's settings, and how jobs find what they need on this machine."""

    python: str
    """Interpreter of the virtual environment that jobs use while the lock is the one it was made from."""
    locked: str
    """Digest of that lock; see `lock_digest`."""
    state: str
    """Folder that jobs see as the local target's state; empty: they start without."""
    vars: dict[str, str] = field(default_factory=dict)
    off: dict[str, str] = field(default_factory=dict)
    """Workflows that a push does not start, each with the reason."""
    approvals: tuple[str, ...] = ()
    """Environments whose jobs wait for a person."""
    default_branch: str = "main"


@dataclass(frozen=True)
class Step:
    name: str
    state: State = "running"
    seconds: float | None = None


@dataclass(frozen=True)
class Job:
    id: str
    state: State = "running"
    started: float = 0.0
    ended: float | None = None
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Run:
    """One run of one workflow. Times are seconds since the epoch."""

    number: int
    workflow: str
    path: str
    event: str
    why: str
    ref: str
    sha: str
    actor: str
    created: float
    parent: int | None = None
    """The run that made the push or the pull request, if a run did."""
    pull: int | None = None
    state: State = "queued"
    started: float | None = None
    ended: float | None = None
    reason: str = ""
    """Why it did not succeed, in a sentence."""
    jobs: dict[str, Job] = field(default_factory=dict)


class Store:
    """`actions/` of one bare repository."""

    def __init__(self, bare: Path) -> None:
        self.bare = bare
        self.folder = bare / FOLDER
        self.runs_folder = self.folder / "runs"

    # --- settings ---------------------------------------------------------------------------------------

    @property
    def enabled(self) -> bool:
        """Whether a push to this repository starts anything."""
        return (self.folder / "forge.json").is_file()

    def settings(self) -> Settings:
        """Raises `NotFound` when this repository runs no workflows."""
        try:
            document = json.loads((self.folder / "forge.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise NotFound(f"{self.bare} runs no workflows; make it a forge with: mlops forge init") from None
        return Settings(**{**document, "approvals": tuple(document["approvals"])})

    def write_settings(self, settings: Settings) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / "forge.json", asdict(settings))

    # --- runs -------------------------------------------------------------------------------------------

    def run_folder(self, number: int) -> Path:
        return self.runs_folder / str(number)

    @contextlib.contextmanager
    def create(self, make: Callable[[int], Run], payload: dict[str, Any]) -> Iterator[tuple[Run, int]]:
        """A new run with the next number, and a descriptor: it lives as long as a process has that open."""
        with self._locked():
            number = max((int(p.name) for p in self.runs_folder.glob("*") if p.name.isdigit()), default=0) + 1
            self.run_folder(number).mkdir(parents=True)
        with (self.run_folder(number) / "alive").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            run = make(number)
            _write(self.run_folder(number) / "event.json", payload)
            self.save(run)
            yield run, stream.fileno()

    def save(self, run: Run) -> None:
        _write(self.run_folder(run.number) / "run.json", asdict(run))

    def get(self, number: int) -> Run:
        """Raises `NotFound`. A run whose worker has died is one that failed."""
        path = self.run_folder(number) / "run.json"
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise NotFound(f"there is no run {number}; see: mlops forge runs") from None
        jobs = {name: _job(job) for name, job in document.pop("jobs").items()}
        run = Run(**document, jobs=jobs)
        if run.state not in ENDED and not self.alive(number):
            # It may have written its end between the two looks.
            again = json.loads(path.read_text(encoding="utf-8"))
            if again["state"] not in ENDED:
                return replace(run, state="failure", reason="its worker has died", ended=path.stat().st_mtime)
            return self.get(number)
        return run

    def payload(self, number: int) -> dict[str, Any]:
        """`github.event` of a run."""
        document = json.loads((self.run_folder(number) / "event.json").read_text(encoding="utf-8"))
        return dict(document)

    def runs(self, after: int = 0) -> list[Run]:
        """Those with a greater number than `after`, oldest first."""
        numbers = sorted(int(p.parent.name) for p in self.runs_folder.glob("*/run.json"))
        return [self.get(number) for number in numbers if number > after]

    def alive(self, number: int) -> bool:
        """Whether a run's worker lives: the kernel drops the lock with the process, whatever ended it."""
        try:
            with (self.run_folder(number) / "alive").open("r") as stream:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def cancel(self, number: int, reason: str) -> None:
        """Ask a run to end; the first reason stands."""
        with contextlib.suppress(FileExistsError):
            (self.run_folder(number) / "cancel").open("x", encoding="utf-8").write(reason)

    def cancelled(self, number: int) -> str:
        """Why a run shall end; empty when it need not."""
        return self._told(number, "cancel")

    def approve(self, number: int, environment: str, by: str, why: str = "") -> None:
        """Let the jobs of a run into an environment; raises `InvalidInput` when it asks for no approval."""
        asking = self.settings().approvals
        if environment not in asking:
            raise InvalidInput(f"{environment} asks for no approval; these do: {', '.join(asking) or 'none'}")
        self.get(number)
        said = self.approvals(number, environment)
        if by not in (one["by"] for one in said):
            said.append({"by": by, "at": datetime.now(UTC).isoformat(timespec="seconds"), "why": why})
            lines = "\n".join(map(json.dumps, said))
            _write_text(self.run_folder(number) / f"approved-{environment}", lines)

    def approved(self, number: int, environment: str) -> str:
        """Who approved; empty while nobody has."""
        return ", ".join(one["by"] for one in self.approvals(number, environment))

    def approvals(self, number: int, environment: str) -> list[dict[str, str]]:
        """Everybody who approved: `by`, `at` and `why`, in the order in which they did."""
        return [json.loads(line) for line in self._told(number, f"approved-{environment}").splitlines()]

    def entered(self, number: int, job: str) -> str:
        """The environment that a job of a run was let into; empty for none."""
        return self._told(number, f"{job}.entered")

    def set_entered(self, number: int, job: str, environment: str) -> None:
        _write_text(self.run_folder(number) / f"{job}.entered", environment)

    def asked(self, number: int) -> str:
        """The environment that a job of a run waits for; empty when none does."""
        for path in sorted(self.run_folder(number).glob("*.waits")):
            text = self._told(number, path.name)
            if text.startswith(APPROVAL):
                return text.removeprefix(APPROVAL)
        return ""

    def waits(self, number: int, job: str) -> str:
        """What a job waits for before its first step; empty when for nothing."""
        return self._told(number, f"{job}.waits")

    def set_waits(self, number: int, job: str, what: str) -> None:
        path = self.run_folder(number) / f"{job}.waits"
        if what:
            _write_text(path, what)
        else:
            path.unlink(missing_ok=True)

    def _told(self, number: int, name: str) -> str:
        try:
            return (self.run_folder(number) / name).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""

    # --- concurrency groups -----------------------------------------------------------------------------

    def join(self, name: str, member: str, cancel: bool) -> tuple[str, ...]:
        """Enter a group; the members that must end because of it, which are told so."""
        with self._groups() as groups:
            group, dropped = join(groups.get(name, Group()), member, cancel)
            groups[name] = group
        number = member.partition("/")[0]
        for other in dropped:
            run, _, job = other.partition("/")
            # A job that waits sees by itself that it was replaced; act cannot end one job of several.
            if not job or other == group.running:
                self.cancel(int(run), f"run {number} takes its place in the group {name}")
        return dropped

    def standing(self, name: str, member: str) -> Literal["running", "waiting", "out"]:
        """Where a member is in its group now."""
        with self._groups() as groups:
            group = groups.get(name, Group())
        if member == group.running:
            return "running"
        return "waiting" if member == group.waiting else "out"

    def leave(self, member: str) -> None:
        """Out of every group; a run takes its jobs along."""
        with self._groups() as groups:
            _drop(groups, lambda other: other == member or other.startswith(f"{member}/"))

    @contextlib.contextmanager
    def _groups(self) -> Iterator[dict[str, Group]]:
        """To read and change; members whose worker has died have left."""
        path = self.folder / "groups.json"
        with self._locked():
            document = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            groups = {name: Group(**group) for name, group in document.items()}
            _drop(groups, lambda member: not self.alive(int(member.partition("/")[0])))
            yield groups
            _write(path, {name: asdict(g) for name, g in groups.items() if g.running or g.waiting})

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.runs_folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    # --- the end ----------------------------------------------------------------------------------------

    def forget_work(self, number: int) -> None:
        """Remove what only the running job needed."""
        for name in ("source", "work"):
            shutil.rmtree(self.run_folder(number) / name, ignore_errors=True)


def _drop(groups: dict[str, Group], gone: Callable[[str], bool]) -> None:
    for name, group in list(groups.items()):
        for member in (group.waiting, group.running):
            if member is not None and gone(member):
                groups[name] = leave(groups[name], member)


def _job(found: dict[str, Any]) -> Job:
    return Job(**{**found, "steps": tuple(Step(**step) for step in found["steps"])})


def _write(path: Path, value: Any) -> None:
    _write_text(path, json.dumps(value, indent=1))


def _write_text(path: Path, text: str) -> None:
    writing.write(path, text, durable=False)

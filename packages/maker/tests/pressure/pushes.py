"""A row about what a push starts: the worker of a run."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from git_world import git

from mlops.forge.pushed import act, warm
from mlops.forge.pushed.store import Run, Settings, Store
from mlops.forge.pushed.worker import Worker
from tests.pressure.processes import CLEAN, ended, forked, killed

WORKFLOW = """\
name: ci
on: push
concurrency: {group: ci, cancel-in-progress: false}
jobs:
  one:
    runs-on: ubuntu-latest
    steps: [{run: echo}]
"""
PAYLOAD = {"repository": {"full_name": "local/origin", "owner": {"login": "local"}}}
_ACT = """\
import json, time
at = {"time": "2026-03-01T12:00:00Z", "jobID": "one", "level": "info"}
step = {**at, "stage": "Main", "stepID": ["0"], "step": "Main echo"}
for line in (
    {**step, "msg": "\\u2b50 Run Main echo"},
    {**step, "msg": "done", "stepResult": "success", "executionTime": 1},
    {**at, "msg": "ended", "jobResult": "success"},
):
    time.sleep(0.1)
    print(json.dumps(line), flush=True)
"""
"""In place of act: a job with one step."""


def kills_of_push_worker(times: int, folder: Path) -> dict[str, int]:
    """The worker of a push dies at any moment: its run says so, and the next of its group goes on."""
    chance = random.Random(7)  # noqa: S311
    store = _forge(folder)
    with _act_stands_in():
        at_work = sum(_killed_once(store, chance, again=number % 2 == 0) for number in range(times))
    return {"kills": times, "while at work": at_work, "runs held back": 0}


def _killed_once(store: Store, chance: random.Random, *, again: bool) -> bool:
    with store.create(_made(store), PAYLOAD) as (run, _):
        store.join("ci", str(run.number), cancel=False)
        at_work = killed(Worker(store, run.number).work, chance.uniform(0.0, 0.6))
    until = time.monotonic() + 30
    while store.alive(run.number):  # what it was just starting lets go as soon as it has begun
        assert time.monotonic() < until, "a dead worker is taken for a living one"
        time.sleep(0.01)
    died = store.get(run.number)
    assert (died.state, died.reason) in (("failure", "its worker has died"), ("success", "")), died
    if again:
        with store.create(_made(store), PAYLOAD) as (run, _):
            store.join("ci", str(run.number), cancel=False)
            assert ended(forked(Worker(store, run.number).work)) == CLEAN
        assert store.get(run.number).state == "success", store.get(run.number)
    assert [r.number for r in store.runs()] == list(range(1, run.number + 1)), "no run is lost"
    return at_work


def _forge(folder: Path) -> Store:
    bare, clone = folder / "origin.git", folder / "clone"
    git(folder, "init", "-q", "--bare", "-b", "main", str(bare))
    git(folder, "clone", "-q", str(bare), str(clone))
    (clone / ".github/workflows").mkdir(parents=True)
    (clone / ".github/workflows/ci.yml").write_text(WORKFLOW)
    git(clone, "checkout", "-q", "-B", "main")
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "-m", "Start")
    git(clone, "push", "-q", "origin", "HEAD:main")
    store = Store(bare)
    store.write_settings(Settings(python=sys.executable, locked="", state=str(folder / "state")))
    return store


@contextmanager
def _act_stands_in() -> Iterator[None]:
    command = [sys.executable, "-c", _ACT]
    with (
        mock.patch.object(act, "command", lambda *_: list(command)),
        mock.patch.object(act, "context", lambda *_: {}),
        mock.patch.object(warm, "start", lambda *_: None),
    ):
        yield


def _made(store: Store):
    sha = git(store.bare, "rev-parse", "main")

    def make(number: int) -> Run:
        return Run(
            number=number,
            workflow="ci",
            path=".github/workflows/ci.yml",
            event="push",
            why="",
            ref="refs/heads/main",
            sha=sha,
            actor="ada",
            created=time.time(),
            parent=None,
            pull=None,
        )

    return make

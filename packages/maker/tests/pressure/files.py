"""Rows about what lies on a disk: processes that die, disks that are full, two people at once."""

from __future__ import annotations

import errno
import itertools
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from engine_world import MODEL, write_artifact
from event_world import event
from git_world import GitWorld, git
from tiny_pipeline import MemoryTracker, Project, write_project

from mlops.errors import MlopsError
from mlops.events.outbox import Outbox
from mlops.lifecycle.desired.check import check
from mlops.lifecycle.propose.promote import promote, rollback
from mlops.serving.http.state import following_keys, keep_keys, read_keys
from mlops.spec import writing
from mlops.targets.base import JournalEntry
from mlops.targets.local.store import LocalStore
from tests.pressure.processes import CLEAN, SENTENCE, ended, forked, killed

Verb = Callable[[], object]


def entry(number: int) -> JournalEntry:
    return JournalEntry(datetime.now(UTC), "step", MODEL, number, "ada", "0" * 40, {"number": number})


# --- SIGKILL ----------------------------------------------------------------------------------------


def kills_of_train(times: int, folder: Path) -> dict[str, int]:
    """A training dies at any moment; the next one ends, from what was finished, and no run is left open."""
    chance = random.Random(1)  # noqa: S311
    write_project(folder)
    os.environ["COUNTER"] = str(folder / "counter")
    project = Project(folder, MemoryTracker(folder / "tracker.json"), folder / "counter")
    at_work = sum(killed(project.run, chance.uniform(0.0, 0.5)) for _ in range(times))
    project.tracker.load()
    result = project.run()
    project.tracker.load()
    states = {run["status"] for run in project.tracker.runs.values()}
    assert "RUNNING" not in states, states
    assert (result.outputs["left.out"]).is_dir() and not list((project.state / "cache" / "tmp").iterdir())
    return {"kills": times, "while at work": at_work, "runs left open": 0}


def kills_of_promote(times: int, folder: Path) -> dict[str, int]:
    """A promotion dies at any moment; run again, there is one pull request and the checkout is untouched."""
    chance = random.Random(2)  # noqa: S311
    world = people(folder)
    verb = verbs(world)["promote"]
    head = git(world.root, "rev-parse", "HEAD")
    at_work = 0
    for _ in range(times):
        at_work += killed(verb, chance.uniform(0.0, 0.5))
        verb()
        assert len(world.forge.list_open()) == 1, "one branch has one pull request"
        assert git(world.root, "rev-parse", "HEAD") == head and git(world.root, "status", "--porcelain") == ""
        assert git(world.bare, "fsck", "--no-dangling", "--no-progress") == ""
    return {"kills": times, "while at work": at_work, "pull requests": 1}


def kills_of_journal_and_outbox(times: int, folder: Path) -> dict[str, int]:
    """Who writes the journal, keys or events dies at any moment; all that was said is there."""
    chance = random.Random(3)  # noqa: S311
    store, outbox = LocalStore(folder), Outbox(folder / "outbox.db")
    keys = folder / "keys"
    keys.mkdir()

    def write() -> None:
        for number in itertools.count():
            store.append("prod", entry(number))
            outbox.add(event(number + 1), ["team"])
            keep_keys(keys, following_keys(keys))

    seen = 0
    for _ in range(times):
        killed(write, chance.uniform(0.01, 0.2))
        entries = LocalStore(folder).entries("prod", MODEL)
        assert len(entries) >= seen, "an entry that was there is gone"
        seen = len(entries)
        read_keys(keys)
        Outbox(folder / "outbox.db").events(10)
    return {"kills": times, "entries kept": seen}


# --- a disk that is full or read-only ---------------------------------------------------------------


@contextmanager
def failing(at: int, number: int) -> Iterator[list[int]]:
    """The `at`-th write of `mlops.spec.writing` fails; how many there were."""
    count = [0]
    wrapped = {name: getattr(writing, name) for name in ("_draft", "sync")}

    def wrap(name: str) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            count[0] += 1
            if count[0] == at:
                raise OSError(number, "the disk of this test")
            return wrapped[name](*args)

        return call

    for name in wrapped:
        setattr(writing, name, wrap(name))
    try:
        yield count
    finally:
        for name, original in wrapped.items():
            setattr(writing, name, original)


def disks_that_are_full(times: int, folder: Path) -> dict[str, int]:
    """Each write of a journal entry or a key fails once, full or read-only; nothing old is lost or half."""
    chance = random.Random(4)  # noqa: S311
    store, failed, written = LocalStore(folder), 0, 0
    keys = folder / "keys"
    keys.mkdir()
    keep_keys(keys, following_keys(keys))

    def work() -> None:
        store.append("prod", entry(written))
        keep_keys(keys, following_keys(keys))

    for number in range(times):
        before = (len(store.entries("prod")), read_keys(keys))
        kind = (errno.ENOSPC, errno.EROFS)[number % 2]
        with failing(chance.randrange(1, 12), kind):
            try:
                work()
                written += 1
            except (OSError, MlopsError):
                failed += 1
        after = LocalStore(folder).entries("prod")
        assert len(after) >= before[0] and read_keys(keys) is not None, "something old is lost or half"
        work()
        written += 1
        assert not list(keys.glob(".*.tmp")), "a draft was left"
    return {"writes that failed": failed, "lost or half": 0}


# --- two people at once -----------------------------------------------------------------------------


def people(folder: Path) -> GitWorld:
    """Three releases; staging serves the third, prod the first and can be promoted or rolled back."""
    world = GitWorld(folder, write_artifact(folder / "artifact"))
    for version in (1, 2):
        world.released()
        world.stage(version, replaces=version - 1 or None)
        world.run("staging")
        world.clock.sleep(7200)
        world.stage(version, env="prod", replaces=version - 1 or None)
        world.run("prod")
    world.stage(world.released(), replaces=2)
    world.run("staging")
    world.clock.sleep(7200)
    return world


def verbs(world: GitWorld) -> dict[str, Verb]:
    """What two people may type in two checkouts of one repository."""
    now = world.clock.now()
    common = {"actor": "ada", "now": now}
    return {
        "promote": lambda: promote(world.root, world.target, world.forge, "prod", MODEL, **common),
        "rollback": lambda: rollback(
            world.root, world.target, world.forge, "prod", MODEL, reason="late", **common
        ),
        "check": lambda: check(world.root, "HEAD~1", now=now, target=world.target),
        "apply": lambda: world.run("prod"),
        "journal": lambda: LocalStore(world.root.parent / "state").append("prod", entry(1)),
    }


def pairs_of_people(times: int, folder: Path) -> dict[str, int]:
    """Two run any two verbs at once: each ends well or with a sentence, and the repository is whole."""
    world = people(folder)
    known = verbs(world)
    refused = done = 0
    for number in range(times):
        for pair in itertools.combinations_with_replacement(known, 2):
            codes = [ended(pid) for pid in [forked(known[name]) for name in pair]]
            assert set(codes) <= {CLEAN, SENTENCE}, f"{' and '.join(pair)}: {codes}"
            refused += codes.count(SENTENCE)
            done += codes.count(CLEAN)
        branches = [request.branch for request in world.forge.list_open()]
        assert len(branches) == len(set(branches)), f"round {number}: {branches}"
        assert git(world.bare, "fsck", "--no-dangling", "--no-progress") == ""
        for request in world.forge.list_open():
            text = git(world.bare, "show", f"{request.branch}:environments/prod/freight.yaml")
            assert yaml.safe_load(text)["release"] in (1, 2, 3)
    return {"pairs": times * 15, "done": done, "refused with a sentence": refused}

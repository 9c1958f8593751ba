"""Whoever looks on at runs is let go when only a person can move them on: a push that never returned
was taken for one that hangs, and its approval for a fault."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from mlops.forge.pushed.store import APPROVAL, Job, Run, Settings, Store
from mlops.forge.pushed.watch import Seen, Watcher, follow, unanswered

ENVIRONMENT = "prod-promote"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path)
    made.write_settings(Settings(python="", locked="", state="", approvals=(ENVIRONMENT,)))
    return made


@pytest.fixture
def run(store: Store):
    """A run with one job that goes on, and a worker that lives as long as the test."""
    made = Run(1, "release", "release.yml", "push", "", "refs/heads/main", "0" * 40, "ada", time.time())
    with store.create(lambda number: replace(made, number=number), {}) as (queued, _):
        begun = replace(queued, state="running", jobs={"prod": Job("prod")})
        store.save(begun)
        yield begun


def stuck(store: Store, run: Run) -> bool:
    watcher = Watcher(store, [run.number])
    list(watcher.look())
    return watcher.stuck


def test_a_run_that_asks_for_an_approval_lets_the_onlooker_go(store: Store, run: Run) -> None:
    store.set_waits(run.number, "prod", f"{APPROVAL}{ENVIRONMENT}")
    seen: list[Seen] = []
    assert [r.state for r in follow(store, [run.number], seen.append)] == ["running"]
    assert [s.text for s in seen if s.kind == "waits"] == [f"{APPROVAL}{ENVIRONMENT}"]
    (line,) = unanswered(store, [run])
    assert f"mlops forge approve {run.number}" in line


@pytest.mark.parametrize(
    ("waits", "approved", "expected"),
    [
        ("", "", False),
        ("the group release-prod", "", False),
        (f"{APPROVAL}{ENVIRONMENT}", "", True),
        (f"{APPROVAL}{ENVIRONMENT}", "bea", False),
    ],
)
def test_only_an_approval_that_nobody_has_given_is_waited_for(
    store: Store, run: Run, waits: str, approved: str, expected: bool
) -> None:
    store.set_waits(run.number, "prod", waits)
    if approved:
        store.approve(run.number, ENVIRONMENT, approved)
    assert stuck(store, run) is expected


def test_another_job_that_still_works_is_looked_at(store: Store, run: Run) -> None:
    store.set_waits(run.number, "prod", f"{APPROVAL}{ENVIRONMENT}")
    store.save(replace(run, jobs={**run.jobs, "staging": Job("staging")}))
    assert not stuck(store, run)
    store.save(replace(run, jobs={**run.jobs, "staging": Job("staging", state="success")}))
    assert stuck(store, run)


def test_another_run_that_still_works_is_looked_at(store: Store, run: Run) -> None:
    store.set_waits(run.number, "prod", f"{APPROVAL}{ENVIRONMENT}")
    with store.create(lambda number: replace(run, number=number, jobs={}), {}) as (other, _):
        watcher = Watcher(store, [run.number, other.number])
        list(watcher.look())
        assert not watcher.stuck
        store.save(replace(other, state="success"))
        list(watcher.look())
        assert watcher.stuck


def test_a_run_that_has_ended_waits_for_nobody(store: Store, run: Run) -> None:
    store.set_waits(run.number, "prod", f"{APPROVAL}{ENVIRONMENT}")
    ended = replace(run, state="cancelled")
    store.save(ended)
    assert not stuck(store, run)
    assert unanswered(store, [ended]) == []

"""Who lets a job into an environment is known to the job, and nobody's yes is forgotten for another's."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from mlops.forge.approved import approvals
from mlops.forge.pushed.store import Settings, Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    asking = ("prod-promote", "staging-promote")
    monkeypatch.setattr(Store, "settings", lambda _: Settings("", "", "", approvals=asking))
    monkeypatch.setattr(Store, "get", lambda *_: None)
    made = Store(tmp_path)
    made.run_folder(4).mkdir(parents=True)
    return made


def inside(store: Store, job: str) -> dict[str, str]:
    """What a job of run 4 sees."""
    return {"MLOPS_FORGE": str(store.bare), "MLOPS_FORGE_RUN": "4", "GITHUB_JOB": job}


def test_two_people_who_say_yes_are_both_known_with_when_and_why(store: Store) -> None:
    store.set_entered(4, "prod", "prod-promote")
    assert approvals(inside(store, "prod")) == []
    for by, why in (("bea", "seen"), ("cy", "night's flights,\nboth"), ("bea", "again")):
        store.approve(4, "prod-promote", by, why)
    assert store.approved(4, "prod-promote") == "bea, cy"
    found = approvals(inside(store, "prod"))
    assert [(one["by"], one["why"]) for one in found] == [("bea", "seen"), ("cy", "night's flights,\nboth")]
    assert {one["rule"] for one in found} == {"environment prod-promote"}
    assert all(datetime.fromisoformat(one["at"]).tzinfo is not None for one in found)


def test_each_job_tells_of_its_own_environment(store: Store) -> None:
    """The job that applies staging asked nobody for prod, and a job without an environment nobody at all."""
    store.set_entered(4, "prod", "prod-promote")
    store.set_entered(4, "staging", "staging-promote")
    store.approve(4, "prod-promote", "bea")
    assert approvals(inside(store, "staging")) == [] == approvals(inside(store, "changed"))
    assert [one["by"] for one in approvals(inside(store, "prod"))] == ["bea"]


def test_outside_of_a_job_nobody_was_asked() -> None:
    assert approvals({}) == [] == approvals({"MLOPS_FORGE": "/x", "MLOPS_FORGE_RUN": ""})

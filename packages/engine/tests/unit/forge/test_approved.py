"""Who lets a job into an environment is known to the job, and nobody's yes is forgotten for another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.forge.approved import approvals
from mlops.forge.pushed.store import Settings, Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(Store, "settings", lambda _: Settings("", "", "", approvals=("prod",)))
    monkeypatch.setattr(Store, "get", lambda *_: None)
    made = Store(tmp_path)
    made.run_folder(4).mkdir(parents=True)
    return made


def test_two_people_who_say_yes_are_both_known(store: Store) -> None:
    assert approvals("prod", {"MLOPS_FORGE": str(store.bare), "MLOPS_FORGE_RUN": "4"}) == []
    for by in ("bea", "cy", "bea"):
        store.approve(4, "prod", by)
    assert store.approved(4, "prod") == "bea, cy"
    found = approvals("prod", {"MLOPS_FORGE": str(store.bare), "MLOPS_FORGE_RUN": "4"})
    assert found == [{"by": name, "rule": "environment prod"} for name in ("bea", "cy")]


def test_outside_of_a_job_nobody_was_asked() -> None:
    assert approvals("prod", {}) == [] == approvals("prod", {"MLOPS_FORGE": "/x", "MLOPS_FORGE_RUN": ""})

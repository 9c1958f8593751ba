"""A training that was submitted ends like one that was waited for, whoever asks and how often."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from template_copy import Repository

pytestmark = [pytest.mark.slow, pytest.mark.e2e]


@pytest.fixture
def fresh(tmp_path: Path, raw_sample: Path) -> Iterator[Repository]:
    made = Repository.make(tmp_path, raw_sample)
    yield made
    made.stop()


def test_a_submitted_training_is_resumed_from_another_process(fresh: Repository) -> None:
    commit = fresh.git("rev-parse", "HEAD")
    name = fresh.spawn("train", "--detach").ok().out.strip()
    # The run has its own copy: what changes meanwhile is not in the model.
    step = fresh.root / "packages/runtime/src/mlops/steps/evaluate.py"
    step.write_text("raise SystemExit('edited meanwhile')\n", encoding="utf-8")

    first = fresh.spawn("train", "--resume", name).ok()
    assert "flights version 1 is registered" in first.out
    assert "✓ register" in first.err
    assert fresh.spawn("train", "--resume", name, "--json").ok().json["new"] is True

    fresh.git("checkout", "--quiet", "--", "src")
    (version,) = fresh.call("versions", "list", "--json").ok().json
    assert version["commit"] == commit
    assert "nothing changed: this is flights version 1" in fresh.spawn("train").ok().out
    fresh.spawn("train", "--resume", "flights-0").refused(
        6, "there is no run 'flights-0'", f"newest is {name}"
    )

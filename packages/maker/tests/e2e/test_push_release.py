"""The repository's own workflows, started by `git push`: train, gate, release, staging; on a sample of data.

One push does it all, as on GitHub: what `train` proposes is merged by policy, and the merge starts `release`.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from template_copy import MODEL, Repository

from mlops.forge.pushed.install import install
from mlops.forge.pushed.store import Store

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def repository(raw_sample: Path, tmp_path: Path) -> Iterator[Repository]:
    made = Repository.make(tmp_path, raw_sample)
    off = {"ci": "it would run these tests"}
    install(made.origin, made.root, made.root / ".mlops", off=off, approvals=())
    yield made
    made.stop()


def push(repository: Repository, **variables: str) -> str:
    """What the forge said."""
    done = subprocess.run(
        ["git", "-C", str(repository.root), "push", "--quiet"],
        env=repository.env | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


def test_a_push_that_touches_the_model_trains_releases_and_serves_it(repository: Repository) -> None:
    store = Store(repository.origin)
    with repository.edited("README.md", "# Machine learning", "# Learning"):
        repository.commit("Words")
    assert "nothing to do" in push(repository)

    training = repository.root / "pipelines" / MODEL / "training.yml"
    training.write_text(training.read_text().replace("max_iter: 200", "max_iter: 20"))
    commit = repository.commit("Learn less")
    said = push(repository)
    runs = store.runs()
    assert [(r.workflow, r.state, r.parent) for r in runs] == [
        (f"train-{MODEL}", "success", None),
        ("release", "success", 1),
    ], said
    assert "passes all gates" in (store.run_folder(1) / "summary.md").read_text()

    [version] = repository.target.registry.versions(MODEL)
    assert version.tags["mlops.commit"] == commit, "a version must name the commit that was pushed"
    assert version.tags["mlops.dirty"] == "false", "links of the runner made the checkout dirty"
    repository.git("pull", "--quiet", "--ff-only")
    assert (repository.root / "releases" / MODEL / "1.yaml").is_file()
    rows = {row["env"]: row for row in repository.call("status", "--json").ok().json}
    assert (rows["staging"]["served"], rows["staging"]["health"]) == (1, "serving")
    assert rows["prod"]["served"] is None

    # A merge by the forge starts workflows as a push does; one that a gate blocks says what to type.
    policy = repository.root / "pipelines" / MODEL / "model.yaml"
    policy.write_text(policy.read_text().replace("min: 0.55", "min: 0.99"))
    repository.commit("A limit that nothing can meet")
    said = push(repository)
    assert f"train-{MODEL} 3: failure" in said
    assert "Failed: mlops gate" in said
    assert "Exit code 3: blocked" in said
    workflows = [r.workflow for r in store.runs()]
    assert workflows == [f"train-{MODEL}", "release", f"train-{MODEL}"], "a blocked model was released"


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def test_a_training_that_is_cancelled_leaves_no_run_that_nobody_ends(repository: Repository) -> None:
    store = Store(repository.origin)
    training = repository.root / "pipelines" / MODEL / "training.yml"
    training.write_text(training.read_text().replace("max_iter: 200", "max_iter: 2000"))
    repository.commit("Learn for long")
    push(repository, MLOPS_FORGE_FOLLOW="0")
    until(lambda: len(repository.runs("RUNNING")) > 1, "no step of the training ever runs")
    store.cancel(1, "not wanted")
    until(lambda: store.get(1).state == "cancelled", "the run of the workflow does not end")
    until(lambda: repository.runs("RUNNING") == [], "a tracked run stays open")
    assert repository.runs("KILLED")
    assert repository.target.registry.versions(MODEL) == []

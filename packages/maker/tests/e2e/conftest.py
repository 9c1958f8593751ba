"""One lifecycle for the whole session, told in chapters: each fixture is a verb and stands on the one before.

A test may ask for any chapter alone; the ones before it then run first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_forge import Forge
from template_copy import MODEL, REVIEWER, Chapter, Repository

from mlops.forge.pushed.store import ENDED


@pytest.fixture(scope="session")
def repository(raw_sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """A commit of the template, with a sample of the data and nothing trained."""
    made = Repository.make(tmp_path_factory.mktemp("lifecycle"), raw_sample)
    yield made
    made.stop()


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    # These tests may themselves run in a job of a local forge.
    for name in [name for name in os.environ if name.startswith(("MLOPS_FORGE", "GITHUB_"))]:
        monkeypatch.delenv(name)
    made = Forge(tmp_path)
    yield made
    for run in made.store.runs():
        if run.state not in ENDED:
            made.store.cancel(run.number, "the test is over")
            made.ended(run.number)


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Repository]:
    """The template as cloned, without data or a forge: what `mlops demo` starts from, and cleans up."""
    made = Repository.cloned(tmp_path)
    # Longer than any verb of the other tests: a demo trains up to four times.
    made.seconds = 1300
    yield made
    made.spawn("demo", "--clean")


@pytest.fixture(scope="session")
def trained(repository: Repository) -> Chapter:
    """Version 1."""
    return Chapter(repository, repository.spawn("train").ok(), repository.git("rev-parse", "HEAD"))


@pytest.fixture(scope="session")
def repeated(trained: Chapter) -> Chapter:
    """Training again at the same commit, which the next chapters leave."""
    return Chapter(trained.repository, trained.repository.spawn("train", "--json").ok(), trained.commit)


@pytest.fixture(scope="session")
def judged(repeated: Chapter) -> Chapter:
    """Version 1 passed its gates."""
    return Chapter(repeated.repository, repeated.repository.call("gate", "--json").ok(), repeated.commit)


@pytest.fixture(scope="session")
def released(judged: Chapter) -> Chapter:
    """Release 1 is committed, and staging asks for it."""
    done = judged.repository.call("release", "--json").ok()
    commit = judged.repository.commit(f"Release {MODEL} 1 to staging")
    judged.repository.git("push", "--quiet")
    return Chapter(judged.repository, done, commit)


@pytest.fixture(scope="session")
def staged(released: Chapter) -> Chapter:
    """Staging serves release 1."""
    return Chapter(released.repository, released.repository.spawn("apply", "staging").ok(), released.commit)


@pytest.fixture(scope="session")
def promoted(staged: Chapter) -> Chapter:
    """The pull request for prod is merged and fetched."""
    repository = staged.repository
    done = repository.call("promote", "prod", "--json").ok()
    repository.spawn("pr", "merge", str(done.json["pull_request"]["number"]), "--approver", REVIEWER).ok()
    repository.git("pull", "--quiet", "--ff-only")
    return Chapter(repository, done, repository.git("rev-parse", "HEAD"))


@pytest.fixture(scope="session")
def pending(promoted: Chapter) -> Chapter:
    """What `diff` says between the merge and the apply."""
    return Chapter(promoted.repository, promoted.repository.call("diff", "prod", "--json"), promoted.commit)


@pytest.fixture(scope="session")
def live(pending: Chapter) -> Chapter:
    """Prod serves release 1."""
    done = pending.repository.call("apply", "prod", "--json").ok()
    return Chapter(pending.repository, done, pending.commit)

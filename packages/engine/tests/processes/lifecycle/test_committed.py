"""A version's source is told by content: the files that it was trained from, once committed, are its source.

Whoever trains, judges, commits and then releases is not sent back to train what is trained already; and no
version is released that names a commit with other files.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from judged_world import TAGS, judged
from judged_world import JudgedWorld as World

from mlops.errors import Blocked
from mlops.lifecycle.train.committed import committed
from mlops.lifecycle.train.lineage import checkout
from mlops.lifecycle.train.source import TREE, work_tree

FILES = {
    "src/freight/model.py": "rate = 1\n",
    "src/other/model.py": "rate = 1\n",
    "src/other_team.py": "x = 1\n",
    "pipelines/other/training.yml": "a: 1\n",
    "pipelines/freight/training.yml": "experiment_name: freight\n",
    "README.md": "x\n",
    "uv.lock": "version = 1\n",
}
TWO = '[project]\nname = "test"\n[models.freight]\nusecase = "freight"\n[models.other]\nusecase = "other"\n'


class Repository(World):
    """A world whose repository is one of git."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for name, text in {**FILES, "mlops.toml": TWO}.items():
            self.write(name, text)
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "Ada")
        self.git("config", "user.email", "ada@example.org")
        self.commit("Begin")

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", *words], cwd=self.root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")

    def train(self) -> int:
        """A version of what lies in the checkout, judged."""
        now = checkout(self.root, "freight")
        tags = {**TAGS, **now.as_tags(), TREE: work_tree(self.root, now.dirty)}
        version: int = self.add("good", tags=tags)
        assert self.gate(version).passed
        return version


@pytest.fixture
def world(empty: Path, tmp_path: Path) -> Iterator[Repository]:
    import shutil

    shutil.copytree(empty / "state", tmp_path / "state")
    with judged():
        yield Repository(tmp_path)


def test_trained_judged_committed_and_released(world: Repository) -> None:
    world.write("src/freight/model.py", "rate = 2\n")
    world.write("src/freight/new.py", "x = 1\n")
    version = world.train()
    assert world.registry.get("freight", version).tags["mlops.dirty"] == "true"
    commit = world.commit("A better rate")
    source = world.release().release.source
    assert (source.commit, source.branch, source.dirty) == (commit, "main", False)
    tags = world.registry.get("freight", version).tags
    assert (tags["mlops.commit"], tags["mlops.dirty"]) == (commit, "false")
    assert world.release().written == (), "the record of the release holds with the commit that was found"


@pytest.mark.parametrize(
    ("after", "named"),
    [
        ({}, "src/freight/model.py"),
        ({"src/freight/model.py": "rate = 3\n"}, "src/freight/model.py"),
        ({"src/freight/model.py": "rate = 2\n", "uv.lock": "version = 2\n"}, "uv.lock"),
        (
            {"src/freight/model.py": "rate = 2\n", "mlops.toml": TWO.replace('"freight"', '"f"', 1)},
            "mlops.toml",
        ),
    ],
    ids=["nothing was committed", "something else was", "and a package", "and another use case"],
)
def test_other_files_are_another_source(world: Repository, after: dict[str, str], named: str) -> None:
    before = world.git("rev-parse", "HEAD")
    world.write("src/freight/model.py", "rate = 2\n")
    version = world.train()
    for name, text in after.items():
        world.write(name, text)
    if after:
        world.commit("Something")
    with pytest.raises(Blocked) as said:
        world.release()
    assert named in str(said.value)
    tags = world.registry.get("freight", version).tags
    assert (tags["mlops.commit"], tags["mlops.dirty"]) == (before, "true")
    assert not (world.root / "releases").exists()


def amended(world: Repository) -> None:
    world.git("commit", "-q", "--amend", "-m", "Better words")


def rebased(world: Repository) -> None:
    world.git("branch", "work")
    world.git("reset", "-q", "--hard", "HEAD~1")
    world.write("README.md", "somebody else's\n")
    world.commit("Meanwhile")
    world.git("checkout", "-q", "work")
    world.git("rebase", "-q", "main")


def squashed(world: Repository) -> None:
    world.git("branch", "work")
    world.git("reset", "-q", "--hard", "HEAD~1")
    world.git("merge", "-q", "--squash", "work")
    world.git("commit", "-qm", "Squashed")


@pytest.mark.parametrize("moves", [amended, rebased, squashed])
def test_a_commit_that_was_written_anew_with_the_same_files_is_the_source(
    world: Repository, moves: Callable[[Repository], None]
) -> None:
    world.write("src/freight/model.py", "rate = 2\n")
    old = world.commit("A better rate")
    world.train()
    moves(world)
    source = world.release().release.source
    assert source.commit == world.git("rev-parse", "HEAD") != old


@pytest.mark.parametrize(
    ("name", "text", "dirty"),
    [
        ("README.md", "y\n", False),
        ("src/other/model.py", "rate = 2\n", False),
        ("src/other/new.py", "x = 1\n", False),
        ("pipelines/other/training.yml", "a: 2\n", False),
        ("mlops.toml", TWO + '[models.third]\nusecase = "third"\n', False),
        ("mlops.toml", TWO.replace('usecase = "freight"', 'usecase = "f"'), True),
        ("src/other_team.py", "x = 2\n", True),
        ("src/freight/new.py", "x = 1\n", True),
        ("pipelines/freight/training.yml", "a: 2\n", True),
        ("pyproject.toml", "[project]\n", True),
    ],
)
def test_only_what_the_training_reads_makes_it_uncommitted(
    world: Repository, name: str, text: str, dirty: bool
) -> None:
    world.write(name, text)
    assert checkout(world.root, "freight").dirty is dirty


def test_code_of_another_model_that_this_one_imports_is_its_own(world: Repository) -> None:
    world.write("src/freight/model.py", "from other.model import rate\n")
    world.commit("Share the rate")
    world.write("src/other/model.py", "rate = 2\n")
    assert checkout(world.root, "freight").dirty


def test_a_later_run_of_a_commit_that_made_the_same_artifact_is_the_source(world: Repository) -> None:
    """As where CI trains again what somebody trained on another machine, whose files are not there."""
    world.write("src/freight/model.py", "rate = 2\n")
    version = world.train()
    record = world.registry.get("freight", version)
    world.registry.tag("freight", version, {TREE: "d" * 40})
    commit = world.commit("A better rate")
    with pytest.raises(Blocked, match="this clone does not have"):
        world.release()
    run = world.tracker.create_parent(
        "freight",
        "again",
        {
            "mlops.version": str(version),
            "mlops.digest": record.tags["mlops.digest"],
            **checkout(world.root, "freight").as_tags(),
        },
    )
    world.tracker.finish(run, "FINISHED")
    assert world.release().release.source.commit == commit


@pytest.mark.parametrize("said", [None, "", "true", "unknown"])
@pytest.mark.parametrize("tree", ["", "0" * 40])
def test_a_version_of_which_nobody_knows_the_files_is_not_released(
    world: Repository, said: str | None, tree: str
) -> None:
    version = world.add("good", tags={**TAGS, "mlops.commit": world.git("rev-parse", "HEAD")})
    there = world.registry.get("freight", version)
    tags = {**there.tags, TREE: tree, "mlops.dirty": said}
    unknown = replace(there, tags={name: text for name, text in tags.items() if text is not None})
    with pytest.raises(Blocked):
        committed(world.root, world.registry, unknown)
    known = replace(there, tags={**there.tags, "mlops.dirty": "False"})
    assert committed(world.root, world.registry, known) == known

"""A model names what it was made from; a commit that is wrong, or a dirty checkout called clean, makes
every release that follows untraceable."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlops.cli import _train
from mlops.errors import InvalidInput
from mlops.lifecycle.train.lineage import checkout, environment_digest, lineage
from mlops.lifecycle.train.training import Trial

CI = (
    "GITHUB_ACTOR",
    "GITHUB_HEAD_REF",
    "GITHUB_REF_NAME",
    "BUILD_REQUESTEDFOR",
    "BUILD_SOURCEBRANCH",
)
LOCK = """
version = 1

[[package]]
name = "project"
version = "0.1.0"
source = { editable = "." }
dependencies = [{ name = "a" }]

[package.dev-dependencies]
serving = [{ name = "b", extra = ["fast"] }]
dev = [{ name = "tool" }]

[[package]]
name = "a"
version = "1.0"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "c", version = "2.0" }]
sdist = { hash = "sha256:a" }

[[package]]
name = "b"
version = "1.0"
source = { registry = "https://pypi.org/simple" }
sdist = { hash = "sha256:b" }
wheels = [{ hash = "sha256:b2" }]

[package.optional-dependencies]
fast = [{ name = "d" }]

[[package]]
name = "c"
version = "1.0"
source = { registry = "https://pypi.org/simple" }
sdist = { hash = "sha256:c1" }

[[package]]
name = "c"
version = "2.0"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "a" }]
sdist = { hash = "sha256:c2" }

[[package]]
name = "d"
version = "1.0"
source = { registry = "https://pypi.org/simple" }
sdist = { hash = "sha256:d" }

[[package]]
name = "tool"
version = "1.0"
source = { registry = "https://pypi.org/simple" }
sdist = { hash = "sha256:t" }
"""


def git(root: Path, *args: str) -> str:
    return subprocess.run(["git", "-C", str(root), *args], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in CI:
        monkeypatch.delenv(name, raising=False)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "config", "user.name", "Ada")
    git(tmp_path, "config", "user.email", "ada@example.org")
    (tmp_path / "uv.lock").write_text(LOCK)
    for name in ("training.yml", "components/prep.yml", "environment/conda.yml", "model.yaml"):
        path = tmp_path / "pipelines" / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "Begin")
    return tmp_path


def test_tags_name_commit_branch_actor_and_pipeline(root):
    tags = lineage(root, root / "pipelines/toy/training.yml").as_tags()
    assert tags["mlops.commit"] == git(root, "rev-parse", "HEAD").strip()
    assert (tags["mlops.branch"], tags["mlops.dirty"], tags["mlops.actor"]) == ("main", "false", "Ada")
    assert tags["mlops.pipeline"] == "pipelines/toy/training.yml"


@pytest.mark.parametrize(
    ("path", "dirty"),
    [
        ("uv.lock", True),
        ("src/new.py", True),
        ("pipelines/toy/new.yml", True),
        ("notes.txt", False),
    ],
)
def test_dirty_is_what_a_step_could_read(root, path, dirty):
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).write_text(LOCK + "# changed\n")
    assert checkout(root).dirty is dirty


def test_ci_says_who_and_which_branch(root, monkeypatch):
    git(root, "checkout", "-q", "--detach")
    assert checkout(root).branch == ""
    monkeypatch.setenv("BUILD_SOURCEBRANCH", "refs/heads/feature/x")
    monkeypatch.setenv("BUILD_REQUESTEDFOR", "Grace")
    assert (checkout(root).branch, checkout(root).actor) == ("feature/x", "Grace")
    monkeypatch.setenv("GITHUB_REF_NAME", "main")
    monkeypatch.setenv("GITHUB_ACTOR", "ada")
    assert (checkout(root).branch, checkout(root).actor) == ("main", "ada")


def test_a_git_hook_does_not_change_the_repository(root, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("GIT_DIR", str(tmp_path_factory.mktemp("other")))
    assert checkout(root).branch == "main"


def test_no_repository_and_no_commit_are_sentences(tmp_path):
    with pytest.raises(InvalidInput, match="is not a git checkout"):
        checkout(tmp_path)
    git(tmp_path, "init", "-q")
    with pytest.raises(InvalidInput, match="has no commit yet"):
        checkout(tmp_path)


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("training.yml", True),
        ("components/prep.yml", True),
        ("environment/conda.yml", True),
        ("model.yaml", False),
    ],
)
def test_the_pipeline_digest_covers_what_the_pipeline_is(root, path, counts):
    pipeline = root / "pipelines/toy/training.yml"
    before = lineage(root, pipeline).pipeline_digest
    (root / "pipelines/toy" / path).write_text("# other\n")
    assert (lineage(root, pipeline).pipeline_digest != before) is counts


@pytest.mark.parametrize(
    ("old", "counts"),
    [
        ("sha256:a", True),
        ("sha256:b2", True),
        ("sha256:c2", True),
        ("sha256:d", True),
        ("sha256:c1", False),
        ("sha256:t", False),
    ],
)
def test_the_environment_digest_covers_what_serving_installs(root, old, counts):
    before = environment_digest(root)
    (root / "uv.lock").write_text(LOCK.replace(f'"{old}"', '"sha256:other"'))
    assert (environment_digest(root) != before) is counts


@pytest.mark.parametrize("text", ["", "version = 1\n", "not toml ["])
def test_a_lock_that_locks_nothing_is_a_sentence(root, text):
    (root / "uv.lock").write_text(text)
    with pytest.raises(InvalidInput, match=r"uv\.lock: does not lock the group 'serving'"):
        environment_digest(root)


@pytest.mark.parametrize("keeps_nothing", [False, True])
def test_a_training_that_cannot_be_released_says_so_before_it_starts(
    root: Path, keeps_nothing: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_train, "state", SimpleNamespace(root=root, target=SimpleNamespace(name="local")))
    trial = Trial(tries=keeps_nothing)
    _train._say_training("toy", trial)
    assert "uncommitted" not in capsys.readouterr().err
    (root / "src").mkdir(exist_ok=True)
    (root / "src" / "new.py").write_text("")
    _train._say_training("toy", trial)
    said = " ".join(capsys.readouterr().err.split())
    assert ("uncommitted changes: this version can be judged" in said) is not keeps_nothing

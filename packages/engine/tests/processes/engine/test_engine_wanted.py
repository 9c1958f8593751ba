"""What a commit wants for many models is read at once: each model gets the answer that it gets alone, and
git is not called more often for more models."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlops.errors import InvalidInput, NotFound
from mlops.forge.git import Git
from mlops.lifecycle.desired.provenance import Wanted, read_intent
from mlops.spec.files import POLICY, desired_path, release_path
from tests.unit.engine.test_engine_provenance import ORDER, record, text_of

MODELS = [f"model{number}" for number in range(6)]


def git(root: Path, *words: str) -> None:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    subprocess.run(["git", "-C", str(root), *who, *words], check=True, capture_output=True)


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Release 2 of each model is asked for, after release 1."""
    git(tmp_path, "init", "-q", "-b", "main")
    put(tmp_path, {POLICY: ORDER})
    for version in (1, 2):
        for model in MODELS:
            release = record(version).model_copy(update={"model": model})
            asked = f"release: {version}\nreplaces: {version - 1 or 'null'}\n"
            put(
                tmp_path, {release_path(model, version): text_of(release), desired_path("prod", model): asked}
            )
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-q", "-m", f"Release {version}")
    return tmp_path


def told(ask: Any, model: str) -> object:
    try:
        return ask(model)
    except (InvalidInput, NotFound) as error:
        return type(error), str(error)


def test_each_model_is_told_what_it_is_told_alone(root: Path):
    put(root, {desired_path("prod", "model1"): "releese: 4\n"})
    (root / desired_path("prod", "model2")).unlink()
    put(root, {desired_path("prod", "model3"): "release: 9\nreplaces: 2\n"})
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "Wrong")
    put(root, {desired_path("prod", "model4"): "release: 1\nreplaces: 2\n"})
    put(root, {desired_path("prod", "model6"): "release: 1\nreplaces: null\n"})
    models = [*MODELS, "model6", "nobody"]
    wanted = Wanted(root, "prod", models)
    found = {model: told(wanted.intent, model) for model in models}
    assert found == {model: told(lambda name: read_intent(root, "prod", name), model) for model in models}
    refused = {model for model, one in found.items() if isinstance(one, tuple)}
    assert refused == {"model1", "model2", "model3", "model4", "model6", "nobody"}
    assert "not committed" in str(found["model4"]) and "model4" in str(found["model4"])
    assert wanted.intent("model0").lineage == {1, 2}


def test_git_is_called_as_often_for_many_models_as_for_two(root: Path, monkeypatch: pytest.MonkeyPatch):
    calls: list[str] = []
    before = Git._bytes
    monkeypatch.setattr(
        Git, "_bytes", lambda self, args, *rest: (calls.append(args[0]), before(self, args, *rest))[1]
    )

    def count(models: list[str]) -> int:
        calls.clear()
        wanted = Wanted(root, "prod", models)
        assert [wanted.intent(model).desired.release for model in models] == [2] * len(models)
        return len(calls)

    assert count(MODELS) == count(MODELS[:2]) < 8


def test_files_of_a_commit_are_shown_at_once_and_those_that_are_not_there_are_left_out(root: Path):
    put(root, {"notes/a file.txt": "ä\r\nb\n"})
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "A file")
    names = ["no such file.txt", "none", "notes", "notes/a file.txt", POLICY]
    assert Git(root).shown("HEAD", names) == {"notes/a file.txt": "ä\nb\n", POLICY: ORDER}
    assert Git(root).shown("HEAD~1", names) == {POLICY: ORDER}

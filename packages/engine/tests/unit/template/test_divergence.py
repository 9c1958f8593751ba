"""An engine that nobody else has is seen before it is merged."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlops.template import divergence
from mlops.template.divergence import divergences

RELEASE = '{git = "https://example.org/t", tag = "v1.0.0", subdirectory = "packages/lint"}'
EDITED = json.dumps({"url": "file:///home/ann/my%20lint", "dir_info": {"editable": True}})


def fork(root: Path, line: str, answers: str = '[answers]\nproject = "pay"\ncontact = "a@b.org"\n') -> Path:
    (root / "template.toml").write_text(f'version = "1.0.0"\n{answers}')
    (root / "pyproject.toml").write_text(f"[tool.uv.sources]\ngitops-ml-lint = {line}\n")
    return root


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda name: SimpleNamespace(read_text=lambda file: None))
    monkeypatch.setattr(metadata, "version", lambda name: "1.0.0")


@pytest.mark.usefixtures("released")
@pytest.mark.parametrize(
    ("line", "says"),
    [
        (RELEASE, []),
        ('{path = "wheels/gitops_ml_lint-1.0.0-py3-none-any.whl"}', []),
        ('{index = "engine"}', []),
        ('{path = "../lint", editable = true}', ["gitops-ml-lint comes from ../lint and from no release"]),
        ('{path = "../lint"}', ["gitops-ml-lint comes from ../lint and from no release"]),
        (
            '{git = "https://a.b/c", branch = "fix"}',
            ["gitops-ml-lint comes from the branch fix and from no release"],
        ),
    ],
)
def test_a_source_that_is_no_release_is_named(tmp_path: Path, line: str, says: list[str]) -> None:
    assert [found.sentence for found in divergences(fork(tmp_path, line))] == says


@pytest.mark.usefixtures("released")
def test_what_is_installed_from_a_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda name: SimpleNamespace(read_text=lambda file: EDITED))
    (found,) = divergences(fork(tmp_path, RELEASE))
    assert (found.sentence, found.fix) == (
        "gitops-ml-lint runs from the folder /home/ann/my lint, not as uv.lock has it", "make setup",
    )  # fmt: skip


@pytest.mark.usefixtures("released")
def test_an_engine_ahead_of_the_skeleton_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(divergence.metadata, "version", lambda name: "1.1.0")
    (found,) = divergences(fork(tmp_path, RELEASE))
    assert found.sentence == "the engine has version 1.1.0, and the skeleton (template.toml) 1.0.0"
    assert found.fix == "mlops update"


def test_the_template_runs_its_own_packages(tmp_path: Path) -> None:
    assert divergences(fork(tmp_path, "{workspace = true}", answers="")) == []
    assert divergences(tmp_path / "nothing") == []

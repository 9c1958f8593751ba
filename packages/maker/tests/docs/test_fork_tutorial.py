"""The tutorial stays in a fork, about its own model, and works there from the repository's first commit.

"Use this template" makes a repository of one commit, with no history for a workflow to compare with: there a
push that waits for somebody would never return.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from doc_pages import Block, blocks
from doc_session import BIN, Session

from mlops.scaffold import kinds
from mlops.spec.settings import FILE
from tests.e2e.template_copy import copy_template

PAGE = "docs/tutorial.md"
OPTIONS = (
    "--project",
    "demand",
    "--region",
    "swedencentral",
    "--contact",
    "ml@contoso.com",
    "--model",
    "prices",
)
RUNNABLE = ("sh", "diff")


class Fork(Session):
    """A fork whose whole history is one commit."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.options = options
        super().__init__(folder)

    def _copy(self) -> None:
        copy_template(self.root)
        self._committed()
        words = [BIN / "mlops", "-C", self.root, "init", *OPTIONS, *self.options, "--engine", "wheels"]
        done = subprocess.run(words, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        subprocess.run(["rm", "-rf", self.root / ".git"], check=True)
        self._committed()

    def _committed(self) -> None:
        for words in (["init", "--quiet", "--initial-branch", "main"], ["add", "--all"]):
            self._git(*words)
        self._git("commit", "--quiet", "--message", "Initial commit")

    def page(self) -> list[Block]:
        """What its reader types and edits, but the clone and the set-up."""
        found = blocks(PAGE, (self.root / PAGE).read_text(encoding="utf-8"))
        return [b for b in found if b.language in RUNNABLE and not b.note("needs")]


def fork(tmp_path: Path, *options: str) -> Fork:
    forge = [] if "--forge" in options else ["--forge", "local"]
    return Fork(tmp_path, *forge, *options)


@pytest.fixture
def regression(tmp_path: Path) -> Iterator[Fork]:
    made = fork(tmp_path, "--task", "regression")
    yield made
    made.stop()


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_it_works_from_the_first_commit(regression: Fork) -> None:
    said = regression.run(regression.page(), seconds=2300)
    assert "size" in said, "the blocked push names its gate"
    assert said.rstrip().endswith("stopped") or "hold" in said


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(set(kinds.names()) - {kinds.DEFAULT}))
def test_its_edits_fit_the_files_of_each_kind(tmp_path: Path, kind: str) -> None:
    _applies(fork(tmp_path, "--kind", kind))


def test_its_edits_fit_the_files(tmp_path: Path) -> None:
    _applies(fork(tmp_path, "--task", "binary", "--forge", "github", "--repository", "contoso/demand"))


def _applies(made: Fork) -> None:
    edits = [b for b in made.page() if b.language == "diff" and "/environments/prod/" not in b.text]
    assert len(edits) >= 2
    for block in edits:
        words = ["git", "-C", str(made.root), "apply", "-"]
        done = subprocess.run(
            words, input=block.text, env=made.env, capture_output=True, text=True, check=False
        )
        if "max_megabytes" in block.text:
            continue  # it takes back what a block did that needs a release
        assert done.returncode == 0, f"{block.where}: {done.stderr}"
    text = (made.root / PAGE).read_text(encoding="utf-8")
    assert "flight" not in text.lower() and "mlops params" in text
    assert 'kind = "local"' in (made.root / FILE).read_text(encoding="utf-8")


def test_a_fork_on_azure_devops_has_none(tmp_path: Path) -> None:
    """The local forge runs the workflow files of GitHub, and such a fork has those of Azure DevOps."""
    made = fork(tmp_path, "--forge", "azure-devops", "--repository", "contoso/ml/demand", "--task", "binary")
    assert not (made.root / PAGE).exists()
    assert "tutorial" not in (made.root / "README.md").read_text(encoding="utf-8").lower()

"""What makes an editor and a shell comfortable works as the pages say: hooks, completion, schemas.

Hooks that run something else than `make` would let a commit pass that CI refuses.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from doc_commands import make_targets
from doc_pages import ROOT
from doc_session import BIN, Session

HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    made = Session(tmp_path)
    yield made
    made.stop()


def run(session: Session, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=session.root, env=session.env | variables, capture_output=True, text=True, check=False
    )


def test_hooks_call_make_and_nothing_else() -> None:
    hooks = [hook for repository in HOOKS["repos"] for hook in repository["hooks"]]
    assert hooks
    for hook in hooks:
        words = hook["entry"].split()
        assert words[:2] == ["make", "--silent"], hook["id"]
        assert words[2:] and set(words[2:]) <= make_targets(), f"{hook['id']}: no such target"
        assert hook["pass_filenames"] is False


def test_a_commit_that_lint_refuses_is_not_made(session: Session) -> None:
    installed = run(session, "make", "hooks")
    assert installed.returncode == 0, installed.stdout + installed.stderr
    (session.root / "src/flights/unused.py").write_text("import os\n\nx=1\n", encoding="utf-8")
    run(session, "git", "add", "--all")
    done = run(session, "git", "commit", "--message", "Something untidy")
    assert done.returncode, "the commit was made"
    assert "make format" in done.stdout + done.stderr
    (session.root / "environments/policy.yaml").write_text("order:   [staging]\n", encoding="utf-8")
    run(session, "git", "add", "--all")
    done = run(session, "git", "commit", "--message", "Untidy YAML")
    assert done.returncode, "the commit was made"
    assert "make lint-fast" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("typed", "offered"), [("mlops pro", {"profile", "promote"}), ("mlops promote --byp", {"--bypass"})]
)
def test_the_shell_completes_verbs_and_options(typed: str, offered: set[str]) -> None:
    words = {
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
        "_MLOPS_COMPLETE": "complete_bash",
    }
    done = subprocess.run(
        [str(BIN / "mlops")], env=os.environ | words, capture_output=True, text=True, check=False
    )
    assert set(done.stdout.split()) == offered, done.stderr


def test_completion_is_installed_for_a_shell(session: Session) -> None:
    # With a second command bash stays the parent, by which Typer knows the shell.
    done = run(session, "bash", "-c", "mlops --install-completion && true")
    assert done.returncode == 0, done.stdout + done.stderr
    written = [path for path in Path(session.env["HOME"]).rglob("*") if path.is_file()]
    assert any("_MLOPS_COMPLETE" in path.read_text(encoding="utf-8") for path in written)


def test_editors_find_the_schemas_and_the_files_they_are_for() -> None:
    settings = json.loads((ROOT / ".vscode/settings.json").read_text(encoding="utf-8"))
    made_later = {"environments/*/*.yaml", "releases/*/*.yaml"}
    for schema, given in settings["yaml.schemas"].items():
        assert (ROOT / schema).is_file(), schema
        for pattern in [given] if isinstance(given, str) else given:
            assert pattern in made_later or list(ROOT.glob(pattern)), f"{pattern} matches no file"


def test_the_container_has_the_python_of_the_repository() -> None:
    text = (ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8")
    settings = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    wanted = (ROOT / ".python-version").read_text(encoding="utf-8").strip()
    assert re.fullmatch(rf"[a-z0-9./]+/python:{re.escape(wanted)}-\w+", settings["image"])
    assert settings["postCreateCommand"] == "make setup"
    assert "setup" in make_targets()


def test_help_of_make_has_groups_and_every_target() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^  make ([a-z-]+) ", done.stdout, re.MULTILINE))
    phony = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == set(" ".join(phony).split())
    assert len(re.findall(r"^[A-Z][a-z ]+$", done.stdout, re.MULTILINE)) >= 3, "no groups"

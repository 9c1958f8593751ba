"""On Azure ML no engine is installed: steps and entry scripts run from the copy that they take along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlops.spec import engine

STEPS = ("prep", "validate", "train", "evaluate", "explain", "register", "ingest", "trial")


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return engine.export(tmp_path_factory.mktemp("repository"))


def answers(folder: Path, program: str) -> str:
    """What Python prints, started in `folder` with the libraries that are here and without our packages."""
    libraries = [p for p in sys.path if p.endswith("site-packages")]
    others = "(p for p in sys.path if 'site-packages' not in p)"
    setup = f"import sys; sys.path[:] = ['', *{others}, *{libraries!r}]\n"
    # Without `site` no .pth file leads to this checkout.
    command = [sys.executable, "-S", "-c", setup + program]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, env={}).stdout


def test_every_step_starts(copied: Path) -> None:
    program = (
        "import importlib, pathlib\n"
        f"for name in {STEPS!r}:\n"
        "    found = importlib.import_module(f'mlops.steps.{name}').__file__\n"
        "    assert pathlib.Path(found).is_relative_to(pathlib.Path.cwd()), found\n"
        "print('all')\n"
    )
    assert answers(copied / engine.STEPS, program) == "all\n"


def test_a_verb_starts(copied: Path) -> None:
    program = "sys.argv[1:] = ['--help']\nimport runpy\nrunpy.run_module('mlops.cli', run_name='__main__')\n"
    assert "monitor" in answers(copied / engine.VERBS, program)


def test_the_entry_scripts_load(copied: Path) -> None:
    program = "import batch, score\nprint(batch.init.__module__, score.run.__module__)\n"
    assert answers(copied / engine.STEPS, program) == "batch score\n"

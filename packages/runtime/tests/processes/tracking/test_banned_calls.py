"""Calls that fail on Azure ML do not pass the linter; each is tried, as a misspelt ban bans nothing."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[5]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
BANNED = sorted(CONFIG["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"])
MUST = {
    "mlflow.autolog",
    "mlflow.evaluate",
    "mlflow.onnx.log_model",
    "mlflow.pyfunc.log_model",
    "mlflow.register_model",
    "mlflow.search_registered_models",
    "mlflow.sklearn.log_model",
}


def lint(code: str) -> str:
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "TID251"]
    command += ["--output-format", "concise", "--config", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [*command, "--stdin-filename", str(ROOT / "src/freight/tried.py"), "-"],
        input=code,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def test_the_list_has_every_call_that_fails_on_azure():
    assert set(BANNED) >= MUST


@pytest.mark.parametrize("call", BANNED)
def test_a_banned_call_is_found_however_it_is_imported(call):
    module, _, name = call.rpartition(".")
    for code in (f"import {module}\n\n{call}()\n", f"from {module} import {name}\n\n{name}()\n"):
        assert "TID251" in lint(code), code


def test_what_works_everywhere_is_not_banned():
    assert "TID251" not in lint("import mlflow.sklearn\n\nmlflow.sklearn.save_model()\n")

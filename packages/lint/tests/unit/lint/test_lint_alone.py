"""The lint without the rest: somebody who never forks this can run it, in a hook, in CI, or by hand."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from mlops.lint.__main__ import main

ROOT = Path(__file__).parents[5]


def test_it_imports_nothing_but_its_own_and_the_files_of_git():
    for path in (ROOT / "packages/lint/src/mlops/lint").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = node.module if isinstance(node, ast.ImportFrom) else None
            if name and name.startswith("mlops"):
                assert name.split(".")[1] in ("lint", "errors", "spec"), f"{path.name} imports {name}"


def test_good_files_end_well(shelf, capsys):
    assert main(["--no-azure", str(shelf.root)]) == 0
    out = capsys.readouterr().out
    assert "error" not in out.splitlines()[-1] and "azure-ai-ml was not asked" in out


def test_an_error_ends_with_five_and_its_line(shelf, capsys):
    line = shelf.edit("endpoint.yml", "auth_mode: key", "auth_mode: keys")
    assert main(["--no-azure", str(shelf.root / "endpoint.yml")]) == 5
    assert f"endpoint.yml:{line}: auth_mode: must be one of" in capsys.readouterr().out


@pytest.mark.parametrize(("form", "key"), [("json", "findings"), ("sarif", "runs")])
def test_machines_read_it(shelf, capsys, form, key):
    shelf.edit("endpoint.yml", "auth_mode: key", "auth_mode: keys")
    assert main(["--no-azure", "--format", form, str(shelf.root / "endpoint.yml")]) == 5
    assert json.loads(capsys.readouterr().out)[key]


def test_github_shows_it_beside_the_line(shelf, capsys):
    shelf.edit("endpoint.yml", "auth_mode: key", "auth_mode: keys")
    main(["--no-azure", "--format", "github", str(shelf.root / "endpoint.yml")])
    assert capsys.readouterr().out.startswith("::error file=")


def test_house_rules_are_chosen(shelf, capsys):
    shelf.edit("train.yml", "azureml:tools:3", "azureml:tools@latest")
    file = str(shelf.root / "train.yml")
    assert main(["--no-azure", file]) == 0
    assert main(["--no-azure", "--house", str(shelf.root), file]) == 5
    assert main(["--no-azure", "--house", str(shelf.root), "--off", "pin-asset", file]) == 0


def test_what_cannot_be_asked_is_a_sentence(tmp_path, capsys):
    assert main([str(tmp_path / "none.yml")]) == 5
    assert "does not exist; give an Azure ML YAML file or a folder" in capsys.readouterr().err
    assert main(["--off", "no-such-rule", str(tmp_path)]) == 5
    assert "is no house rule; there is:" in capsys.readouterr().err


def test_of_listed_files_only_those_of_azure_are_told(shelf, tmp_path, capsys):
    """pre-commit names every YAML file of a commit: a chart's template is no YAML, and no fault."""
    compose, chart = tmp_path / "compose.yml", tmp_path / "chart.yaml"
    compose.write_text("services: {web: {image: nginx}}\n", "utf-8")
    chart.write_text("{{- if .Values.on }}\nkind: Service\n{{- end }}\n", "utf-8")
    shelf.edit("endpoint.yml", "auth_mode: key", "auth_mode: keys")
    files = [str(compose), str(chart)]
    assert main(["--no-azure", "--listed", *files]) == 0
    assert "not-read" not in capsys.readouterr().out
    assert main(["--no-azure", *files]) == 5
    assert "not-read" in capsys.readouterr().out
    assert main(["--no-azure", "--listed", *files, str(shelf.root / "endpoint.yml")]) == 5
    assert "compose.yml" not in capsys.readouterr().out


def test_the_hook_for_others_needs_nothing_else_of_this_repository(shelf, monkeypatch, capsys):
    """It is a script with its dependencies in it: pre-commit only clones the repository."""
    import runpy
    import sys
    import tomllib

    import yaml

    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    script = ROOT / hook["entry"].split()[0]
    assert (hook["language"], hook["types"]) == ("script", ["yaml"])
    assert script.stat().st_mode & 0o111, "pre-commit starts it as a program"
    head = script.read_text().split("# /// script")[1].split("# ///")[0]
    asked = tomllib.loads(head.replace("# ", ""))["dependencies"]
    wanted = tomllib.loads((ROOT / "packages/lint/pyproject.toml").read_text())["project"]
    own = [*wanted["dependencies"], *wanted["optional-dependencies"]["azure"]]
    assert set(asked) == {name for name in own if not name.startswith("gitops-ml-")}
    file = shelf.root / "endpoint.yml"
    monkeypatch.setattr(sys, "argv", [str(script), "--no-azure", str(file)])
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert ended.value.code == 0
    assert "1 file read" in capsys.readouterr().out

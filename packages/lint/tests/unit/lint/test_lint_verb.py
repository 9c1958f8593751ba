"""The verb anywhere: exit code, formats, and which rules count with and without an mlops.toml."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mlops.cli import _app, _verbs
from mlops.errors import InvalidInput
from mlops.lint import RULES

SETTINGS = '[project]\nname = "demo"\n[models.demo]\nusecase = "demo"\n'


def call(*words: str) -> Result:
    assert _verbs, "imported for the verbs that it registers"
    _app.state.reset(None, None)
    return CliRunner().invoke(_app.app, ["pipeline", "lint", "--no-azure", *words])


def test_good_files_end_with_0_and_are_counted(shelf):
    done = call("environment.yml", "data.yml")
    assert (done.exit_code, "no problems; 2 files read" in done.stdout) == (0, True), done.output


def test_an_error_ends_with_the_code_of_invalid_files(shelf):
    shelf.edit("endpoint.yml", "blue: 90", "blue: 80")
    done = call("endpoint.yml")
    assert done.exit_code == InvalidInput.exit_code
    assert done.stdout.splitlines()[0].startswith("error endpoint.yml:4: traffic: ")


def test_house_rules_count_where_the_repository_says(shelf):
    shelf.edit("environment.yml", "/tools:3", "/tools")
    assert call("environment.yml").exit_code == 0, "no mlops.toml, no house"
    shelf.write("pipelines/environment.yml", (shelf.root / "environment.yml").read_text())
    shelf.write("pipelines/conda.yml", "")
    shelf.write("mlops.toml", SETTINGS)
    assert call("environment.yml").exit_code == 0
    assert call("pipelines/environment.yml").exit_code == InvalidInput.exit_code
    assert call().exit_code == InvalidInput.exit_code, "without a path: pipelines/"
    shelf.write("mlops.toml", f'{SETTINGS}[lint]\noff = ["pin-image"]\n')
    assert call().exit_code == 0
    shelf.write("mlops.toml", f'{SETTINGS}[lint]\nfolders = ["."]\n')
    assert call("environment.yml").exit_code == InvalidInput.exit_code
    shelf.write("mlops.toml", f'{SETTINGS}[lint]\noff = ["pin-imag"]\n')
    assert "no house rule" in call().output


def test_sizes_come_from_the_settings(shelf):
    shelf.edit("cluster.yml", "Standard_DS3_v2", "Standard_Z9_v9")
    assert call("cluster.yml").exit_code == InvalidInput.exit_code
    shelf.write("mlops.toml", f'{SETTINGS}[lint]\nvm_sizes = ["Standard_Z9_v9"]\n')
    assert call("cluster.yml").exit_code == 0


@pytest.mark.parametrize("words", [("--json",), ("--format", "json")])
def test_json(shelf, words):
    shelf.edit("endpoint.yml", "blue: 90", "blue: 80")
    done = call(*words, "endpoint.yml")
    assert done.exit_code == InvalidInput.exit_code
    assert [found["id"] for found in json.loads(done.stdout)["findings"]] == ["traffic"]


def test_sarif_and_annotations(shelf):
    shelf.edit("endpoint.yml", "blue: 90", "blue: 80")
    assert json.loads(call("--format", "sarif", "endpoint.yml").stdout)["version"] == "2.1.0"
    assert call("--format", "github", "endpoint.yml").stdout.startswith(
        "::error file=endpoint.yml,line=4,title=traffic::"
    )


def test_verbose_names_files_of_other_programs(shelf):
    assert "conda.yml: no Azure ML file" in call("--verbose", ".").stdout
    assert "conda.yml" not in call(".").stdout.replace("./conda.yml", "")


def test_what_cannot_run_here_is_a_note(shelf):
    done = call("pipeline.yml")
    assert done.exit_code == 0, done.output
    assert "[not-here]" in done.stdout


def test_the_page_has_every_id():
    from mlops.reference.lint import page

    root = Path(__file__).parents[5]
    text = (root / "docs" / "lint.md").read_text()
    assert text == page(root), "make reference"
    for name, rule in RULES.items():
        assert f"| `{name}` |" in text
        assert rule.means in text

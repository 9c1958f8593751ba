"""Editors must be told what the loader accepts: a schema that lags behind underlines what is right."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from engine_world import make_release

from mlops.spec.jsonschema import MODELS, schema_text, stale, write

ROOT = Path(__file__).parents[5]


def test_the_schemas_in_the_repository_are_those_of_the_models():
    assert stale(ROOT) == [], "run: python -m mlops.spec.jsonschema"


def test_a_changed_or_missing_schema_is_found_and_written(tmp_path: Path):
    assert len(write(tmp_path)) == len(MODELS)
    path = tmp_path / "docs/schemas/policy.json"
    path.write_text(path.read_text().replace("soak", "soaked"))
    assert stale(tmp_path) == ["docs/schemas/policy.json"]
    assert write(tmp_path) == ["docs/schemas/policy.json"]
    assert stale(tmp_path) == []


@pytest.mark.parametrize("name", sorted(MODELS))
def test_each_is_a_valid_schema(name: str):
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text(name)))


@pytest.mark.parametrize(
    ("name", "text", "valid"),
    [
        ("desired", "{release: 2, replaces: 1, strategy: {analysis: 60s}}", True),
        ("desired", "{release: 2, relaese: 1}", False),
        ("desired", "{release: 0}", False),
        ("desired", "{release: 2, strategy: {analysis: -1}}", False),
        ("policy", "{order: [staging], environments: {staging: {soak: 24h}}}", True),
        ("policy", "{order: [Staging], environments: {staging: {soak: 24h}}}", False),
        ("freeze", "{windows: []}", True),
        ("freeze", "{windows: [{environments: [prod]}]}", False),
    ],
)
def test_the_schema_and_the_loader_agree(name: str, text: str, valid: bool):
    checker = jsonschema.Draft202012Validator(json.loads(schema_text(name)))
    assert checker.is_valid(yaml.safe_load(text)) is valid


def test_a_release_fits_its_schema():
    plain = make_release(3).model_dump(mode="json")
    jsonschema.Draft202012Validator(json.loads(schema_text("release"))).validate(plain)


@pytest.mark.parametrize("name", ["policy", "freeze"])
def test_the_files_point_at_their_schema_and_fit_it(name: str):
    path = ROOT / "environments" / f"{name}.yaml"
    text = path.read_text()
    pointer = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    schema = json.loads((path.parent / pointer).resolve().read_text())
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(text))


def test_a_fork_has_them_from_its_setup_and_does_not_commit_them():
    recipe = (ROOT / "Makefile").read_text().partition("$(READY):")[2].partition("\n\n")[0]
    assert "-m mlops.spec.jsonschema" in recipe
    assert "docs/schemas/" in (ROOT / ".gitignore").read_text().splitlines()

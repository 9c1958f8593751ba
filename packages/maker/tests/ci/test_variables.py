"""What a fork fills in for Azure Pipelines: a misspelt name or value would skip stages in silence."""

from __future__ import annotations

import json
import re
from typing import Any

import ci_azure as azure
import pytest
from ci_model import ROOT, read
from jsonschema import Draft202012Validator

FILE = azure.FOLDER / "templates/variables.yml"
SCHEMA = json.loads(FILE.with_name("variables.schema.json").read_text(encoding="utf-8"))


def _problems(**changes: str | None) -> list[str]:
    document: dict[str, Any] = read(FILE)
    merged = document["variables"] | changes
    document["variables"] = {name: value for name, value in merged.items() if value is not None}
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(document)]


def test_the_template_is_valid() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert _problems() == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"MLOPS_TARGET": "Azure"}, "'Azure' is not one of"),
        ({"MLOPS_STATE": "keep"}, "'keep' is not one of"),
        ({"MLOPS_STAT": "kept"}, "'MLOPS_STAT' was unexpected"),
        ({"PULUMI_BACKEND_URL": "state account"}, "does not match"),
        ({"MLOPS_TARGET": None}, "'MLOPS_TARGET' is a required property"),
    ],
)
def test_a_wrong_edit_is_refused(changes: dict[str, str | None], sentence: str) -> None:
    assert [problem for problem in _problems(**changes) if sentence in problem]


def test_every_value_that_a_condition_asks_for_is_one_that_the_schema_allows() -> None:
    """Azure reads a variable that nobody sets as empty, and a condition on it is false for ever."""
    allowed = SCHEMA["properties"]["variables"]["properties"]
    asked = set()
    for path in [ROOT / "azure-pipelines.yml", *azure.FOLDER.rglob("*.yml")]:
        text = path.read_text(encoding="utf-8")
        own = set(re.findall(r"^ +([A-Z_]+): \$\[", text, re.MULTILINE))
        for name, value in re.findall(r"[(,] ?variables\.(\w+)(?:, '([^']*)')?", text):
            if name not in own:
                asked.add(name)
                assert not value or value in allowed[name].get("enum", [value]), f"{path.name}: {name}"
    assert asked == set(allowed)

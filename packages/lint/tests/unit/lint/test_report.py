# ruff: noqa: E501 (tables of cases)
"""A verdict as lines, JSON, SARIF and annotations: the same findings, none lost."""

from __future__ import annotations

import json
from urllib.parse import unquote

import jsonschema
import pytest

from mlops.lint import FileState, Finding, Verdict, report

FINDINGS = (
    Finding("traffic", "a.yml", 3, "traffic", "sums to 90"),
    Finding("pin-image", "b.yml", 1, "", "50% moves,\nsee: there"),
    Finding("not-read", "c.yml", 0, "", "unread"),
)
FILES = (
    FileState("a.yml", "read", "online endpoint"),
    FileState("b.yml", "other", ""),
    FileState("c.yml", "unread", "?flow"),
)
VERDICT = Verdict(FINDINGS, FILES, "1.2")


def test_lines_name_level_place_and_id():
    lines = report.as_text(VERDICT)
    assert lines[0] == "error a.yml:3: traffic: sums to 90 [traffic]"
    assert lines[1].startswith("rule b.yml:1: 50% moves")
    assert lines[-1] == (
        "1 error, 1 broken house rule, 1 note; 1 file read, 1 of a kind that is not read, "
        "1 that is not Azure ML's; azure-ai-ml 1.2 judged too"
    )


def test_verbose_names_every_file():
    assert report.as_text(VERDICT, verbose=True)[3:6] == [
        "a.yml: read as online endpoint",
        "b.yml: no Azure ML file",
        "c.yml: not read: flow",
    ]


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        (Verdict(), "no problems; 0 files read; azure-ai-ml was not asked"),
        (Verdict(FINDINGS[:1] * 2, FILES[1:2] * 2), "2 errors; 0 files read, 2 that are not Azure ML's; azure-ai-ml was not asked"),
    ],
)  # fmt: skip
def test_the_summary_counts(verdict, says):
    assert report.summary(verdict) == says


def test_json_holds_everything():
    found = report.as_json(VERDICT)
    assert found["findings"][0] == {
        "id": "traffic", "file": "a.yml", "line": 3, "field": "traffic", "message": "sums to 90", "level": "error",
    }  # fmt: skip
    assert [state["state"] for state in found["files"]] == ["read", "other", "unread"]
    assert found["azure_ai_ml"] == "1.2"
    assert report.as_json(Verdict())["azure_ai_ml"] is None


def test_sarif_names_rules_and_places():
    (run,) = report.as_sarif(VERDICT)["runs"]
    assert run["tool"]["driver"]["name"] == "azureml-lint", "the same name, however it is called"
    ids = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert ids == ["not-read", "pin-image", "traffic"]
    assert [ids[result["ruleIndex"]] for result in run["results"]] == [
        result["ruleId"] for result in run["results"]
    ]
    assert [result["level"] for result in run["results"]] == ["error", "warning", "note"]
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert [place["region"]["startLine"] for place in places] == [3, 1, 1], "lines begin at 1"
    assert run["results"][0]["message"]["text"] == "traffic: sums to 90"
    assert run["results"][2]["message"]["text"] == "unread"


_TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
_LEVEL = {"enum": ["none", "note", "warning", "error"]}
_RESULT = {
    "type": "object",
    "required": ["message", "ruleId"],
    "additionalProperties": False,
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": -1},
        "level": _LEVEL,
        "message": _TEXT,
        "locations": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["physicalLocation"],
                "properties": {
                    "physicalLocation": {
                        "type": "object",
                        "required": ["artifactLocation"],
                        "properties": {
                            "artifactLocation": {
                                "properties": {"uri": {"type": "string", "pattern": r"^[\w\-.~/%+@]+$"}}
                            },
                            "region": {"properties": {"startLine": {"type": "integer", "minimum": 1}}},
                        },
                    }
                },
            },
        },
    },
}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool"],
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "required": ["id"],
                                            "properties": {
                                                "shortDescription": _TEXT,
                                                "defaultConfiguration": {"properties": {"level": _LEVEL}},
                                            },
                                        },
                                    }
                                },
                            }
                        },
                    },
                    "results": {"type": "array", "items": _RESULT},
                },
            },
        },
    },
}
"""What SARIF 2.1.0 requires of the parts that are used; no package that is installed ships its own schema."""


@pytest.mark.parametrize("name", ["a.yml", "my jobs/ü b.yml", "a:b.yml", "dir\\c%20.yml", "/abs/x#1?.yml"])
def test_sarif_has_the_form_of_the_standard(name: str):
    odd = Verdict((*FINDINGS, Finding("yaml", name, 0, "", "x")))
    made = json.loads(json.dumps(report.as_sarif(odd)))
    jsonschema.Draft7Validator(SARIF).validate(made)
    uri = made["runs"][0]["results"][-1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote(uri) == name.replace("\\", "/")
    jsonschema.Draft7Validator(SARIF).validate(json.loads(json.dumps(report.as_sarif(Verdict(())))))


def test_annotations_are_escaped_as_github_reads_them():
    assert report.as_github(VERDICT) == [
        "::error file=a.yml,line=3,title=traffic::traffic: sums to 90",
        "::error file=b.yml,line=1,title=pin-image::50%25 moves,%0Asee: there",
        "::notice file=c.yml,line=0,title=not-read::unread",
    ]
    odd = Verdict((Finding("yaml", "a:b,c.yml", 1, "", "x"),))
    assert report.as_github(odd) == ["::error file=a%3Ab%2Cc.yml,line=1,title=yaml::x"]


def test_errors_and_house_rules_block_and_notes_do_not():
    assert [f.id for f in VERDICT.blocking] == ["traffic", "pin-image"]
    assert Verdict(FINDINGS[2:]).blocking == ()

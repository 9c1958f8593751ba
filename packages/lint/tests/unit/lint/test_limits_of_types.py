"""Which value and which output fits an input: each pair of types, and each way to write a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.lint.files import Files
from mlops.lint.pipeline import scope_of, takers
from mlops.lint.values import check_ports, fits, mismatch, type_of_port
from tests.unit.lint.one_edit import at


@pytest.mark.parametrize(
    ("port", "kind"),
    [
        ("{type: String}", "string"),
        ("{path: ./x}", "uri_folder"),
        ("{type: uri_file, path: ./x}", "uri_file"),
        ("{value: 3}", ""),
        ("3", ""),
        ("text", ""),
    ],
)
def test_the_type_of_a_port(tmp_path: Path, port: str, kind: str) -> None:
    assert type_of_port(at(f"a: {port}", tmp_path)["a"]) == kind
    assert type_of_port(None) == ""


@pytest.mark.parametrize(
    ("value", "port", "right"),
    [
        (True, "{type: boolean}", True),
        ("TRUE", "{type: boolean}", True),
        ("False", "{type: boolean}", True),
        ("yes", "{type: boolean}", False),
        (1, "{type: boolean}", False),
        ("a", "{type: string, enum: [a, b]}", True),
        ("c", "{type: string, enum: [a, b]}", False),
        (3, "{type: string, enum: ['3']}", True),
        ("c", "{type: enum, enum: [a, b]}", False),
        ("c", "{type: unknown, enum: [a, b]}", True),
        ("c", "{type: string}", True),
        (2, "{type: integer, enum: [1, 3]}", False),
        ("3", "{type: integer, enum: [1, 3]}", True),
        ("./x", "{type: uri_file}", True),
        (3, "{type: uri_file}", False),
        (3, "{}", True),
    ],
)
def test_a_value_for_an_input(tmp_path: Path, value: object, port: str, right: bool) -> None:
    assert (mismatch(value, at(f"a: {port}", tmp_path)["a"]) == "") is right


@pytest.mark.parametrize(
    ("produced", "wanted", "right"),
    [
        ("string", "string", True),
        ("integer", "number", True),
        ("number", "integer", False),
        ("integer", "boolean", False),
        ("boolean", "string", True),
        ("number", "string", True),
        ("string", "uri_file", False),
        ("uri_file", "string", False),
        ("integer", "uri_folder", False),
        ("uri_file", "uri_folder", False),
        ("mltable", "uri_folder", True),
        ("mltable", "mlflow_model", False),
        ("uri_folder", "mlflow_model", True),
        ("mlflow_model", "triton_model", True),
        ("uri_folder", "mltable", False),
        ("", "uri_file", True),
        ("odd", "uri_file", True),
    ],
)
def test_an_output_for_an_input(produced: str, wanted: str, right: bool) -> None:
    assert fits(produced, wanted) is right


def test_every_wrong_port_is_told(tmp_path: Path) -> None:
    text = "inputs: {a: {type: number, min: 2, max: 1}, b: {type: number, min: 2, max: 1}, c: {min: x}}"
    assert [f.field for f in check_ports(at(text, tmp_path))] == ["inputs.a.min", "inputs.b.min"]


PIPELINE = """
inputs: {rate: 1, where: x}
jobs:
  named: {component: {inputs: {r: {type: number}, s: {type: string}}, command: echo},
          inputs: {r: "${{parent.inputs.rate}}", s: "a ${{parent.inputs.rate}}", t: 3}}
  other: {component: {inputs: {r: {type: number}}, command: echo}, inputs: {r: "${{parent.inputs.where}}"}}
  later: {component: {inputs: {r: {type: number}}, command: echo},
          inputs: {r: "${{parent.jobs.rate.outputs.rate}}"}}
  own: {command: echo, inputs: {r: "${{parent.inputs.rate}}"}}
  far: {component: azureml:a:1, inputs: {r: "${{parent.inputs.rate}}"}}
"""


def test_who_takes_an_input_of_the_pipeline(tmp_path: Path) -> None:
    scope = scope_of(at(PIPELINE, tmp_path), Files())
    assert [port.loc for port in takers(scope, "rate")] == [("jobs", "named", "component", "inputs", "r")]
    assert [port.loc[1] for port in takers(scope, "where")] == ["other"]
    assert list(takers(scope, "none")) == []

"""Literals, types and expressions, at the edges: one step inside is right, one step outside is not."""

from __future__ import annotations

import pytest

from mlops.lint.automl import check_automl
from mlops.lint.expression import Hole, broken, holes
from mlops.lint.node import number_of
from mlops.lint.values import fits, mismatch
from tests.unit.lint.one_edit import at


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1.0),
        (1.5, 1.5),
        ("2", 2.0),
        ("1e3", 1000.0),
        (True, None),
        (None, None),
        ("x", None),
        ("nan", None),
        ("inf", None),
        (-(10**400), None),
        ([], None),
    ],
)
def test_numbers(value, number):
    assert number_of(value) == number


PORTS = """
whole: {type: integer, min: 1, max: 3}
number: {type: number, min: 0.5, max: 1.5}
listed: {type: number, enum: [1, 2.5]}
flag: {type: boolean}
word: {type: string, enum: [a, b]}
free: {type: string}
data: {type: uri_file}
"""


@pytest.mark.parametrize(
    ("port", "value", "right"),
    [
        ("whole", 1, True),
        ("whole", 3, True),
        ("whole", "2", True),
        ("whole", 0, False),
        ("whole", 4, False),
        ("whole", 1.5, False),
        ("whole", "1.0", False),
        ("whole", True, False),
        ("number", 0.5, True),
        ("number", 1.5, True),
        ("number", 0.4, False),
        ("number", 1.6, False),
        ("number", "x", False),
        ("listed", "2.5", True),
        ("listed", 2, False),
        ("flag", True, True),
        ("flag", "FALSE", True),
        ("flag", 1, False),
        ("flag", "yes", False),
        ("word", "a", True),
        ("word", "c", False),
        ("free", 3, True),
        ("data", "x", True),
        ("data", 3, False),
    ],
)
def test_literals_and_their_inputs(port, value, right, tmp_path):
    assert (mismatch(value, at(PORTS, tmp_path)[port]) == "") is right


@pytest.mark.parametrize(
    ("produced", "wanted", "right"),
    [
        ("uri_file", "uri_file", True),
        ("uri_file", "uri_folder", False),
        ("uri_folder", "uri_file", False),
        ("mltable", "uri_folder", True),
        ("uri_folder", "mltable", False),
        ("mlflow_model", "custom_model", True),
        ("uri_folder", "mlflow_model", True),
        ("mltable", "mlflow_model", False),
        ("mlflow_model", "uri_file", False),
        ("integer", "number", True),
        ("number", "integer", False),
        ("boolean", "string", True),
        ("string", "boolean", False),
        ("string", "uri_file", False),
        ("uri_file", "string", False),
        ("", "uri_file", True),
        ("uri_file", "", True),
        ("path", "uri_file", True),
        ("uri_file", "path", True),
    ],
)
def test_outputs_and_the_inputs_that_they_feed(produced, wanted, right):
    assert fits(produced, wanted) is right


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("${{parent.inputs.a}}", [Hole("${{parent.inputs.a}}", "parent.input", "a", whole=True)]),
        (" ${{ parent.inputs.a.b }} ", [Hole("${{ parent.inputs.a.b }}", "parent.input", "a", whole=True)]),
        ("x ${{parent.outputs.a}}", [Hole("${{parent.outputs.a}}", "parent.output", "a")]),
        (
            "${{parent.jobs.j.outputs.o}}",
            [Hole("${{parent.jobs.j.outputs.o}}", "job.output", "o", "j", whole=True)],
        ),
        ("${{parent.jobs.j}}", [Hole("${{parent.jobs.j}}", "job", "j", "j", whole=True)]),
        (
            "${{parent.jobs.j.inputs.o}}",
            [Hole("${{parent.jobs.j.inputs.o}}", "", "parent.jobs.j.inputs.o", whole=True)],
        ),
        (
            "$[[--a ${{inputs.a}}]] ${{inputs.b}}",
            [Hole("${{inputs.a}}", "inputs", "a", optional=True), Hole("${{inputs.b}}", "inputs", "b")],
        ),
        (
            "${{search_space.a}}${{outputs.o}}",
            [Hole("${{search_space.a}}", "search_space", "a"), Hole("${{outputs.o}}", "outputs", "o")],
        ),
        ("${{name}}", [Hole("${{name}}", "", "name", whole=True)]),
        ("${{}}", [Hole("${{}}", "", "", whole=True)]),
        ("no hole $[[x]]", []),
    ],
)
def test_expressions(text, found):
    assert list(holes(text)) == found


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("${{inputs.a}}", []),
        ("{{inputs.a}}", ["{{inputs.a}}"]),
        ("${inputs.a}", ["${inputs.a}"]),
        ("${{inputs.a}", ["${{inputs.a}"]),
        ("${{ parent.jobs.a.outputs.b }", ["${{ parent.jobs.a.outputs.b }"]),
        ("{inputs.a}", []),
        ("x{{inputs.a}}", []),
        ("x.{{inputs.a}}", []),
        ("${HOME} {{name}}", []),
        ("{{search_space.a}} {{outputs.b}}", ["{{search_space.a}}", "{{outputs.b}}"]),
        ("$[[--a ${{inputs.a}}]]", []),
        ("$[[--a ${{inputs.a}}]", ["$[["]),
        ("$[[a]] $[[b", ["$[["]),
        ("$[[a\n]]", []),
    ],
)
def test_what_is_meant_as_an_expression_and_is_none(text, pieces):
    assert list(broken(text)) == pieces


IMAGES = "task: image_classification\ntraining_data: azureml:a:1\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("search_space: [{a: {type: uniform, min_value: 1, max_value: 2}}]", []),
        ("search_space: [{a: {type: uniform, min_value: 2, max_value: 1}}]", ["search_space.0.a"]),
        ("search_space: [{}, {a: {type: uniform, min_value: 2, max_value: 1}}]", ["search_space.1.a"]),
        (
            "sweep: {sampling_algorithm: grid}\n"
            "search_space: [{a: {type: uniform, min_value: 1, max_value: 2}}]",
            ["search_space.0.a.type"],
        ),
        (
            "sweep: {sampling_algorithm: {type: grid}}\n"
            "search_space: [{a: {type: uniform, min_value: 1, max_value: 2}}]",
            ["search_space.0.a.type"],
        ),
        ("sweep: {early_termination: {evaluation_interval: 1}}", []),
        (
            "sweep: {early_termination: {evaluation_interval: 0}}",
            ["sweep.early_termination.evaluation_interval"],
        ),
    ],
)
def test_a_search_over_models_of_images(tmp_path, text, said):
    found = [f.field for f in check_automl(at(IMAGES + text, tmp_path)) if f.id != "pin-asset"]
    assert [field.removesuffix(".min_value") for field in found] == said

"""What a job of a pipeline can be given: of each kind of job, and of each reference to a component."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.lint.files import Files
from mlops.lint.interface import described, interface_of, name_of, reference_of, required
from tests.unit.lint.one_edit import at

COMPONENT = """
$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
type: command
name: fit
inputs:
  rows: {type: uri_folder}
  rate: {type: number, default: 0.5}
  depth: {type: integer, optional: true}
  odd: 3
outputs: {model: {type: mlflow_model}}
command: echo
"""


def face(tmp_path: Path, job: str):
    node = at(f"jobs:\n  one: {job}\n", tmp_path).at("jobs", "one")
    return node, interface_of(node, Files())


def summary(face):
    ports = [None if side is None else sorted(side) for side in (face.inputs, face.outputs)]
    return (face.name, *ports, face.component is not None, face.own, [f.id for f in face.findings])


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    (tmp_path / "fit.yml").write_text(COMPONENT)
    (tmp_path / "nameless.yml").write_text(COMPONENT.replace("name: fit\n", ""))
    (tmp_path / "rows.yml").write_text(
        "$schema: https://azuremlschemas.azureedge.net/latest/data.schema.json\nname: rows\npath: ./x\n"
    )
    (tmp_path / "flow.dag.yaml").write_text("inputs: {a: {type: string}}\nnodes: []\n")
    (tmp_path / "broken.yml").write_text("a: [\n")
    return tmp_path


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ("{type: if_else}", ("one", [], [], False, False, [])),
        ("{type: do_while}", ("one", [], [], False, False, [])),
        ("{type: automl, inputs: {a: 1}}", ("one", [], None, False, True, [])),
        (
            "{component: {inputs: {a: {type: string}}, outputs: {b: {}}}}",
            ("one", ["a"], ["b"], True, False, []),
        ),
        (
            "{type: sweep, trial: {inputs: {a: 1}}, inputs: {b: 2}, outputs: {c: }}",
            ("one", ["b"], ["c"], False, True, []),
        ),
        ("{inputs: {a: 1}, outputs: {b: }}", ("one", ["a"], ["b"], False, True, [])),
        (
            "{component: ./fit.yml, inputs: {a: 1}}",
            ("fit", ["depth", "odd", "rate", "rows"], ["model"], True, False, []),
        ),
        (
            "{component: 'file:./fit.yml'}",
            ("fit", ["depth", "odd", "rate", "rows"], ["model"], True, False, []),
        ),
        (
            "{component: ./nameless.yml}",
            ("one", ["depth", "odd", "rate", "rows"], ["model"], True, False, []),
        ),
        (
            "{type: sweep, trial: ./fit.yml}",
            ("fit", ["depth", "odd", "rate", "rows"], ["model"], True, False, []),
        ),
        ("{component: azureml:fit:1}", ("one", None, None, False, False, ["workspace-component"])),
        ("{component: azureml:fit}", ("one", None, None, False, False, ["pin-asset"])),
        ("{component: ./none.yml}", ("one", None, None, False, False, ["missing-file"])),
        ("{component: ./broken.yml}", ("one", None, None, False, False, ["missing-file"])),
        ("{component: ./rows.yml}", ("one", None, None, False, False, ["bad-reference"])),
        ("{component: ./flow.dag.yaml}", ("one", None, None, False, False, [])),
    ],
)
def test_the_ports_of_each_job(beside: Path, job: str, expected: tuple[object, ...]) -> None:
    assert summary(face(beside, job)[1]) == expected


def test_a_job_is_called_by_its_key_and_a_file_by_its_name(tmp_path: Path) -> None:
    top = at("jobs: {one: {type: command}}", tmp_path)
    assert name_of(top.at("jobs", "one")) == "one"
    assert name_of(top) == "x.yml"


@pytest.mark.parametrize(
    ("job", "named"),
    [
        ("{type: sweep, trial: ./a.yml}", "./a.yml"),
        ("{type: sweep, trial: ./a.yml, component: ./b.yml}", "./b.yml"),
        ("{type: command, trial: ./a.yml, component: ./b.yml}", "./b.yml"),
        ("{trial: ./a.yml}", None),
    ],
)
def test_where_a_job_names_its_component(tmp_path: Path, job: str, named: str | None) -> None:
    assert reference_of(face(tmp_path, job)[0]).value == named


def test_what_must_be_given(beside: Path) -> None:
    assert [name for name, _ in required(face(beside, "{component: ./fit.yml}")[1])] == ["rows"]
    own = face(beside, "{command: echo, inputs: {a: {type: string}}}")[1]
    assert list(required(own)) == []
    assert list(required(face(beside, "{component: azureml:fit:1}")[1])) == []


def test_how_a_sentence_calls_the_owner(beside: Path) -> None:
    assert described(face(beside, "{command: echo}")[1]) == "job 'one'"
    assert described(face(beside, "{component: ./fit.yml}")[1]) == "component fit"

# ruff: noqa: E501 (tables of cases, one a line)
"""What a job is judged by depends on two things at once: its kind, and where its work is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.lint.files import Files
from mlops.lint.job import check_component, check_job
from tests.unit.lint.one_edit import at

ENV = "environment: file:./env.yml"
HEAD = "settings: {default_compute: azureml:cpu}\njobs:\n  one:"
FILES = {
    "env.yml": "image: example.azurecr.io/tools:3\n",
    "wrong.yml": "type: command\nname: wrong\ninputs: {a-b: {type: string}}\ncommand: echo\n",
    "typeless.yml": "name: a\ninputs: {rows: {type: string}}\ncommand: echo ${{inputs.rows}}\n" + ENV,
    "piped.yml": "$schema: https://azuremlschemas.azureedge.net/latest/pipelineComponent.schema.json\n"
    "type: pipeline\nname: piped\njobs: {}\n",
    "src/score.py": "def init(): pass\ndef run(b): return b\n",
    "src/go.py": "print(1)\n",
}
CONF = (
    "{spark.driver.cores: 1, spark.driver.memory: 2g, spark.executor.cores: 1, spark.executor.memory: 2g, "
    "spark.executor.instances: 1}"
)
SPARK = f"{{type: spark, code: ./src, entry: {{file: go.py}}, {ENV}, conf: {CONF}, resources: {{instance_type: standard_e4s_v3, runtime_version: '3.4'}}"
BATCH = "type: parallel, mini_batch_size: '1', input_data: '${{inputs.a}}', inputs: {a: {type: uri_folder, path: azureml:a:1}}"
TASK = f"{{type: run_function, code: ./src, entry_script: score.py, {ENV}}}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def said(folder: Path, text: str, kind: str) -> list[str]:
    found = check_job(at(text, folder), kind, Files(folder))
    return sorted(f"{f.id} {f.field}".strip() for f in found)


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        # A component in a file is judged in that file, and one that is written here is judged here.
        ("{component: ./wrong.yml, inputs: {a-b: x}}", ["bad-name jobs.one.inputs.a-b"]),
        (
            f"{{component: {{type: command, inputs: {{a-b: {{type: string, default: x}}}}, command: echo, {ENV}}}}}",
            ["bad-name jobs.one.component.inputs.a-b", "unused-input jobs.one.component.inputs.a-b"],
        ),
        # One without a type is what its job is; one with a type is that.
        (f"{{type: command, component: {{command: 'echo ${{{{inputs.x}}}}', {ENV}}}}}", ["placeholder jobs.one.component.command"]),
        (f"{{component: {{type: command, command: 'echo ${{{{inputs.x}}}}', {ENV}}}}}", ["placeholder jobs.one.component.command"]),
        (f"{{type: parallel, component: {{type: command, command: echo, {ENV}}}}}", ["type-mismatch jobs.one.type"]),
        ("{type: , component: {type: command, command: echo, environment: azureml:e:1}}", []),
        # A command that is written here is judged as a whole; one that names a component, by what it sets.
        (f"{{command: 'echo ${{{{inputs.x}}}}', {ENV}}}", ["placeholder jobs.one.command"]),
        (f"{{command: 'echo ${{{{outputs.x}}}}', outputs: {{x: {{type: uri_folder}}}}, {ENV}}}", []),
        ("{component: azureml:a:1, command: 'echo ${{inputs.x}}'}", ["workspace-component jobs.one.component"]),
        ("{component: azureml:a:1, limits: {timeout: 0}}", ["out-of-range jobs.one.limits.timeout", "workspace-component jobs.one.component"]),
        ("{type: automl, task: classification, limits: {timeout: 0}, training_data: azureml:a:1}", []),
        # An optional input of one's own needs no brackets.
        (f"{{command: 'echo ${{{{inputs.a}}}}', inputs: {{a: {{type: string, optional: true, value: x}}}}, {ENV}}}", []),
        # Spark and parallel work that is written here.
        (SPARK + "}", []),
        (SPARK + ", args: '${{inputs.x}}'}", ["placeholder jobs.one.args"]),
        (SPARK.replace("spark.driver.cores: 1, ", "") + "}", ["spark jobs.one.conf"]),
        ("{type: spark, component: azureml:a:1, resources: {instance_type: standard_e4s_v3, runtime_version: '3.4'}}", ["workspace-component jobs.one.component"]),
        ("{type: spark, component: azureml:a:1, conf: {spark.driver.cores: 0}, compute: azureml:s}", ["spark jobs.one.conf.spark.driver.cores", "workspace-component jobs.one.component"]),
        (f"{{{BATCH}, task: {TASK}}}", []),
        (f"{{{BATCH}, task: {TASK.replace('score.py', 'none.py')}}}", ["missing-script jobs.one.task.entry_script"]),
        ("{type: parallel, component: azureml:a:1, mini_batch_size: '0'}", ["mini-batch jobs.one.mini_batch_size", "workspace-component jobs.one.component"]),
        # A block, a loop: no job that runs by itself.
        ("{type: if_else, condition: x, true_block: '${{parent.jobs.one}}', compute: 'a b'}", ["preview jobs.one.type"]),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else None,
)  # fmt: skip
def test_a_job_of_a_pipeline(folder: Path, node: str, expected: list[str]) -> None:
    assert said(folder, f"{HEAD} {node}", "job.pipeline") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("component: ./piped.yml", []),
        ("component: ./wrong.yml\njobs: {one: {component: azureml:a:1}}", ["no-compute jobs.one", "workspace-component jobs.one.component"]),
        ("component: ./wrong.yml", ["type-mismatch component"]),
        ("component: ./typeless.yml\ninputs: {rows: x}", []),
        ("jobs: {}", ["missing-field jobs"]),
        ("inputs: {}", ["missing-field"]),
    ],
)  # fmt: skip
def test_a_pipeline_has_jobs_or_a_component(folder: Path, text: str, expected: list[str]) -> None:
    assert said(folder, text, "job.pipeline") == expected


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("job.sweep", "type: sweep\ntrial: azureml:a:1\nsearch_space: {a: {type: choice, values: [1]}}\nobjective: {goal: maximize, primary_metric: m}\nlimits: {max_total_trials: 2}\nsampling_algorithm: random", ["no-compute"]),
        ("job.command", f"command: echo\n{ENV}", []),
        ("job.spark", "entry: {file: go.py}\ncode: ./src\nargs: ${{inputs.x}}", ["no-compute", "placeholder args", "spark conf", "spark conf", "spark conf", "spark conf", "spark conf"]),
        ("job.automl.classification", "compute: azureml:c\ntarget_column_name: y", ["missing-field"]),
    ],
)  # fmt: skip
def test_a_job_with_a_file_of_its_own(folder: Path, kind: str, text: str, expected: list[str]) -> None:
    assert said(folder, text, kind) == expected


TRIAL = "type: sweep\nlimits: {max_total_trials: 2}\nsampling_algorithm: random\nobjective: {goal: maximize, primary_metric: m}\ncompute: azureml:c\nsearch_space: {a: {type: choice, values: [1]}}\n"


@pytest.mark.parametrize(
    ("trial", "expected"),
    [
        (f"trial: {{command: 'echo ${{{{search_space.a}}}}', {ENV}}}", []),
        (f"trial: {{command: echo, {ENV}}}", ["unused-search-space search_space.a"]),
        (f"trial: {{command: echo, inputs: {{a: {{type: number}}}}, {ENV}}}", []),
        (f"trial: {{{ENV}}}", []),
        (f"inputs: {{b: {{type: string, optional: true, value: x}}}}\ntrial: {{command: 'echo ${{{{search_space.a}}}} ${{{{inputs.b}}}}', {ENV}}}", []),
        (f"outputs: {{b: {{type: uri_folder}}}}\ntrial: {{command: 'echo ${{{{search_space.a}}}} ${{{{outputs.b}}}}', {ENV}}}", []),
        ("trial: {command: 'echo ${{search_space.a}}', environment: 'file:./none.yml'}", ["missing-file trial.environment"]),
        ("trial: ./typeless.yml", ["unused-search-space search_space.a"]),
        ("trial: azureml:a:1", []),
    ],
)  # fmt: skip
def test_the_trial_of_a_sweep(folder: Path, trial: str, expected: list[str]) -> None:
    assert said(folder, TRIAL + trial, "job.sweep") == expected


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("command", f"command: echo\n{ENV}"),
        ("parallel", f"input_data: ${{{{inputs.a}}}}\nmini_batch_size: '1'\ninputs: {{a: {{type: uri_folder}}}}\ntask: {TASK}"),
        ("spark", f"entry: {{file: go.py}}\ncode: ./src\n{ENV}"),
    ],
)  # fmt: skip
def test_components_of_every_kind_name_an_environment_by_its_file(folder: Path, kind: str, text: str) -> None:
    component = f"name: a\nversion: '1'\n{text}"
    good = list(check_component(at(component, folder), kind, Files(folder)))
    assert [f.id for f in good] == []
    wrong = list(check_component(at(component.replace("env.yml", "none.yml"), folder), kind, Files(folder)))
    assert [f.id for f in wrong] == ["missing-file"]


@pytest.mark.parametrize(
    ("given", "wanted", "expected"),
    [
        ("{type: number, default: 3}", "{type: number, max: 1}", ["bad-literal jobs.one.inputs.a"]),
        ("{type: number, default: 1}", "{type: number, max: 1}", []),
        ("{type: number}", "{type: number, max: 1}", []),
        ("{type: string, default: c}", "{type: string, enum: [a]}", ["bad-literal jobs.one.inputs.a"]),
        ("{type: uri_file, default: c}", "{type: uri_file}", ["bad-literal inputs.a.default"]),
        ("{type: string}", "{type: number}", ["type-mismatch jobs.one.inputs.a"]),
    ],
)
def test_the_default_of_a_pipelines_input_fits_the_job(
    folder: Path, given: str, wanted: str, expected: list[str]
) -> None:
    text = (
        f"name: a\nversion: '1'\ninputs: {{a: {given}}}\njobs:\n  one:\n    compute: azureml:c\n"
        f"    component: {{type: command, inputs: {{a: {wanted}}}, command: 'echo ${{{{inputs.a}}}}', {ENV}}}\n"
        "    inputs: {a: '${{parent.inputs.a}}'}\n"
    )
    found = check_component(at(text, folder), "pipeline", Files(folder))
    assert sorted(f"{f.id} {f.field}" for f in found) == expected


def test_inputs_of_a_pipeline_that_runs_a_component_are_bound_to_nothing(folder: Path) -> None:
    assert (
        said(folder, "component: ./typeless.yml\ninputs: {rows: '${{parent.inputs.x}}'}", "job.pipeline")
        == []
    )

"""A job of any kind goes to Azure ML as its file stands, and what it leaves comes back. What a run here may
be asked (a part, a stand-in) is refused there, not dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.errors import InvalidInput, StepFailed
from mlops.pipeline import Selection, StepEvent
from mlops.spec.settings import load_settings
from mlops.targets.azure import open_azure
from mlops.targets.base import Target
from tests.azure import tiny
from tests.azure.emulator import Emulator

JOB = """\
$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
display_name: say
experiment_name: tiny
code: code
command: python work.py make ${{inputs.raw}} ${{inputs.word}} 2 ${{outputs.made}} && cp ${{outputs.made}}/text.txt ${{outputs.text}}
environment: file:environment.yml
compute: azureml:cpu-cluster
inputs:
  raw: {type: uri_folder, path: azureml:tinydata:1}
  word: hey
outputs:
  made: {type: uri_folder}
  text: {type: uri_file}
"""  # noqa: E501

AUTOML = """\
type: automl
experiment_name: tiny
compute: azureml:cpu-cluster
task: regression
primary_metric: r2_score
target_column_name: y
training_data: {path: ./table, type: mltable}
limits: {max_trials: 2, timeout_minutes: 60}
outputs: {best_model: {type: mlflow_model}}
"""
WITH_AUTOML = """\
$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
type: pipeline
experiment_name: tiny
inputs: {train: {type: mltable, path: ./table}}
settings: {default_compute: azureml:cpu-cluster}
outputs: {told: {type: uri_file}}
jobs:
  learn:
    type: automl
    task: regression
    primary_metric: r2_score
    target_column_name: y
    training_data: ${{parent.inputs.train}}
    limits: {max_trials: 2, timeout_minutes: 60}
    outputs: {best_model: {type: mlflow_model}}
  after:
    type: command
    command: ls ${{inputs.model}} > ${{outputs.told}}
    environment: file:environment.yml
    inputs: {model: {type: mlflow_model, path: "${{parent.jobs.learn.outputs.best_model}}"}}
    outputs: {told: "${{parent.outputs.told}}"}
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    folder = tiny.make(tmp_path / "repository").parent
    (folder / "job.yml").write_text(JOB)
    return folder / "job.yml"


@pytest.fixture
def target(job: Path, tracked: Emulator) -> Target:
    root = job.parents[2]
    made = open_azure(root, load_settings(root))
    made.data.push("tiny")
    return made


def test_a_command_job_runs_there_and_its_file_comes_back(target: Target, job: Path) -> None:
    heard: list[StepEvent] = []
    result = target.jobs.run(job, {"word": "ho"}, {"mlops.commit": "c" * 40}, heard.append)
    assert result.outputs["text"].read_text() == "data hoho"
    assert [(event.step, event.state) for event in heard][-1] == ("say", "finished")
    folder = target.jobs.output(result.run_id, "made")
    assert (folder / "text.txt").read_text() == "data hoho", "a folder comes when it is asked for"
    assert result.tags["mlops.commit"] == "c" * 40


def test_a_command_job_that_fails_says_what_its_log_says(target: Target, job: Path) -> None:
    with pytest.raises(
        StepFailed, match="step 'say' failed; the last lines of its log:\n    the word is fail"
    ):
        target.jobs.run(job, {"word": "fail"}, {}, lambda _: None)


def test_a_wrong_input_of_a_job_is_refused_before_it_is_submitted(
    target: Target, job: Path, tracked: Emulator
) -> None:
    with pytest.raises(InvalidInput, match="has no input 'words'; it has: raw, word"):
        target.jobs.submit(job, {"words": "x"}, {})
    assert not tracked.calls("PUT", "/jobs/")


@pytest.mark.parametrize(
    "selection",
    [Selection(only=("say",)), Selection(environment=True), Selection(stand_ins={"a": Path("b")})],
)
def test_what_only_a_run_here_can_do_is_refused(
    target: Target, job: Path, tracked: Emulator, selection: Selection
) -> None:
    with pytest.raises(InvalidInput, match="run steps on this machine; on Azure ML a pipeline runs whole"):
        target.jobs.run(job, {}, {}, lambda _: None, selection)
    assert not tracked.calls("PUT", "/jobs/")


def automl(folder: Path, text: str, columns: str = "x,y") -> Path:
    """A file that names AutoML, beside the table that it learns from."""
    (folder / "table").mkdir()
    (folder / "table/rows.csv").write_text(f"{columns}\n1,2\n")
    (folder / "table/MLTable").write_text(
        "paths: [{file: ./rows.csv}]\ntransformations: [{read_delimited: {delimiter: ','}}]\n"
    )
    path = folder / "automl.yml"
    path.write_text(text)
    return path


def test_automl_goes_there_as_its_file_stands(target: Target, job: Path) -> None:
    heard: list[StepEvent] = []
    result = target.jobs.run(automl(job.parent, AUTOML), {}, {"mlops.job": "automl.yml"}, heard.append)
    assert heard[-1].state == "finished"
    assert (target.jobs.output(result.run_id, "best_model") / "MLmodel").is_file()
    assert result.tags["mlops.job"] == "automl.yml"


def test_automl_in_a_pipeline_gives_its_model_to_the_next_job(target: Target, job: Path) -> None:
    heard: list[StepEvent] = []
    result = target.jobs.run(automl(job.parent, WITH_AUTOML), {}, {}, heard.append)
    assert result.outputs["told"].read_text() == "MLmodel\n"
    assert {event.step: event.state for event in heard} == {"learn": "finished", "after": "finished"}


@pytest.mark.parametrize(("text", "label"), [(AUTOML, r"\S+_0"), (WITH_AUTOML, r"learn\.learn_0")])
def test_automl_that_fails_shows_the_log_of_what_failed(
    target: Target, job: Path, text: str, label: str
) -> None:
    path = automl(job.parent, text, columns="x,z")
    with pytest.raises(
        StepFailed, match=f"step '{label}' failed.*log:\n    The target column y was not found"
    ):
        target.jobs.run(path, {}, {}, lambda _: None)


def test_what_azure_ai_ml_says_of_a_file_is_a_sentence(target: Target, job: Path) -> None:
    """It explains itself in colours and with links; what is left is about the file."""
    with pytest.raises(InvalidInput) as caught:
        target.jobs.run(automl(job.parent, AUTOML.replace("./table", "./nowhere")), {}, {}, lambda _: None)
    said = str(caught.value)
    assert "nowhere" in said and "\x1b" not in said and "Resources" not in said


BY_NAME = """\
$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
type: pipeline
experiment_name: tiny
settings: {default_compute: azureml:cpu-cluster}
inputs: {word: hey}
outputs: {text: {type: uri_file}}
jobs:
  say:
    command: cat ${{inputs.d}} > ${{outputs.text}} && echo ${{inputs.t}} >> ${{outputs.text}}
    environment: file:environment.yml
    inputs:
      d: {type: uri_file, path: "https://example.com/a.csv"}
      t: ${{parent.inputs.word}}
    outputs: {text: "${{parent.outputs.text}}"}
"""


def test_an_input_of_a_job_can_be_given_by_its_name(target: Target, job: Path) -> None:
    path = job.parent / "named.yml"
    path.write_text(BY_NAME)
    (job.parent / "copy.csv").write_text("1\n")
    given = {"say.d": str(job.parent / "copy.csv"), "say.t": "no"}
    result = target.jobs.run(path, given, {}, lambda _: None)
    assert result.outputs["text"].read_text() == "1\nno\n"

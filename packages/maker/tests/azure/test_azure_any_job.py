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

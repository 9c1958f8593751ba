"""A pipeline inside of a pipeline means the same on Azure ML and here, and so does a value in a command: it
is put in as text, so quotes around it count and several words are several words."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.errors import StepFailed
from mlops.pipeline import JobResult, StepEvent
from mlops.spec.settings import load_settings
from mlops.targets import open_target
from mlops.targets.base import Target
from tests.azure import tiny
from tests.azure.emulator import Emulator

OUTER = """\
$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
type: pipeline
display_name: outer
experiment_name: tiny
inputs:
  raw: {type: uri_folder, path: azureml:tinydata:1}
  words: two words
  fail: "no"
outputs:
  told: {type: uri_file}
settings: {default_compute: azureml:cpu-cluster}
jobs:
  inner:
    type: pipeline
    component: inner.yml
    inputs:
      raw: ${{parent.inputs.raw}}
      words: ${{parent.inputs.words}}
      fail: ${{parent.inputs.fail}}
  after:
    type: command
    component: after.yml
    inputs:
      made: ${{parent.jobs.inner.outputs.made}}
    outputs:
      told: ${{parent.outputs.told}}
"""
INNER = """\
$schema: https://azuremlschemas.azureedge.net/latest/pipelineComponent.schema.json
type: pipeline
name: inner
version: "1"
inputs:
  raw: {type: uri_folder}
  words: {type: string}
  fail: {type: string}
  count: {type: integer, default: 3}
outputs:
  made: {type: uri_folder}
jobs:
  first:
    type: command
    component: first.yml
    inputs:
      raw: ${{parent.inputs.raw}}
      words: ${{parent.inputs.words}}
      fail: ${{parent.inputs.fail}}
  second:
    type: command
    component: second.yml
    inputs:
      some: ${{parent.jobs.first.outputs.some}}
      count: ${{parent.inputs.count}}
    outputs:
      made: ${{parent.outputs.made}}
"""
STEP = """\
$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
type: command
name: {name}
version: "1"
inputs: {inputs}
outputs: {outputs}
environment: file:environment.yml
command: {command}
"""
STEPS = {
    "first": (
        "{raw: {type: uri_folder}, words: {type: string}, fail: {type: string}}",
        "{some: {type: uri_folder}}",
        "if [ ${{inputs.fail}} = yes ]; then echo told to fail; exit 3; fi && "
        "printf '<%s>' \"${{inputs.words}}\" ${{inputs.words}} '${{inputs.words}}' "
        "> ${{outputs.some}}/a.txt && "
        "cat ${{inputs.raw}}/a*.txt >> ${{outputs.some}}/a.txt",
    ),
    "second": (
        "{some: {type: uri_folder}, count: {type: integer}}",
        "{made: {type: uri_folder}}",
        "cat ${{inputs.some}}/a.txt > ${{outputs.made}}/b.txt && "
        "printf ${{inputs.count}} >> ${{outputs.made}}/b.txt",
    ),
    "after": (
        "{made: {type: uri_folder}}",
        "{told: {type: uri_file}}",
        "cat ${{inputs.made}}/b.txt > ${{outputs.told}}",
    ),
}


@pytest.fixture
def outer(tmp_path: Path) -> Path:
    folder = tiny.make(tmp_path / "repository").parent
    (folder / "training.yml").write_text(OUTER)
    (folder / "inner.yml").write_text(INNER)
    for name, (inputs, outputs, command) in STEPS.items():
        text = STEP.format(name=name, inputs=inputs, outputs=outputs, command=f">-\n  {command}")
        (folder / f"{name}.yml").write_text(text)
    return folder / "training.yml"


def run(target: Target, path: Path, heard: list[StepEvent], **inputs: str) -> JobResult:
    return target.jobs.run(path, inputs, {"mlops.commit": "c" * 40}, heard.append)


def on(name: str, path: Path) -> Target:
    root = path.parents[2]
    made = open_target(name, root, load_settings(root))
    made.data.push("tiny")
    return made


def test_it_means_the_same_there_and_here(outer: Path, tracked: Emulator) -> None:
    heard: list[StepEvent] = []
    there = run(on("azure", outer), outer, heard)
    assert {event.step: event.state for event in heard} == {"inner": "finished", "after": "finished"}
    here: list[StepEvent] = []
    local = run(on("local", outer), outer, here)
    assert {event.step for event in here} == {"inner.first", "inner.second", "after"}
    said = "<two words><two><words><two words>data 3"
    assert there.outputs["told"].read_text() == local.outputs["told"].read_text() == said
    (inner,) = [job for job in tracked.jobs.children(there.run_id) if job.display == "inner"]
    assert {job.display for job in tracked.jobs.children(inner.name)} == {"first", "second"}


def test_a_step_inside_of_it_that_fails_fails_all(outer: Path, tracked: Emulator) -> None:
    heard: list[StepEvent] = []
    with pytest.raises(StepFailed, match=r"step 'inner\.first' failed.*log:\n    told to fail") as caught:
        run(on("azure", outer), outer, heard, fail="yes")
    (first,) = [job for job in tracked.jobs.jobs.values() if job.display == "first"]
    assert f"log: https://ml.azure.com/runs/{first.name}?" in str(caught.value)
    states = {event.step: event.state for event in heard}
    assert states["inner"] == "failed" and states["after"] == "skipped"

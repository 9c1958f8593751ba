"""`--only JOB` needs what stands before the job: whatever else the file has may be for Azure ML alone."""

from __future__ import annotations

import pytest
from step_world import World

from mlops.errors import InvalidInput
from mlops.pipeline import Selection

ENV = "environment: azureml:tools:3"
PIPELINE = f"""
jobs:
  prep:
    command: mkdir -p ${{{{outputs.t}}}} && echo 1 > ${{{{outputs.t}}}}/t
    outputs: {{t: {{type: uri_folder}}}}
    {ENV}
  look:
    command: cat ${{{{inputs.a}}}}/t
    inputs: {{a: {{type: uri_folder, path: "${{{{parent.jobs.prep.outputs.t}}}}"}}}}
    {ENV}
  learn:
    type: automl
    task: regression
    primary_metric: r2_score
    training_data: ${{{{parent.jobs.prep.outputs.t}}}}
    target_column_name: y
    outputs: {{best_model: {{type: mlflow_model}}}}
  judge:
    command: cp -r ${{{{inputs.m}}}} ${{{{outputs.m}}}}
    inputs: {{m: {{type: mlflow_model, path: "${{{{parent.jobs.learn.outputs.best_model}}}}"}}}}
    outputs: {{m: {{type: mlflow_model}}}}
    {ENV}
  last:
    command: ls ${{{{inputs.m}}}}
    inputs: {{m: {{type: mlflow_model, path: "${{{{parent.jobs.judge.outputs.m}}}}"}}}}
    {ENV}
  shared:
    component: azureml://registries/azureml/components/thing/versions/1
"""


@pytest.mark.parametrize("asked", [("only", "look"), ("until", "look"), ("only", "prep")])
def test_a_job_runs_although_others_need_azure(world: World, asked: tuple[str, str]) -> None:
    option, name = asked
    world.run(PIPELINE, selection=Selection(**{option: (name,)}))
    assert set(world.states) == {"prep", "look"} - ({"look"} if name == "prep" else set())
    assert set(world.states.values()) == {"finished"}


@pytest.mark.parametrize("name", ["judge", "last"])
def test_what_a_job_needs_is_named_and_nothing_else(world: World, name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        world.run(PIPELINE, selection=Selection(only=(name,)))
    said = [(p.field, "only Azure ML runs" in p.message) for p in refused.value.problems]
    assert said == [("jobs.learn.type", True)]
    assert not world.events


def test_the_job_itself_may_be_one_that_cannot_run(world: World) -> None:
    with pytest.raises(InvalidInput) as refused:
        world.run(PIPELINE, selection=Selection(only=("shared",)))
    assert [p.field for p in refused.value.problems] == ["jobs.shared.component"]


def test_from_runs_the_whole_and_needs_all_of_it(world: World) -> None:
    with pytest.raises(InvalidInput) as refused:
        world.run(PIPELINE, selection=Selection(start=("look",)))
    assert {p.field for p in refused.value.problems} == {"jobs.learn.type", "jobs.shared.component"}


def test_a_first_job_that_cannot_run_is_needed_by_all(world: World) -> None:
    head = "type: pipeline\nsettings: {default_compute: azureml:small, on_init: shared}\n"
    with pytest.raises(InvalidInput) as refused:
        world.run(PIPELINE, head=head, selection=Selection(only=("look",)))
    assert [p.field for p in refused.value.problems] == ["jobs.shared.component"]


INNER = f"""
type: pipeline
name: inner
version: "1"
outputs: {{t: {{type: uri_folder}}}}
jobs:
  far:
    component: azureml://registries/azureml/components/copy/versions/1
    outputs: {{out: {{path: "${{{{parent.outputs.t}}}}"}}}}
  near: {{command: "true", {ENV}}}
"""
OUTER = f"""
jobs:
  inner: {{type: pipeline, component: ./inner.yml}}
  use:
    command: ls ${{{{inputs.a}}}}
    inputs: {{a: {{type: uri_folder, path: "${{{{parent.jobs.inner.outputs.t}}}}"}}}}
    {ENV}
"""


def test_a_job_inside_of_a_pipeline_is_needed_by_who_reads_the_pipeline(world: World) -> None:
    world.write("inner.yml", INNER)
    world.run(OUTER, selection=Selection(only=("inner.near",)))
    assert world.states == {"inner.near": "finished"}
    with pytest.raises(InvalidInput) as refused:
        world.run(OUTER, selection=Selection(only=("use",)))
    assert len(refused.value.problems) == 1 and "jobs.far" in str(refused.value)

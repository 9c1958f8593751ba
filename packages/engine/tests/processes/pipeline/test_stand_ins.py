"""What only Azure ML can do is said before the start, job by job, and may have a stand-in here."""

from __future__ import annotations

import pytest
from as_on_azure import shows
from step_world import World

from mlops.errors import InvalidInput
from mlops.pipeline import Selection

ENV = "environment: azureml:tools:3"


# --- what only Azure ML runs -----------------------------------------------------------------------------

ONLY_AZURE = f"""
jobs:
  prep:
    command: mkdir -p ${{{{outputs.t}}}} && echo 1 > ${{{{outputs.t}}}}/t
    outputs: {{t: {{type: uri_folder}}}}
    {ENV}
  learn:
    type: automl
    task: regression
    primary_metric: r2_score
    training_data: ${{{{parent.jobs.prep.outputs.t}}}}
    target_column_name: y
    limits: {{max_trials: 1}}
    outputs: {{best_model: {{type: mlflow_model}}}}
  shared:
    component: azureml://registries/azureml/components/thing/versions/1
"""
STAND_IN = f"""
type: command
name: instead
version: "1"
inputs: {{training_data: {{type: uri_folder}}, target_column_name: {{type: string}}}}
outputs: {{best_model: {{type: mlflow_model}}}}
{ENV}
command: >-
  cp ${{{{inputs.training_data}}}}/t ${{{{outputs.best_model}}}}/MLmodel &&
  printf "${{{{inputs.target_column_name}}}}" >> ${{{{outputs.best_model}}}}/MLmodel
"""


@shows(
    "AutoML, conditions and loops, data transfer, components of a workspace or registry",
    azure="run",
    here="refused by name before the start, or replaced by `--stand-in`",
)
def test_every_job_that_only_azure_runs_is_named_before_the_start(world: World) -> None:
    with pytest.raises(InvalidInput) as refused:
        world.run(ONLY_AZURE)
    said = str(refused.value)
    assert "jobs.learn.type: is AutoML, which only Azure ML runs; name a component" in said
    assert "jobs.shared.component" in said and "--stand-in shared=FILE" in said
    assert not world.events and not world.tracker.runs


@shows("AutoML, conditions and loops, data transfer, components of a workspace or registry")
def test_a_stand_in_runs_in_place_of_it(world: World) -> None:
    instead = world.write("elsewhere/instead.yml", STAND_IN)
    nothing = world.write(
        "elsewhere/nothing.yml", f"type: command\nname: n\nversion: '1'\n{ENV}\ncommand: echo nothing\n"
    )
    selection = Selection(stand_ins={"learn": instead, "shared": nothing})
    result = world.run(ONLY_AZURE, selection=selection)
    assert (result.outputs["learn.best_model"] / "MLmodel").read_text() == "1\ny"


AUTOML = """
type: automl
task: regression
primary_metric: r2_score
compute: azureml:small
training_data: {type: mltable, path: ./data}
target_column_name: y
limits: {max_trials: 1}
outputs: {best_model: {type: mlflow_model}}
"""
OTHER_KINDS = [
    (AUTOML, "is AutoML, which only Azure ML runs; name a component that stands in for it (--stand-in "),
    (
        """
        type: import
        source: {type: azuresqldb, connection: "azureml:c", query: "select 1"}
        output: {type: mltable, path: "azureml://datastores/x/paths/y"}
        """,
        "is an import, which only Azure ML runs; name a component that stands in for it (--stand-in ",
    ),
    (
        f"{{type: command, name: c, version: '1', command: echo 1, {ENV}}}",
        "a command component is no job by itself; name it in a job of a pipeline (`component: ./FILE`)",
    ),
    (
        "{$schema: https://azuremlschemas.azureedge.net/latest/environment.schema.json, "
        "name: e, version: '1', image: 'mcr.microsoft.com/x:1'}",
        "environment: a run here takes a pipeline, or a command, sweep or Spark job",
    ),
    ("{a: 1}", "no job of Azure ML: a run here takes a pipeline"),
    ("just words", "must be a mapping of fields"),
]


@pytest.mark.parametrize(("text", "said"), OTHER_KINDS, ids=lambda text: text.strip()[:22])
@shows("AutoML, conditions and loops, data transfer, components of a workspace or registry")
def test_a_file_that_does_not_run_here_is_refused_by_name_with_the_way_out(
    world: World, text: str, said: str
) -> None:
    world.write("data/MLTable", "paths: [{file: ./a.csv}]\n")
    with pytest.raises(InvalidInput) as refused:
        world.run(text, head="")
    assert said in str(refused.value)
    assert not world.events and not world.tracker.runs


@shows("AutoML, conditions and loops, data transfer, components of a workspace or registry")
def test_a_stand_in_for_a_job_of_automl_alone(world: World) -> None:
    world.write("data/MLTable", "paths: [{file: ./a.csv}]\n")
    learn = """
    type: command
    name: instead
    version: "1"
    inputs: {training_data: {type: mltable}, target_column_name: {type: string}}
    outputs: {best_model: {type: mlflow_model}}
    environment: azureml:tools:3
    command: printf ${{inputs.target_column_name}} | cat ${{inputs.training_data}}/MLTable - > ${{outputs.best_model}}/MLmodel
    """  # noqa: E501
    instead = world.write("instead.yml", learn)
    result = world.run(f"name: learn\n{AUTOML}", head="", selection=Selection(stand_ins={"learn": instead}))
    assert (result.outputs["best_model"] / "MLmodel").read_text() == "paths: [{file: ./a.csv}]\ny"


@pytest.mark.parametrize("name", ["lear", "jobs"])
def test_a_stand_in_is_for_a_job_by_its_whole_name(world: World, name: str) -> None:
    instead = world.write("instead.yml", STAND_IN)
    with pytest.raises(InvalidInput, match="no job to stand in for; there is: learn, prep, shared"):
        world.run(ONLY_AZURE, selection=Selection(stand_ins={name: instead}))


def test_what_cannot_stand_in_is_said_with_its_kind(world: World) -> None:
    wrong = world.write("wrong.yml", AUTOML)
    with pytest.raises(InvalidInput, match="is no component that runs here, but job automl"):
        world.run(ONLY_AZURE, selection=Selection(stand_ins={"learn": wrong}))


WORKSPACE = f"""
jobs:
  a:
    component: azureml:x@default
  b:
    type: command
    component: azureml:x:3
    inputs: {{n: 1}}
  c:
    component: azureml://registries/azureml/components/thing/labels/latest
    inputs: {{made: "${{{{parent.jobs.d.outputs.o}}}}"}}
  d:
    command: printf 4 > ${{{{outputs.o}}}}
    outputs: {{o: {{type: uri_file}}}}
    {ENV}
"""


@shows("AutoML, conditions and loops, data transfer, components of a workspace or registry")
def test_components_that_this_machine_lacks_are_all_named_and_replaced(world: World) -> None:
    with pytest.raises(InvalidInput) as refused:
        world.run(WORKSPACE)
    found = [str(problem) for problem in refused.value.problems]
    assert len(found) == 3
    for name, where in (("a", "a workspace"), ("b", "a workspace"), ("c", "a registry")):
        (one,) = [said for said in found if f"jobs.{name}.component" in said]
        assert f"is a component of {where}" in one and f"(--stand-in {name}=FILE)" in one
    head = f"type: command\nname: n\nversion: '1'\n{ENV}\noutputs: {{o: {{type: uri_file}}}}\n"
    plain = world.write("plain.yml", f"{head}command: printf 0 > ${{{{outputs.o}}}}\n")
    adds = world.write(
        "adds.yml",
        f"{head}inputs: {{made: {{type: uri_file}}}}\n"
        "command: cat ${{inputs.made}} > ${{outputs.o}}\n",
    )
    result = world.run(WORKSPACE, selection=Selection(stand_ins={"a": plain, "b": plain, "c": adds}))
    assert set(world.states) == set("abcd")
    assert result.outputs["c.o"].read_text() == "4", "it reads what the job would have read"


STOOD_IN = """
outputs: {given: {type: uri_file}}
jobs:
  a:
    component: azureml:x@default
    outputs: {given: "${{parent.outputs.given}}"}
  b:
    command: cat ${{inputs.i}}
    inputs: {i: "${{parent.jobs.a.outputs.thing}}"}
    environment: azureml:tools:3
"""


@pytest.mark.parametrize(
    ("ports", "said"),
    [
        ("outputs: {given: {type: uri_file}}", "lacks the output 'thing' of 'a', which the job 'b' reads"),
        ("outputs: {thing: {type: uri_file}}", "lacks the output 'given' of 'a', which the pipeline gives"),
        (
            "inputs: {need: {type: string}}\noutputs: {given: {type: uri_file}, thing: {type: uri_file}}",
            "asks for the input 'need', which the job 'a' does not give",
        ),
    ],
)
def test_a_stand_in_that_does_not_fit_is_refused_before_the_start(
    world: World, ports: str, said: str
) -> None:
    instead = world.write("s.yml", f"type: command\nname: n\nversion: '1'\n{ENV}\ncommand: echo 1\n{ports}\n")
    with pytest.raises(InvalidInput) as refused:
        world.run(STOOD_IN, selection=Selection(stand_ins={"a": instead}))
    assert said in str(refused.value) and "s.yml" in str(refused.value)
    assert not world.events and not world.tracker.runs


def test_a_stand_in_for_nothing_is_refused(world: World) -> None:
    instead = world.write("instead.yml", STAND_IN)
    with pytest.raises(InvalidInput, match="no job to stand in for; there is: one"):
        world.run(
            f"jobs: {{one: {{command: echo 1, {ENV}}}}}", selection=Selection(stand_ins={"two": instead})
        )


STEP_INPUT = """
jobs:
  one:
    command: cat ${{inputs.d}} > ${{outputs.o}}/a && echo ${{inputs.t}} >> ${{outputs.o}}/a
    environment: azureml:tools:3
    inputs:
      d: {type: uri_file, path: "https://example.com/a.csv"}
      t: yes
    outputs: {o: {type: uri_folder}}
"""


def test_an_input_of_a_job_can_be_given_by_its_name(world: World) -> None:
    """Public files name their data at the job; whoever runs one here has a copy."""
    with pytest.raises(InvalidInput, match=r"\(one\.d=PATH\)"):
        world.run(STEP_INPUT)
    copy = world.write("copy.csv", "1\n")
    made = world.run(STEP_INPUT, **{"one.d": str(copy), "one.t": "no"}).outputs["one.o"]
    assert (made / "a").read_text() == "1\nno\n"
    with pytest.raises(InvalidInput, match="is a folder; uri_file needs a file"):
        world.run(STEP_INPUT, **{"one.d": str(world.root)})
    for wrong in ("one.e", "two.d"):
        with pytest.raises(InvalidInput, match=f"has no input '{wrong}'"):
            world.run(STEP_INPUT, **{"one.d": str(copy), wrong: "x"})

"""Any job file runs here as it stands: nested, in place, swept, in parallel, alone. A team that brings its
pipelines rewrites none of them, and hears before the start what only Azure ML can do."""

from __future__ import annotations

from pathlib import Path

import pytest
from as_on_azure import shows
from step_world import World

from mlops.errors import InvalidInput, StepFailed
from mlops.pipeline import Selection
from mlops.pipeline.run.sweep import run_sweep

ENV = "environment: azureml:tools:3"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    (tmp_path / "metrics").mkdir()
    monkeypatch.setenv("METRICS", str(tmp_path / "metrics"))
    return World(tmp_path / "a b")


def states(world: World) -> dict[str, str]:
    return {event.step: event.state for event in world.events}


# --- one job ---------------------------------------------------------------------------------------------


def test_a_command_job_runs_with_its_own_inputs_and_outputs(world: World) -> None:
    world.write("d/x.csv", "12")
    result = world.run(
        """
        type: command
        name: say
        command: cat ${{inputs.d}}/x.csv > ${{outputs.o}} && printf "${{inputs.word}}" >> ${{outputs.o}}
        environment: azureml:tools:3
        compute: azureml:small
        inputs: {d: {type: uri_folder, path: ./d}, word: hi}
        outputs: {o: {type: uri_file}}
        """,
        head="",
        word="hello you",
    )
    assert result.outputs["o"].read_text() == "12hello you"
    assert states(world) == {"say": "finished"}


@shows(
    "a Spark job, component or node",
    azure="serverless or attached Spark",
    here="the script, which opens a session of its own; a class or jars are refused",
)
def test_a_spark_job_runs_its_script(world: World) -> None:
    world.write("src/go.py", "import sys, helper\nopen(sys.argv[1], 'w').write(helper.word)\n")
    world.write("src/lib/helper.py", "word = 'sparkling'\n")
    result = world.run(
        """
        type: spark
        code: ./src
        entry: {file: go.py}
        py_files: [lib/helper.py]
        args: ${{outputs.o}}
        outputs: {o: {type: uri_file, mode: direct}}
        conf: {spark.driver.cores: 1, spark.driver.memory: 2g, spark.executor.cores: 2,
               spark.executor.memory: 2g, spark.executor.instances: 2}
        resources: {instance_type: standard_e4s_v3, runtime_version: "3.5"}
        """,
        head="$schema: https://azuremlschemas.azureedge.net/latest/sparkJob.schema.json\n",
    )
    assert result.outputs["o"].read_text() == "sparkling"


# --- pipelines inside of pipelines -----------------------------------------------------------------------

INNER = f"""
$schema: https://azuremlschemas.azureedge.net/latest/pipelineComponent.schema.json
type: pipeline
name: inner
version: "1"
inputs:
  d: {{type: uri_folder}}
  n: {{type: integer, default: 7}}
  more: {{type: string, optional: true}}
outputs: {{o: {{type: uri_folder}}}}
jobs:
  first:
    command: >-
      cat ${{{{inputs.d}}}}/a > ${{{{outputs.x}}}}/a &&
      printf " ${{{{inputs.n}}}}" >> ${{{{outputs.x}}}}/a
    inputs: {{d: "${{{{parent.inputs.d}}}}", n: "${{{{parent.inputs.n}}}}"}}
    outputs: {{x: {{type: uri_folder}}}}
    {ENV}
    compute: azureml:small
  second:
    component: second.yml
    inputs: {{x: "${{{{parent.jobs.first.outputs.x}}}}", own: {{type: uri_folder, path: ./beside}}}}
    outputs: {{o: "${{{{parent.outputs.o}}}}"}}
    compute: azureml:small
"""
SECOND = f"""
type: command
name: second
version: "1"
inputs: {{x: {{type: uri_folder}}, own: {{type: uri_folder}}}}
outputs: {{o: {{type: uri_folder}}}}
{ENV}
command: cat ${{{{inputs.x}}}}/a ${{{{inputs.own}}}}/b > ${{{{outputs.o}}}}/a
"""


def nested(world: World) -> str:
    world.write("parts/inner.yml", INNER)
    world.write("parts/second.yml", SECOND)
    world.write("parts/beside/b", " beside")
    world.write("data/a", "raw")
    return f"""
inputs: {{raw: {{type: uri_folder, path: ./data}}}}
outputs: {{r: {{type: uri_folder}}}}
jobs:
  outer:
    type: pipeline
    component: parts/inner.yml
    inputs: {{d: "${{{{parent.inputs.raw}}}}"}}
    outputs: {{o: "${{{{parent.outputs.r}}}}"}}
  after:
    command: cat ${{{{inputs.i}}}}/a > ${{{{outputs.o}}}}/a
    inputs: {{i: "${{{{parent.jobs.outer.outputs.o}}}}"}}
    outputs: {{o: {{type: uri_folder}}}}
    {ENV}
"""


@shows(
    "a pipeline inside of a pipeline, a component in place",
    azure="its jobs run",
    here="the same; the job `b` of the pipeline `a` is the step `a.b`",
)
def test_a_pipeline_inside_of_a_pipeline_is_taken_apart(world: World) -> None:
    result = world.run(nested(world))
    assert list(states(world)) == ["outer.first", "outer.second", "after"]
    assert (result.outputs["r"] / "a").read_text() == "raw 7 beside", (
        "its default, and a path beside its file"
    )
    assert (result.outputs["after.o"] / "a").read_text() == "raw 7 beside"


@shows("a pipeline inside of a pipeline, a component in place")
def test_a_job_of_a_pipeline_component_runs_it(world: World) -> None:
    nested(world)
    result = world.run(
        """
        type: pipeline
        component: parts/inner.yml
        settings: {default_compute: azureml:small}
        inputs: {d: {type: uri_folder, path: ./data}, n: 9}
        outputs: {o: {type: uri_folder}}
        """,
        head="",
    )
    assert (result.outputs["o"] / "a").read_text() == "raw 9 beside"


@shows("a pipeline inside of a pipeline, a component in place")
def test_a_component_that_is_written_in_place(world: World) -> None:
    text = f"""
    inputs: {{t: three}}
    jobs:
      one:
        type: command
        inputs: {{w: "${{{{parent.inputs.t}}}}"}}
        component:
          type: command
          inputs: {{w: {{type: string}}}}
          outputs: {{o: {{type: uri_file}}}}
          {ENV}
          command: printf ${{{{inputs.w}}}} > ${{{{outputs.o}}}}
    """
    assert world.run(text).outputs["one.o"].read_text() == "three"


def test_a_text_may_hold_an_input_in_its_middle(world: World) -> None:
    text = f"""
    inputs: {{t: three}}
    jobs:
      one:
        command: printf '${{{{inputs.w}}}}' > ${{{{outputs.o}}}}
        inputs: {{w: "of ${{{{parent.inputs.t}}}} parts"}}
        outputs: {{o: {{type: uri_file}}}}
        {ENV}
    """
    assert world.run(text).outputs["one.o"].read_text() == "of three parts"


# --- sweeps ----------------------------------------------------------------------------------------------

TRIAL = f"""
type: command
name: trial
version: "1"
inputs: {{data: {{type: uri_folder}}, x: {{type: number, default: 0}}, base: {{type: integer}}}}
outputs: {{model: {{type: uri_folder}}}}
{ENV}
command: >-
  echo $(( ${{{{inputs.x}}}} + ${{{{inputs.base}}}} )) > $METRICS/$MLFLOW_RUN_ID &&
  printf "${{{{inputs.x}}}}" > ${{{{outputs.model}}}}/m && %s
"""
SWEEP = f"""
inputs: {{raw: {{type: uri_folder, path: ./data}}}}
jobs:
  tune:
    type: sweep
    trial: ./trial.yml
    inputs: {{data: "${{{{parent.inputs.raw}}}}", base: 10}}
    outputs: {{model: {{type: uri_folder}}}}
    sampling_algorithm: grid
    search_space: {{x: {{type: choice, values: [1, 5, 3]}}}}
    objective: {{goal: maximize, primary_metric: score}}
    limits: {{max_total_trials: 3, max_concurrent_trials: 2, timeout: 600}}
  use:
    command: cat ${{{{inputs.m}}}}/m > ${{{{outputs.o}}}}
    inputs: {{m: "${{{{parent.jobs.tune.outputs.model}}}}"}}
    outputs: {{o: {{type: uri_file}}}}
    {ENV}
"""


def sweep(world: World, then: str = "true") -> str:
    world.write("trial.yml", TRIAL % then)
    world.write("data/a", "raw")
    return SWEEP


@shows(
    "a sweep in a pipeline",
    azure="its outputs are those of the best trial",
    here="the same, by the local tuner; a trial works where a step works",
)
def test_a_sweep_inside_of_a_pipeline_gives_what_its_best_trial_made(world: World) -> None:
    result = world.run(sweep(world))
    assert result.outputs["use.o"].read_text() == "5"
    assert {state for step, state in states(world).items() if " trial " in step} == {"finished", "running"}
    (tune,) = [run for run in world.tracker.runs.values() if run["name"] == "tune"]
    assert tune["tags"]["mlops.best.x"] == "5"
    again = world.run(SWEEP)
    assert {step.step: step.state for step in again.steps} == {"tune": "reused", "use": "reused"}


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("echo hi > ./outputs/note", ""),
        ("rm -r ${{outputs.model}}", "left nothing as its output 'model'"),
    ],
)
@shows("a sweep in a pipeline")
def test_a_trial_works_where_a_step_works(world: World, then: str, said: str) -> None:
    """One workplace: `./outputs` is there and kept, and what a trial leaves is held to its file."""
    text = sweep(world, then)
    if said:
        with pytest.raises(StepFailed, match=said):
            world.run(text)
        return
    world.run(text)
    kept = [run.get("artifacts") for run in world.tracker.runs.values() if run["name"].startswith("trial")]
    assert kept == [{"outputs/note": "hi\n"}] * 3


@shows("a sweep in a pipeline")
def test_a_trial_that_changes_read_only_data_has_failed(world: World) -> None:
    world.write("data/a", "raw")
    path = world.write(
        "sweep.yml",
        f"""
        type: sweep
        compute: azureml:small
        inputs: {{data: {{type: uri_folder, path: ./data}}}}
        trial:
          {ENV}
          command: >-
            chmod -R u+w ${{{{inputs.data}}}} && echo ${{{{search_space.x}}}} > ${{{{inputs.data}}}}/a
        sampling_algorithm: random
        search_space: {{x: {{type: choice, values: [1, 2]}}}}
        objective: {{goal: maximize, primary_metric: score}}
        limits: {{max_total_trials: 1, max_concurrent_trials: 1, timeout: 60}}
        """,
    )
    with pytest.raises(StepFailed, match="wrote into its input 'data', which is read-only"):
        run_sweep(
            path, {}, tracker=world.tracker, state_dir=world.root / "state", resolve_asset=lambda n, v: n
        )
    assert (world.root / "data/a").read_text() == "raw"


# --- parallel --------------------------------------------------------------------------------------------

ENTRY = """
import argparse, os, sys
def init():
    global suffix
    parser = argparse.ArgumentParser()
    parser.add_argument("--suffix")
    suffix = parser.parse_known_args()[0].suffix
def run(mini_batch):
    if hasattr(mini_batch, "columns"):
        return mini_batch[["n"]] * 2
    if any(name.endswith("bad") for name in mini_batch):
        raise ValueError("bad file")
    return [open(name).read() + suffix for name in mini_batch]
"""
PARALLEL = f"""
inputs: {{raw: {{type: %s, path: ./data}}}}
jobs:
  score:
    type: parallel
    inputs: {{d: "${{{{parent.inputs.raw}}}}", s: "!"}}
    outputs: {{rows: {{type: uri_file}}}}
    compute: azureml:small
    input_data: ${{{{inputs.d}}}}
    mini_batch_size: "%s"
    mini_batch_error_threshold: %s
    max_concurrency_per_instance: 2
    retry_settings: {{max_retries: 0, timeout: 20}}
    task:
      type: run_function
      code: ./src
      entry_script: score.py
      {ENV}
      program_arguments: --suffix ${{{{inputs.s}}}}
      append_row_to: ${{{{outputs.rows}}}}
"""


@shows(
    "a parallel job",
    azure="mini-batches on several machines",
    here="processes of this machine, rows in the order of the data",
)
def test_a_parallel_job_scores_files_in_their_order(world: World) -> None:
    world.write("src/score.py", ENTRY)
    for name in ("a", "b", "c"):
        world.write(f"data/{name}", name)
    result = world.run(PARALLEL % ("uri_folder", "2", 0))
    assert result.outputs["score.rows"].read_text() == "a!\nb!\nc!\n"


@pytest.mark.parametrize(("allowed", "state"), [(0, "failed"), (1, "finished")])
@shows("a parallel job")
def test_as_many_mini_batches_fail_as_may(world: World, allowed: int, state: str) -> None:
    world.write("src/score.py", ENTRY)
    for name in ("a", "bad"):
        world.write(f"data/{name}", name)
    text = PARALLEL % ("uri_folder", "1", allowed)
    if state == "failed":
        with pytest.raises(StepFailed, match="1 mini-batches failed, and 0 may"):
            world.run(text)
    else:
        assert world.run(text).outputs["score.rows"].read_text() == "a!\n"


@shows("a parallel job")
def test_rows_of_a_table_come_as_data_frames(world: World) -> None:
    world.write("src/score.py", ENTRY)
    world.write("data/x.csv", "n,k\n1,a\n2,a\n3,b\n")
    world.write(
        "data/MLTable",
        'paths: [{file: ./x.csv}]\ntransformations: [{read_delimited: {delimiter: ","}}]\n',
    )
    assert world.run(PARALLEL % ("mltable", "1kb", 0)).outputs["score.rows"].read_text() == "2\n4\n6\n"


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
    assert set(states(world)) == set("abcd")
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

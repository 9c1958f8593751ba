"""Any job file runs here as it stands: nested, in place, alone. A team that brings its pipelines rewrites
none of them."""

from __future__ import annotations

from as_on_azure import shows
from step_world import World

ENV = "environment: azureml:tools:3"


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
    assert world.states == {"say": "finished"}


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
    assert list(world.states) == ["outer.first", "outer.second", "after"]
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

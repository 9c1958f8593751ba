"""What a step finds around itself, leaves behind, and what a failure stops, here as on Azure ML."""

from __future__ import annotations

import textwrap

import pytest
from as_on_azure import shows
from step_world import COMPONENT, HEAD, OUT, World, one

from mlops.errors import StepFailed
from mlops.pipeline import run_pipeline


@shows(
    "`code`",
    azure="each job gets a snapshot of its own",
    here="the same; `.amlignore` and `.gitignore` count",
)
def test_each_step_has_a_copy_of_the_code(world: World) -> None:
    world.write("src/go.py", "")
    text = """
    jobs:
      one:
        command: echo hi > marker.txt && echo x > ${{outputs.o}}/a
        code: ./src
        environment: azureml:tools:3
        outputs: {o: {type: uri_folder}}
      two:
        command: ls > ${{outputs.o}}/a && cat ${{inputs.i}}/a
        code: ./src
        environment: azureml:tools:3
        inputs: {i: "${{parent.jobs.one.outputs.o}}"}
        outputs: {o: {type: uri_folder}}
    """
    assert world.said(text, "two.o").split() == ["go.py", "logs", "outputs"]
    assert not (world.root / "src" / "marker.txt").exists()


@shows(
    "`./outputs` and `./logs`",
    azure="made, and kept with the run",
    here="the same, as artifacts of the run",
)
def test_outputs_and_logs_are_there_and_kept_with_the_run(world: World) -> None:
    world.run(one("echo hi > ./outputs/a.txt; echo ho > ./logs/b.txt; echo ${{outputs.o}}"))
    (child,) = [r for r in world.tracker.runs.values() if "mlops.step" in r["tags"]]
    assert child["artifacts"] == {"outputs/a.txt": "hi\n", "logs/b.txt": "ho\n"}


@shows(
    "a step has failed",
    azure="nothing new starts, unless `continue_on_step_failure`",
    here="the same",
)
def test_nothing_new_starts_after_a_failure(world: World) -> None:
    text = """
    jobs:
      bad: {command: exit 3, environment: azureml:tools:3}
      slow: {command: sleep 1, environment: azureml:tools:3}
      side:
        command: echo x > ${{outputs.o}}/a
        environment: azureml:tools:3
        outputs: {o: {type: uri_folder}}
    """
    with pytest.raises(StepFailed, match="bad"):
        world.run(text, workers=2)
    assert {e.step: e.state for e in world.events}["side"] == "skipped"


@shows("a step has failed")
def test_other_steps_go_on_where_the_pipeline_says_so(world: World) -> None:
    text = """
    jobs:
      bad: {command: exit 3, environment: azureml:tools:3}
      side: {command: echo, environment: azureml:tools:3}
    """
    path = world.write("pipeline.yml", "")
    with pytest.raises(StepFailed):
        run_pipeline(
            world.write(
                path.name,
                HEAD.replace("{default", "{continue_on_step_failure: true, default") + textwrap.dedent(text),
            ),
            {},
            tracker=world.tracker,
            state_dir=world.root / "state",
            resolve_asset=lambda name, version: "",
            progress=world.events.append,
            preload=(),
            workers=1,
        )
    assert {e.step: e.state for e in world.events}["side"] == "finished"


@shows(
    "`AZUREML_RUN_ID`, `AZUREML_ROOT_RUN_ID`",
    azure="set",
    here="set, to the runs of MLflow",
)
def test_a_step_knows_its_run_as_on_azure(world: World) -> None:
    said = world.said(one("echo $AZUREML_RUN_ID $AZUREML_ROOT_RUN_ID > ${{outputs.o}}/a")).split()
    parent, child = sorted(world.tracker.runs, key=lambda r: "mlops.step" in world.tracker.runs[r]["tags"])
    assert said == [child, parent]


@shows(
    "an output with a `path` on a datastore",
    azure="goes there",
    here="stays on this machine; a note at the step",
)
def test_an_output_that_would_go_elsewhere_says_so(world: World) -> None:
    place = "azureml://datastores/store/paths/here/"
    text = one("echo x > ${{outputs.o}}/a").replace(
        "{type: uri_folder}", f"{{type: uri_folder, path: {place}}}"
    )
    world.run(text)
    world.run(text)
    first, second = [e.note for e in world.events if e.state in ("running", "reused")]
    assert place in first and "o" in first.split()
    assert second == first, "a step that is reused says so too"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (", name: rows, version: 3", "becomes the asset rows:3"),
        (", name: rows", "becomes the asset rows"),
        (", mode: direct", "gives the command an address"),
    ],
)
@pytest.mark.parametrize("where", ["job", "pipeline"])
@shows(
    "an output with a `name`, or with `mode: direct`",
    azure="becomes a data asset; the command gets an address",
    here="a folder that is registered nowhere; a note at the step",
)
def test_an_output_that_would_be_something_else_says_so(
    world: World, where: str, more: str, said: str
) -> None:
    wanted = f"{{type: uri_folder{more}}}"
    text = one("echo x > ${{outputs.o}}/a")
    if where == "job":
        text = text.replace("{type: uri_folder}", wanted)
    else:
        text = f"outputs: {{r: {wanted}}}\n" + text.replace("{type: uri_folder}", '"${{parent.outputs.r}}"')
    world.run(text)
    (note,) = [e.note for e in world.events if e.state == "running"]
    assert said in note


@shows(
    "an output that is a file, and that the command does not write",
    azure="the step ends well, and whatever reads the output cannot start",
    here="the same, and a note at the step",
)
def test_a_file_that_was_never_written_is_told_and_stops_what_reads_it(world: World) -> None:
    alone = """
    jobs:
      one:
        command: echo ${{outputs.r}}
        environment: azureml:tools:3
        outputs: {r: {type: uri_file}}
    """
    world.run(alone)
    assert [e.note for e in world.events if e.state == "finished"] == ["left no file as its output r"]
    reads = """
      two:
        command: cat ${{inputs.i}}
        environment: azureml:tools:3
        inputs: {i: "${{parent.jobs.one.outputs.r}}"}
    """
    with pytest.raises(StepFailed, match="'two' cannot start: its input 'i'"):
        world.run(alone.rstrip() + "\n" + reads.strip("\n"))


@pytest.mark.parametrize("where", ["command", "code", "include"])
@shows(
    "another variable that Azure ML sets, such as `AZUREML_ARM_WORKSPACE_NAME`",
    azure="set",
    here="not set; a note at the step that reads it",
)
def test_a_variable_that_only_azure_sets_is_told(world: World, where: str) -> None:
    name = "AZUREML_ARM_WORKSPACE_NAME"
    asked = f"import os\nprint(os.environ.get('{name}'))\n"
    world.write("src/go.py", asked if where == "code" else "")
    world.write("lib/more.py", asked if where == "include" else "")
    world.write("src/.amlignore", "ignored.py\n")
    world.write("src/ignored.py", "AZUREML_EXPERIMENT_ID")
    command = f"echo ${name} $AZUREML_RUN_ID" if where == "command" else "python go.py"
    world.write(
        "c.yml",
        f"{COMPONENT}code: ./src\nadditional_includes: [./lib]\n{OUT}\n"
        f"command: {command} ${{{{outputs.o}}}}\n",
    )
    world.run("jobs:\n  one: {component: ./c.yml}\n")
    (note,) = [e.note for e in world.events if e.state == "running"]
    assert note == f"it reads the variable {name}, which Azure ML sets and this machine does not"


@shows("another variable that Azure ML sets, such as `AZUREML_ARM_WORKSPACE_NAME`")
def test_a_variable_that_the_file_sets_is_not(world: World) -> None:
    world.run(one("echo $AZUREML_X > ${{outputs.o}}/a", "environment_variables: {AZUREML_X: 1}"))
    assert [e.note for e in world.events if e.state == "running"] == [""]


@shows(
    "an output `artifacts` that the command does not fill",
    azure="holds `./outputs` and `./logs` of the job",
    here="the same",
)
def test_the_artifacts_of_a_job_are_an_output(world: World) -> None:
    text = """
    jobs:
      one:
        environment: azureml:t:3
        command: echo 7 > ./outputs/n.txt
        outputs: {artifacts: }
      two:
        environment: azureml:t:3
        command: cat ${{inputs.i}}/outputs/n.txt > ${{outputs.o}}/a
        inputs: {i: "${{parent.jobs.one.outputs.artifacts}}"}
        outputs: {o: {type: uri_folder}}
    """
    assert world.said(text, "two.o") == "7\n"

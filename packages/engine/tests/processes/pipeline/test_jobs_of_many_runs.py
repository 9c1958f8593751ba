"""Jobs of many runs: a sweep gives what its best trial made, a parallel job scores mini-batches."""

from __future__ import annotations

from pathlib import Path

import pytest
from as_on_azure import shows
from step_world import World

from mlops.errors import StepFailed
from mlops.pipeline.run.sweep import run_sweep

ENV = "environment: azureml:tools:3"


@pytest.fixture(autouse=True)
def _metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "metrics").mkdir()
    monkeypatch.setenv("METRICS", str(tmp_path / "metrics"))


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
    assert {state for step, state in world.states.items() if " trial " in step} == {"finished", "running"}
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

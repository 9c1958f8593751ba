"""A pipeline runs as Azure ML would run it: order, bindings, child runs, failures that touch nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import tiny_pipeline

from mlops.errors import InvalidInput, StepFailed, TargetError
from mlops.pipeline import StepEvent
from mlops.pipeline.run import snapshot


def test_steps_run_in_order_with_bound_values(project):
    result = project.run()
    ran = project.ran()
    assert ran[0] == "prep" and ran[-1] == "join" and sorted(ran[1:3]) == ["left", "right"]
    prep = json.loads((result.outputs["prep.out"] / "d.json").read_text())
    assert prep["factor"] == "2.5" and prep["source"] == "[1]", prep
    assert "seed" not in prep, "the optional block without a value must be left out"
    assert result.outputs["result"].read_text() == "registered"
    assert [e.state for e in result.steps] == ["finished"] * 4


def test_runs_are_parent_and_children(project):
    result = project.run()
    parent = project.tracker.runs[result.run_id]
    assert parent["status"] == "FINISHED" and parent["tags"]["experiment"] == "tiny-experiment"
    children = project.tracker.children(result.run_id)
    assert {n: r["status"] for n, r in children.items()} == dict.fromkeys(
        ("prep", "left", "right", "join"), "FINISHED"
    )


def test_an_override_reaches_the_command_and_is_checked(project):
    result = project.run(factor="7")
    assert json.loads((result.outputs["prep.out"] / "d.json").read_text())["factor"] == "7"
    with pytest.raises(InvalidInput, match=r"must be at most 10; got '11' \(prep\.factor\)"):
        project.run(factor="11")
    with pytest.raises(InvalidInput, match="no input 'factr'; it has: raw, factor"):
        project.run(factr="1")


def test_independent_steps_overlap(project, monkeypatch):
    barrier = project.root / "src" / "steps.py"
    barrier.write_text(
        barrier.read_text()
        + "\nif a.name in ('left', 'right'):\n    d = pathlib.Path(os.environ['COUNTER']).parent / 'met'\n"
        "    d.mkdir(exist_ok=True); (d / a.name).touch(); end = time.time() + 240\n"
        "    while len(list(d.iterdir())) < 2:\n        time.sleep(0.01)\n"
        "        assert time.time() < end, 'the other step never started'\n"
    )
    assert [e.state for e in project.run().steps] == ["finished"] * 4


def test_a_failing_step_names_itself_and_its_log(project, monkeypatch):
    monkeypatch.setenv("FAIL_IN", "left")
    events: list[StepEvent] = []
    with pytest.raises(StepFailed) as failure:
        project.run(progress=events.append)
    text = str(failure.value)
    assert "step 'left' failed with exit code 1" in text and "the column dep_delay is missing" in text
    log = text.rsplit("log: ", 1)[1]
    assert "running left" in open(log).read()  # noqa: PTH123, SIM115
    states = {e.step: e.state for e in events}
    assert states == {"prep": "finished", "left": "failed", "right": "finished", "join": "skipped"}
    (parent,) = [r for r in project.tracker.runs.values() if "experiment" in r["tags"]]
    assert parent["status"] == "FAILED"
    assert {n: r["status"] for n, r in project.tracker.children(_parent(project)).items()} == {
        "prep": "FINISHED",
        "left": "FAILED",
        "right": "FINISHED",
    }
    project.ran()
    monkeypatch.delenv("FAIL_IN")
    project.run()
    assert project.ran() == ["left", "join"], "finished steps are kept"


def test_refused_input_of_a_step_stays_a_sentence(project, monkeypatch):
    monkeypatch.setenv("FAIL_IN", "prep")
    monkeypatch.setenv("FAIL_WITH", "5")
    with pytest.raises(StepFailed, match=r"step 'prep' refuses its input:\n(.*\n)*.*dep_delay is missing"):
        project.run()


def test_a_killed_step_says_so(project):
    path = project.root / "src" / "steps.py"
    path.write_text(path.read_text() + "\nos.kill(os.getpid(), 9)\n")
    with pytest.raises(StepFailed, match=r"ended by SIGKILL; often the machine ran out of memory"):
        project.run()


def test_lint_problems_stop_the_run_before_any_run_is_made(project):
    project.edit("pipeline.yml", "factor: 2.5", "factor: 99")
    with pytest.raises(InvalidInput, match="must be at most 10"):
        project.run()
    assert project.tracker.runs == {}


def test_a_missing_asset_is_a_sentence(project):
    project.edit("pipeline.yml", "azureml:raw:1", "azureml:raw:2")
    with pytest.raises(InvalidInput, match=r"pipeline.yml:6: inputs.raw: .* does not exist"):
        project.run()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_ends_the_steps_and_marks_the_runs(project, monkeypatch, number):
    # A shell that starts the tests in the background has SIGINT ignored, nohup SIGHUP, and Python keeps that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    hung_up = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    monkeypatch.setenv("SLEEP_IN", "left")
    monkeypatch.setenv("SLEEP", "3600")

    def interrupt():
        while "left" not in (project.counter.read_text() if project.counter.exists() else ""):
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    threading.Thread(target=interrupt).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            project.run()
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGHUP, hung_up)
    children = project.tracker.children(_parent(project))
    assert children["left"]["status"] == "KILLED"
    assert project.tracker.runs[_parent(project)]["status"] == "KILLED"
    assert not list((project.state / "cache" / "tmp").glob("*")), "nothing half-written stays"


ALONE = """
import json, os, signal, sys
from pathlib import Path
sys.path.insert(0, {here!r})
from tiny_pipeline import MemoryTracker
from mlops.pipeline import run_pipeline

signal.signal(signal.SIGHUP, signal.SIG_IGN if {ignored} else signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
root = Path({root!r})
assets = lambda name, version: str(root / "assets" / name / version)
run_pipeline(root / "pipeline.yml", {{}}, tracker=MemoryTracker(root / "runs.json"), state_dir=root / "state",
             resolve_asset=assets, preload=())
"""


def alone(project, *, ignored: bool = False) -> subprocess.Popen[bytes]:
    """The run in a process group of its own, as a job or a terminal has it; it waits in a step."""
    code = ALONE.format(
        here=str(Path(tiny_pipeline.__file__).parent), root=str(project.root), ignored=ignored
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=project.root, start_new_session=True)
    while "left" not in (project.counter.read_text() if project.counter.exists() else ""):
        assert process.poll() is None, "it ended before it was interrupted"
        time.sleep(0.02)
    return process


def statuses(project) -> set[str]:
    return {run["status"] for run in json.loads((project.root / "runs.json").read_text()).values()}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_whole_group_twice_leaves_no_run_open(project, monkeypatch, number):
    """The group of a terminal that closes gets it from the kernel and from the shell."""
    monkeypatch.setenv("SLEEP_IN", "left")
    monkeypatch.setenv("SLEEP", "3600")
    process = alone(project)
    os.killpg(process.pid, number)
    time.sleep(0.05)
    os.killpg(process.pid, number)
    assert process.wait() != 0
    found = statuses(project)
    assert "KILLED" in found and "RUNNING" not in found, found


def test_what_is_started_below_nohup_goes_on(project, monkeypatch):
    monkeypatch.setenv("SLEEP_IN", "left")
    monkeypatch.setenv("SLEEP", "1")
    process = alone(project, ignored=True)
    os.killpg(process.pid, signal.SIGHUP)
    assert process.wait() == 0
    assert statuses(project) == {"FINISHED"}


def test_a_full_disk_is_a_sentence(project, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshot.shutil, "copy2", full)
    with pytest.raises(TargetError, match=r"disk .* is full"):
        project.run()
    assert project.tracker.runs[_parent(project)]["status"] == "FAILED"


def _parent(project) -> str:
    return next(k for k, r in project.tracker.runs.items() if "experiment" in r["tags"])

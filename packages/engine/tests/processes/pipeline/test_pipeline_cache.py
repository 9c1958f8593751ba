"""A step is reused exactly when nothing it depends on has changed, and nothing half-made is ever used.

A false hit registers a model that the code in git did not make; a false miss only costs time.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import tiny_pipeline

from mlops.pipeline import close_dead
from mlops.pipeline.run.cache import StepCache
from mlops.pipeline.run.locks import FileLock


def test_nothing_changed_reuses_all_but_the_step_that_must_run(project):
    first = project.run()
    project.ran()
    second = project.run()
    assert project.ran() == ["join"], "is_deterministic: false is never reused"
    assert [(e.step, e.state) for e in second.steps] == [
        ("prep", "reused"),
        ("left", "reused"),
        ("right", "reused"),
        ("join", "finished"),
    ]
    child = project.tracker.children(second.run_id)["prep"]
    assert child["status"] == "FINISHED" and child["tags"]["mlops.reused"]
    original = project.tracker.runs[child["copied"]]
    assert original["name"] == "prep" and original["tags"]["mlflow.parentRunId"] == first.run_id


@pytest.mark.parametrize(
    ("file", "old", "new", "reruns"),
    [
        ("pipeline.yml", "factor: 2.5", "factor: 2.75", {"prep", "left", "right"}),
        ("assets/raw/1/d.json", "[1]", "[2]", {"prep", "left", "right"}),
        ("src/steps.py", "import argparse", "import re, argparse", {"prep", "left", "right"}),
        ("src/steps.py", "import argparse", "# changed\nimport argparse", set()),
        ("environment.yml", "train:3", "train:4", {"prep", "left", "right"}),
        ("pipeline.yml", "COLOUR: blue", "COLOUR: red", {"left"}),
        ("components/right.yml", "python steps.py", "python  steps.py", {"right"}),
        ("src/notes/x.txt", "not code", "ignored by .amlignore", set()),
        ("pipeline.yml", "instance_count: 1", "instance_count: 2", set()),
    ],
)
def test_what_a_change_runs_again(project, file, old, new, reruns):
    project.run()
    project.ran()
    project.edit(file, old, new)
    project.run()
    assert set(project.ran()) - {"join"} == reruns


def test_an_upstream_that_writes_the_same_bytes_stops_the_change(project):
    project.run()
    project.ran()
    project.edit("components/prep.yml", "python steps.py", "python  steps.py")
    project.run()
    assert project.ran() == ["prep", "join"]


def test_another_installed_environment_runs_all(project, monkeypatch):
    project.run()
    project.ran()
    monkeypatch.setenv("INSTALLED", "sha256:other")
    project.run()
    assert len(project.ran()) == 4


def test_byte_code_is_no_change(project):
    project.run()
    project.ran()
    (project.root / "src" / "__pycache__").mkdir()
    (project.root / "src" / "__pycache__" / "steps.cpython-311.pyc").write_bytes(b"x")
    project.run()
    assert project.ran() == ["join"]


def test_a_corrupted_entry_is_made_again(project):
    outputs = project.run().outputs
    project.ran()
    (outputs["left.out"] / "d.json").write_text("tampered")
    result = project.run()
    assert project.ran() == ["left", "join"]
    assert "tampered" not in (result.outputs["left.out"] / "d.json").read_text()


def test_a_reused_run_that_is_gone_runs_again(project):
    project.run()
    project.ran()
    project.tracker.runs.clear()
    result = project.run()
    assert len(project.ran()) == 4, "metrics of a reused step must not be lost"
    assert all(e.state == "finished" for e in result.steps)


def test_force_rerun_reuses_nothing(project):
    project.run()
    project.ran()
    project.edit("pipeline.yml", "settings:\n", "settings:\n  force_rerun: true\n")
    project.run()
    assert len(project.ran()) == 4


DRIVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tiny_pipeline import MemoryTracker, Project
root = Path(sys.argv[2])
project = Project(root, MemoryTracker(Path(sys.argv[3])), root / "counter")
print(project.run().run_id)
"""


def _start(project, tracker: Path, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(DRIVER),
            str(Path(tiny_pipeline.__file__).parent),
            str(project.root),
            str(tracker),
        ],
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        text=True,
    )


def _wait_for(project, step: str) -> None:
    end = time.monotonic() + 240
    while step not in (project.counter.read_text() if project.counter.exists() else ""):
        assert time.monotonic() < end, f"{step} never started"
        time.sleep(0.02)


def test_kill_9_in_the_middle_then_run_again(project):
    """Given a run killed without warning inside a step, when it runs again, then nothing half is used."""
    tracker = project.root / "tracker.json"
    process = _start(project, tracker, SLEEP_IN="left", SLEEP="60")
    _wait_for(project, "left")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    project.tracker.file = tracker
    project.tracker.load()
    (dead,) = [k for k, r in project.tracker.runs.items() if "experiment" in r["tags"]]
    assert project.tracker.runs[dead]["status"] == "RUNNING", "nobody could end it"
    project.ran()

    result = project.run()

    assert set(project.ran()) >= {"left", "join"}
    project.tracker.load()
    assert project.tracker.runs[dead]["status"] == "KILLED"
    states = {n: r["status"] for n, r in project.tracker.children(dead).items()}
    assert states["prep"] == "FINISHED" and states["left"] == "KILLED", states
    assert not (result.outputs["left.out"] / "half.txt").exists()
    assert not list((project.state / "cache" / "tmp").iterdir())


def test_what_died_before_it_wrote_its_folder_is_closed_and_what_lives_is_not(project):
    """A kill right after the tracking server made a run: no file here knows of it."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    here = platform.node()
    whose = {"dead": f"{here}:{gone.pid}", "lives": f"{here}:{os.getpid()}", "elsewhere": f"other:{gone.pid}"}
    runs = {name: project.tracker.create_parent("e", name, {"mlops.pid": p}) for name, p in whose.items()}
    nobody = project.tracker.create_parent("e", "by hand", {})

    assert close_dead(project.state, project.tracker) == [], "nothing ever ran here"
    project.run()

    states = {name: project.tracker.runs[run]["status"] for name, run in runs.items()}
    assert states == {"dead": "KILLED", "lives": "RUNNING", "elsewhere": "RUNNING"}
    assert project.tracker.runs[nobody]["status"] == "RUNNING"


def test_a_step_that_no_file_knows_ends_with_its_run(project):
    parent = project.tracker.create_parent("e", "p", {})
    unwritten = project.tracker.create_child(parent, "prep", {})
    folder = project.state / "runs" / parent
    folder.mkdir(parents=True)
    (folder / "unfinished").write_text(f"open {parent}\n")
    assert close_dead(project.state, project.tracker) == [unwritten, parent]
    assert {r["status"] for r in project.tracker.runs.values()} == {"KILLED"}


def test_kill_9_leaves_no_process_behind(project):
    steps = project.root / "src" / "steps.py"
    told = "pathlib.Path(os.environ['COUNTER'] + '.' + a.name).write_text(str(os.getpid()))\n"
    steps.write_text(steps.read_text().replace("print(", f"{told}print(", 1))
    process = _start(project, project.root / "tracker.json", SLEEP_IN="left", SLEEP="3600")
    _wait_for(project, "left")
    step = psutil.Process(int(project.counter.with_name(f"{project.counter.name}.left").read_text()))
    process.kill()
    process.communicate()
    with suppress(psutil.NoSuchProcess):
        # Its number may be another process's by now.
        while step.is_running() and step.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.02)


def test_two_runs_at_once_share_the_work(project):
    """Given two runs of one pipeline at once, each step runs once and both end well."""
    a = _start(project, project.root / "a.json", SLEEP_IN="prep", SLEEP="1")
    b = _start(project, project.root / "a.json", SLEEP_IN="prep", SLEEP="1")
    assert [p.communicate(timeout=60) and p.returncode for p in (a, b)] == [0, 0]
    ran = project.ran()
    assert sorted(ran) == ["join", "join", "left", "prep", "right"], ran


def _entry(cache: StepCache, key: str) -> None:
    folder = cache.begin("run", key)
    (folder / "outputs" / "o").write_text(key)
    cache.commit(folder, key=key, step=key, run_id="run", names=["o"], seconds=1.0)


def test_eviction_keeps_the_newest_and_what_is_in_use(tmp_path):
    cache = StepCache(tmp_path, keep=2)
    for number in range(4):
        _entry(cache, f"k{number}")
        os.utime(cache.folder(f"k{number}"), (number, number))
    cache.release()
    other = StepCache(tmp_path, keep=2)
    held = FileLock(tmp_path / "locks" / "k0.use")
    assert held.try_acquire(shared=True)
    other.evict()
    assert {p.name for p in tmp_path.glob("k*")} == {"k0", "k2", "k3"}
    held.release()
    other.evict()
    assert {p.name for p in tmp_path.glob("k*")} == {"k2", "k3"}

"""A run that was submitted goes on without the shell that started it, and whoever waits learns how it ended.

Long training outlives a login and a CI job. A run that dies with its shell, or a waiter that hangs when the
run is dead or reports the wrong end, would make detaching worse than waiting.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_pipeline
from tiny_pipeline import write_project

from mlops.errors import InvalidInput, NotFound, StepFailed, TargetError
from mlops.pipeline import JobResult, StepEvent
from mlops.targets.base import Jobs
from mlops.targets.local.jobs import LocalJobs
from mlops.targets.memory_jobs import MemoryJobs, Submitted
from mlops.tracking import PipelineTracker

STEPS = ["join", "left", "prep", "right"]


class Data:
    """No assets."""

    def resolve(self, name: str, version: str) -> str:
        return ""


@pytest.fixture
def root(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a tiny pipeline and an empty store."""
    write_project(tmp_path)
    pipeline = tmp_path / "pipeline.yml"
    pipeline.write_text(pipeline.read_text().replace('"azureml:raw:1"', "assets/raw/1"))
    (tmp_path / "mlops.toml").write_text('[project]\nname = "tiny"\n[models.tiny]\nusecase = "tiny"\n')
    (tmp_path / ".mlops").mkdir()
    (tmp_path / ".mlops" / "mlflow.db").write_bytes(database.read_bytes())
    monkeypatch.setenv("COUNTER", str(tmp_path / "counter"))
    return tmp_path


@pytest.fixture
def jobs(root: Path) -> Iterator[Jobs]:
    made = local(root)
    yield made
    for lock in root.glob(".mlops/jobs/*/lock"):
        stop(root, lock.parent.name)


def local(root: Path) -> Jobs:
    """What another process would open."""
    state = root / ".mlops"
    return LocalJobs(PipelineTracker(f"sqlite:///{state / 'mlflow.db'}"), state, Data(), root)


def stop(root: Path, name: str, number: int = signal.SIGKILL) -> None:
    """Send a signal to the process of one run."""
    command = f"mlops.targets.local.detached\0{root / '.mlops' / 'jobs' / name}\0".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found = command in (process / "cmdline").read_bytes()
        except OSError:
            continue
        if found:
            os.kill(int(process.name), number)


def wait(jobs: Jobs, name: str) -> tuple[JobResult, list[StepEvent]]:
    heard: list[StepEvent] = []
    result = jobs.wait(name, heard.append)
    assert result is not None, "without patience there is always an end"
    return result, heard


def test_a_run_goes_on_without_the_shell_that_started_it(root: Path, monkeypatch: Any) -> None:
    """Submitted by one process, which ends, and waited for by another; the checkout may change meanwhile."""
    monkeypatch.setenv("SLEEP_IN", "left")
    monkeypatch.setenv("SLEEP", "6")
    script = (
        "import sys; sys.path[:0] = sys.argv[2:]; from pathlib import Path; from test_jobs import local; "
        "r = Path(sys.argv[1]); print(local(r).submit(r / 'pipeline.yml', {}, {'mlops.commit': 'abc'}))"
    )
    here = [str(Path(module).parent) for module in (__file__, tiny_pipeline.__file__)]
    command = [sys.executable, "-c", script, str(root), *here]
    jobs = local(root)
    name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    (root / "src" / "steps.py").write_text("raise SystemExit('edited meanwhile')")

    assert jobs.wait(name, lambda _: None, patience=0) is None, "it is still running"
    result, heard = wait(jobs, name)

    assert sorted(e.step for e in result.steps) == STEPS
    assert [e for e in heard if e.state == "finished"], "the waiter hears what happened before it came"
    tags = PipelineTracker(f"sqlite:///{root / '.mlops' / 'mlflow.db'}").get(result.run_id).tags
    assert tags["mlops.commit"] == "abc"
    assert wait(jobs, name)[0] == result, "asking again answers the same"


def test_a_failing_step_is_the_waiters_failure(root: Path, jobs: Jobs, monkeypatch: Any) -> None:
    monkeypatch.setenv("FAIL_IN", "right")
    name = jobs.submit(root / "pipeline.yml", {}, {})
    with pytest.raises(StepFailed, match="step 'right' failed with exit code 1"):
        jobs.wait(name, lambda _: None)


def test_what_is_wrong_from_the_start_is_said_at_once(root: Path, jobs: Jobs) -> None:
    text = (root / "pipeline.yml").read_text(encoding="utf-8")
    (root / "pipeline.yml").write_text(text.replace("jobs.prep.outputs", "jobs.prap.outputs"))
    with pytest.raises(InvalidInput, match="prap"):
        jobs.submit(root / "pipeline.yml", {}, {})


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (signal.SIGKILL, "ended unexpectedly.*log: "),
        pytest.param(signal.SIGTERM, "ended by a signal", marks=pytest.mark.slow),
    ],
)
def test_a_run_that_is_killed_ends_the_waiting(
    root: Path, jobs: Jobs, monkeypatch: Any, number: int, sentence: str
) -> None:
    monkeypatch.setenv("SLEEP_IN", "prep")
    monkeypatch.setenv("SLEEP", "3600")  # longer than a test may take
    name = jobs.submit(root / "pipeline.yml", {}, {})
    timer = threading.Timer(0.3, stop, (root, name, number))
    timer.start()
    with pytest.raises(TargetError, match=sentence):
        jobs.wait(name, lambda _: None)


@pytest.mark.parametrize("name", ["freight-1", "../jobs", ""])
def test_an_unknown_name_is_refused(root: Path, name: str) -> None:
    with pytest.raises(NotFound, match=r"there is no run .*none was ever started here"):
        local(root).wait(name, lambda _: None)


def test_jobs_in_memory_keep_the_same_promises() -> None:
    """What the lifecycle's tests stand on: unknown names, patience, events, failures."""

    def outcome(asked: Submitted) -> JobResult:
        if asked.inputs.get("fail"):
            raise StepFailed("step 'train' failed")
        return JobResult(asked.name, (StepEvent("train", "finished", 1.0),), {})

    jobs: Any = MemoryJobs(outcome)
    name = jobs.submit(Path("pipelines/freight/training.yml"), {}, {"mlops.commit": "abc"})
    jobs.slow.add(name)
    assert jobs.wait(name, lambda _: None, patience=1) is None
    result, heard = wait(jobs, name)
    assert (result.run_id, [e.step for e in heard]) == (name, ["train"])
    assert jobs.submitted[name].tags == {"mlops.commit": "abc"}
    with pytest.raises(StepFailed):
        jobs.run(Path("pipelines/freight/training.yml"), {"fail": "1"}, {}, lambda _: None)
    with pytest.raises(NotFound, match="known: freight-1, freight-2"):
        jobs.wait("freight-9", lambda _: None)

"""`mlops train --detach` and `--resume`: what CI relies on when a job takes longer than a login.

A workflow keeps standard output as the job's name and goes on by exit codes: a word too much there, or a run
that failed and is reported as still running, would lose a training run of hours.
"""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mlops import targets
from mlops.cli import _app, _verbs  # noqa: F401  registers the commands
from mlops.errors import StepFailed
from mlops.pipeline import JobResult, StepEvent
from mlops.targets.base import ModelVersion
from mlops.targets.memory_jobs import MemoryJobs, Submitted

ROOT = Path(__file__).parents[5]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A commit of the template's settings and pipelines."""
    for name in ("mlops.toml", "uv.lock", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for name in ("pipelines", "src/flights"):
        (tmp_path / name).mkdir(parents=True)
        for file in (ROOT / name).rglob("*.*"):
            if file.is_file() and "__pycache__" not in file.parts:
                copy = tmp_path / file.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(file.read_bytes())
    author = ["-c", "user.name=ada", "-c", "user.email=ada@example.com"]
    for words in (["init", "--quiet"], ["add", "."], [*author, "commit", "--quiet", "-m", "start"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    return tmp_path


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryJobs:
    """What runs instead of a pipeline: each run registers version 3, unless it was asked to fail."""

    def outcome(asked: Submitted) -> JobResult:
        if "max_iter" in asked.inputs:
            raise StepFailed("step 'train' failed with exit code 1")
        answer = tmp_path / "version.json"
        facts = {"model": "flights", "version": 3, "digest": "sha256:1", "run_id": asked.name}
        answer.write_text(json.dumps(facts), encoding="utf-8")
        step = StepEvent("train", "finished", 1.0)
        return JobResult(asked.name, (step,), {"register.registered": answer})

    made = MemoryJobs(outcome)
    made_by = {"mlops.commit": "c" * 40, "mlops.digest": "sha256:1"}
    registry = SimpleNamespace(
        get=lambda model, version: ModelVersion(model, version, "flights-1", "", made_by, datetime.now(UTC)),
        versions=lambda model, tags=None: [],
        runs=lambda experiment, tags, limit: [],  # the tracking server is late
    )
    target: Any = SimpleNamespace(name="memory", jobs=made, registry=registry)
    monkeypatch.setattr(targets, "open_target", lambda *_: target)
    return made


def call(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(_app.app, ["-C", str(folder), "train", *words])


def test_detach_says_the_name_and_nothing_else(repository: Path, jobs: MemoryJobs) -> None:
    done = call(repository, "--detach", "--window", "2013-02")
    assert (done.exit_code, done.stdout) == (0, "flights-1\n"), done.output
    assert "wait for it with: mlops train --resume flights-1" in done.stderr
    asked = jobs.submitted["flights-1"]
    assert asked.inputs == {"usecase": "flights", "model_name": "flights", "window": "2013-02"}
    assert asked.tags["mlops.pipeline"] == "pipelines/flights/training.yml"


def test_resume_says_what_came_out(repository: Path, jobs: MemoryJobs) -> None:
    name = json.loads(call(repository, "--detach", "--json").stdout)["job"]
    done = call(repository, "--resume", name)
    assert (done.exit_code, done.stdout) == (0, "flights version 3 is registered (run flights-)\n")
    assert "✓ train" in done.stderr
    assert "the run is not compared" in done.stderr, "a run that cannot be compared is no failed run"
    assert json.loads(call(repository, "--resume", name, "--json").stdout)["version"] == 3
    told = CliRunner().invoke(_app.app, ["-C", str(repository), "events", "list", "--json"])
    assert [event["type"] for event in json.loads(told.stdout)] == [
        "mlops.model.registered",
        "mlops.run.completed",
    ], "waiting twice tells it once"


def test_a_job_that_still_runs_is_no_failure(repository: Path, jobs: MemoryJobs) -> None:
    """The next turn of the workflow waits on, with a fresh login."""
    name = call(repository, "--detach").stdout.strip()
    jobs.slow.add(name)
    done = call(repository, "--resume", name, "--for", "50m")
    assert (done.exit_code, done.stdout) == (
        0,
        f"{name} still runs; wait on with: mlops train --resume {name}\n",
    )
    shown = json.loads(call(repository, "--resume", name, "--for", "1s", "--json").stdout)
    assert shown == {"job": name, "state": "running"}


def test_a_job_that_failed_fails_whoever_waits(repository: Path, jobs: MemoryJobs) -> None:
    name = call(repository, "--detach", "--set", "max_iter=1").stdout.strip()
    done = call(repository, "--resume", name, "--for", "50m")
    assert (done.exit_code, done.stdout) == (8, "")
    assert "step 'train' failed with exit code 1" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--resume", "flights-9"), 6, "there is no run 'flights-9'; known: none"),
        (("--resume", "flights-1", "--window", "2013-01"), 5, "it takes no other input"),
        (("--resume", "flights-1", "--detach"), 5, "it takes no other input"),
        (("--resume", "flights-1", "--for", "soon"), 5, "--for must be a duration such as 60s, 15m or 2h"),
        (("--for", "50m"), 5, "name the job with --resume"),
    ],
)
def test_what_makes_no_sense_is_refused(
    repository: Path, jobs: MemoryJobs, words: tuple[str, ...], code: int, sentence: str
) -> None:
    done = call(repository, *words)
    assert (done.exit_code, done.stdout) == (code, ""), done.output
    assert sentence in done.stderr.replace("\n", " ")
    assert not jobs.submitted

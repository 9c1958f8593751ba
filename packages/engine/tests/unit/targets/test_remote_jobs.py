"""Following a job of a service: silence for a while is borne, a refusal is not, and nobody loses the job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mlops.errors import InvalidInput, MlopsError, NotFound, TargetError, Unavailable
from mlops.pipeline import JobResult, Selection, StepEvent, StepState
from mlops.targets import _remote_jobs
from mlops.targets._remote_jobs import RemoteJobs, StepEvents, step_failure

Answer = StepState | MlopsError


class Jobs(RemoteJobs):
    """Answers in turn with the state of the job's one step; the last answer stays."""

    _runs_whole = "there a pipeline runs whole"

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.cancelled: list[str] = []

    def submit(self, pipeline: Path, inputs: Mapping[str, str], tags: Mapping[str, str]) -> str:
        return "grey_cat"

    def _job(self, name: str) -> StepState:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, MlopsError):
            raise answer
        return answer

    def _has_ended(self, job: StepState) -> bool:
        return job == "finished"

    def _tell(self, job: StepState, events: StepEvents) -> None:
        events.tell(StepEvent("make", job))

    def _result(self, name: str, job: StepState, events: StepEvents) -> JobResult:
        return JobResult(name, tuple(events.newest.values()), {}, "", {})

    def _request_end(self, name: str) -> None:
        self.cancelled.append(name)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_remote_jobs, "_FIRST_WAIT", 0.0)


def ignore(event: StepEvent) -> None:
    """Nobody listens."""


def run(jobs: Jobs, progress: Callable[[StepEvent], None] = ignore) -> JobResult:
    return jobs.run(Path("training.yml"), {}, {}, progress)


def test_a_state_is_told_once() -> None:
    events: list[StepEvent] = []
    result = run(Jobs("running", "running", "finished"), events.append)
    assert [event.state for event in events] == ["running", "finished"]
    assert [step.state for step in result.steps] == ["finished"]


def test_silence_is_borne_for_six_questions_in_a_row() -> None:
    silence: list[Answer] = [Unavailable("cannot ask: no answer.")] * 6
    assert run(Jobs(*silence, "running", *silence, "finished")).run_id == "grey_cat"
    with pytest.raises(TargetError) as refusal:
        run(Jobs("running", *silence, Unavailable("cannot ask: no answer.")))
    assert str(refusal.value) == (
        "cannot ask: no answer. The job goes on without this command; "
        "follow it with: mlops train --resume grey_cat"
    )


def test_a_refusal_ends_the_wait_at_once_and_leaves_the_job() -> None:
    jobs = Jobs("running", TargetError("the login has expired"), "finished")
    with pytest.raises(TargetError, match=r"expired\. The job goes on without this command; follow it with"):
        run(jobs)
    assert jobs.cancelled == []


def test_a_job_that_is_not_there_does_not_go_on() -> None:
    with pytest.raises(NotFound, match=r"^no job$"):
        Jobs(NotFound("no job")).wait("grey_cat", ignore)


def test_a_wait_with_a_limit_ends_before_the_job() -> None:
    assert Jobs("running").wait("grey_cat", ignore, patience=-1) is None


def test_an_interruption_cancels_the_job_and_waits_for_its_end() -> None:
    def interrupt(event: StepEvent) -> None:
        raise KeyboardInterrupt

    jobs = Jobs("running", "running", "finished")
    with pytest.raises(KeyboardInterrupt):
        run(jobs, interrupt)
    assert (jobs.cancelled, jobs.answers) == (["grey_cat"], ["finished"])


def test_a_job_that_cannot_be_cancelled_is_said_to_go_on() -> None:
    def interrupt(event: StepEvent) -> None:
        raise KeyboardInterrupt

    with pytest.raises(TargetError, match=r"no answer\. The job goes on without this command"):
        run(Jobs("running", Unavailable("no answer")), interrupt)


def test_a_part_of_a_pipeline_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(InvalidInput, match="run steps on this machine; there a pipeline runs whole"):
        Jobs("finished").run(Path("training.yml"), {}, {}, ignore, Selection(only=("make",)))


def test_a_step_that_failed_shows_the_last_lines_that_say_something() -> None:
    log = "".join(f"line {n}\n\n" for n in range(20))
    shown = step_failure("make", log, "https://page")
    assert shown.startswith("step 'make' failed; the last lines of its log:\n    line 5\n    line 6\n")
    assert shown.endswith("    line 19\n  log: https://page")
    assert step_failure("make", " \n", "https://page") == (
        "step 'make' failed; it wrote nothing to its log\n  log: https://page"
    )

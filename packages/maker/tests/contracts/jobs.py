"""What jobs of every service promise. A job that fails without its log, or that nobody can follow from
another machine, costs hours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from mlops.errors import NotFound, StepFailed
from mlops.pipeline import StepEvent
from mlops.targets.base import Target
from mlops.tracking import PipelineTracker
from tests.azure import tiny


class Cloud(Protocol):
    """An emulated service whose jobs can be kept from going on."""

    jobs: Any


class Heard:
    """What `progress` was told."""

    def __init__(self) -> None:
        self.events: list[StepEvent] = []

    def __call__(self, event: StepEvent) -> None:
        self.events.append(event)

    @property
    def states(self) -> dict[str, str]:
        return {event.step: event.state for event in self.events}


class JobsContract:
    """Mixed into a test class with these fixtures.

    `tracked`: the service. `open_target`: opens the target as another process would. `tracker`: its MLflow.
    `log_page`: how addresses of jobs and of their steps begin.
    """

    def test_a_job_runs_to_its_end(
        self, target: Target, pipeline: Path, tracker: PipelineTracker, log_page: str
    ) -> None:
        heard = Heard()
        result = target.jobs.run(pipeline, {"word": "ho", "count": "3"}, {"mlops.commit": "c" * 40}, heard)

        assert heard.states == {"make": "finished", "tell": "finished"}
        assert [step.step for step in result.steps] == ["make", "tell"]
        assert result.url.startswith(log_page)
        assert result.outputs["tell.registered"] == result.outputs["registered"]
        text, _, child = result.outputs["registered"].read_text().rpartition(" ")
        assert text == "data hohoho"
        run = tracker.get(result.run_id)
        assert (run.tags["mlops.commit"], run.status) == ("c" * 40, "FINISHED")
        children = {r.run_id: r.status for r in tracker.children(result.run_id)}
        assert children[child] == "FINISHED", "the steps are runs below the job's"

    def test_a_failed_step_says_what_its_log_says(
        self, target: Target, pipeline: Path, log_page: str
    ) -> None:
        heard = Heard()
        with pytest.raises(StepFailed) as failure:
            target.jobs.run(pipeline, {"word": "fail"}, {}, heard)
        said = str(failure.value)
        words = "the last lines of its log:\n    the word is fail\n    this step was told"
        assert f"step 'make' failed; {words}" in said
        assert f"log: {log_page}" in said
        assert heard.states == {"make": "failed", "tell": "skipped"}
        assert target.registry.runs("tiny", {}, 5) == [], "a run that failed is none that ended well"

    def test_another_process_waits_for_a_job_that_was_submitted(
        self, target: Target, pipeline: Path, tracked: Cloud, open_target: Callable[[], Target]
    ) -> None:
        tracked.jobs.hold()
        name = target.jobs.submit(pipeline, {}, {})
        assert target.jobs.wait(name, Heard(), patience=0) is None
        tracked.jobs.release()
        heard = Heard()
        result = open_target().jobs.wait(name, heard)
        assert result is not None and result.run_id == name
        assert heard.states == {"make": "finished", "tell": "finished"}
        assert open_target().jobs.wait(name, Heard()) == result, "it may be asked again"

    def test_nobody_can_wait_for_a_job_that_is_not_there(self, target: Target) -> None:
        with pytest.raises(NotFound, match="has no job 'grey_cat'"):
            target.jobs.wait("grey_cat", Heard())


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """A pipeline of two steps in a repository of its own."""
    return tiny.make(tmp_path / "repository")


@pytest.fixture
def root(pipeline: Path) -> Path:
    return pipeline.parents[2]


@pytest.fixture
def target(open_target: Callable[[], Target]) -> Target:
    """With the data of the pipeline in the service."""
    target = open_target()
    target.data.push("tiny")
    return target

"""Pipeline jobs: what the client submits is run, and each way in which it can end reaches whoever waits.
A job that fails without its log, or that nobody can follow after the login has expired, costs hours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.errors import InvalidInput, NotFound, TargetError
from mlops.pipeline import StepEvent
from mlops.spec.settings import load_settings
from mlops.targets.azure import open_azure
from mlops.targets.azure.connect import Connection
from mlops.targets.base import Target
from mlops.tracking import PipelineTracker
from tests.azure.emulator import Answer, Emulator
from tests.contracts.jobs import Heard, JobsContract, pipeline, root, target

__all__ = ["pipeline", "root", "target"]  # fixtures


@pytest.fixture
def open_target(root: Path, tracked: Emulator) -> Callable[[], Target]:
    """A target of a process of its own, as far as Azure can tell."""
    return lambda: open_azure(root, load_settings(root))


@pytest.fixture
def tracker(root: Path) -> PipelineTracker:
    return PipelineTracker(Connection(root, load_settings(root)).tracking_uri())


@pytest.fixture
def log_page() -> str:
    return "https://ml.azure.com/runs/"


class TestAzureJobs(JobsContract):
    """`AzureJobs`."""


def test_an_unchanged_step_is_reused_and_a_changed_input_is_not(target: Target, pipeline: Path):
    target.jobs.run(pipeline, {}, {}, Heard())
    again, other = Heard(), Heard()
    target.jobs.run(pipeline, {}, {}, again)
    target.jobs.run(pipeline, {"count": "4"}, {}, other)
    assert again.states == {"make": "reused", "tell": "finished"}
    assert other.states == {"make": "finished", "tell": "finished"}


def test_control_c_cancels_the_job(target: Target, pipeline: Path, tracked: Emulator):
    def interrupt(event: StepEvent) -> None:
        assert event.state == "running"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        target.jobs.run(pipeline, {"word": "sleep"}, {}, interrupt)
    (parent,) = [job for job in tracked.jobs.jobs.values() if not job.parent]
    assert parent.status == "Canceled"
    assert tracked.tracking.run(parent.name).info.status == "KILLED"


def test_a_job_that_is_not_there_is_answered_with_how_to_see_all(target: Target):
    with pytest.raises(NotFound, match="has no job 'grey_cat'; see what it has with: az ml job list"):
        target.jobs.wait("grey_cat", Heard())


def test_a_wrong_input_is_refused_before_anything_is_submitted(
    target: Target, pipeline: Path, tracked: Emulator
):
    with pytest.raises(InvalidInput, match="has no input 'words'"):
        target.jobs.submit(pipeline, {"words": "x"}, {})
    with pytest.raises(InvalidInput, match=r"inputs\.count: .*12"):
        target.jobs.submit(pipeline, {"count": "12"}, {})
    assert not tracked.calls("PUT", "/jobs/")


def test_data_that_were_not_pushed(open_target: Callable[[], Target], pipeline: Path, tracked: Emulator):
    with pytest.raises(NotFound, match="has no data asset tinydata:1; upload it with: mlops data push"):
        open_target().jobs.submit(pipeline, {}, {})
    assert not tracked.calls("PUT", "/jobs/")


def test_a_token_that_expires_while_the_job_runs_is_renewed(
    target: Target, pipeline: Path, tracked: Emulator
):
    tracked.entra.lifetime = 5
    tracked.jobs.hold()
    name = target.jobs.submit(pipeline, {}, {})
    assert target.jobs.wait(name, Heard(), patience=7) is None
    before = tracked.entra.tokens
    tracked.entra.renew_assertion()
    tracked.jobs.release()
    assert target.jobs.wait(name, Heard()) is not None
    assert tracked.entra.tokens > before, "a token of five seconds has to be renewed"


def test_a_login_that_cannot_be_renewed_leaves_the_job_alone(
    target: Target, pipeline: Path, tracked: Emulator, open_target: Callable[[], Target]
):
    tracked.jobs.hold()
    name = target.jobs.submit(pipeline, {}, {})
    tracked.entra.renew_assertion(seconds=-1)
    with pytest.raises(TargetError, match=rf"AADSTS700024.*follow it with: mlops train --resume {name}"):
        open_target().jobs.wait(name, Heard(), patience=60)
    tracked.entra.renew_assertion()
    tracked.jobs.release()
    assert open_target().jobs.wait(name, Heard(), patience=60) is not None


def test_azure_may_drop_answers_and_ask_for_patience(target: Target, pipeline: Path, tracked: Emulator):
    tracked.jobs.hold()
    name = target.jobs.submit(pipeline, {}, {})
    tracked.fail("GET", f"/jobs/{name}", ConnectionError, times=2)
    busy = {"error": {"code": "TooManyRequests", "message": "slow down"}}
    tracked.fail("GET", f"/runs/{name}/children", Answer(429, busy, {"retry-after": "1"}), times=2)
    tracked.jobs.release()
    assert target.jobs.wait(name, Heard()) is not None


def test_a_refused_submission_says_what_is_missing(target: Target, pipeline: Path, tracked: Emulator):
    tracked.arm.deny("/jobs/", "PUT")
    with pytest.raises(
        TargetError, match=r"cannot submit training.yml.*lacks the right .*workspaces/jobs/write"
    ):
        target.jobs.submit(pipeline, {}, {})


def test_a_job_that_a_colleague_cancels(target: Target, pipeline: Path, tracked: Emulator):
    tracked.jobs.hold()
    name = target.jobs.submit(pipeline, {}, {})
    Connection(pipeline.parents[2], load_settings(pipeline.parents[2])).client().jobs.begin_cancel(name)
    with pytest.raises(
        TargetError,
        match=rf"the job {name} was cancelled; https://ml\.azure\.com/runs/{name}\?wsid=/subscriptions/",
    ):
        target.jobs.wait(name, Heard())

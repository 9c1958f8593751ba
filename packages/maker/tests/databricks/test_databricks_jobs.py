"""A pipeline as a job of several tasks: what is submitted is run, and each way in which it can end reaches
whoever waits. A job that fails without its log, or that nobody can follow from another machine, costs
hours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.errors import InvalidInput, NotFound, StepFailed, TargetError
from mlops.pipeline import StepEvent
from mlops.spec.settings import load_settings
from mlops.targets.base import Target
from mlops.targets.databricks import open_databricks
from mlops.targets.databricks.connect import Connection
from mlops.targets.databricks.registry import WorkspaceTracker
from mlops.tracking import PipelineTracker
from tests.contracts.jobs import Heard, JobsContract, pipeline, root, target
from tests.databricks.emulator import Answer, Emulator

__all__ = ["pipeline", "root", "target"]  # fixtures


@pytest.fixture
def open_target(root: Path, tracked: Emulator) -> Callable[[], Target]:
    """A target of a process of its own, as far as Databricks can tell."""
    return lambda: open_databricks(root, load_settings(root))


@pytest.fixture
def tracker(root: Path) -> PipelineTracker:
    return WorkspaceTracker(Connection(root, load_settings(root)))


@pytest.fixture
def log_page(tracked: Emulator) -> str:
    return f"{tracked.url}/jobs/runs/"


class TestDatabricksJobs(JobsContract):
    """`DatabricksJobs`."""


def test_each_step_in_a_process_of_its_own_leaves_runs_and_outputs(
    target: Target, pipeline: Path, tracker: PipelineTracker, tracked: Emulator
) -> None:
    tracked.jobs.apart = True
    result = target.jobs.run(pipeline, {"word": "ho", "count": "3"}, {"mlops.commit": "c" * 40}, Heard())
    assert len(tracker.children(result.run_id)) == 2
    runs = target.registry.runs("tiny", {"mlops.commit": "c" * 40}, 5)
    assert [r.run_id for r in runs] == [result.run_id]
    folder = target.jobs.output(result.run_id, "make.made")
    assert (folder / "text.txt").read_text() == "data hohoho", "a folder is fetched when it is asked for"
    with pytest.raises(NotFound, match="has no output 'nothing'; it has: registered"):
        target.jobs.output(result.run_id, "nothing")


def test_the_engine_goes_along_as_a_wheel_of_its_content(target: Target, pipeline: Path, tracked: Emulator):
    target.jobs.run(pipeline, {}, {}, Heard())
    (body,) = [e.request.json for e in tracked.calls("POST", "/jobs/runs/submit")]
    (wheel,) = body["environments"][0]["spec"]["dependencies"]
    assert wheel.startswith("/Volumes/dev/ml/mlops/wheels/gitops_ml_runtime-") and wheel.endswith(
        "-py3-none-any.whl"
    )
    target.jobs.run(pipeline, {}, {}, Heard())
    wheels = list((tracked.files.root / "Volumes/dev/ml/mlops/wheels").iterdir())
    snapshots = list((tracked.files.root / "Volumes/dev/ml/mlops/snapshots").iterdir())
    assert (len(wheels), len(snapshots)) == (1, 1), "equal code is uploaded once"


def test_a_cluster_in_place_of_serverless(
    root: Path, pipeline: Path, open_target: Callable[[], Target], tracked: Emulator
):
    with (root / "mlops.toml").open("a") as stream:
        stream.write('[databricks]\nnode_type = "Standard_D4ds_v5"\n')
    target = open_target()
    target.data.push("tiny")
    target.jobs.run(pipeline, {}, {}, Heard())
    (body,) = [e.request.json for e in tracked.calls("POST", "/jobs/runs/submit")]
    task = body["tasks"][0]
    assert task["new_cluster"]["node_type_id"] == "Standard_D4ds_v5"
    assert [next(iter(one)) for one in task["libraries"]] == ["whl"]
    assert "environments" not in body and "environment_key" not in task


@pytest.fixture
def notifying(root: Path, open_target: Callable[[], Target], tracked: Emulator) -> Target:
    """With two destinations for failures and one for what ends well."""
    tracked.jobs.destinations = {"d-pager", "d-chat"}
    with (root / "mlops.toml").open("a") as stream:
        stream.write('[databricks.notify]\nfailure = ["d-pager", "d-chat"]\nsuccess = ["d-chat"]\n')
    target = open_target()
    target.data.push("tiny")
    return target


def test_destinations_hear_how_a_job_ended(notifying: Target, pipeline: Path, tracked: Emulator):
    notifying.jobs.run(pipeline, {}, {}, Heard())
    with pytest.raises(StepFailed):
        notifying.jobs.run(pipeline, {"word": "fail"}, {}, Heard())
    well, failed = tracked.jobs.runs
    assert tracked.jobs.told == [
        ("d-chat", "jobs.on_success", well),
        ("d-pager", "jobs.on_failure", failed),
        ("d-chat", "jobs.on_failure", failed),
    ]


def test_compute_that_does_not_start_is_told_and_what_is_cancelled_is_not(
    notifying: Target, pipeline: Path, tracked: Emulator
):
    tracked.jobs.refused = ("CLUSTER_ERROR", "the node did not start")
    with pytest.raises(TargetError):
        notifying.jobs.run(pipeline, {}, {}, Heard())
    told = list(tracked.jobs.told)
    assert [kind for _, kind, _ in told] == ["jobs.on_failure"] * 2
    tracked.jobs.hold()
    name = notifying.jobs.submit(pipeline, {}, {})
    (number,) = [n for n in tracked.jobs.runs if n != told[0][2]]
    client = Connection(pipeline.parents[2], load_settings(pipeline.parents[2])).client()
    client.jobs.cancel_run(number)
    with pytest.raises(TargetError, match="was cancelled"):
        notifying.jobs.wait(name, Heard())
    assert tracked.jobs.told == told


def test_a_destination_that_the_workspace_lacks_starts_nothing(
    notifying: Target, pipeline: Path, tracked: Emulator
):
    tracked.jobs.destinations = {"d-pager"}
    with pytest.raises(InvalidInput, match="no notification destination d-chat"):
        notifying.jobs.submit(pipeline, {}, {})
    assert not tracked.jobs.runs


@pytest.mark.parametrize(
    "wrong", ['["ops@contoso.com"]', '["https://hooks.contoso.com"]', '["a", "b", "c", "d"]']
)
def test_what_is_no_id_of_a_destination_is_refused_by_the_settings(root: Path, wrong: str):
    with (root / "mlops.toml").open("a") as stream:
        stream.write(f"[databricks.notify]\nfailure = {wrong}\n")
    with pytest.raises(InvalidInput, match=r"databricks\.notify\.failure"):
        load_settings(root)


def test_control_c_cancels_the_job(target: Target, pipeline: Path, root: Path, tracked: Emulator):
    def interrupt(event: StepEvent) -> None:
        raise KeyboardInterrupt

    tracked.jobs.apart = True
    with pytest.raises(KeyboardInterrupt):
        target.jobs.run(pipeline, {"word": "sleep"}, {}, interrupt)
    (run,) = tracked.jobs.runs.values()
    assert run.cancelled
    tracker = WorkspaceTracker(Connection(root, load_settings(root)))
    (parent,) = tracker.find_runs("tiny")[-1:]
    assert tracker.get(parent.parent or parent.run_id).status == "KILLED"


def test_a_submission_whose_answer_was_lost_is_one_run(target: Target, pipeline: Path, tracked: Emulator):
    tracked.lose("POST", "/jobs/runs/submit")
    target.jobs.run(pipeline, {}, {}, Heard())
    assert len(tracked.jobs.runs) == 1


def test_a_workspace_that_fails_for_a_while_does_not_end_the_wait(
    target: Target, pipeline: Path, tracked: Emulator
):
    error = Answer(500, {"error_code": "INTERNAL_ERROR", "message": "try again"})
    tracked.fail("GET", "/jobs/runs/get", error, times=4)
    assert target.jobs.run(pipeline, {}, {}, Heard()).outputs


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (("CLUSTER_ERROR", "the node did not start"), r"its cluster did not start \(CLUSTER_ERROR: the node"),
        (("CLOUD_FAILURE", "QuotaExceeded for D4ds_v5"), "the quota of the subscription is used up"),
        (("LIBRARY_INSTALLATION_ERROR", "no skops"), "its packages could not be installed"),
    ],
)
def test_compute_that_does_not_start_is_no_failure_of_the_step(
    target: Target, pipeline: Path, tracked: Emulator, refusal: tuple[str, str], sentence: str
):
    tracked.jobs.refused = refusal
    with pytest.raises(TargetError, match=f"step 'make' could not run: .*{sentence}"):
        target.jobs.run(pipeline, {}, {}, Heard())


def test_data_of_this_machine_are_uploaded(target: Target, pipeline: Path, tmp_path: Path):
    folder = tmp_path / "own data"
    folder.mkdir()
    (folder / "a.txt").write_text("mine ")
    result = target.jobs.run(pipeline, {"raw": str(folder)}, {}, Heard())
    assert result.outputs["registered"].read_text().startswith("mine hellohello")


def test_what_databricks_does_not_run_is_refused_before_anything_is_sent(
    target: Target, pipeline: Path, tracked: Emulator
):
    sweep = pipeline.with_name("sweep.yml")
    with pytest.raises(InvalidInput, match="is a sweep, which this project does not run on Databricks"):
        target.jobs.submit(sweep, {}, {})
    conda = pipeline.with_name("conda.yml")
    conda.write_text(conda.read_text().replace("[python=3.11]", "[python=3.11, cmake]"))
    with pytest.raises(
        InvalidInput, match=r"conda.yml: dependencies: the conda package 'cmake' cannot be had"
    ):
        target.jobs.submit(pipeline, {}, {})
    assert not tracked.calls("POST", "/jobs/runs/submit")
    assert target.sweeps is None and target.schedules is None


def test_other_data_of_the_same_version_are_refused(target: Target, tracked: Emulator, root: Path):
    from mlops.errors import IntegrityError

    assert target.data.push("tiny").new is False
    note = tracked.files.root / "Volumes/dev/ml/mlops/data/tinydata/1.asset.json"
    note.write_text(note.read_text().replace("sha256:", "sha256:0"))
    with pytest.raises(IntegrityError, match="has other data as tinydata:1"):
        target.data.push("tiny")
    with pytest.raises(NotFound, match="has no data asset tinydata:2; upload it with: mlops data push"):
        target.data.resolve("tinydata", "2")

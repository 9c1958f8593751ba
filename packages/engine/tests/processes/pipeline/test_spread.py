"""Distributed steps on one machine: the processes that Azure ML would start, told who they are, or a refusal.
One process where the file asks for four would train something else, unnoticed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from as_on_azure import shows
from tiny_pipeline import Project

from mlops.errors import StepFailed, TargetError
from mlops.pipeline import StepEvent

RANKS = """\
import json, os, pathlib, sys, time
names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "MLFLOW_RUN_ID")
facts = {n: os.environ.get(n) for n in names}
out = pathlib.Path(sys.argv[1])
rank = facts["RANK"] or os.environ.get("FAKE_RANK") or "0"
(out / f"rank{rank}.json").write_text(json.dumps(facts))
if rank == "0":
    (out / "d.json").write_text("[]")
if os.environ.get("FAIL_RANK") == rank:
    print("rank", rank, "cannot go on")
    sys.exit(3)
until = time.monotonic() + float(os.environ.get("WAIT", "0"))
while len(list(out.glob("rank*.json"))) < int(facts["WORLD_SIZE"] or 1) and time.monotonic() < until:
    time.sleep(0.02)
time.sleep(float(os.environ.get("HANG", "0")))
"""
MPIRUN = """\
#!/bin/bash
# Stands for Open MPI: as many processes as asked for, each told its rank.
[ "$1" = -n ] || exit 64
for ((rank = 0; rank < $2; rank++)); do FAKE_RANK=$rank "${@:3}" & done
wait
"""


@pytest.fixture
def spread(project: Project) -> Project:
    """The tiny pipeline whose step `right` writes who its processes are."""
    (project.root / "src" / "ranks.py").write_text(RANKS)
    project.edit(
        "components/right.yml",
        "python steps.py right --source ${{inputs.data}} --out ${{outputs.out}}",
        "python ranks.py ${{outputs.out}} $[[${{inputs.data}}]]",
    )
    project.edit(
        "components/right.yml", "data: {type: uri_folder}", "data: {type: uri_folder, optional: true}"
    )
    return project


def distributed(project: Project, setting: str, resources: str = "{instance_count: 1}") -> None:
    project.edit(
        "pipeline.yml",
        "resources: {instance_count: 1}",
        f"distribution: {setting}\n    resources: {resources}",
    )


def ranks(project: Project, output: Path) -> list[dict[str, str]]:
    return [json.loads(p.read_text()) for p in sorted(output.glob("rank*.json"))]


@shows(
    "`instance_count`, processes",
    azure="several machines",
    here="one machine; a note at the step ([scaling](scaling.md))",
)
def test_pytorch_processes_meet_and_share_the_run(spread: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    distributed(spread, "{type: PyTorch, process_count_per_instance: 3}", "{instance_count: 2}")
    monkeypatch.setenv("WAIT", "30")  # each waits until it sees the others: they run at the same time
    heard: list[StepEvent] = []

    result = spread.run(progress=heard.append)

    facts = ranks(spread, result.outputs["right.out"])
    assert [f["RANK"] for f in facts] == [f["LOCAL_RANK"] for f in facts] == ["0", "1", "2"]
    assert {f["WORLD_SIZE"] for f in facts} == {"3"}
    assert {f["NODE_RANK"] for f in facts} == {"0"}
    assert {f["MASTER_ADDR"] for f in facts} == {"127.0.0.1"}
    (port,) = {f["MASTER_PORT"] for f in facts}
    assert 1024 < int(port) < 65536
    (run,) = {f["MLFLOW_RUN_ID"] for f in facts}
    assert run in spread.tracker.runs
    (note,) = {event.note for event in heard if event.note}
    assert note == "3 processes; 1 instance here, 2 on Azure ML"
    log = next(e.log for e in heard if e.step == "right")
    assert note in Path(log).read_text().splitlines()[0]


def test_a_step_that_is_not_distributed_is_told_nothing(spread: Project) -> None:
    heard: list[StepEvent] = []
    (facts,) = ranks(spread, spread.run(progress=heard.append).outputs["right.out"])
    assert facts["RANK"] is facts["WORLD_SIZE"] is facts["MASTER_PORT"] is None
    assert {event.note for event in heard} == {""}


def test_when_one_process_fails_the_others_end_and_its_words_are_shown(
    spread: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed(spread, "{type: pytorch, process_count_per_instance: 2}")
    monkeypatch.setenv("FAIL_RANK", "1")
    monkeypatch.setenv("HANG", "3600")  # the other process is not waited for
    with pytest.raises(
        StepFailed, match=r"'right' failed with exit code 3.*\n    rank 1 cannot go on\n"
    ) as error:
        spread.run()
    assert "right.rank1.log" in str(error.value)


def test_another_number_of_processes_is_another_result(spread: Project) -> None:
    distributed(spread, "{type: pytorch, process_count_per_instance: 2}")
    spread.run()
    assert {e.step: e.state for e in spread.run().steps}["right"] == "reused"
    spread.edit("pipeline.yml", "process_count_per_instance: 2", "process_count_per_instance: 1")
    assert {e.step: e.state for e in spread.run().steps}["right"] == "finished"


def test_mpi_is_started_by_mpirun(spread: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "mpirun"
    program.parent.mkdir()
    program.write_text(MPIRUN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    distributed(spread, "{type: mpi, process_count_per_instance: 2}")
    output = spread.run().outputs["right.out"]
    assert sorted(p.name for p in output.glob("rank*")) == ["rank0.json", "rank1.json"]


@pytest.mark.parametrize(
    ("setting", "resources", "sentence"),
    [
        (
            "{type: mpi, process_count_per_instance: 2}",
            "{instance_count: 1}",
            "step 'right' starts 2 processes by MPI, and mpirun is not on PATH; install it",
        ),
        (
            "{type: tensorflow}",
            "{instance_count: 2}",
            "step 'right' is distributed by TensorFlow over 2 processes, which this machine does not start",
        ),
    ],
)
def test_what_this_machine_cannot_start_is_said_before_anything_runs(
    spread: Project, monkeypatch: pytest.MonkeyPatch, setting: str, resources: str, sentence: str
) -> None:
    monkeypatch.setattr("mlops.pipeline.run.spread.shutil.which", lambda _: None)
    distributed(spread, setting, resources)
    with pytest.raises(TargetError, match=sentence):
        spread.run()
    assert spread.ran() == []
    assert spread.tracker.runs == {}


@pytest.mark.parametrize(
    ("setting", "note"),
    [
        ("{type: ray}", "1 process; ray.init() starts Ray on this machine; 1 instance here, 4 on Azure ML"),
        ("{type: mpi}", "1 instance here, 4 on Azure ML"),
        ("{type: tensorflow, worker_count: 1}", "1 instance here, 4 on Azure ML"),
    ],
)
def test_one_process_is_announced(spread: Project, setting: str, note: str) -> None:
    distributed(spread, setting, "{instance_count: 4}")
    heard: list[StepEvent] = []
    (facts,) = ranks(spread, spread.run(progress=heard.append).outputs["right.out"])
    assert facts["RANK"] is None
    assert {event.note for event in heard if event.note} == {note}

"""Pipelines that once ran in another way than on Azure ML: each does what Azure would, or is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_pipeline import MemoryTracker
from yaml_cases import CASES, write

from mlops.errors import InvalidInput, StepFailed
from mlops.pipeline import JobResult, StepEvent, StepServer, run_pipeline

HERE = "run-"


@pytest.fixture(scope="module")
def server() -> Iterator[StepServer]:
    made = StepServer(())
    yield made
    made.close()


class Case:
    def __init__(self, folder: Path, server: StepServer) -> None:
        self.folder = folder
        self.server = server
        self.tracker = MemoryTracker()
        self.states: dict[str, str] = {}

    def run(self, name: str, workers: int = 2) -> JobResult:
        def heard(event: StepEvent) -> None:
            self.states[event.step] = event.state

        return run_pipeline(
            write(HERE + name, self.folder) / "pipeline.yml",
            {},
            tracker=self.tracker,
            state_dir=self.folder / "state",
            resolve_asset=lambda n, v: n,
            progress=heard,
            server=self.server,
            workers=workers,
        )


@pytest.fixture
def case(tmp_path: Path, server: StepServer) -> Case:
    return Case(tmp_path / "case", server)


SAID = {
    "f01-parent-uri_file": ("r", "hi\n"),
    "f05-quoted-hole": ("one.o/a", "hello big world\n"),
    "f12-additional-includes": ("", ""),
    "f29-depends-on-input-unused": ("one.o/a", "hi\n"),
    "f35-single-quoted": ("one.o/a", "[hello big world]"),
}
REFUSED = {
    "f10-url-input": "lies behind https://",
    "f11-git-code": "is a git repository, which `azure-ai-ml` refuses",
    "f25-no-compute": "has no `compute`",
}
OWN = {
    "f04-limits-timeout",
    "f07-outputs-folder",
    "f08-shared-cwd",
    "f09-write-into-input",
    "f15-continue-false",
    "f33-glob",
}


def test_every_case_is_run() -> None:
    there = {name.removeprefix(HERE) for name in CASES if name.startswith(HERE)}
    assert there == {*SAID, *REFUSED, *OWN}


@pytest.mark.parametrize("name", SAID)
def test_it_makes_what_azure_makes(case: Case, name: str) -> None:
    result = case.run(name)
    output, _, file = SAID[name][0].partition("/")
    if output:
        path = result.outputs[output]
        assert (path / file if file else path).read_text() == SAID[name][1]


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_before_anything_starts(case: Case, name: str) -> None:
    with pytest.raises(InvalidInput, match=REFUSED[name]):
        case.run(name)
    assert not case.states and not case.tracker.runs


def test_a_limit_ends_the_step(case: Case) -> None:
    with pytest.raises(StepFailed, match=r"was ended after 3 s, as its limits\.timeout asks"):
        case.run("f04-limits-timeout")


def test_outputs_are_kept_with_the_run(case: Case) -> None:
    case.run("f07-outputs-folder")
    assert [r["artifacts"] for r in case.tracker.runs.values() if "artifacts" in r] == [
        {"outputs/a.txt": "hi\n"}
    ]


def test_each_job_has_a_snapshot_of_its_own(case: Case) -> None:
    listed = (case.run("f08-shared-cwd").outputs["two.o"] / "a").read_text().split()
    assert "marker.txt" not in listed and "go.py" in listed


def test_data_of_the_user_stay_as_they_are(case: Case) -> None:
    before = CASES["run-f09-write-into-input"]["data/a.csv"]
    try:
        case.run("f09-write-into-input")
    except StepFailed as error:  # root may write what is read-only, and is told
        assert "read-only on Azure ML" in str(error)
    assert (case.folder / "data/a.csv").read_text() == before


def test_nothing_starts_after_a_failure(case: Case) -> None:
    with pytest.raises(StepFailed, match="exit code 3"):
        case.run("f15-continue-false")
    assert (case.states["side"], case.states["after"]) == ("skipped", "skipped")


def test_a_pattern_is_expanded(case: Case) -> None:
    listed = (case.run("f33-glob").outputs["one.o"] / "a").read_text().split("\n")
    assert [Path(line).name for line in listed if line] == ["a.csv", "b.csv"]

"""act's log becomes the state of a run. The lines are those of act 0.2.89; a reader that misses a failure
would call a broken release a success."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

from mlops.forge.pushed.act import STAND_INS, Reader, command, environment, without_stand_in
from mlops.forge.pushed.store import Run, Settings, Store
from mlops.forge.pushed.watch import explained, verdict

RUN = Run(
    7, "train", ".github/workflows/train.yml", "push", "x changed", "refs/heads/main", "a" * 40, "ann", 0.0
)


def line(msg: str, step: str = "", stage: str = "Main", depth: int = 1, **more: object) -> str:
    where = {"step": step, "stage": stage, "stepID": ["0"] * depth} if step else {}
    head = {"job": "train/train", "jobID": "train", "level": "info", "time": "2026-11-21T07:11:01Z"}
    return json.dumps({**head, **where, "msg": msg, **more})


def read(folder: Path, *lines: str) -> tuple[Reader, list[str]]:
    reader, ended = Reader(RUN, folder), []
    for text in lines:
        ended += reader.feed(text)
    return reader, ended


STEP = '.github/scripts/run --show gate.md mlops gate ${VERSION:+"$VERSION"} --markdown gate.md'


def test_steps_are_named_as_a_person_would_type_them_and_end_with_their_time(tmp_path: Path) -> None:
    reader, ended = read(
        tmp_path,
        line("⭐ Run Main actions/checkout@abc", "actions/checkout@abc"),
        line("⭐ Run Main inner", "actions/checkout@abc", depth=2),
        line("  ✅  Success", "actions/checkout@abc", stepResult="success", executionTime=2_000_000),
        line("⭐ Run Main x", STEP),
        line("passes all gates\n", STEP, raw_output=True),
        line("  ✅  Success", STEP, stepResult="success", executionTime=1_500_000_000),
        line("⭐ Run Post actions/checkout@abc", "actions/checkout@abc", stage="Post"),
        line("🏁  Job succeeded", jobResult="success"),
    )
    job = reader.run.jobs["train"]
    assert [(s.name, s.state, s.seconds) for s in job.steps] == [
        ("actions/checkout", "success", 0.002),
        ("mlops gate --markdown gate.md", "success", 1.5),
    ]
    assert (job.state, ended) == ("success", ["train"])
    log = (tmp_path / "train.log").read_text()
    assert log == "# actions/checkout\n# mlops gate --markdown gate.md\npasses all gates\n"


def test_a_failure_is_a_failure_and_an_unknown_result_is_one_too(tmp_path: Path) -> None:
    failed, _ = read(
        tmp_path,
        line("⭐ Run Main x", STEP),
        line("  ❌  Failure", STEP, stepResult="failure", executionTime=1),
        line("🏁  Job failed", jobResult="failure"),
    )
    assert failed.run.jobs["train"].steps[0].state == "failure"
    assert failed.run.jobs["train"].state == "failure"
    odd, _ = read(tmp_path, line("🏁  ?", jobResult="something new"))
    assert odd.run.jobs["train"].state == "failure"


def test_what_act_itself_says_is_kept_as_the_reason(tmp_path: Path) -> None:
    reader, _ = read(tmp_path, "Error: workflow is not valid. 'x.yml': Line: 7", "not json", "{}")
    assert reader.error == "workflow is not valid. 'x.yml': Line: 7"


SUMMARY = """\
| a table | of the gates |

### Failed: `mlops gate`

~~~~~~~~text
flights version 3 is blocked by limit roc_auc: 0.61, asked is at least 0.62: 0.01 too low
~~~~~~~~

Exit code 3: blocked: a gate, a policy or an analysis said no.

The end of what it said:

~~~~~~~~text
error blocked
~~~~~~~~

To see it on your machine:

~~~~~~~~sh
git fetch origin abc && git checkout abc
mlops gate
~~~~~~~~
"""


def test_a_summary_tells_what_failed_and_what_to_type(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = store.run_folder(7)
    folder.mkdir(parents=True)
    reader, _ = read(folder, line("Summary", command="summary", content=SUMMARY))
    assert (folder / "summary.md").read_text() == SUMMARY == reader.summary
    found = explained(store, RUN)
    assert found.said.startswith("flights version 3 is blocked by limit roc_auc: 0.61")
    first, _ = verdict(replace(RUN, state="failure", started=1, ended=3), found.said)
    assert first.endswith("failure after 2.0 s: " + found.said)
    assert list(found.lines) == [
        "Failed: mlops gate",
        "Exit code 3: blocked: a gate, a policy or an analysis said no.",
        "To see it on your machine:",
        "  git fetch origin abc && git checkout abc",
        "  mlops gate",
    ]


def test_a_job_gets_no_variable_of_the_shell_but_those_that_it_needs() -> None:
    shell = {
        "PATH": "/bin",
        "HOME": "/h",
        "AWS_SECRET_ACCESS_KEY": "s",
        "MLOPS_TARGET": "azure",
        "MYPATH": "x",
    }
    given = environment(RUN, Path("/origin.git"), shell)
    assert given["PATH"] == "/bin"
    assert {"AWS_SECRET_ACCESS_KEY", "MLOPS_TARGET", "MYPATH"}.isdisjoint(given)
    assert (given["MLOPS_FORGE"], given["MLOPS_FORGE_RUN"]) == ("/origin.git", "7")


def test_the_command_runs_one_file_for_one_event_without_docker(tmp_path: Path) -> None:
    settings = Settings("/python", "", "", vars={"MLOPS_STATE": "kept"})
    made = command(
        RUN, tmp_path, settings, {"actions/cache@1": STAND_INS / "actions/cache"}, ["ubuntu-24.04"]
    )
    assert made[1:4] == ["push", "--workflows", ".github/workflows/train.yml"]
    pairs = list(itertools.pairwise(made))
    assert ("--platform", "ubuntu-24.04=-self-hosted") in pairs
    assert ("--var", "MLOPS_STATE=kept") in pairs
    assert ("--local-repository", f"actions/cache@1={STAND_INS / 'actions/cache'}") in pairs


def test_actions_that_cannot_be_had_here_are_named() -> None:
    assert without_stand_in({"actions/cache@1": "actions/cache", "docker/build@2": "docker/build"}) == [
        "docker/build"
    ]

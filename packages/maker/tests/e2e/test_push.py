"""`git push` to the local forge runs workflow files by act, and what act ignores is enforced around it.

The workflows here are small, so that each test is about one rule; `test_push_release.py` runs the real ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_forge import CHECKOUT, CONCURRENT, HEAD, WAIT, Forge, steps

from mlops.forge.local import LocalForge

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def test_a_push_of_nothing_relevant_ends_at_once_with_nothing_to_do(forge: Forge) -> None:
    forge.begin(HEAD + steps("echo hello"))
    (forge.work / "README.md").write_text("words")
    began = time.monotonic()
    said = forge.push("Only words")
    assert time.monotonic() - began < 5
    assert "small" in said
    assert "nothing that it looks at changed" in said
    assert "nothing to do" in said
    assert forge.store.runs() == []


def test_a_push_runs_the_pushed_commit_and_keeps_what_it_said(forge: Forge) -> None:
    forge.begin(HEAD + steps("cat src/a.py", 'echo "at $GITHUB_SHA of $GITHUB_REF by $GITHUB_ACTOR"', "env"))
    said = forge.change("print('the new code')\n")
    run = forge.ended(1)
    assert (run.state, run.why) == ("success", "src/a.py changed")
    assert "small 1: success" in said
    log = forge.log(1)
    assert "the new code" in log
    assert f"at {forge.git('rev-parse', 'HEAD').strip()} of refs/heads/main by ann" in log
    assert "hunter2" not in log, "a job must not see the variables of whoever pushed"
    assert not (forge.store.run_folder(1) / "work").exists(), "the job's folder stays behind"


def test_a_failing_step_says_what_failed_and_what_to_type(forge: Forge) -> None:
    forge.begin(HEAD + steps(".github/scripts/run ls no-such-file"))
    said = forge.change()
    run = forge.ended(1)
    assert (run.state, run.reason) == ("failure", "only failed in: ls no-such-file")
    assert "Failed: ls no-such-file" in said
    assert "To see it on your machine:" in said
    assert f"git checkout {run.sha}" in said
    shown = subprocess.run(
        [str(Path(sys.executable).with_name("mlops")), "forge", "log", "1"],
        cwd=forge.work,
        env=forge.env,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "### Failed: `ls no-such-file`" in shown
    assert "No such file or directory" in shown


def test_runs_of_one_group_queue_and_the_newest_replaces_the_one_that_waits(forge: Forge) -> None:
    forge.begin(HEAD + CONCURRENT + "false\n" + steps("echo started", WAIT))
    forge.change("1", follow=False)
    forge.until(1, "started")
    forge.change("2", follow=False)
    forge.change("3", follow=False)
    assert forge.ended(2).state == "cancelled"
    assert "takes its place in the group lane-refs/heads/main" in forge.ended(2).reason
    assert [forge.store.get(n).state for n in (1, 3)] == ["running", "queued"]
    Path(forge.env["HOME"], "go").touch()
    assert [forge.ended(n).state for n in (1, 3)] == ["success", "success"]


def test_cancel_in_progress_ends_the_run_of_the_older_commit(forge: Forge) -> None:
    forge.begin(HEAD + CONCURRENT + "${{ github.event_name == 'push' }}\n" + steps("echo started", WAIT))
    forge.change("1", follow=False)
    forge.until(1, "started")
    forge.change("2", follow=False)
    assert forge.ended(1).state == "cancelled"
    Path(forge.env["HOME"], "go").touch()
    assert forge.ended(2).state == "success"


def test_jobs_of_one_group_do_not_run_beside_each_other(forge: Forge) -> None:
    group = "    concurrency: {group: lane, cancel-in-progress: false}\n"
    forge.begin(HEAD + steps("echo started", WAIT, job=group))
    forge.change("1", follow=False)
    forge.until(1, "started")
    forge.change("2", follow=False)
    forge.until(2, "waits for the group lane")
    assert "started" not in forge.log(2)
    Path(forge.env["HOME"], "go").touch()
    assert [forge.ended(n).state for n in (1, 2)] == ["success", "success"]


def test_a_protected_environment_waits_for_a_person(forge: Forge) -> None:
    guarded = "    environment: prod-promote\n"
    forge.begin(HEAD + steps("echo entered", job=guarded), approvals=("prod-promote",))
    forge.change(follow=False)
    forge.until(1, "environment prod-promote waits for an approval")
    assert "entered" not in forge.log(1).replace("# echo entered", "")
    assert forge.store.asked(1) == "prod-promote"
    forge.store.approve(1, "prod-promote", "bea")
    assert forge.ended(1).state == "success"
    assert "approved by bea" in forge.log(1)


def test_an_environment_takes_jobs_of_main_only(forge: Forge) -> None:
    anywhere = HEAD.replace("[main]", '["**"]')
    forge.begin(anywhere + steps("echo entered", job="    environment: prod-promote\n"))
    (forge.work / "src" / "a.py").write_text("x")
    forge.push("Change", branch="topic")
    assert forge.ended(1).state == "failure"
    assert "takes jobs of main only" in forge.log(1)
    assert "echo entered" not in forge.log(1)


def test_a_job_that_could_not_be_held_back_is_refused(forge: Forge) -> None:
    unguarded = steps("echo entered", job="    environment: prod\n").replace(CHECKOUT, "")
    forge.begin(HEAD + unguarded)
    said = forge.change()
    assert forge.ended(1).state == "failure"
    assert "its first step is not actions/checkout" in said.replace("\n", " ")


PUSHES = (
    "git config user.name Bot && git config user.email bot@localhost && echo y >src/b.py && git add src && "
    "git commit -qm Bot && (git push origin HEAD:main || true)"
)


def test_what_a_job_pushes_with_its_own_token_starts_nothing(forge: Forge) -> None:
    own = HEAD + steps(f"{PUSHES}").replace("persist-credentials: false", "persist-credentials: true")
    forge.begin(own)
    forge.change()
    assert forge.ended(1).state == "success"
    assert [run.number for run in forge.store.runs()] == [1]
    assert "starts no workflow" in forge.log(1)


def test_what_a_job_pushes_as_somebody_else_starts_runs_but_not_for_ever(forge: Forge) -> None:
    forge.begin(HEAD + steps(PUSHES.replace("echo y", "date +%N")))
    forge.change()
    runs = forge.store.runs()
    assert [run.parent for run in runs] == [None, 1, 2, 3, 4]
    assert "workflows that start one another may never end" in forge.log(5)


TIDY = """\
import pathlib, signal, sys, time
def tidy(number, frame):
    time.sleep(1)  # as long as closing a tracked run takes
    pathlib.Path(sys.argv[1], "told").write_text(signal.Signals(number).name)
    sys.exit(1)
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    signal.signal(number, tidy)
print("started", flush=True)
time.sleep(60)
"""


def test_a_run_that_is_cancelled_tells_its_commands_and_lets_them_tidy_up(forge: Forge) -> None:
    """`mlops train` ends its tracked run then; a command that were killed would leave it running for ever."""
    (forge.work / "tidy.py").write_text(TIDY)
    home = Path(forge.env["HOME"])
    forge.begin(HEAD + steps(f".github/scripts/run {sys.executable} tidy.py {home}"))
    forge.change(follow=False)
    forge.until(1, "started")
    forge.store.cancel(1, "not wanted")
    assert forge.ended(1).state == "cancelled"
    deadline = time.monotonic() + 20
    while not (home / "told").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (home / "told").read_text() in ("SIGHUP", "SIGINT", "SIGTERM")


CHECK = "on: pull_request\n" + steps(".github/scripts/run test -e src/good.py")


def test_a_pull_request_is_checked_and_merged_by_itself_once_its_checks_passed(forge: Forge) -> None:
    forge.begin(CHECK)
    forge.git("switch", "--quiet", "--create", "topic")
    (forge.work / "src" / "good.py").write_text("x")
    forge.push("Good", branch="topic")
    local = LocalForge(forge.origin)
    request = local.open_or_update("topic", "main", "Good", "")
    local.auto_merge(request.number)
    assert forge.ended(1).pull == request.number
    deadline = time.monotonic() + 30
    while local.get(request.number).state == "open" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert local.get(request.number).state == "merged"


def test_a_pull_request_whose_check_fails_is_not_merged_until_it_is_mended(forge: Forge) -> None:
    from mlops.errors import Blocked

    forge.begin(CHECK)
    forge.git("switch", "--quiet", "--create", "topic")
    (forge.work / "src" / "bad.py").write_text("x")
    forge.push("Bad", branch="topic")
    local = LocalForge(forge.origin)
    number = local.open_or_update("topic", "main", "Bad", "").number
    forge.ended(1)
    with pytest.raises(Blocked, match="did not pass"):
        local.merge(number)
    (forge.work / "src" / "good.py").write_text("x")
    forge.push("Mend", branch="topic")
    assert forge.ended(2).state == "success"
    assert local.merge(number)
    assert local.get(number).state == "merged"


def test_a_run_whose_worker_is_killed_holds_nobody_back(forge: Forge) -> None:
    import signal

    forge.begin(HEAD + CONCURRENT + "false\n" + steps("echo started", WAIT))
    forge.change("1", follow=False)
    forge.until(1, "started")
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pid,args"], capture_output=True, text=True, check=True
    ).stdout
    mine = [line.split()[0] for line in listed.splitlines() if f"pushed.worker {forge.origin} 1" in line]
    assert len(mine) == 1, listed
    os.kill(int(mine[0]), signal.SIGKILL)
    Path(forge.env["HOME"], "go").touch()
    forge.change("2", follow=False)
    assert forge.ended(2).state == "success"
    assert forge.store.get(1).reason == "its worker has died"

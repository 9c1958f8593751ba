"""`git push` to the local forge runs workflow files by act, and what act ignores is enforced around it.

The workflows here are small, so that each test is about one rule; `test_push_release.py` runs the real ones.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops.forge.local import LocalForge
from mlops.forge.pushed.install import install
from mlops.forge.pushed.store import ENDED, Run, Store

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = '[project]\nname = "small"\n[models.small]\nusecase = "small"\n'
HEAD = """\
on:
  push:
    branches: [main]
    paths: ["src/**"]
"""
CHECKOUT = """\
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1
        with: {persist-credentials: false}
"""


class Forge:
    """A forge with one workflow and a clone of it."""

    def __init__(self, folder: Path) -> None:
        self.origin, self.work = folder / "origin.git", folder / "work"
        home = folder / "home"
        home.mkdir()
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "USER": "ann",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "A_SECRET_OF_THE_SHELL": "hunter2",
        }
        self.git("init", "--quiet", "--bare", "--initial-branch", "main", str(self.origin), where=folder)
        self.git("clone", "--quiet", str(self.origin), str(self.work), where=folder)
        self.git("config", "user.name", "Ann")
        self.git("config", "user.email", "ann@localhost")
        (self.work / "src").mkdir()
        (self.work / "mlops.toml").write_text(SETTINGS)
        (self.work / ".github" / "scripts").mkdir(parents=True)
        shutil.copy2(ROOT / ".github" / "scripts" / "run", self.work / ".github" / "scripts" / "run")
        self.store = Store(self.origin)

    def begin(self, workflow: str, name: str = "small", approvals: tuple[str, ...] = ()) -> None:
        """The first commit, before anybody listens."""
        path = self.work / ".github" / "workflows" / f"{name}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(workflow)
        self.push("Begin")
        install(self.origin, self.work, self.work / ".mlops", off={}, approvals=approvals)

    def git(self, *args: str, where: Path | None = None, **env: str) -> str:
        done = subprocess.run(
            ["git", *args],
            cwd=where or self.work,
            env=self.env | env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip() + done.stderr

    def push(self, message: str, branch: str = "main", follow: bool = True) -> str:
        """Everything; what the forge said."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        follows = {} if follow else {"MLOPS_FORGE_FOLLOW": "0"}
        return self.git("push", "--quiet", "origin", f"HEAD:{branch}", **follows)

    def change(self, text: str = "x", **options: bool) -> str:
        (self.work / "src" / "a.py").write_text(text)
        return self.push("Change the code", **options)

    def log(self, number: int, job: str = "only") -> str:
        return (self.store.run_folder(number) / f"{job}.log").read_text()

    def ended(self, number: int) -> Run:
        deadline = time.monotonic() + 60
        while (run := self.store.get(number)).state not in ENDED:
            assert time.monotonic() < deadline, f"run {number} does not end: {run}"
            time.sleep(0.05)
        return run

    def until(self, number: int, text: str, job: str = "only") -> None:
        deadline = time.monotonic() + 60
        path = self.store.run_folder(number) / f"{job}.log"
        while not path.exists() or text not in path.read_text():
            assert time.monotonic() < deadline, f"run {number} never says {text!r}"
            time.sleep(0.05)


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    # These tests may themselves run in a job of a local forge.
    for name in [name for name in os.environ if name.startswith(("MLOPS_FORGE", "GITHUB_"))]:
        monkeypatch.delenv(name)
    made = Forge(tmp_path)
    yield made
    for run in made.store.runs():
        if run.state not in ENDED:
            made.store.cancel(run.number, "the test is over")
            made.ended(run.number)


def steps(*commands: str, job: str = "") -> str:
    """One job, `only`, with these commands; `job` are more lines of it."""
    lines = "".join(f"      - run: {command}\n" for command in commands)
    return f"jobs:\n  only:\n    runs-on: ubuntu-24.04\n{job}    steps:\n{CHECKOUT}{lines}"


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


CONCURRENT = "concurrency:\n  group: lane-${{ github.ref }}\n  cancel-in-progress: "
WAIT = "while [ ! -e $HOME/go ]; do sleep 0.05; done"


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


CALLED = """\
on:
  workflow_call:
    inputs:
      stage: {type: string, required: true}
      colour: {type: string, default: red}
"""
CALLER = (
    HEAD
    + """\
jobs:
  outer:
    uses: ./.github/workflows/called.yml
    with:
      stage: ${{ inputs.stage || 'prod' }}
"""
)
GUARDED = "    environment: ${{ inputs.stage }}-${{ inputs.colour }}\n"


def calling(forge: Forge, called: str, caller: str = CALLER) -> str:
    """What a push says when the workflow `small` calls another one."""
    path = forge.work / ".github" / "workflows" / "called.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(called)
    forge.begin(caller, approvals=("prod-red",))
    return forge.change(follow=False)


def test_a_called_job_waits_for_the_approval_of_the_environment_that_its_inputs_name(forge: Forge) -> None:
    calling(forge, CALLED + steps("echo entered ${{ inputs.stage }}", job=GUARDED))
    forge.until(1, "environment prod-red waits for an approval")
    assert "entered prod" not in forge.log(1).replace("# echo entered", "")
    forge.store.approve(1, "prod-red", "bea")
    run = forge.ended(1)
    assert (run.state, list(run.jobs), run.workflow) == ("success", ["only"], "small")
    assert "approved by bea" in forge.log(1)
    assert "entered prod" in forge.log(1)


def test_a_failure_in_a_called_job_fails_the_run_and_is_named(forge: Forge) -> None:
    calling(forge, CALLED + steps(".github/scripts/run ls no-such-file"))
    run = forge.ended(1)
    assert (run.state, run.reason) == ("failure", "only failed in: ls no-such-file")
    assert "### Failed: `ls no-such-file`" in (forge.store.run_folder(1) / "summary.md").read_text()


def test_called_jobs_of_one_group_do_not_run_beside_each_other(forge: Forge) -> None:
    group = "    concurrency: {group: 'lane-${{ inputs.stage }}', cancel-in-progress: false}\n"
    calling(forge, CALLED + steps("echo started", WAIT, job=group))
    forge.until(1, "started")
    forge.change("2", follow=False)
    forge.until(2, "waits for the group lane-prod")
    Path(forge.env["HOME"], "go").touch()
    assert [forge.ended(n).state for n in (1, 2)] == ["success", "success"]


@pytest.mark.parametrize(
    ("called", "caller", "says"),
    [
        (CALLED + steps("echo x", job=GUARDED).replace(CHECKOUT, ""), CALLER, "is not actions/checkout"),
        (CALLED + CONCURRENT + "false\n" + steps("echo x"), CALLER, "let the caller do it"),
        (
            CALLED + steps("echo x", job=GUARDED),
            CALLER + CALLER[CALLER.index("  outer:") :].replace("outer", "other"),
            "2 jobs of .github/workflows/small.yml are called only",
        ),
    ],
    ids=["cannot ask", "own group", "called twice"],
)
def test_a_called_job_that_could_not_be_held_back_is_refused(
    forge: Forge, called: str, caller: str, says: str
) -> None:
    calling(forge, called, caller)
    run = forge.ended(1)
    assert run.state == "failure"
    said = run.reason + "".join(p.read_text() for p in forge.store.run_folder(1).glob("only.log"))
    assert says in said
    assert "echo x" not in said


LISTENS = "on:\n  repository_dispatch:\n    types: [mlops.drift.detected]\n"


def test_an_event_starts_the_workflow_that_listens_to_it(forge: Forge) -> None:
    """The handler `dispatch` of `mlops events handle` does here what it does on GitHub."""
    tell = "echo ${{ github.event.client_payload.data.model }} drifts"
    forge.begin(LISTENS + steps(tell))
    with (forge.work / "mlops.toml").open("a") as stream:
        stream.write('[[events.handlers]]\ntypes = ["mlops.drift.detected"]\n')
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/mlops/small",
        "type": "mlops.drift.detected",
        "time": "2026-11-21T08:00:00Z",
        "data": {
            "model": "small",
            "environment": "prod",
            "start": "2026-11-14T00:00:00Z",
            "end": "2026-11-21T00:00:00Z",
            "breaches": [{"name": "drift.a", "observed": "PSI 0.3", "limit": "0.2"}],
        },
    }
    for _ in range(2):  # delivered at least once, acted on once
        subprocess.run(
            [str(Path(sys.executable).with_name("mlops")), "events", "handle", "-"],
            input=json.dumps(event),
            cwd=forge.work,
            env=forge.env,
            text=True,
            check=True,
        )
    run = forge.ended(1)
    assert (run.state, run.event, run.why) == ("success", "repository_dispatch", "event mlops.drift.detected")
    assert "small drifts" in forge.log(1)
    assert [r.number for r in forge.store.runs()] == [1]

"""The local forge does with called workflows and events what GitHub does: a job that its caller's inputs
send into an environment waits for its approval, and what could not be held back is not started.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from small_forge import CHECKOUT, CONCURRENT, HEAD, WAIT, Forge, steps

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

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

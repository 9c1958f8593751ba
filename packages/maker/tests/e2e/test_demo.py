"""`mlops demo` from nothing, on all data: what the README promises of `make demo`.

It runs in a copy, as a person's clone would be, and must leave that clone as it found it.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from template_copy import Repository

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_demo_tells_its_story_and_leaves_no_trace(clone: Repository) -> None:
    before = (clone.git("rev-parse", "HEAD"), clone.git("branch", "--all"))

    first = clone.spawn("demo").ok()
    assert "Traceback" not in first.err
    assert "What happened" in first.out
    for moment in (
        r"version 1 is registered: trained on 2013-01\.\.2013-03, tested on 2013-04",
        "release 1 is live in staging",
        "release 1 is live in prod",
        "version 2 is registered",
        "release 2 is live in prod",
        "is sent back from staging",
    ):
        assert re.search(moment, first.out), f"the timeline lacks: {moment}\n{first.out}"
    assert re.search(r"\$ curl .*/score", first.out)
    assert len(re.findall(r"\d+% likely to arrive late", first.out)) == 3
    failed = re.findall(r"requests were answered meanwhile, (\d+) failed", first.err)
    assert failed, "no rollout happened under traffic"
    assert set(failed) == {"0"}
    runs = clone.spawn("-C", ".mlops/demo/flights", "forge", "runs", "--json").ok().json[::-1]
    assert [(run["workflow"], run["state"]) for run in runs] == [
        ("train-flights", "success"),
        ("release", "success"),  # 1 to staging
        ("release", "success"),  # 1 to prod
        ("train-flights", "success"),
        ("release", "success"),  # 2 to staging
        ("release", "success"),  # 2 to prod
        ("train-flights", "failure"),  # 3 is blocked by its gates
        ("train-flights", "success"),  # by loosened ones it is not
        ("release", "failure"),  # 3 is sent back from staging
        ("release", "success"),  # the rollback
        ("release", "success"),  # the revert in prod
    ], first.err
    assert {run["event"] for run in runs} == {"push"}, "nothing but pushes and merges may start the workflows"
    assert "Failed: mlops gate" in first.err
    assert "waits for an approval of environment prod-promote" in first.err

    second = clone.spawn("demo").ok()
    assert "Nothing has changed since the last demo" in second.err
    assert "nothing to do" in second.err
    again = clone.spawn("-C", ".mlops/demo/flights", "forge", "runs", "--json").ok().json
    assert len(again) == len(runs), "a push of words started a workflow"
    assert seconds(second.out) < seconds(first.out) / 2
    assert second.out.count("is live in") == first.out.count("is live in"), "nothing was served anew"

    served = clone.spawn("-C", ".mlops/demo/flights", "status", "--json").ok().json
    assert [row["health"] for row in served] == ["serving", "serving"]

    clone.spawn("demo", "--clean").ok()
    assert not (clone.root / ".mlops" / "demo").exists()
    assert processes_in(clone.root / ".mlops") == []
    assert clone.git("status", "--porcelain") == "", "the user's checkout was touched"
    assert (clone.git("rev-parse", "HEAD"), clone.git("branch", "--all")) == before


def seconds(text: str) -> float:
    """How long the demo says that it took."""
    found = re.search(r"Done in (\d+) s", text)
    assert found, text
    return float(found.group(1))


def processes_in(folder: Path) -> list[str]:
    """Command lines of processes whose arguments name the folder."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if str(folder) in line]

"""Pages of evidence: what the tests of a target ask its provider, written by a run of these tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.contracts.failures import Failure


def what_goes_wrong(test: str, failures: Iterable[Failure]) -> list[str]:
    """The lines of a page about failures, which the file `test` provokes."""
    return [
        "## What goes wrong, and what the user is told",
        "",
        f"`{test}` there provokes each and compares the sentence word for word.",
        "",
        "| | what happens | the sentence |",
        "|---|---|---|",
        *(f"| {f.name} | {f.happens} | {f.sentence}{' …' if f.log else ''} |" for f in failures),
        "",
    ]


def recorded_anew(recorded: Path, into: str, stale: str, *options: str) -> int:
    """Run the tests next to `recorded`, which keep what they ask for in the file that the variable `into`
    names; then that takes the place of `recorded`. The exit code of the tests.

    `stale`: the test file that compares the page with `recorded`.
    """
    fresh = recorded.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    # What is stale until this has ended is no condition for it.
    tests = [str(recorded.parent), f"--ignore={recorded.with_name(stale)}"]
    command = [sys.executable, "-m", "pytest", *tests, "-q", *options, "-p", "no:cacheprovider"]
    done = subprocess.run(command, env={**os.environ, into: str(fresh)}, check=False)
    if done.returncode:
        sys.stderr.write("the tests must pass before what they ask for is evidence\n")
        return done.returncode
    fresh.replace(recorded)
    return 0

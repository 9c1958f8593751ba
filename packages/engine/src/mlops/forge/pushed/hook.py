"""The repository's `post-receive` hook: says what a push starts and why not the rest, and shows it run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from mlops.errors import MlopsError
from mlops.forge.git import Git
from mlops.forge.pushed.store import Run, Store
from mlops.forge.pushed.trigger import NOTHING, Started, push
from mlops.forge.pushed.watch import follow, printer, unanswered

JOB_TOKEN = "MLOPS_FORGE_TOKEN"  # noqa: S105  the name of a variable
FOLLOW = "MLOPS_FORGE_FOLLOW"
"""`0`: do not wait for the runs."""

SCRIPT = """\
#!/bin/sh
# Runs the workflows of .github/workflows that this push starts: see docs/ci.md, "The local forge".
unset PYTHONPATH
exec {python} -m mlops.forge.pushed.hook
"""


def tell(started: Started) -> list[str]:
    """One line a workflow that listens."""
    numbers = {run.workflow: run.number for run in started.runs}
    lines = [
        f"{d.workflow.stem:<10} {f'run {numbers[d.workflow.stem]}: {d.why}' if d.run else f'no: {d.why}'}"
        for d in started.decisions
    ]
    return lines if started.runs else [*lines, "nothing to do"]


def received(store: Store, lines: Iterable[str], actor: str) -> tuple[Run, ...]:
    """Start what a push starts; one line of git is `<old> <new> <ref>`."""
    from mlops.forge.local import LocalForge

    runs: tuple[Run, ...] = ()
    for line in lines:
        before, after, ref = line.split()
        if after == NOTHING:
            continue
        started = push(store, ref, before, after, actor)
        runs += started.runs
        if any(d.run for d in started.decisions) or ref == f"refs/heads/{store.settings().default_branch}":
            _say(tell(started))
        if ref.startswith("refs/heads/"):
            runs += LocalForge(store.bare).moved(ref.removeprefix("refs/heads/"), actor)
    return runs


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def pusher(store: Store, lines: Sequence[str]) -> str:
    """Who pushes: as CI or the shell says, else whoever made the newest commit."""
    named = os.environ.get("GITHUB_ACTOR") or os.environ.get("USER")
    tips = [after for _, after, _ in (line.split() for line in lines) if after != NOTHING]
    if named or not tips:
        return named or "somebody"
    return Git(store.bare).run("log", "-1", "--format=%cn", tips[-1]) or "somebody"


def main() -> int:
    store = Store(Path.cwd())
    if os.environ.get(JOB_TOKEN) == "job":
        # As on GitHub: what a workflow pushes with its own token starts nothing, or it might never end.
        _say(["this push is made with the job's own token: it starts no workflow"])
        return 0
    lines = sys.stdin.readlines()
    try:
        runs = received(store, lines, pusher(store, lines))
    except MlopsError as error:
        _say([f"error {error}"])
        return 1
    inside = "MLOPS_FORGE_RUN" in os.environ
    if runs and not inside and os.environ.get(FOLLOW) != "0":
        _say(["the push is done; you may interrupt this, the runs go on (mlops forge runs)"])
        last = follow(store, [run.number for run in runs], printer(store, _say))
        _say(unanswered(store, last))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The runs that the demo starts: watched, approved where they ask, started again where that is needed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from mlops.errors import TargetError
from mlops.forge.pushed.store import APPROVAL, ENDED, Run, Store
from mlops.forge.pushed.trigger import by_hand
from mlops.forge.pushed.watch import Seen, follow

REVIEWER = "you, in the demo"
RELEASE = "release"
Meanwhile = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True)
class Following:
    """Shows runs; a demo that was interrupted finds here what goes on, and what has to be done again."""

    store: Store
    say: Callable[[str], None]
    show: Callable[[Seen], None]

    def all(self, meanwhile: Meanwhile = contextlib.nullcontext) -> list[Run]:
        """To the end of everything that runs; what was followed. `meanwhile` lasts while `release` runs."""
        running = [run.number for run in self.store.runs() if run.state not in ENDED]
        if not running:
            return []
        with contextlib.ExitStack() as stack:
            started: list[Run] = []

            def seen(what: Seen) -> None:
                if what.run.workflow == RELEASE and not started:
                    started.append(what.run)
                    stack.enter_context(meanwhile())
                self._seen(what)

            return follow(self.store, running, seen, attended=True)

    def until(
        self, done: Callable[[], bool], workflow: str, meanwhile: Meanwhile = contextlib.nullcontext
    ) -> None:
        """Follow what runs; where that did not do it, start `workflow` by hand, as a person would.

        Raises `TargetError` when that does not do it either.
        """
        self.all(meanwhile)
        if done():
            return
        self.say(f"$ mlops forge start {workflow}")
        by_hand(self.store, workflow, {}, REVIEWER)
        runs = self.all(meanwhile)
        if not done():
            reasons = "; ".join(f"{run.workflow} {run.number}: {run.reason}" for run in runs if run.reason)
            raise TargetError(f"the workflow {workflow} did not do what the demo expected: {reasons}")

    def _seen(self, seen: Seen) -> None:
        self.show(seen)
        if seen.kind == "waits" and seen.text.startswith(APPROVAL):
            number = seen.run.number
            self.say(f"$ mlops forge approve {number}")
            self.store.approve(number, seen.text.removeprefix(APPROVAL), REVIEWER)

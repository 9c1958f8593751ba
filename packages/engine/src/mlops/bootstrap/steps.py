"""A step is one thing that must be there. It looks, and makes what is missing; it can be killed at any time.

A step never changes or removes what somebody else made: it keeps it when it is right, and refuses with a
sentence when it is not. The exceptions are values on the forge (a variable, an environment's rules): those
are changed after the plan has shown both values, and undo puts the old one back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from mlops.errors import Blocked, Forbidden, NotFound, TargetError
from mlops.forge._rest import Denied

Action = Literal["create", "change", "keep", "refuse"]
_AT_ONCE = 8
"""Requests at once while a plan is made."""


@dataclass(frozen=True)
class Look:
    """What a step found and would do. `before` is what undo would put back after a change."""

    action: Action
    why: str = ""
    before: Any = None


class Step(Protocol):
    """`key` is stable and unique; `needs` is the right without which it fails, in words."""

    @property
    def key(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def needs(self) -> str: ...

    def look(self) -> Look:
        """Reads only."""

    def make(self, look: Look) -> None:
        """Create or change; doing it twice does no harm."""

    def ours(self) -> str:
        """What undo would do, in words; empty when there is nothing of ours. Raises `Blocked`."""

    def remove(self) -> None:
        """What `ours` says; doing it twice does no harm."""


@dataclass(frozen=True)
class Planned:
    """One line of a plan."""

    step: Step
    look: Look

    @property
    def pending(self) -> bool:
        return self.look.action in ("create", "change")


Tell = Callable[[Step, Look], None]


def plan(steps: Sequence[Step]) -> list[Planned]:
    """Every step with what it would do, in their order. Nothing is changed."""

    def one(step: Step) -> Planned:
        with rights(step):
            return Planned(step, step.look())

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(one, steps))


def enforce(planned: Sequence[Planned]) -> None:
    """Raise `Blocked` with every refusal of a plan."""
    refused = [f"{p.step.title}: {p.look.why}" for p in planned if p.look.action == "refuse"]
    if refused:
        raise Blocked("nothing was changed, because of what others have made:\n" + "\n".join(refused))


def carry_out(steps: Sequence[Step], tell: Tell) -> int:
    """Make what is missing, one after another; returns how many steps had something to do.

    Each step looks again when its turn comes: what it needs may just have been made by the one before.
    """
    done = 0
    for step in steps:
        with rights(step):
            look = step.look()
            if look.action == "refuse":
                raise Blocked(f"{step.title}: {look.why}")
            tell(step, look)
            if look.action != "keep":
                step.make(look)
                done += 1
    return done


def removals(steps: Sequence[Step]) -> list[tuple[Step, str]]:
    """What undo would do, last step first; raises `Blocked` when something stands in the way."""
    removed = []
    for step in reversed(steps):
        with rights(step):
            if sentence := step.ours():
                removed.append((step, sentence))
    return removed


def undo(removable: Sequence[tuple[Step, str]], tell: Callable[[Step, str], None]) -> None:
    """Do what `removals` found."""
    for step, sentence in removable:
        tell(step, sentence)
        with rights(step):
            step.remove()


@contextmanager
def rights(step: Step) -> Iterator[None]:
    """A refusal for want of rights says which ones the step needs."""
    try:
        yield
    except (Forbidden, Denied) as error:
        raise TargetError(
            f"{step.title}: {error}. This step needs {step.needs}. What was made before stays"
        ) from None
    except NotFound as error:
        raise NotFound(f"{step.title}: {error}") from None

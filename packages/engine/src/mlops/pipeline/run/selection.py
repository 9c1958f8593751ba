"""Which steps of a pipeline a run is about, and how they run: `--only`, `--from`, `--here` and others.

What stands before those steps is reused when it is unchanged and run when it is not, so nobody works on
yesterday's data. What is named is run anew, and what comes after `--only` is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlops.errors import InvalidInput


@dataclass(frozen=True)
class Selection:
    """What somebody asked for. The default is the whole pipeline."""

    only: tuple[str, ...] = ()
    """These steps, and what stands before them."""
    start: tuple[str, ...] = ()
    """These steps, and all that comes after them."""
    until: tuple[str, ...] = ()
    """These steps and what stands before them; what is unchanged is reused."""
    here: bool = False
    """Run the steps in this process, with the terminal, on the files of the checkout."""
    debug: bool = False
    """Open the debugger where a step that runs here fails."""
    environment: bool = False
    """Run each step in an environment made of its conda file."""
    stand_ins: Mapping[str, Path] = field(default_factory=dict)
    """Component files that replace steps, by name."""
    first: tuple[str, ...] = ()
    """Steps that somebody waits for: what they do not need starts after them."""

    def __post_init__(self) -> None:
        if self.only and self.start:
            raise InvalidInput(
                "--only and --from exclude each other: the first ends a run, the second begins one"
            )
        if self.environment and self.here:
            raise InvalidInput(
                "--environment makes other environments than this process has; leave out --here"
            )
        if self.debug and not self.here:
            raise InvalidInput("--pdb needs --here: the debugger can only look into this process")

    @property
    def whole(self) -> bool:
        """Whether it is what a run without options does."""
        return replace(self, first=()) == Selection()


WHOLE = Selection()


@dataclass(frozen=True)
class Plan:
    """What a selection means for one pipeline."""

    wanted: frozenset[str]
    """Steps that run or are reused; the others are left out."""
    anew: frozenset[str]
    """Steps that are never reused."""
    here: frozenset[str]
    """Steps that run in this process when they run at all."""
    first: frozenset[str] = frozenset()
    """Steps that run before all others that they do not need."""


def plan(selection: Selection, upstream: Mapping[str, Collection[str]]) -> Plan:
    """`upstream` names the steps that each step reads. Raises `InvalidInput` for a step that is not there."""
    named = (*selection.only, *selection.start, *selection.until)
    if unknown := [name for name in named if name not in upstream]:
        option = "--only" if selection.only else "--from" if selection.start else "until"
        raise InvalidInput(
            f"{option} {unknown[0]}: the pipeline has no such step; it has {', '.join(upstream)}"
        )
    everything = frozenset(upstream)
    if selection.only:
        anew = frozenset(selection.only)
        wanted = anew | _reached(anew, upstream)
    elif selection.until:
        last = frozenset(selection.until)
        anew, wanted = frozenset[str](), last | _reached(last, upstream)
    else:
        downstream = {name: {n for n, reads in upstream.items() if name in reads} for name in upstream}
        first = frozenset(selection.start)
        anew, wanted = first | _reached(first, downstream), everything
    here = (anew or everything) if selection.here else frozenset()
    waited = wanted & frozenset(selection.first)
    return Plan(wanted, anew, here, waited | _reached(waited, upstream))


def _reached(start: Collection[str], edges: Mapping[str, Collection[str]]) -> frozenset[str]:
    """All that can be reached from `start`."""
    reached: set[str] = set()
    queue = list(start)
    while queue:
        for name in edges[queue.pop()]:
            if name not in reached:
                reached.add(name)
                queue.append(name)
    return frozenset(reached)

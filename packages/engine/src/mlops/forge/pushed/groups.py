"""Concurrency groups as GitHub has them: one member runs, one waits, the newest waits. Pure.

https://docs.github.com/actions/how-tos/write-workflows/choose-when-workflows-run/control-workflow-concurrency
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Group:
    """Members are runs (`7`) and jobs (`7/staging`); both share one space of names."""

    running: str | None = None
    waiting: str | None = None

    def __contains__(self, member: str) -> bool:
        return member in (self.running, self.waiting)


def join(group: Group, member: str, cancel: bool) -> tuple[Group, tuple[str, ...]]:
    """The group with a new member, and the members that must end because of it.

    One that waited is always replaced; one that runs only ends with `cancel-in-progress`, and stays in the
    group until it has ended.
    """
    if member in group:
        return group, ()
    if group.running is None:
        return Group(member), ()
    dropped = tuple(m for m in (group.waiting, group.running if cancel else None) if m)
    return Group(group.running, member), dropped


def leave(group: Group, member: str) -> Group:
    """The group without a member; the one that waited takes its place."""
    if group.running == member:
        return Group(group.waiting)
    return replace(group, waiting=None) if group.waiting == member else group

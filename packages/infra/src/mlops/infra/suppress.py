"""Findings of the policy checks that are accepted, each beside its resource and with its reason.

    skip("storage", "CKV_AZURE_206", "development data can be loaded again; one region is enough")

`mlops infra plan` reads them after the program has run, refuses one that no longer matches a finding of a
resource in the stack, and prints the rest. The list belongs to the run: it is a context variable, so two
stacks that are planned in one process do not see each other's.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass

_CHECK = re.compile(r"(CKV2?_[A-Z]+_\d+|MLOPS_[A-Z]+_\d+)")


@dataclass(frozen=True, order=True)
class Suppression:
    """`resource` is the logical name in the stack, unique by test."""

    resource: str
    check: str
    reason: str


_SKIPPED: ContextVar[list[Suppression] | None] = ContextVar("skipped", default=None)


def skip(resource: str, check: str, reason: str) -> None:
    """Accept that `check` fails on the resource with the logical name `resource`, because of `reason`.

    Raises `ValueError` when the check id is malformed or the reason says too little to be judged.
    """
    if not _CHECK.fullmatch(check):
        raise ValueError(f"{check!r} is no check id; write CKV_AZURE_<n>, CKV2_AZURE_<n> or MLOPS_<ROOM>_<n>")
    if len(reason.split()) < 4:
        raise ValueError(f"{resource}: the reason for skipping {check} must be a sentence, not {reason!r}")
    skipped = _SKIPPED.get()
    if skipped is None:
        _SKIPPED.set(skipped := [])
    skipped.append(Suppression(resource, check, reason))


def suppressions() -> tuple[Suppression, ...]:
    """What the program has accepted in this run so far, sorted."""
    return tuple(sorted(_SKIPPED.get() or ()))


def forget() -> None:
    """Start a new run."""
    _SKIPPED.set([])

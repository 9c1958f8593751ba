"""A stack under another name is another environment: the sentence that says what a rename costs."""

from __future__ import annotations

from collections.abc import Sequence

from ..model import Captured

_ALIKE = 0.8
"""Share of the resources that two stacks must have in common to be taken for one."""


def told(gone: Sequence[Captured], new: Sequence[Captured]) -> list[str]:
    """One sentence for each stack of `new` that looks like one of `gone`, under another name."""
    sentences = []
    for after in new:
        alike = [(len(_common(before, after)), before) for before in gone]
        count, before = max(alike, key=lambda pair: pair[0], default=(0, after))
        if count and count >= _ALIKE * max(len(before.azure), len(after.azure)):
            sentences.append(_sentence(before, after))
    return sentences


def _sentence(before: Captured, after: Captured) -> str:
    old, new = _ids(before), _ids(after)
    moved = [key for key in _common(before, after) if old[key] != new[key]]
    return (
        f"stack {after.stack} is {before.stack} under another name: {len(moved)} of {len(new)} "
        "resources get other "
        "names in Azure, so `pulumi stack rename` and an update would make them anew, without data, "
        "models and "
        f"history. Keep the file environments/Pulumi.{before.stack}.yaml, or bring {after.stack} up "
        "beside it, move "
        "what it holds, and destroy the old one"
    )


def _common(one: Captured, other: Captured) -> list[tuple[str, str]]:
    return sorted(_ids(one).keys() & _ids(other).keys())


def _ids(captured: Captured) -> dict[tuple[str, str], str]:
    """The budget's logical name holds its physical one; there is one a stack."""
    return {(r.kind, "" if r.kind == "consumption:Budget" else r.name): r.id.lower() for r in captured.azure}

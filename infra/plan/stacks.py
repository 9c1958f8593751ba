"""The stacks of the repository, and running all of them in one process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlops.errors import InvalidInput

from .capture import ORGANIZATION, capture, project_name
from .model import Captured

SHARED = "shared"
_FIRST = (SHARED, "dev", "staging", "prod")


def stack_names(root: Path) -> list[str]:
    """The stacks with a file in `environments/`: shared first, then along the way to production, then the
    others."""
    found = [p.name.split(".")[1] for p in (root / "environments").glob("Pulumi.*.yaml")]
    return sorted(found, key=lambda s: (_FIRST.index(s) if s in _FIRST else len(_FIRST), s))


def capture_stacks(
    root: Path, stacks: Sequence[str] | None = None, *, preview: bool = False
) -> list[Captured]:
    """What the program registers for each of `stacks` (default: all), sorted as `stack_names` does.

    The shared stack is run first when there is one, because environments read what it exports; it is in
    the result only when it was asked for. Raises `InvalidInput` for an unknown stack.
    """
    known = stack_names(root)
    wanted = known if stacks is None else [s for s in known if s in stacks]
    if unknown := sorted(set(stacks or ()) - set(known)):
        raise InvalidInput(
            f"there is no environments/Pulumi.{unknown[0]}.yaml; stacks: {', '.join(known) or 'none'}"
        )
    project = project_name(root)
    outputs: dict[str, dict[str, object]] = {}
    captured: list[Captured] = []
    for stack in known:
        if stack not in wanted and stack != SHARED:
            continue
        one = capture(root, stack, outputs, preview=preview)
        outputs[f"{ORGANIZATION}/{project}/{stack}"] = dict(one.exports)
        if stack in wanted:
            captured.append(one)
    return captured

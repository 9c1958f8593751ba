"""The stacks of the repository, and running all of them in one process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlops.errors import InvalidInput

from ..model import Captured
from ..stack_names import SHARED, stack_names
from .capture import ORGANIZATION, capture, project_name
from .program import part_of


def capture_stacks(
    root: Path, stacks: Sequence[str] | None = None, *, preview: bool = False
) -> list[Captured]:
    """What the program registers for each of `stacks` (default: all), sorted as `stack_names` does.

    Stacks whose exports another one reads are run before it: `shared`, and the one that trains. They are in
    the result only when they were asked for. Raises `InvalidInput` for an unknown stack.
    """
    known = stack_names(root)
    wanted = known if stacks is None else [s for s in known if s in stacks]
    if unknown := sorted(set(stacks or ()) - set(known)):
        raise InvalidInput(
            f"there is no environments/Pulumi.{unknown[0]}.yaml; stacks: {', '.join(known) or 'none'}"
        )
    project = project_name(root)
    outputs: dict[str, dict[str, object]] = {}
    captured: dict[str, Captured] = {}

    def run(stack: str) -> None:
        captured[stack] = capture(root, stack, outputs, preview=preview)
        outputs[f"{ORGANIZATION}/{project}/{stack}"] = dict(captured[stack].exports)

    for stack in wanted:
        before = _read_by(root, stack)
        for first in (*before, stack):
            if first in known and first not in captured:
                run(first)
        # The program of an older commit may not know the rule.
        check = getattr(part_of(root, "wanted"), "check_lifetime", lambda *_: None)
        for first in before[1:]:
            check(stack, first, str(captured[first].exports["ttl"]))
    return [captured[stack] for stack in wanted]


def _read_by(root: Path, stack: str) -> tuple[str, ...]:
    """The stacks whose exports `stack` reads, in the order in which they can be made."""
    if stack == SHARED:
        return ()
    load = part_of(root, "load")
    values, secret = load.raw_stack_file(root, stack)
    training = load.parse_stack(values, secret, load.StackFile.of(root, stack)).trains_in
    return (SHARED, training) if training not in ("", stack) else (SHARED,)

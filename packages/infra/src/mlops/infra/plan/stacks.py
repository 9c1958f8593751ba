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

    Stacks whose exports another one reads are run before it: `shared`, the one that trains, and the
    environment before. They are in the result only when they were asked for. Raises `InvalidInput` for an
    unknown stack.
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
        _reads_shared(root, stack, project)
        captured[stack] = capture(root, stack, outputs, preview=preview)
        outputs[f"{ORGANIZATION}/{project}/{stack}"] = dict(captured[stack].exports)

    for stack in wanted:
        for first in _in_order(root, stack):
            if first in known and first not in captured:
                run(first)
        # The program of an older commit may not know the rule.
        rules = part_of(root, "wanted")
        check = getattr(rules, "check_lifetime", lambda *_: None)
        if (training := _trains_in(root, stack)) and training != stack:
            check(stack, training, str(captured[training].exports["ttl"]))
        check = getattr(rules, "check_upstream", lambda *_, **__: None)
        if before := _before(root, stack):
            ttl, own = (str(captured[name].exports["ttl"]) for name in (before, stack))
            check(stack, before, ttl, own=own)
    return [captured[stack] for stack in wanted]


def _reads_shared(root: Path, stack: str, project: str) -> None:
    """Raise `InvalidInput`, with file and line, when the stack reads a registry that nobody plans."""
    check = getattr(part_of(root, "wanted"), "check_shared", None)
    if stack == SHARED or check is None:
        return
    load = part_of(root, "load")
    file = load.StackFile.of(root, stack)
    values, secret = load.raw_stack_file(root, stack)
    with load.located(root):
        check(load.parse_stack(values, secret, file), project, SHARED, stack)


def _in_order(root: Path, stack: str, asked: Sequence[str] = ()) -> list[str]:
    """`stack`, behind all whose exports it reads and that they read, in the order in which they can be made.

    Two that read each other, `asked` already, are told by the program.
    """
    if stack == SHARED or stack not in stack_names(root):
        return [stack]
    reads = [SHARED, _trains_in(root, stack), _before(root, stack)]
    asked = (*asked, stack)
    first = [n for read in reads if read not in ("", *asked) for n in _in_order(root, read, asked)]
    return list(dict.fromkeys([*first, stack]))


def _before(root: Path, stack: str) -> str:
    """The environment before this one, whose exports it reads; empty for none.

    The program of an older commit reads no environment before.
    """
    if stack == SHARED:
        return ""
    return str(getattr(part_of(root, "wanted"), "stack_before", lambda *_: "")(root, stack))


def _trains_in(root: Path, stack: str) -> str:
    """The stack that trains for this one; empty when it does so itself."""
    if stack == SHARED:
        return ""
    load = part_of(root, "load")
    values, secret = load.raw_stack_file(root, stack)
    return str(load.parse_stack(values, secret, load.StackFile.of(root, stack)).trains_in)

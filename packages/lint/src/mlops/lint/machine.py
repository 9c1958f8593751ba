"""Sizes of virtual machines that Azure has, and counts of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlops.lint.files import Files
from mlops.lint.finding import Finding
from mlops.lint.node import At
from mlops.spec.vm_offers import size_problem
from mlops.spec.vm_sizes import sentence, verdict

_MEMORY = re.compile(r"\d+(\.\d+)?[bkmg]?", re.IGNORECASE)
_LEFT_OPEN = -1
"""A count that components write for their jobs to fill."""


def check_size(place: At, files: Files) -> Iterator[Finding]:
    """A size that Azure has, and keeps."""
    if place.text is None:
        return
    if why := size_problem(place.text, files.vm_sizes):
        yield place.says("vm-size", why)
    elif files.today is not None and (ends := sentence(place.text.strip(), files.today, files.sizes)):
        ended = verdict(place.text.strip(), files.today, files.sizes) == "ended"
        yield place.says("retired-size" if ended else "ending-size", ends)


def check_resources(work: At, files: Files, *, declared: bool = False) -> Iterator[Finding]:
    """`resources` of a job: counts and sizes. `declared`: of a component."""
    resources = work["resources"]
    size = resources["instance_type"]
    for element in [size, *size.elements()]:
        if element.word.startswith("standard"):
            yield from check_size(element, files)
    for field in ("instance_count", "max_instance_count"):
        if not declared or resources[field].number != _LEFT_OPEN:
            yield from at_least(resources[field], 1, "instances")
    memory = resources["shm_size"]
    if memory.text is not None and "${{" not in memory.text and not _MEMORY.fullmatch(memory.text.strip()):
        yield memory.says("quantity", f"must be a number with b, k, m or g, as 2g; got {memory.value!r}")


def at_least(place: At, least: float, rule: str) -> Iterator[Finding]:
    """A number that is there must be at least `least`."""
    number = place.number
    if number is not None and number < least:
        yield place.says(rule, f"must be at least {least:g}; got {place.value!r}")


def between(place: At, least: float, most: float, rule: str) -> Iterator[Finding]:
    """A number that is there must be in a range."""
    number = place.number
    if number is not None and not least <= number <= most:
        yield place.says(rule, f"must be from {least:g} to {most:g}; got {place.value!r}")

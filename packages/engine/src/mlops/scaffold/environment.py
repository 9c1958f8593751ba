"""The environments of a model whose library not every fork installs: the same files with more pins.

Azure ML never changes a registered environment, so what holds more has another name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlops.lifecycle.environments import NAME, add_pins, loads_the_model
from mlops.lifecycle.environments import pins as pins  # noqa: PLC0414 (asked of this room)


def with_pins(text: str, groups: Sequence[str], more: Mapping[str, str]) -> str:
    """A conda file or the environment that names it, with `more` packages and a name that says so.

    A file that loads no model stays as it is.
    """
    name = NAME.search(text)
    if not groups or name is None or not loads_the_model(text):
        return text
    missing = [group for group in groups if group not in name.group(1).split("-")]
    if not missing:
        return text
    text = text.replace(name.group(), f"name: {'-'.join([name.group(1), *missing])}", 1)
    return add_pins(text, more)

"""How many examples a property is tried on: few while people wait, many in a run that has the time."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

_USUAL = 100
"""Examples of the profile `tests`; `thorough` has ten times as many (packages/conftest.py)."""


def examples(few: int, **options: Any) -> settings:
    """`few` examples; ten times as many in a run that leaves the slow tests in."""
    return settings(max_examples=few * settings.default.max_examples // _USUAL, **options)

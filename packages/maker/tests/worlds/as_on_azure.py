"""What a test proves of docs/pipelines.md: its table is made of these marks (`mlops.reference.here`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Test = TypeVar("Test", bound=Callable[..., object])


def shows(part: str, *, azure: str = "", here: str = "") -> Callable[[Test], Test]:
    """This test proves the row of `part`, a part of a job's file. The first test of a row says both sides."""

    def same(test: Test) -> Test:
        return test

    return same

"""Kinds of models whose library starts a program when it is imported: the tests of every kind, for them.

They run where the group is installed: uv sync --group torch.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops.scaffold import kinds
from tests.processes.scaffold import test_kinds as every
from tests.processes.scaffold.test_kinds import fork

__all__ = ["fork"]


@pytest.mark.parametrize(
    ("kind", "task"), [(kind, task) for kind in every.ELSEWHERE for task in kinds.kind(kind).tasks]
)
def test_its_pipeline_passes_what_its_code_takes(
    fork: Path, kind: str, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    every.test_the_pipeline_passes_what_the_code_takes(fork, kind, task, monkeypatch)


@pytest.mark.parametrize("kind", every.ELSEWHERE)
def test_what_it_makes_is_trained_saved_and_served(
    fork: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    every.test_what_a_kind_makes_is_trained_saved_and_served_on_its_own_data(fork, kind, monkeypatch)

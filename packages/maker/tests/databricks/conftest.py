"""A Databricks workspace on this machine, with a catalog for each environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databricks.emulator import Emulator
from tests.databricks.evidence import record

CATALOGS = ("dev", "staging", "prod")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked again and again is asked sooner: the emulator is never behind."""
    monkeypatch.setattr("mlops.targets.databricks.endpoints._PAUSE", 0.05)
    monkeypatch.setattr("mlops.targets.databricks._metrics.PAUSE", 0.1)
    monkeypatch.setattr("mlops.targets._remote_jobs._FIRST_WAIT", 0.2)
    monkeypatch.setattr("mlops.targets.databricks.connect._PATIENCE", 3)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """The emulator, with this process's clients pointed at it. It must meet no bug and no unknown call,
    and what it is asked for is evidence."""
    with Emulator(tmp_path / "databricks") as made:
        made.unity.catalogs |= set(CATALOGS)
        for name in [n for n in os.environ if n.startswith(("DATABRICKS_", "MLFLOW_"))]:
            monkeypatch.delenv(name)
        for name, value in made.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none"))
        yield made
        assert not made.errors, made.errors[0]
        assert not made.unknown, f"clients asked for what the emulator does not know: {made.unknown}"
        record(made.asked)


@pytest.fixture
def tracked(workspace: Emulator, sqlite: str) -> Emulator:
    """The same, with an empty MLflow."""
    workspace.tracking.start(sqlite)
    return workspace

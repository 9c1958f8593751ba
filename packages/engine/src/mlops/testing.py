"""A plugin of pytest: an environment that no developer's settings leak into, and stores to copy."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

# Before scikit-learn is imported: on a busy machine two threads that wait for each other take seconds, not
# milliseconds, to fit a small model.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A process that is kept for the next `mlops train` would outlive the tests.
os.environ["MLOPS_WARM"] = "off"
# A shell starts a job in the background with Control-C ignored, which every process of a test would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_SCRUBBED = ("MLFLOW_", "AZURE", "AML", "GIT_", "GITHUB_", "SYSTEM_", "BUILD_", "ARM_", "PULUMI_", "MLOPS_")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No tracking server, cloud, CI or git identity of the person who runs the tests."""
    for name in list(os.environ):
        if name.startswith(_SCRUBBED):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MLOPS_WARM", "off")
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    # A home without matplotlib's list of fonts costs every process that draws a quarter of a second.
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path_factory.getbasetemp() / "matplotlib"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take minutes begin first, so that the workers of `pytest -n` end together."""
    rooms = {"e2e": 0, "unit": 2}
    items.sort(key=lambda item: rooms.get(item.path.parent.name, 1))


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tracking database with tables and nothing in them, to copy: making one takes seconds."""
    from mlops.tracking import _sqlite

    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    _sqlite.prepare(path)
    return path


@pytest.fixture
def sqlite(database: Path, tmp_path: Path) -> str:
    """URI of an empty SQLite store of this test."""
    from mlops.tracking import sqlite_uri

    path = tmp_path / "store" / "mlflow.db"
    path.parent.mkdir()
    path.write_bytes(database.read_bytes())
    return sqlite_uri(path)

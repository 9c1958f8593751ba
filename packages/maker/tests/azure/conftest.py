"""Azure on this machine, provisioned as `infra/` would have: three workspaces and one registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops.spec.settings import Settings, load_settings
from mlops.targets.azure.connect import Connection
from tests.azure.emulator import ONNX_TELEMETRY, Emulator
from tests.azure.emulator.workspaces import SUBSCRIPTION
from tests.azure.evidence import record

ROOT = Path(__file__).parents[4]
STACKS = ("dev", "staging", "prod")


def provision(emulator: Emulator, root: Path, settings: Settings) -> None:
    """What the stack files of `root` amount to, by the names that `infra/` gives."""
    connection = Connection(root, settings)
    for stack in STACKS:
        place = connection.place(stack)
        emulator.workspaces.add(place.resource_group, place.workspace, "westeurope", account=place.account)
    if connection.registry:
        emulator.workspaces.add_registry("rg-shared", connection.registry, "westeurope")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked again and again is asked sooner: the emulator is never behind."""
    monkeypatch.setattr("mlops.targets.azure.batch._PAUSE", 0.1)
    monkeypatch.setattr("mlops.targets.azure.endpoints._PAUSE", 0.1)
    monkeypatch.setattr("mlops.targets._remote_jobs._FIRST_WAIT", 0.2)
    monkeypatch.setattr("mlops.targets.azure.sweeps._WAIT", 0.2)
    # To decide on a warning, azure-ai-ml looks for the source of every frame, below pytest-xdist nearly
    # half of what such a test costs. Nothing else depends on it.
    monkeypatch.setattr("azure.ai.ml._utils._experimental._should_skip_warning", lambda: True)


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """Azure with the resources of this repository's stack files. It must meet no bug and no foreign host.

    Every body that a client sends with PUT is held to Azure's official types, where `ARM_TYPES` names them.
    """
    with Emulator(tmp_path / "azure") as azure:
        provision(azure, ROOT, load_settings(ROOT))
        yield azure
        settle(azure)


def settle(azure: Emulator, *asked: str) -> None:
    """What must hold at the end of every test: no bug, no foreign host, every body of the official type.

    `asked` are hosts that a test's own scripts ask for. What was asked is recorded as evidence where somebody
    wants it.
    """
    record(azure.exchanges)
    assert not azure.errors, azure.errors[0]
    foreign = set(azure.refused) - {ONNX_TELEMETRY, *asked}
    assert not foreign, f"clients asked for hosts that are not Azure's: {foreign}"
    wrong = [f"{e.request.method} {e.request.path}: {p}" for e in azure.exchanges for p in e.problems]
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def logged_in(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The emulator, with this process's clients pointed at it and a federated login."""
    for name, value in {**emulator.env, "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION}.items():
        monkeypatch.setenv(name, value)
    return emulator


@pytest.fixture
def tracked(logged_in: Emulator, sqlite: str) -> Emulator:
    """The same, with an empty MLflow in its workspaces."""
    logged_in.tracking.start(sqlite)
    return logged_in


@pytest.fixture
def connection(logged_in: Emulator) -> Connection:
    """A connection to it, for this repository."""
    return Connection(ROOT, load_settings(ROOT))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """azure-ai-ml warns of its own use of marshmallow four hundred times."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore:.*:Warning:azure.*"))

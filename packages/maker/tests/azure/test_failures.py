"""Every failure of Azure that matters reaches the user as the sentence that docs/azure-evidence.md shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.errors import MlopsError
from mlops.spec.capture import CaptureSettings
from mlops.spec.online import OnlineSettings
from mlops.spec.settings import load_settings
from mlops.targets.azure import open_azure
from mlops.targets.azure.connect import Connection
from tests.azure import tiny
from tests.azure.emulator import Emulator
from tests.azure.failures import FILE, PROVOKED, steady
from tests.azure.online_bench import IMAGE, AzureBench, settings_with
from tests.contracts.endpoints import create, write_artifacts
from tests.contracts.failures import Failure, failures


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_artifacts(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture
def actions(
    tracked: Emulator, artifacts: dict[str, Path], tmp_path: Path, connection: Connection
) -> dict[str, Callable[[Callable[[], None]], None]]:
    """What a user does, by the name in the table; each provokes the failure when all before it went well."""

    def ask(provoke: Callable[[], None]) -> None:
        provoke()
        connection.tracking_uri()

    def deploy(artifact: str) -> Callable[[Callable[[], None]], None]:
        def run(provoke: Callable[[], None]) -> None:
            settings = settings_with(OnlineSettings(image=IMAGE), capture=CaptureSettings(enabled=False))
            bench = AzureBench(tracked, artifacts, settings)
            tracked.online.add(bench.workspace.id, bench.name)
            provoke()
            create(bench, "blue", 1, artifact)

        return run

    def train(word: str) -> Callable[[Callable[[], None]], None]:
        def run(provoke: Callable[[], None]) -> None:
            pipeline = tiny.make(tmp_path / "repository")
            root = tmp_path / "repository"
            target = open_azure(root, load_settings(root))
            target.data.push("tiny")
            if word:
                provoke()
                target.jobs.run(pipeline, {"word": word}, {}, lambda event: None)
                return
            tracked.jobs.hold()
            name = target.jobs.submit(pipeline, {}, {})
            provoke()
            open_azure(root, load_settings(root)).jobs.wait(name, lambda event: None, patience=60)

        return run

    return {
        "ask for a workspace": ask,
        "deploy": deploy("one"),
        "deploy a model that does not load": deploy("dead"),
        "wait for a job": train(""),
        "train with an input that a step refuses": train("fail"),
    }


@pytest.mark.parametrize("failure", failures(FILE), ids=lambda f: f.name)
def test_the_sentence(
    failure: Failure,
    tracked: Emulator,
    actions: dict[str, Callable[[Callable[[], None]], None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mlops.targets.azure.endpoints._PAUSE", 0.05)
    monkeypatch.setattr("mlops.targets.azure.endpoints._BUSY_TRIES", 2)
    with pytest.raises(MlopsError) as refusal:
        actions[failure.during](lambda: PROVOKED[failure.name](tracked))
    said = steady(str(refusal.value))
    if failure.log:
        said, line, log = said.partition("\n")
        assert line and log.strip(), "the log is missing"
    assert said == failure.sentence
    tracked.jobs.release()


def test_the_table_names_every_failure_once() -> None:
    assert [f.name for f in failures(FILE)] == list(PROVOKED)

"""A push trains, judges, proposes and serves by the Azure Pipelines files, with the real commands.

Only setting up is left out (`make`): the environment of this checkout stands in for the one it would install.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from azure_pipelines import Event, Result, execute
from azure_pipelines.agent import Tools
from azure_pipelines.triggers import by_push
from azure_world import file_of
from ci_model import NAMES, TRAINING

from mlops.spec.settings import load_settings
from mlops.targets import open_target
from mlops.tracking import sqlite_uri
from tests.azure.conftest import provision, settle
from tests.azure.emulator import Emulator
from tests.azure.emulator.jobs import HEAVY
from tests.azure.emulator.workspaces import SUBSCRIPTION
from tests.e2e.template_copy import DATA, MODEL, Repository

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(900)]
TRAIN = TRAINING[MODEL]
TOUCH = "\n# Nothing but a reason to train.\n"
VARIABLES = "pipelines/azure-devops/templates/variables.yml"


class Agent:
    """An agent of one's own, which keeps the local target's state from job to job."""

    def __init__(self, folder: Path, repository: Repository) -> None:
        self.repository = repository
        self.login: Callable[[str], Mapping[str, str]] = lambda connection: {}
        self.work = folder / "agent"
        tool = folder / "bin" / "make"
        tool.parent.mkdir()
        tool.write_text("#!/bin/sh\n", encoding="utf-8")
        tool.chmod(0o755)
        self.path = os.pathsep.join([str(tool.parent), str(Path(sys.executable).parent), os.environ["PATH"]])

    @property
    def sources(self) -> Path:
        return self.work / "s"

    def push(self) -> dict[str, Result]:
        """What the newest push to main starts but `ci`, which tests this very repository."""
        git = self.repository.git
        commit = git("rev-parse", "HEAD")
        changed = git("diff", "--name-only", "HEAD^1", "HEAD").splitlines()
        tools = Tools(self.work, self.path, self.repository.env, login=self.login, keeps=True)
        root, origin = self.repository.root, self.repository.origin
        started = [n for n in NAMES if n != "ci" and by_push(root, file_of(n), "main", changed)]
        return {
            name: execute(root, file_of(name), Event("IndividualCI", commit), origin, tools)
            for name in started
        }


@pytest.fixture
def agent(tmp_path: Path, raw_sample: Path) -> Iterator[Agent]:
    repository = Repository.make(tmp_path, raw_sample)
    made = Agent(tmp_path, repository)
    shutil.copytree(raw_sample, made.sources / DATA)
    yield made
    target = open_target("local", made.sources, load_settings(made.sources))
    for endpoint in target.endpoints.list():
        target.endpoints.stop(endpoint.environment, endpoint.model)


def test_a_push_of_model_code_ends_in_a_served_release(agent: Agent) -> None:
    repository = agent.repository
    kept = (repository.root / VARIABLES).read_text(encoding="utf-8").replace("STATE: lost", "STATE: kept")
    (repository.root / VARIABLES).write_text(kept, encoding="utf-8")
    code = repository.root / "src/flights/model.py"
    code.write_text(
        code.read_text(encoding="utf-8") + "\n# Nothing but a reason to train.\n", encoding="utf-8"
    )
    repository.commit("Keep the state; touch the model")
    repository.git("push", "--quiet")

    trained = agent.push()
    assert list(trained) == [TRAIN]
    assert trained[TRAIN].outcome == "Succeeded", trained[TRAIN].log.output
    assert "version 1 is registered" in trained[TRAIN].log.output

    repository.git("pull", "--quiet")
    asked = repository.root / f"environments/staging/{MODEL}.yaml"
    assert "release: 1" in asked.read_text(encoding="utf-8"), "the proposal was merged: the policy allows it"

    released = agent.push()
    assert list(released) == ["release"]
    assert released["release"].stages == {"changed": "Succeeded", "staging": "Succeeded", "prod": "Skipped"}
    assert released["release"].deployments == ["staging-promote"]
    target = open_target("local", agent.sources, load_settings(agent.sources))
    live = target.endpoints.state("staging", MODEL).live
    assert live is not None
    assert (live.release, live.traffic, live.state) == (1, 100, "ready")


def test_a_model_that_its_gates_block_is_registered_and_not_released(agent: Agent) -> None:
    repository = agent.repository
    kept = (repository.root / VARIABLES).read_text(encoding="utf-8").replace("STATE: lost", "STATE: kept")
    (repository.root / VARIABLES).write_text(kept, encoding="utf-8")
    gates = repository.root / f"pipelines/{MODEL}/model.yaml"
    gates.write_text(gates.read_text(encoding="utf-8").replace("min: 0.55", "min: 0.99"), encoding="utf-8")
    repository.commit("Ask for more than anybody can give")
    repository.git("push", "--quiet")

    result = agent.push()[TRAIN]
    assert result.stages == {"submit": "Skipped", "train": "Failed"}
    assert any(step.startswith("train: --show gate.md mlops gate") for step in result.log.steps)
    assert not any("mlops release" in step for step in result.log.steps)
    (summary,) = result.log.summaries
    assert "Exit code 3: blocked" in summary
    assert "0.99" in summary, "the table of the gates is in the summary"
    assert "mlops gate --markdown gate.md" in summary


@pytest.fixture
def on_azure(tmp_path: Path, raw_sample: Path, database: Path) -> Iterator[Agent]:
    """An agent that reaches an Azure: the emulator, with the workspaces of the stack files and the data."""
    shutil.copy(database, tmp_path / "mlflow.db")
    (tmp_path / "azure").mkdir()
    with Emulator(tmp_path / "azure") as azure:
        azure.tracking.start(sqlite_uri(tmp_path / "mlflow.db"))
        azure.jobs.preload = HEAVY
        repository = Repository.make(tmp_path, raw_sample)
        provision(azure, repository.root, load_settings(repository.root))
        identity = azure.entra.login
        anybody = {name: value for name, value in azure.env.items() if name not in identity}
        repository.env |= {**anybody, "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION}
        repository.spawn("data", "push", env={**identity, "MLOPS_TARGET": "azure"}).ok()
        made = Agent(tmp_path, repository)

        def login(connection: str) -> Mapping[str, str]:
            # As long as a real one lives, so one login for all turns would not do.
            azure.entra.renew_assertion(300)
            return identity

        made.login = login
        yield made
        settle(azure)


def test_on_azure_one_stage_submits_and_another_waits(on_azure: Agent) -> None:
    """The job outlives the stage that started it; who waits knows nothing but its name."""
    repository = on_azure.repository
    variables = repository.root / VARIABLES
    text = variables.read_text(encoding="utf-8")
    variables.write_text(text.replace("MLOPS_TARGET: local", "MLOPS_TARGET: azure"), encoding="utf-8")
    code = repository.root / "src/flights/model.py"
    code.write_text(
        code.read_text(encoding="utf-8") + "\n# Nothing but a reason to train.\n", encoding="utf-8"
    )
    repository.commit("Train on Azure; touch the model")
    repository.git("push", "--quiet")

    result = on_azure.push()[TRAIN]
    assert result.stages == {"submit": "Succeeded", "train": "Succeeded"}, result.log.output
    assert result.deployments == ["dev-train", "dev-train"]
    assert set(result.log.connections) == {"dev-train"}
    waits = [step for step in result.log.steps if "mlops train --resume" in step]
    assert len(waits) == 4
    assert result.log.output.count("flights version 1 is registered") == len(waits), "each turn says the same"

    repository.git("pull", "--quiet")
    asked = repository.root / f"environments/staging/{MODEL}.yaml"
    assert "release: 1" in asked.read_text(encoding="utf-8")

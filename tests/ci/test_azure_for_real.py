"""A push trains, judges, proposes and serves by the Azure Pipelines files, with the real commands.

Only setting up is left out (`make`): the environment of this checkout stands in for the one it would install.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure_pipelines import Event, Result, execute
from azure_pipelines.agent import Tools
from azure_pipelines.triggers import by_push
from azure_world import file_of
from ci_model import NAMES

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
from template_copy import DATA, MODEL, Repository

from mlops.spec.settings import load_settings
from mlops.targets import open_target

pytestmark = [pytest.mark.slow, pytest.mark.e2e]
VARIABLES = "pipelines/azure-devops/templates/variables.yml"


class Agent:
    """An agent of one's own, which keeps the local target's state from job to job."""

    def __init__(self, folder: Path, repository: Repository) -> None:
        self.repository = repository
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
        tools = Tools(self.work, self.path, self.repository.env, keeps=True)
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
    assert list(trained) == ["train"]
    assert trained["train"].outcome == "Succeeded", trained["train"].log.output
    assert "version 1 is registered" in trained["train"].log.output

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

    result = agent.push()["train"]
    assert result.stages == {"submit": "Skipped", "train": "Failed"}
    assert any(step.startswith("train: --show gate.md mlops gate") for step in result.log.steps)
    assert not any("mlops release" in step for step in result.log.steps)
    (summary,) = result.log.summaries
    assert "Exit code 3: blocked" in summary
    assert "0.99" in summary, "the table of the gates is in the summary"
    assert "mlops gate --markdown gate.md" in summary

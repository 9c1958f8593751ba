"""A team brings an Azure ML pipeline with scripts of its own, and gets gates, a release and promotion around
it. No step is rewritten and none knows of this package: what is asked of the pipeline are its outputs. The
files are those of docs/guides/own-pipeline.md (`brought_world`)."""

from __future__ import annotations

from collections.abc import Iterator

import brought_world
import pytest
from template_copy import REVIEWER, Repository

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """The template with the model `diabetes`, as the page says, around a pipeline that was there before."""
    soak = ("environments/policy.yaml", "soak: 24h", "soak: 0s")
    made = Repository.cloned(tmp_path_factory.mktemp("fork"), soak)
    brought_world.write(made.root)
    made.commit("A pipeline that was there before, and the model that it trains")
    made.publish()
    yield made
    made.stop()


def test_a_pipeline_of_somebody_else_goes_from_commit_to_production(fork: Repository) -> None:
    fork.call("pipeline", "lint", str(fork.root / "pipelines/diabetes")).ok()
    fork.call("check").ok()
    trained = fork.call("train", "--model", "diabetes", "--json").ok().json
    assert (trained["version"], trained["new"]) == (1, True)
    again = fork.call("train", "--model", "diabetes", "--json").ok().json
    assert (again["version"], again["new"], again["reused_steps"]) == (1, False, 3)
    version = fork.target.registry.get("diabetes", 1)
    assert version.tags["mlops.training.run"] == trained["run_id"]
    kept = fork.target.registry.artifacts(version.run_id, "pipeline/predictions")
    assert "predicted" in next(kept.rglob("*.csv")).read_text().splitlines()[0]

    verdict = fork.call("gate", "--model", "diabetes", "--json").ok().json
    assert verdict["passed"] and verdict["rows"] > 100
    fork.call("release", "--model", "diabetes").ok()
    fork.commit("Release diabetes 1 to staging")
    fork.git("push", "--quiet")
    fork.call("apply", "staging", "--model", "diabetes").ok()
    pull = fork.call("promote", "prod", "--model", "diabetes", "--json").ok().json["pull_request"]["number"]
    fork.call("pr", "merge", str(pull), "--approver", REVIEWER).ok()
    fork.git("pull", "--quiet", "--ff-only")
    fork.call("apply", "prod", "--model", "diabetes").ok()
    artifact = fork.target.registry.fetch("diabetes", 1, version.tags["mlops.digest"])
    sample = str(artifact / "sample.json")
    answer = fork.call("score", "--env", "prod", "--model", "diabetes", "--input", sample).ok().json
    assert all(25 < value < 346 for value in answer["predictions"])


def test_its_gates_block_a_worse_model(fork: Repository) -> None:
    with fork.edited("pipelines/diabetes/scripts/train.py", "max_depth=4", "max_depth=1"):
        fork.call("train", "--model", "diabetes", "--set", "n_estimators=1").ok()
        fork.call("gate", "--model", "diabetes").refused(3, "is blocked by ")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  test: {type: uri_folder}\n", "", "must have the columns progression, prediction or predicted"),
        ("  predictions: {type: uri_folder}\n", "", ""),
    ],
)
def test_rows_to_test_on_are_asked_for(fork: Repository, old: str, new: str, said: str) -> None:
    """Without `test`, predictions stand in; those that lack what the gates ask for are refused."""
    path = "pipelines/diabetes/training.yml"
    line = {
        "test": "test_data: ${{parent.outputs.test}}",
        "predictions": "score_report: ${{parent.outputs.predictions}}",
    }
    name = old.split(":", maxsplit=1)[0].strip()
    with fork.edited(path, old, new), fork.edited(path, line[name], line[name].split(":")[0] + ":"):
        if not said:
            fork.call("train", "--model", "diabetes", "--json").ok()
            return
        with fork.edited(
            "pipelines/diabetes/scripts/score.py",
            "frame.to_csv(",
            'frame.drop(columns="progression").to_csv(',
        ):
            fork.call("train", "--model", "diabetes").refused(
                5, said, "or those of the model, and the gates ask it themselves"
            )

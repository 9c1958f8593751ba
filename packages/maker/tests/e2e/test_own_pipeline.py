"""A team brings an Azure ML pipeline with scripts of its own, and gets gates, a release and promotion around
it. No step is rewritten and none knows of this package: what is asked of the pipeline are its outputs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

import pytest
from template_copy import REVIEWER, ROOT, Repository

pytestmark = pytest.mark.e2e

GUIDE = ROOT / "docs/guides/own-pipeline.md"
PREP = """
import argparse
from pathlib import Path

import pandas as pd

parser = argparse.ArgumentParser("prep")
parser.add_argument("--raw_data", type=str)
parser.add_argument("--train_data", type=str)
parser.add_argument("--test_data", type=str)
args = parser.parse_args()

print("files:", [p.name for p in Path(args.raw_data).iterdir()])
frame = pd.concat(pd.read_csv(p) for p in sorted(Path(args.raw_data).glob("*.csv")))
frame = frame.dropna().sample(frac=1.0, random_state=1)
cut = int(len(frame) * 0.7)
frame[:cut].to_csv(Path(args.train_data) / "train.csv", index=False)
frame[cut:].to_csv(Path(args.test_data) / "test.csv", index=False)
"""
TRAIN = """
import argparse
from pathlib import Path

import mlflow
import mlflow.sklearn
import pandas as pd
from sklearn.ensemble import RandomForestRegressor

parser = argparse.ArgumentParser("train")
parser.add_argument("--training_data", type=str)
parser.add_argument("--n_estimators", type=int)
parser.add_argument("--model_output", type=str)
args = parser.parse_args()

frame = pd.read_csv(Path(args.training_data) / "train.csv")
X, y = frame.drop(columns="progression"), frame["progression"]
model = RandomForestRegressor(n_estimators=args.n_estimators, max_depth=4, random_state=1).fit(X, y)
mlflow.log_metric("train_score", model.score(X, y))
signature = mlflow.models.infer_signature(X, y)
mlflow.sklearn.save_model(
    model, args.model_output, signature=signature, serialization_format="cloudpickle"
)
"""
SCORE = """
import argparse
from pathlib import Path

import mlflow
import pandas as pd

parser = argparse.ArgumentParser("score")
parser.add_argument("--model_input", type=str)
parser.add_argument("--test_data", type=str)
parser.add_argument("--score_report", type=str)
args = parser.parse_args()

frame = pd.read_csv(Path(args.test_data) / "test.csv")
model = mlflow.pyfunc.load_model(args.model_input)
frame["predicted"] = model.predict(frame.drop(columns="progression"))
frame.to_csv(Path(args.score_report) / "predictions.csv", index=False)
"""


def blocks(kind: str) -> list[str]:
    """What the page tells people to write."""
    return [
        textwrap.dedent(b) for b in re.findall(rf"```{kind}\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    ]


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """The template with the model `diabetes`, as the page says, around a pipeline that was there before."""
    soak = ("environments/policy.yaml", "soak: 24h", "soak: 0s")
    made = Repository.cloned(tmp_path_factory.mktemp("fork"), soak)
    with (made.root / "mlops.toml").open("a") as stream:
        stream.write(blocks("toml")[0])
    training, gates = blocks("yaml")
    files = {
        "src/diabetes/__init__.py": blocks("python")[0],
        "pipelines/diabetes/training.yml": training,
        "pipelines/diabetes/model.yaml": gates,
        "pipelines/diabetes/scripts/prep.py": PREP,
        "pipelines/diabetes/scripts/train.py": TRAIN,
        "pipelines/diabetes/scripts/score.py": SCORE,
        "pipelines/diabetes/environment.yml": (
            "$schema: https://azuremlschemas.azureedge.net/latest/environment.schema.json\n"
            'name: diabetes\nversion: "1"\nimage: mcr.microsoft.com/azureml/openmpi5.0-ubuntu24.04:1\n'
            "conda_file: {dependencies: [python=3.11, pip, {pip: [mlflow, scikit-learn, pandas]}]}\n"
        ),
        "pipelines/diabetes/data/diabetes.csv": rows(),
    }
    for name, text in files.items():
        path = made.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    made.commit("A pipeline that was there before, and the model that it trains")
    made.publish()
    yield made
    made.stop()


def rows() -> str:
    """Real data that scikit-learn ships."""
    from sklearn.datasets import load_diabetes

    found = load_diabetes(as_frame=True).frame.rename(columns={"target": "progression"})
    return str(found[["age", "bmi", "bp", "s5", "progression"]].round(5).to_csv(index=False))


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

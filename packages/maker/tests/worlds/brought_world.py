"""A team's own training pipeline as the guide shows it: three scripts that know nothing of this package,
their files of Azure ML, and the model `diabetes` around them."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
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


def write(root: Path) -> None:
    """The model `diabetes` in the repository at `root`, as the page says."""
    with (root / "mlops.toml").open("a") as stream:
        stream.write(blocks("toml")[0])
    training, gates, serving, packages = blocks("yaml")
    files = {
        "src/diabetes/__init__.py": blocks("python")[0],
        "pipelines/diabetes/training.yml": training,
        "pipelines/diabetes/model.yaml": gates,
        "pipelines/diabetes/environment/serving.yml": serving,
        "pipelines/diabetes/environment/serving-conda.yml": packages,
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
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def rows() -> str:
    """Real data that scikit-learn ships."""
    from sklearn.datasets import load_diabetes

    found = load_diabetes(as_frame=True).frame.rename(columns={"target": "progression"})
    return str(found[["age", "bmi", "bp", "s5", "progression"]].round(5).to_csv(index=False))

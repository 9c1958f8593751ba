"""A model from elsewhere is tested as one from here: same months, same step, same evidence for the gates."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandera.pandas import Column, DataFrameSchema

from mlops.errors import InvalidInput, NotFound
from mlops.lifecycle.train import examine as module
from mlops.lifecycle.train.examine import examine
from mlops.serving import testing
from mlops.spec.digest import tree_digest
from mlops.spec.evaluation import read_evaluation
from mlops.spec.window import Window

LINEAGE = {"mlops.commit": "c" * 40, "mlops.pipeline": "pipelines/freight/training.yml"}
PIPELINE = """\
type: pipeline
inputs:
  raw: {type: uri_folder, path: azureml:freight:3}
  window: 2013-01..2013-03
  test_window: "2013-04"
jobs:
  prep:
    type: command
    command: python -m mlops.steps.prep --raw ${{inputs.raw}} --window ${{inputs.window}}
    environment: file:environment.yml
    inputs:
      raw: ${{parent.inputs.raw}}
      window: ${{parent.inputs.window}}
"""


def features(raw: Path, window: Window) -> pd.DataFrame:
    """Four hundred rows of a month, whose labels follow the model of `testing`, mostly."""
    draw = np.random.default_rng(window.first.month)
    carriers = draw.choice(sorted(testing.CARRIERS), 400)
    distance = draw.uniform(100, 900, 400).astype("float32")
    chance = np.array([testing.expected(c, d) for c, d in zip(carriers, distance, strict=True)])
    when = pd.Timestamp(window.first) + pd.to_timedelta(np.arange(400), unit="h")
    late = (chance > draw.uniform(size=400)).astype(int)
    return pd.DataFrame({"carrier": carriers, "distance": distance, "late": late, "at": when})


USECASE = SimpleNamespace(
    name="freight", task="binary", target="late", time="at", slices=("carrier",), features=features,
    contract=lambda: DataFrameSchema({"carrier": Column(str), "distance": Column("float32")}),
    evaluate=lambda truth, prediction: {},
)  # fmt: skip


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "mlops.toml": '[project]\nname = "test"\n[models.freight]\nusecase = "freight"\n',
        "pipelines/freight/training.yml": PIPELINE,
        "pipelines/freight/environment.yml": "name: e\nimage: x\n",
    }
    for name, text in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text)
    monkeypatch.setattr(module, "load_usecase", lambda *_: USECASE)
    monkeypatch.setattr(module, "lineage", lambda *_: SimpleNamespace(as_tags=lambda: LINEAGE))
    return tmp_path / "root"


@pytest.fixture
def data(tmp_path: Path) -> Any:
    """Version 3 of the raw data."""
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "rows.txt").write_text("rows")
    facts = {"name": "freight", "version": "3", "digest": tree_digest(raw)}
    (raw / "manifest.json").write_text(json.dumps(facts))
    return SimpleNamespace(
        resolve=lambda name, version: str(raw) if (name, version) == ("freight", "3") else ""
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Without a graph that would be compared with scikit-learn's answers."""
    testing.write_pyfunc(tmp_path / "model", "good")
    return tmp_path / "model"


def test_it_leaves_what_the_pipeline_leaves(root: Path, data: Any, model: Path, tmp_path: Path) -> None:
    to = tmp_path / "evidence"
    tags = examine(root, data, "freight", folder=model, to=to)
    assert tags == {
        **LINEAGE,
        "mlops.data.name": "freight",
        "mlops.data.version": "3",
        "mlops.data.digest": json.loads((tmp_path / "raw/manifest.json").read_text())["digest"],
        "mlops.data.window": "2013-01..2013-03",
        "mlops.data.test_window": "2013-04",
    }
    rows = pd.read_parquet(to / "evaluation/test.parquet")
    assert rows["at"].min() == datetime(2013, 4, 1) and len(rows) == 400
    evaluation = read_evaluation(to / "report/evaluation.json")
    assert evaluation.rows == 400 and evaluation.onnx is None
    assert evaluation.metrics["roc_auc"].low < evaluation.metrics["roc_auc"].value
    profile = json.loads((to / "monitoring/profile.json").read_text())
    assert "2013-01..2013-03" in json.dumps(profile)


def test_what_it_learned_from_may_be_said(root: Path, data: Any, model: Path, tmp_path: Path) -> None:
    window = Window.parse("2012-01..2012-12")
    tags = examine(root, data, "freight", folder=model, to=tmp_path / "evidence", window=window)
    assert (tags["mlops.data.window"], tags["mlops.data.test_window"]) == ("2012-01..2012-12", "2013-04")


@pytest.mark.parametrize("window", ["2013-04", "2013-01..2013-05", "2013-06"])
def test_a_model_is_not_tested_on_what_it_learned_from(
    root: Path, data: Any, model: Path, tmp_path: Path, window: str
) -> None:
    with pytest.raises(
        InvalidInput, match=rf"learned from {window} and would be tested on 2013-04.*--window"
    ):
        examine(root, data, "freight", folder=model, to=tmp_path / "e", window=Window.parse(window))


@pytest.mark.parametrize(
    "edit",
    [
        ('  test_window: "2013-04"\n', "", "has no input 'test_window'"),
        ("azureml:freight:3", "../here", "raw must be azureml:<name>:<version>"),
    ],
)
def test_a_pipeline_must_say_what_is_tested_on(root: Path, data: Any, edit: tuple[str, str, str]) -> None:
    old, new, sentence = edit
    path = root / "pipelines/freight/training.yml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InvalidInput, match=sentence):
        examine(root, data, "freight", folder=root, to=root / "evidence")


def test_data_in_azure_are_those_that_were_pushed_from_here(
    root: Path, data: Any, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlops.targets.local.data.LocalData.of", lambda *_: data)
    away: Any = SimpleNamespace(resolve=lambda *_: "azureml://datastores/x/paths/y")
    tags = examine(root, away, "freight", folder=model, to=tmp_path / "evidence")
    assert tags["mlops.data.version"] == "3"


def test_data_that_are_nowhere_are_a_sentence(root: Path, model: Path, tmp_path: Path) -> None:
    away: Any = SimpleNamespace(resolve=lambda *_: "azureml://datastores/x/paths/y")
    with pytest.raises(NotFound, match="declares the data asset freight:3"):
        examine(root, away, "freight", folder=model, to=tmp_path / "evidence")

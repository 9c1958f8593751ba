"""A pipeline of somebody else that gives no test rows is judged by what it says of its model: its predictions
beside the truth, or a report. That counts only where the gates' file says so, and it can still block."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.errors import InvalidInput
from mlops.lifecycle.train.brought import register
from mlops.lifecycle.train.evidence import gate
from mlops.pipeline import JobResult
from mlops.targets.local.registry import LocalRegistry, local_tracker

USECASE = """
from pandera.pandas import Column, DataFrameSchema

from mlops.usecase import Brought


class Sugar(Brought):
    name, task, target, pickled = "sugar", "regression", "y", True

    def contract(self):
        return DataFrameSchema({name: Column("float64") for name in ("a", "b")})


usecase = Sugar()
"""
POLICY = """\
metrics: {r2: {min: 0.3}}
champion: {metric: r2, direction: higher, max_drop: 0.02, resamples: 200}
slices: []
onnx: {required: false, max_abs_difference: 0}
size: {max_megabytes: 50}
latency: {max_ratio: 1000}
contract: {max_violations: 0}
signature: {compatible_with_live: true}
allow_code: {reason: a pickle of its own pipeline, approver: Ada}
"""
BELIEVE = "believe: {{what: {}, reason: the rows may not leave it, approver: Ada}}\n"


def frame(seed: int, rows: int = 200) -> pd.DataFrame:
    drawn = np.random.default_rng(seed)
    found = pd.DataFrame({"a": drawn.normal(size=rows), "b": drawn.normal(size=rows)})
    return found.assign(y=found.a + 0.5 * found.b + drawn.normal(scale=0.3, size=rows))


class Lab:
    """A repository with a brought model, whose pipeline gives what a test puts into its outputs."""

    def __init__(self, folder: Path) -> None:
        self.root, self.folder = folder / "repository", folder
        self.write("mlops.toml", '[project]\nname = "test"\n[models.sugar]\nusecase = "sugar_said"\n')
        self.write("environments/policy.yaml", "order: [prod]\nenvironments: {prod: {}}\n")
        self.write("src/sugar_said/__init__.py", USECASE)
        self.write("pipelines/sugar/model.yaml", POLICY)
        self.tracker = local_tracker(folder / "state")
        self.target: Any = SimpleNamespace(registry=LocalRegistry(folder / "state"))
        self.count = 0

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def version(self, depth: int, **outputs: Callable[[Any, Path], None] | None) -> int:
        """A version of a tree of some depth; `outputs` fill folders of their names, None leaves one out."""
        import mlflow.sklearn
        from sklearn.tree import DecisionTreeRegressor

        self.count += 1
        made = self.folder / f"made{self.count}"
        train = frame(1)
        model = DecisionTreeRegressor(max_depth=depth, random_state=self.count).fit(
            train[["a", "b"]], train.y
        )
        mlflow.sklearn.save_model(
            model,
            made / "model",
            signature=mlflow.models.infer_signature(train[["a", "b"]], train.y),
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
        )
        asked = {"train": lambda _, to: train.to_csv(to / "train.csv", index=False), **outputs}
        filled = {name: fill for name, fill in asked.items() if fill is not None}
        for name, fill in filled.items():
            (made / name).mkdir()
            fill(model, made / name)
        listed = "".join(f"  {name}: {{type: uri_folder}}\n" for name in ("model", *filled))
        self.write("pipelines/sugar/training.yml", f"type: pipeline\noutputs:\n{listed}jobs: {{}}\n")
        run = self.tracker.create_parent("sugar", f"run {self.count}", {})
        outputs_of = {name: made / name for name in ("model", *filled)}
        return register(self.root, self.target, "sugar", JobResult(run, (), outputs_of)).version

    def verdict(self, version: int, believe: str = "") -> tuple[bool, dict[str, Any]]:
        self.write("pipelines/sugar/model.yaml", POLICY + (BELIEVE.format(believe) if believe else ""))
        found = gate(self.target, self.root, "sugar", version)
        return found.passed, {one.name: one for one in found.gates}


def predictions(seed: int = 2) -> Callable[[Any, Path], None]:
    """A table without the columns of the model: truth and answer alone."""

    def fill(model: Any, to: Path) -> None:
        rows = frame(seed)
        table = pd.DataFrame({"y": rows.y, "predicted": model.predict(rows[["a", "b"]])})
        table.to_csv(to / "scored.csv", index=False)

    return fill


def report(content: Any) -> Callable[[Any, Path], None]:
    return lambda _, to: (to / "scores.json").write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("said"))


def test_predictions_are_judged_and_compared_with_the_champions(lab: Lab) -> None:
    good = lab.version(6, predictions=predictions())
    passed, gates = lab.verdict(good)
    assert not passed and gates["evidence"].verdict == "blocked"
    assert "believe: {what: predictions" in gates["evidence"].detail
    passed, gates = lab.verdict(good, "predictions")
    assert passed, gates
    assert gates["limit r2"].verdict == "pass" and gates["champion r2"].verdict == "skipped"

    lab.target.registry.tag("sugar", good, {"mlops.env.prod": "live"})
    worse = lab.version(2, predictions=predictions())
    passed, gates = lab.verdict(worse, "predictions")
    assert not passed and gates["champion r2"].verdict == "blocked"
    assert "paired bootstrap" in gates["champion r2"].detail

    other = lab.version(6, predictions=predictions(seed=3))
    passed, gates = lab.verdict(other, "predictions")
    assert not passed and "not scored on the same rows" in gates["champion r2"].detail
    lab.target.registry.tag("sugar", good, {"mlops.env.prod": "was"})


def test_a_report_is_judged_where_its_word_counts(lab: Lab) -> None:
    first = lab.version(5, report=report({"metrics": {"r2": 0.41, "rmse": 2.0}, "rows": 120}))
    assert not lab.verdict(first, "predictions")[0], "a report is less than predictions"
    passed, gates = lab.verdict(first, "report")
    assert passed and gates["limit r2"].observed == "0.4100, as its pipeline reports"
    lab.target.registry.tag("sugar", first, {"mlops.env.prod": "live"})
    for value, right in ((0.395, True), (0.38, False), (0.2, False)):
        passed, gates = lab.verdict(lab.version(5, report=report({"r2": value})), "report")
        assert passed is right, gates
    assert gates["limit r2"].verdict == "blocked"
    passed, gates = lab.verdict(lab.version(5, report=report({"rmse": 1.0})), "report")
    assert not passed and "no value for r2" in gates["limit r2"].detail
    lab.target.registry.tag("sugar", first, {"mlops.env.prod": "was"})


@pytest.mark.parametrize(
    ("outputs", "match"),
    [
        ({}, "gives no rows that the model was tested on"),
        ({"report": report({"r2": "good"})}, "names no metric"),
        ({"report": lambda _, to: None}, "one JSON file"),
        ({"predictions": lambda _, to: frame(2)[["y"]].to_csv(to / "x.csv")}, "prediction or predicted"),
    ],
)
def test_what_says_nothing_is_refused(lab: Lab, outputs: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        lab.version(3, **outputs)


@pytest.mark.parametrize(
    "outputs",
    [{"report": report({"r2": 0.41})}, {"predictions": predictions()}],
    ids=["report", "predictions"],
)
def test_a_word_without_rows_that_the_model_knows_is_refused(lab: Lab, outputs: dict[str, Any]) -> None:
    """A signature has no values to ask about, and `believe` is no word about the form of data."""
    lab.write("pipelines/sugar/model.yaml", POLICY + BELIEVE.format(next(iter(outputs))))
    with pytest.raises(InvalidInput, match="with an output 'train' of rows that the model knows"):
        lab.version(3, train=None, **outputs)

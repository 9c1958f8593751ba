"""The steps `evaluate` and `explain` on a real, small model artifact: skops, ONNX, report and plots."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlops.spec.evaluation import Evaluation, read_evaluation
from mlops.steps import artifact, evaluate, explain
from mlops.steps.dataset import RawManifest, write


def frame(seed: int, rows: int = 600) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    strong, noise = generator.normal(size=(2, rows)).astype(np.float32)
    late = (strong + generator.normal(0, 1, rows) > 0).astype(int)
    hour = generator.integers(0, 3, rows).astype(np.float32)
    times = pd.date_range("2013-04-01", periods=rows, freq="min")
    return pd.DataFrame({"strong": strong, "noise": noise, "hour": hour, "late": late, "time": times})


USECASE = SimpleNamespace(
    name="toy",
    task="binary",
    target="late",
    time="time",
    slices=("hour",),
    load=None,
    features=None,
    build=None,
    contract=lambda: pa.DataFrameSchema(
        {
            "strong": pa.Column(np.float32),
            "noise": pa.Column(np.float32),
            "hour": pa.Column(np.float32, pa.Check.le(1.5)),
        }
    ),
    evaluate=lambda truth, prediction: {"mean_prediction": float(prediction.mean())},
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Folder with the outputs of both steps."""
    folder = tmp_path_factory.mktemp("steps")
    module = ModuleType("toy_usecase")
    module.usecase = USECASE  # type: ignore[attr-defined]
    sys.modules["toy_usecase"] = module
    train, test = frame(1), frame(2)
    inputs = train[["strong", "noise", "hour"]]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(inputs, train["late"])
    artifact.save(folder / "model", USECASE, model, inputs)  # type: ignore[arg-type]
    raw = RawManifest(name="toy", version="1", digest="sha256:" + "0" * 64)
    write(folder / "test", test, raw, "2013-04")
    common = ["--usecase", "toy_usecase", "--model", str(folder / "model"), "--test", str(folder / "test")]
    assert evaluate.main([*common, "--report", str(folder / "report")]) == 0
    assert explain.main([*common, "--explanation", str(folder / "explanation")]) == 0
    yield folder
    del sys.modules["toy_usecase"]


@pytest.fixture
def report(made: Path) -> Evaluation:
    return read_evaluation(made / "report/evaluation.json")


def test_the_report_has_every_metric_with_an_interval(report: Evaluation):
    assert {"roc_auc", "brier", "calibration_gap", "mean_prediction"} <= set(report.metrics)
    assert report.metrics["roc_auc"].value > 0.75
    assert report.rows == 600 and report.base_rate == pytest.approx(frame(2)["late"].mean())


def test_parity_is_measured_on_all_rows(report: Evaluation):
    assert report.onnx is not None
    assert report.onnx.rows == 600
    assert report.onnx.max_abs_difference < 1e-5 and report.onnx.label_flips == 0


def test_slices_and_calibration_account_for_every_row(report: Evaluation):
    assert sum(part.rows for part in report.slices) == 600
    assert sum(part.rows for part in report.calibration) == 600


def test_rows_that_break_the_contract_are_told(report: Evaluation):
    assert len(report.contract_violations) == 1 and "'hour'" in report.contract_violations[0]


def test_costs_are_measured(made: Path, report: Evaluation):
    assert report.artifact_bytes == sum(p.stat().st_size for p in (made / "model").rglob("*") if p.is_file())
    assert 0 < report.latency.seconds < 1 and report.latency.relative > 0


def test_predictions_are_those_that_were_measured(made: Path):
    table = pd.read_parquet(made / "report/predictions.parquet")
    assert list(table.columns) == ["time", "hour", "truth", "prediction"]
    assert table["truth"].tolist() == frame(2)["late"].tolist()

    assert table["truth"].tolist() == frame(2)["late"].tolist()


def test_predictions_are_kept_where_nothing_stands_beside_them(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A model without a clock and without slices: its file once had no row, and no run could be compared."""
    monkeypatch.setattr(USECASE, "time", None)
    monkeypatch.setattr(USECASE, "slices", ())
    common = ["--usecase", "toy_usecase", "--model", str(made / "model"), "--test", str(made / "test")]
    assert evaluate.main([*common, "--report", str(tmp_path / "report")]) == 0
    table = pd.read_parquet(tmp_path / "report/predictions.parquet")
    whole = pd.read_parquet(made / "report/predictions.parquet")
    assert table["truth"].tolist() == whole["truth"].tolist()
    assert table["prediction"].tolist() == whole["prediction"].tolist()


@pytest.mark.parametrize(
    "name",
    [
        "report/plots/roc",
        "report/plots/precision_recall",
        "report/plots/calibration",
        "explanation/importance",
    ],
)
def test_plots_are_drawn(made: Path, name: str):
    data = (made / f"{name}.png").read_bytes()
    assert data.startswith(b"\x89PNG") and len(data) > 5_000


def test_importance_finds_the_column_that_matters(made: Path):
    found = json.loads((made / "explanation/importance.json").read_text())
    means = {column["name"]: column["mean"] for column in found["columns"]}
    assert found["columns"][0]["name"] == "strong" and means["strong"] > 0.2
    assert abs(means["noise"]) < 0.03
    assert found["metric"] == "roc_auc" and found["rows"] == 600 and found["repeats"] >= 1


def test_a_missing_slice_column_is_a_sentence(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    raw = RawManifest(name="toy", version="1", digest="sha256:" + "0" * 64)
    write(tmp_path / "test", frame(2).drop(columns="hour"), raw, "2013-04")
    common = ["--usecase", "toy_usecase", "--model", str(made / "model"), "--test", str(tmp_path / "test")]
    assert evaluate.main([*common, "--report", str(tmp_path / "report")]) == 5
    assert "lack the columns hour" in capsys.readouterr().err

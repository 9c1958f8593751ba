"""The artifact is one folder that MLflow and the scoring core both load, without running foreign code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flights import usecase
from mlops.serving.score.core import load
from mlops.spec.schema import ModelSchema
from mlops.steps import train
from tests.unit.steps.toy import Toy

Options = Callable[[Path], list[str]]


@pytest.fixture(scope="module")
def inputs(prepared: Path) -> pd.DataFrame:
    return pd.read_parquet(prepared / "test" / "data.parquet")[list(usecase.contract().columns)]


def test_layout_of_the_artifact(artifact: Path) -> None:
    files = {p.relative_to(artifact).as_posix() for p in artifact.rglob("*") if p.is_file()}
    assert files >= {
        "MLmodel",
        "model.skops",
        "requirements.txt",
        "input_example.json",
        "onnx/model.onnx",
        "serving.json",
        "sample.json",
    }
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".py"))]
    pins = (artifact / "requirements.txt").read_text().split()
    assert pins
    assert all("==" in pin for pin in pins)


def test_mlflow_loads_it_back_as_probabilities(artifact: Path, inputs: pd.DataFrame) -> None:
    import mlflow.pyfunc
    import mlflow.sklearn

    native = mlflow.sklearn.load_model(str(artifact)).predict_proba(inputs)
    generic = mlflow.pyfunc.load_model(str(artifact)).predict(inputs)
    np.testing.assert_array_equal(native, generic)
    assert native.shape == (len(inputs), 2)


def test_signature_and_serving_json_name_the_same_columns(artifact: Path, inputs: pd.DataFrame) -> None:
    from mlflow.models import Model

    signature = Model.load(str(artifact)).get_input_schema()
    schema = ModelSchema.model_validate_json((artifact / "serving.json").read_text())
    assert signature.input_names() == [c.name for c in schema.columns] == list(inputs)
    assert (schema.model, schema.task, schema.classes) == ("flights", "binary", ["0", "1"])
    carrier = next(c for c in schema.columns if c.name == "carrier")
    assert carrier.categories is not None
    assert {"UA", "B6", "EV"} <= set(carrier.categories)


def test_onnx_agrees_with_scikit_learn_on_a_month_with_nulls_and_unknown_values(
    artifact: Path, inputs: pd.DataFrame
) -> None:
    import mlflow.sklearn

    odd = inputs.copy()
    odd.loc[:9, "dest"] = "XXX"
    odd.loc[5:14, "carrier"] = "ZZ"
    odd.loc[10:19, ["precip", "seats", "plane_age"]] = np.nan
    odd.loc[15:24, "carrier"] = None
    expected = mlflow.sklearn.load_model(str(artifact)).predict_proba(odd)[:, 1]

    scorer = load(artifact)

    assert type(scorer).__name__ == "OnnxScorer"
    assert np.abs(scorer.predict_frame(odd) - expected).max() < 1e-6
    rows = [tuple(None if pd.isna(v) else v for v in row) for row in odd.itertuples(index=False)]
    assert np.abs(scorer.predict_rows(rows) - expected).max() < 1e-6
    assert np.ptp(expected) > 0.2, "a constant would agree as well"


def test_sample_is_up_to_fifty_valid_rows(artifact: Path) -> None:
    body = json.loads((artifact / "sample.json").read_text())["input_data"]
    assert set(body) == {"columns", "index", "data"}
    assert len(body["data"]) == len(body["index"]) == 50
    frame = pd.DataFrame(body["data"], columns=body["columns"])
    contract = usecase.contract()
    typed = frame.astype(
        {name: str(c.dtype) for name, c in contract.columns.items() if str(c.dtype) != "str"}
    )
    contract.validate(typed, lazy=True)


def test_an_output_folder_that_is_in_use_is_left_alone(
    train_options: Options, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keep.txt").write_text("mine")
    assert train.main(train_options(tmp_path)) == 6
    assert "is not empty; a model artifact is written once" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["keep.txt"]


@pytest.mark.parametrize(
    ("param", "sentence"),
    [
        ("max_iters=3", "unknown hyper-parameter max_iters"),
        ("learning_rate=-1", "'learning_rate' parameter"),
    ],
)
def test_a_wrong_hyper_parameter_is_refused(
    train_options: Options, tmp_path: Path, capsys: pytest.CaptureFixture[str], param: str, sentence: str
) -> None:
    assert train.main([*train_options(tmp_path / "model"), "--param", param]) == 5
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("param", ["max_iter", "max_iter=many", "max_iter=nan", "max-iter=3"])
def test_a_hyper_parameter_that_is_no_number_is_a_wrong_option(
    train_options: Options, tmp_path: Path, capsys: pytest.CaptureFixture[str], param: str
) -> None:
    with pytest.raises(SystemExit) as left:
        train.main([*train_options(tmp_path / "model"), "--param", param])
    assert left.value.code == 2
    assert f"got {param!r}" in capsys.readouterr().err


def test_nothing_is_trained_on_rows_that_broke_the_contract(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--usecase", "flights", "--train", f"{prepared}/train", "--contract", str(tmp_path)]
    given += ["--model", str(tmp_path / "model")]
    assert train.main(given) == 5
    assert "contract.json is no report of the step `validate`" in capsys.readouterr().err
    (tmp_path / "contract.json").write_text('{"violations": [{"column": "x"}]}')
    assert train.main(given) == 5
    assert "lists 1 violation(s) of the data contract; nothing was trained" in capsys.readouterr().err


def test_one_class_is_not_enough(
    prepared: Path, train_options: Options, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(shutil.copytree(prepared, tmp_path / "data"))
    pd.read_parquet(data / "train" / "data.parquet").assign(late=0).to_parquet(
        data / "train" / "data.parquet"
    )
    options = [o.replace(str(prepared), str(data)) for o in train_options(tmp_path / "model")]
    assert train.main(options) == 5
    assert "have the same 'late'; a classifier needs at least two classes" in capsys.readouterr().err


def test_a_full_disk_is_not_called_a_wrong_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow says that skops cannot serialise the model, whatever went wrong."""
    import mlflow.sklearn
    from mlflow.exceptions import MlflowException
    from sklearn.dummy import DummyClassifier

    from mlops.steps import artifact

    def refuse(*_: object, **__: object) -> None:
        full = OSError(28, "No space left on device", "model.skops")
        raise MlflowException("could not be serialized in the skops format") from full

    monkeypatch.setattr(mlflow.sklearn, "save_model", refuse)
    rows = pd.DataFrame({"a": [0.0, 1.0]})
    toy = Toy("binary", {"a": "float64"})
    with pytest.raises(OSError, match="No space left on device"):
        artifact.save(tmp_path / "model", toy, DummyClassifier().fit(rows, [0, 1]), rows)


def test_a_classifier_without_probabilities_is_refused_before_the_fit(
    train_options: Options,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from sklearn.svm import LinearSVC

    class Never(LinearSVC):  # type: ignore[misc]
        def fit(self, *_: object) -> None:
            pytest.fail("it was fitted")

    monkeypatch.setattr(type(usecase), "build", lambda *_: Never())
    assert train.main(train_options(tmp_path / "model")) == 5
    assert "CalibratedClassifierCV" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_a_graph_that_differs_is_dropped_and_test_rows_are_asked_too(
    train_options: Options, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training goes on: the library answers, and serving.json says why."""
    from mlops.steps import artifact, fidelity

    asked: list[int] = []
    honest = fidelity.difference

    def counted(candidate: object, given: fidelity.Asked) -> str | None:
        asked.append(len(given.probes))
        wrong = type(candidate).__name__ == "OnnxScorer"
        return "answers 1 where the trained model answers 0" if wrong else honest(candidate, given)  # type: ignore[arg-type]

    monkeypatch.setattr(artifact.fidelity, "difference", counted)
    options = train_options(tmp_path / "model")
    assert train.main([*options, "--test", f"{prepared}/test"]) == 0
    schema = ModelSchema.model_validate_json((tmp_path / "model" / "serving.json").read_text())
    assert schema.onnx is None and "answers 1" in schema.no_graph
    assert not (tmp_path / "model" / "onnx").exists()
    assert type(load(tmp_path / "model")).__name__ == "LibraryScorer"
    rows = sum(len(pd.read_parquet(prepared / part / "data.parquet")) for part in ("train", "test"))
    assert asked[0] > rows, "training rows and test rows were asked"


def test_where_yes_begins_travels_with_the_model(artifact: Path) -> None:
    schema = ModelSchema.model_validate_json((artifact / "serving.json").read_text())
    assert schema.decision == usecase.decision
    assert schema.threshold is not None and 0 < schema.threshold < 0.5, "three in ten are late"

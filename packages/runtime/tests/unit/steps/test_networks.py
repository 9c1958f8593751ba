"""What answers for a network where torch is not: its graph, alone or behind scikit-learn, if it is right.

An image or an endpoint without torch is the point of saving a network so. No torch is needed here either: a
graph made by hand stands for the one of torch.onnx, and NumPy for the network that was trained.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlops import columns
from mlops.errors import InvalidInput
from mlops.networks import NetworkClassifier, NetworkRegressor, table
from mlops.serving.formats import sklearn as skops
from mlops.serving.formats import torch as format_
from mlops.serving.score import core
from mlops.serving.score.core import OnnxScorer
from mlops.serving.score.library import LibraryScorer
from mlops.spec.digest import tree_digest
from mlops.steps import artifact
from tests.unit.steps.toy import Toy, toy_of


def weights(inputs: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(inputs).normal(size=(inputs, 2)).astype(np.float32) / 3


def graph(inputs: int, shift: float = 0.0) -> bytes:
    """softmax(clip(rows) @ weights + shift for the first class)."""
    given = helper.make_tensor_value_info(format_.ROWS, TensorProto.FLOAT, ["n", inputs])
    answer = helper.make_tensor_value_info(format_.ANSWER, TensorProto.FLOAT, ["n", 2])
    nodes = [
        helper.make_node("Clip", [format_.ROWS, "low", "high"], ["near"]),
        helper.make_node("Gemm", ["near", "w", "b"], ["scores"]),
        helper.make_node("Softmax", ["scores"], [format_.ANSWER], axis=1),
    ]
    constants = {
        "w": weights(inputs), "b": np.array([shift, 0], np.float32),
        "low": np.float32(-6), "high": np.float32(6),
    }  # fmt: skip
    made = helper.make_graph(
        nodes,
        "net",
        [given],
        [answer],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", format_.OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def answered(network: Any, rows: Any) -> np.ndarray[Any, Any]:
    given = np.clip(table(rows), -6, 6)
    scores = np.exp(given @ weights(network.inputs_))
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> NetworkClassifier:
    """A network that was fitted somewhere else, on as many inputs as it is first asked with."""
    made = NetworkClassifier(LinearRegression, clip=6.0)
    made.classes_, made.several_, made.outputs_, made.weights_ = np.array([0, 1]), False, 2, b"weights"

    def fit(self: Any, rows: Any, labels: Any) -> Any:
        self.inputs_ = table(rows).shape[1]
        return self

    monkeypatch.setattr(NetworkClassifier, "fit", fit)
    monkeypatch.setattr(NetworkClassifier, "_answers", answered)
    monkeypatch.setattr(format_, "REQUIREMENTS", skops.REQUIREMENTS)
    monkeypatch.setattr(format_, "exported", lambda model: graph(format_.network_of(model).inputs_))
    monkeypatch.setitem(sys.modules, "torch", None)
    return made


def frame(rows: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    made = pd.DataFrame(rng.normal(size=(rows, 3)).astype("float32"), columns=list("abc"))
    made.loc[::7, "a"] = np.nan
    made["g"] = rng.choice(np.array(["x", "y"], dtype=object), rows)
    return made


def mixed(network: Any) -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    first = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["g"]), (numbers, list("abc"))
    )
    return make_pipeline(first, network)


def saved(model: Any, rows: pd.DataFrame, usecase: Any, folder: Path) -> tuple[Any, Any]:
    model.fit(rows, np.arange(len(rows)) % 2)
    schema = artifact.save(folder, usecase, model, rows)
    return schema, core.load(folder, digest=tree_digest(folder))


def test_a_network_behind_a_pipeline_is_one_graph(network: Any, tmp_path: Path) -> None:
    rows, model = frame(), mixed(network)
    schema, served = saved(model, rows, toy_of("binary", rows, ["a"]), tmp_path / "model")
    assert isinstance(served, OnnxScorer), schema.no_graph
    assert schema.library.format == "torch"
    np.testing.assert_allclose(served.predict_frame(rows), model.predict_proba(rows)[:, 1], atol=1e-6)
    assert not (tmp_path / "model" / format_.PARTS).exists(), "what is not asked need not travel"


def test_a_network_alone_is_its_own_graph(network: Any, tmp_path: Path) -> None:
    rows = frame()[["b", "c"]]
    schema, served = saved(network, rows, toy_of("binary", rows), tmp_path / "model")
    assert isinstance(served, OnnxScorer), schema.no_graph
    np.testing.assert_allclose(served.predict_frame(rows), network.predict_proba(rows)[:, 1], atol=1e-6)


def no_torch() -> ModuleType:
    """Enough of torch for a network that is asked by its stand-in; libraries that look at it see a module."""
    made = ModuleType("torch")
    made.set_num_threads = lambda count: None  # type: ignore[attr-defined]
    return made


def test_what_no_graph_takes_goes_to_the_graph_of_the_network_and_torch_is_not_needed(
    network: Any, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"v": [v.astype(np.float32) for v in rng.normal(size=(80, 3))]})
    usecase = Toy("binary", {"v": columns.vector(3)})
    schema, served = saved(network, rows, usecase, tmp_path / "model")
    assert isinstance(served, LibraryScorer) and "no v" in schema.no_graph
    assert (tmp_path / "model" / format_.PARTS / format_.GRAPH).is_file()
    np.testing.assert_allclose(served.predict_frame(rows), network.predict_proba(rows)[:, 1], atol=1e-6)


def test_a_graph_that_answers_otherwise_answers_nobody(
    network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(format_, "exported", lambda model: graph(format_.network_of(model).inputs_, 0.01))
    monkeypatch.setitem(sys.modules, "torch", no_torch())
    rows, model = frame(), mixed(network)
    schema, served = saved(model, rows, toy_of("binary", rows, ["a"]), tmp_path / "model")
    assert isinstance(served, LibraryScorer) and "answers" in schema.no_graph
    assert "what stands in for torch answers" in caplog.text
    assert not (tmp_path / "model" / format_.PARTS).exists()
    np.testing.assert_allclose(served.predict_frame(rows), model.predict_proba(rows)[:, 1], atol=1e-6)


def test_a_network_that_cannot_be_exported_says_why_and_needs_torch(
    network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Any) -> bytes:
        raise ValueError("it branches on what it is given")

    monkeypatch.setattr(format_, "exported", refused)
    rows = frame()[["b", "c"]]
    network.fit(rows, None)
    with pytest.raises(Exception, match=r"needs .*torch.* is not installed here"):
        artifact.save(tmp_path / "absent", toy_of("binary", rows), network, rows)
    monkeypatch.setitem(sys.modules, "torch", no_torch())
    schema, served = saved(network, rows, toy_of("binary", rows), tmp_path / "model")
    assert isinstance(served, LibraryScorer) and "it branches on what it is given" in schema.no_graph


def test_the_weights_are_no_pickle(network: Any, tmp_path: Path) -> None:
    from zipfile import ZipFile

    rows = frame()[["b", "c"]]
    saved(network, rows, toy_of("binary", rows), tmp_path / "model")
    assert [p.name for p in (tmp_path / "model").rglob("*") if p.suffix in (".pkl", ".pt", ".pth")] == []
    with ZipFile(tmp_path / "model" / skops.FILE) as file:
        held = {name: file.read(name) for name in file.namelist()}
    assert b"weights" in held.values()
    assert not hasattr(skops.read(tmp_path / "model" / skops.FILE), "_module")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (pd.DataFrame({"a": [1, 2], "b": [True, False]}), [[1, 1], [2, 0]]),
        (pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}), [[1], [np.nan]]),
        (pd.DataFrame({"v": [[1.0, 2.0], np.array([3, 4])], "a": [5, 6]}), [[1, 2, 5], [3, 4, 6]]),
        (np.array([[1.0, 2.0]]), [[1, 2]]),
        (np.array([1.0, 2.0]), [[1], [2]]),
    ],
    ids=["numbers", "null", "vectors", "array", "one column"],
)
def test_rows_become_one_table_of_float32(given: Any, wanted: Any) -> None:
    found = table(given)
    assert found.dtype == np.float32 and found.flags.c_contiguous
    np.testing.assert_array_equal(found, np.array(wanted, dtype=np.float32))


def test_what_a_network_cannot_take_is_said_before_it_is_fitted() -> None:
    rows = np.array([[1.0, np.nan], [2.0, 3.0]], dtype=np.float32)
    with pytest.raises(ValueError, match="begin with a SimpleImputer"):
        NetworkRegressor(LinearRegression)._checked(rows)
    with pytest.raises(ValueError, match="at least 1 epoch"):
        NetworkRegressor(LinearRegression, epochs=0)._checked(rows[1:])
    alone = NetworkClassifier(LinearRegression)
    alone.inputs_, alone.outputs_ = 2, 2
    with pytest.raises(InvalidInput, match=r"which is no torch\.nn\.Module"):
        alone._made()

"""Networks of PyTorch: fitted, saved, exported and served as they were trained.

torch starts a program when it is imported, so these tests are here; they run where the group `torch` is
installed: uv sync --group torch.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch", reason="the group torch is not installed: uv sync --group torch")
pytest.importorskip("onnxscript", reason="the group torch is not installed: uv sync --group torch")

from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlops.errors import InvalidInput
from mlops.networks import NetworkClassifier, NetworkRegressor
from mlops.serving.score import core
from mlops.serving.score.core import OnnxScorer
from mlops.serving.score.library import LibraryScorer
from mlops.spec.digest import tree_digest
from mlops.steps import artifact
from tests.unit.steps.toy import Toy, toy_of

SOURCE = '''
import torch
from torch import nn


class Layers(nn.Module):
    def __init__(self, inputs, outputs, hidden=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(0.2),
            nn.Linear(hidden, outputs)
        )

    def forward(self, rows):
        return self.layers(rows)


class Tied(nn.Module):
    """Two layers that share their weights."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.one, self.two = nn.Linear(inputs, inputs), nn.Linear(inputs, inputs)
        self.two.weight = self.one.weight
        self.last = nn.Linear(inputs, outputs)

    def forward(self, rows):
        return self.last(torch.tanh(self.two(torch.tanh(self.one(rows)))))


class Branches(Layers):
    """Does what no exporter can write down."""

    def forward(self, rows):
        if float(rows.abs().max()) > 1e9:
            raise ValueError("too much")
        return self.layers(rows)


def sequence(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 4), nn.ReLU(), nn.Linear(4, outputs))
'''


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A use case's package with modules of its own, imported."""
    root = tmp_path_factory.mktemp("src")
    (root / "ownednet").mkdir()
    (root / "ownednet" / "__init__.py").write_text("")
    (root / "ownednet" / "network.py").write_text(SOURCE)
    sys.path.insert(0, str(root))
    import ownednet.network  # type: ignore[import-not-found]

    yield ownednet.network
    sys.path.remove(str(root))
    for name in [n for n in sys.modules if n.partition(".")[0] == "ownednet"]:
        del sys.modules[name]


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    made = pd.DataFrame(rng.normal(size=(200, 3)).astype("float32"), columns=list("abc"))
    made.loc[::9, "a"] = np.nan
    made["g"] = rng.choice(np.array(["x", "y"], dtype=object), 200)
    return made


def behind(network: Any) -> Any:
    first = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["g"]),
        (make_pipeline(SimpleImputer(), StandardScaler()), list("abc")),
    )
    return make_pipeline(first, network)


def saved(model: Any, rows: pd.DataFrame, usecase: Any, folder: Path) -> tuple[Any, Any]:
    schema = artifact.save(folder, usecase, model, rows, package="ownednet")
    return schema, core.load(folder, digest=tree_digest(folder))


QUICK = {"epochs": 8, "clip": 6.0, "seed": 3}
LONG = {"epochs": 60, "rate": 0.02}


@pytest.mark.parametrize(
    ("task", "module"), [("binary", "Layers"), ("multiclass", "Tied"), ("regression", "sequence")]
)
def test_a_network_learns_and_its_graph_answers_as_it_does(
    owned: Any, task: Any, module: str, tmp_path: Path
) -> None:
    rows = frame()
    value = rows["b"] + 0.5 * rows["c"]
    truth: Any = value * 40 + 1000
    kind: Any = NetworkRegressor
    if task != "regression":
        truth, kind = np.digitize(value, [0] if task == "binary" else [-0.5, 0.5]), NetworkClassifier
    model = behind(kind(getattr(owned, module), **QUICK | LONG)).fit(rows, truth)
    schema, served = saved(model, rows, toy_of(task, rows, ["a"]), tmp_path / "model")
    assert isinstance(served, OnnxScorer), schema.no_graph
    found = served.predict_frame(rows)
    if task == "regression":
        assert np.abs(found - truth).mean() < 0.5 * np.abs(truth - truth.mean()).mean()
        np.testing.assert_allclose(found, model.predict(rows), rtol=1e-5)
    else:
        assert (model.predict(rows) == truth).mean() > 0.85
        wanted = model.predict_proba(rows)
        np.testing.assert_allclose(found, wanted[:, 1] if task == "binary" else wanted, atol=1e-5)
    assert f"ownednet.network.{module}" in schema.library.trusted and schema.runs_code == ""


def test_the_saved_network_answers_by_torch_too_and_holds_no_pickle(owned: Any, tmp_path: Path) -> None:
    rows = frame()
    model = behind(NetworkClassifier(owned.Layers, {"hidden": 5}, **QUICK)).fit(rows, rows["b"] > 0)
    schema, _ = saved(model, rows, toy_of("binary", rows, ["a"]), tmp_path / "model")
    again = LibraryScorer.load(schema, tmp_path / "model")
    np.testing.assert_array_equal(again.predict_frame(rows), model.predict_proba(rows)[:, 1])
    suffixes = {p.suffix for p in (tmp_path / "model").rglob("*") if p.is_file()}
    assert not suffixes & {".pkl", ".pt", ".pth", ".bin"} and ".skops" in suffixes
    assert "torch==" in (tmp_path / "model" / "requirements.txt").read_text()


def test_the_same_rows_and_seed_give_the_same_network(owned: Any) -> None:
    import torch

    rows = frame()[["b", "c"]]
    one = NetworkRegressor(owned.Layers, **QUICK)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    weights = one.fit(rows, rows["b"]).weights_
    assert torch.equal(before, torch.random.get_rng_state()), "the caller's own draws go on as they were"
    assert clone(one).fit(rows, rows["b"]).weights_ == weights
    assert clone(one).set_params(seed=4).fit(rows, rows["b"]).weights_ != weights


def test_what_cannot_be_exported_is_answered_by_torch_and_threads_do_not_meet(
    owned: Any, tmp_path: Path
) -> None:
    rows = frame()[["b", "c"]]
    model = NetworkClassifier(owned.Branches, **QUICK).fit(rows, rows["b"] > 0)
    schema, served = saved(model, rows, toy_of("binary", rows), tmp_path / "model")
    assert isinstance(served, LibraryScorer) and "cannot be exported" in schema.no_graph
    assert schema.library.arrays, "one array of numbers, no table"
    truth, asked, wrong = model.predict_proba(rows)[:, 1], list(map(tuple, rows.to_numpy().tolist())), []

    def ask(offset: int) -> None:
        for turn in range(50):
            index = (offset + 7 * turn) % len(asked)
            if abs(served.predict_rows([asked[index]])[0] - truth[index]) > 1e-5:
                wrong.append(index)

    threads = [threading.Thread(target=ask, args=(31 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_several_labels_and_quantiles(owned: Any, tmp_path: Path) -> None:
    rows = frame()[["b", "c"]]
    labels = np.column_stack([rows["b"] > 0, rows["c"] > 0]).astype(int)
    several = NetworkClassifier(owned.sequence, **QUICK | LONG).fit(rows, labels)
    found = several.predict_proba(rows)
    assert found.shape == (200, 2) and ((found > 0.5) == labels).mean() > 0.8

    usecase = Toy("quantiles", {"b": "float32", "c": "float32"})
    usecase.quantiles = (0.1, 0.5, 0.9)  # type: ignore[attr-defined]
    noisy = rows["b"] + np.random.default_rng(0).normal(0, 1, 200)
    model = NetworkRegressor(owned.sequence, quantiles=(0.1, 0.5, 0.9), **QUICK).fit(rows, noisy)
    schema, served = saved(model, rows, usecase, tmp_path / "model")
    answer = served.predict_frame(rows)
    assert schema.outputs == ["0.1", "0.5", "0.9"] and answer.shape == (200, 3)
    assert (np.diff(answer, axis=1) >= 0).all()
    np.testing.assert_allclose(answer, model.predict(rows), rtol=1e-5, atol=1e-5)


def test_what_is_wrong_is_a_sentence(owned: Any, tmp_path: Path) -> None:
    rows = frame()[["b", "c"]]
    with pytest.raises(ValueError, match="finds no GPU; 'auto' takes one"):
        NetworkRegressor(owned.Layers, device="cuda:7").fit(rows, rows["b"])
    with pytest.raises(ValueError, match=r"it must answer 3 numbers a row"):
        NetworkClassifier(lambda inputs: owned.sequence(inputs, 2), epochs=1).fit(rows, np.arange(200) % 3)
    with pytest.raises(ValueError, match="loss='cubed': it must be squared, absolute, huber"):
        NetworkRegressor(owned.Layers, loss="cubed").fit(rows, rows["b"])  # type: ignore[arg-type]
    foreign = NetworkRegressor(owned.Layers, epochs=1).fit(rows, rows["b"])
    with pytest.raises(InvalidInput, match=r"ownednet\.network\.Layers, for which nobody vouches"):
        artifact.save(tmp_path / "model", toy_of("regression", rows), foreign, rows)

"""A model on top of one that somebody else has trained: known by its digest, and never fetched.

What is fetched at run time is another file tomorrow, and no file behind a firewall. So the file is an input
like the rows, it is in the artifact once the model is fitted, and a changed one trains nothing.
"""

from __future__ import annotations

import hashlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from mlops import pretrained
from mlops.errors import IntegrityError, InvalidInput
from mlops.pretrained import OnnxEncoder
from mlops.serving.score import core
from mlops.spec.digest import file_digest, tree_digest
from mlops.steps import artifact
from mlops.steps.train import named
from tests.unit.steps.toy import toy_of


def frame(seed: int = 0) -> pd.DataFrame:
    return pd.DataFrame(
        np.random.default_rng(seed).normal(size=(150, 5)).astype("float32"), columns=list("abcde")
    )


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A package that ships an encoder, which was trained on other rows."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    root = tmp_path_factory.mktemp("site")
    package = root / "encoders"
    package.mkdir()
    (package / "__init__.py").write_text("")
    made = convert_sklearn(
        PCA(2).fit(frame(9).to_numpy()), initial_types=[("rows", FloatTensorType([None, 5]))], target_opset=18
    )
    (package / "five.onnx").write_bytes(made.SerializeToString())
    sys.path.insert(0, str(root))
    yield package / "five.onnx"
    sys.path.remove(str(root))
    sys.modules.pop("encoders", None)


@pytest.mark.parametrize("kind", ["package", "asset"])
def test_a_model_on_a_pretrained_one_is_trained_and_served_without_a_network(
    encoder: Path, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("something was fetched")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setenv(pretrained.FOLDER, str(encoder.parent))
    place = {"package": "package:encoders/five.onnx", "asset": "asset:five.onnx"}[kind]
    digest = file_digest(encoder)
    rows = frame()
    model = make_pipeline(OnnxEncoder(place, digest), LogisticRegression())
    model.fit(rows, (rows["a"] > 0).astype(int))
    schema = artifact.save(tmp_path / "model", toy_of("binary", rows), model, rows)
    assert schema.pretrained == {place: digest}
    assert core.read_schema(tmp_path / "model").pretrained == {place: digest}, "in what the digest counts"
    assert schema.runs_code == "" and schema.library is not None and schema.library.format == "sklearn"
    # Where it answers there is neither the package nor the asset.
    monkeypatch.delenv(pretrained.FOLDER)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(encoder.parents[1])])
    served = core.load(tmp_path / "model", digest=tree_digest(tmp_path / "model"))
    np.testing.assert_allclose(served.predict_frame(rows), model.predict_proba(rows)[:, 1], atol=1e-6)


def test_another_file_than_the_one_that_was_meant_trains_nothing(encoder: Path) -> None:
    other = "sha256:" + hashlib.sha256(b"another").hexdigest()
    with pytest.raises(IntegrityError, match=r"five\.onnx has the digest sha256:.*nothing was trained"):
        OnnxEncoder("package:encoders/five.onnx", other).fit(frame())


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("package:nowhere/x.onnx", "there is no installed package 'nowhere'"),
        ("package:encoders/y.onnx", "is no file"),
        ("package:encoders/../encoders/five.onnx", "is no file"),
        ("https://example.com/x.onnx", "it is package:NAME/FILE or asset:FILE"),
        ("asset:five.onnx", "the step train was given none"),
    ],
)
def test_a_place_that_is_none_is_a_sentence(
    encoder: Path, place: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(pretrained.FOLDER, raising=False)
    with pytest.raises(InvalidInput, match=says):
        pretrained.read(place, file_digest(encoder))


def test_the_files_of_all_parts_are_told(encoder: Path) -> None:
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import VotingClassifier

    rows, digest = frame(), file_digest(encoder)
    first = make_column_transformer((OnnxEncoder("package:encoders/five.onnx", digest), list("abcde")))
    model = VotingClassifier([("one", make_pipeline(first, LogisticRegression()))], voting="soft")
    model.fit(rows, (rows["a"] > 0).astype(int))
    assert pretrained.used(model) == {"package:encoders/five.onnx": digest}
    assert pretrained.used(LogisticRegression()) == {}
    assert named({"package:encoders/five.onnx": digest}) == [("package.encoders/five.onnx", digest)]

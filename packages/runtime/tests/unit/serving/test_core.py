"""The scoring core: nothing is read before it is verified, and every way in gives the same number.

A core that loads what was not released, or that scores a frame differently from a request, makes every
gate and every parity check above it worthless.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlops.errors import IntegrityError, InvalidInput, TargetError
from mlops.serving import testing
from mlops.serving.score import core
from mlops.spec.digest import tree_digest
from mlops.spec.schema import FILE

ROWS = [("AA", 500.0), ("DL", 0.0), ("ZZ", None)]
WANTED = [testing.expected(carrier, distance) for carrier, distance in ROWS]


@pytest.fixture(scope="module")
def onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx")
    testing.write_onnx(folder)
    return folder


def test_rows_columns_pandas_and_arrow_give_the_same_numbers(onnx: Path) -> None:
    scorer = core.load(onnx, digest=tree_digest(onnx))
    carriers, distances = zip(*ROWS, strict=True)
    frame = pd.DataFrame({"distance": distances, "carrier": carriers, "other": 1})
    given = [
        scorer.predict_rows(ROWS),
        scorer.predict_columns({"carrier": carriers, "distance": distances}),
        scorer.predict_frame(frame),
        scorer.predict_frame(frame.astype({"carrier": "category"})),
        scorer.predict_frame(pa.Table.from_pandas(frame)),
        scorer.predict_frame(pa.RecordBatch.from_pandas(frame)),
    ]
    for predictions in given:
        assert predictions.shape == (3,)
        np.testing.assert_allclose(predictions, WANTED, atol=1e-6)


def test_pyfunc_gives_the_same_numbers_as_onnx(tmp_path: Path) -> None:
    digest = testing.write_pyfunc(tmp_path)
    scorer = core.load(tmp_path, digest=digest)
    np.testing.assert_allclose(scorer.predict_rows(ROWS), WANTED, atol=1e-6)
    assert tree_digest(tmp_path) == digest, "loading a model must not write into its artifact"


def test_a_changed_byte_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    digest = testing.write_onnx(tmp_path)
    (tmp_path / FILE).write_text("not even JSON")
    with pytest.raises(IntegrityError):
        core.load(tmp_path, digest=digest)


def test_an_added_file_is_refused(tmp_path: Path) -> None:
    digest = testing.write_onnx(tmp_path)
    (tmp_path / "extra.py").write_text("")
    with pytest.raises(IntegrityError):
        core.load(tmp_path, digest=digest)


def test_a_missing_artifact_cannot_be_verified(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError):
        core.load(tmp_path / "gone", digest="sha256:" + "0" * 64)


def test_code_is_not_loaded_without_a_digest(tmp_path: Path) -> None:
    testing.write_pyfunc(tmp_path)
    with pytest.raises(IntegrityError):
        core.load(tmp_path)


def test_a_broken_schema_names_file_and_field(onnx: Path, tmp_path: Path) -> None:
    broken = json.loads((onnx / FILE).read_text())
    broken["columns"][0]["type"] = "text"
    (tmp_path / FILE).write_text(json.dumps(broken))
    with pytest.raises(InvalidInput) as caught:
        core.load(tmp_path)
    (problem,) = caught.value.problems
    assert (problem.where, problem.field) == (str(tmp_path / FILE), "columns.0.type")


def test_an_artifact_without_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        core.load(tmp_path)
    assert [problem.where for problem in caught.value.problems] == [str(tmp_path / FILE)]


def test_a_graph_that_is_no_onnx_is_a_target_error(onnx: Path, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text((onnx / FILE).read_text())
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(TargetError):
        core.load(tmp_path)


def test_a_schema_that_does_not_fit_its_graph_is_refused(onnx: Path, tmp_path: Path) -> None:
    schema = json.loads((onnx / FILE).read_text())
    schema["onnx"]["floats"] = "numbers"
    (tmp_path / FILE).write_text(json.dumps(schema))
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_bytes((onnx / "onnx" / "model.onnx").read_bytes())
    with pytest.raises(TargetError, match="numbers"):
        core.load(tmp_path)


def test_missing_columns_of_a_frame_are_named(onnx: Path) -> None:
    with pytest.raises(InvalidInput, match="lacks the columns distance"):
        core.load(onnx).predict_frame(pd.DataFrame({"carrier": ["AA"]}))


def test_labels_instead_of_probabilities_are_refused(onnx: Path) -> None:
    scorer = core.load(onnx)
    with pytest.raises(TargetError):
        scorer._shaped(np.array([0, 1, 1]), 3)
    with pytest.raises(TargetError):
        scorer._shaped(np.array(["0", "1", "1"], dtype=object), 3)

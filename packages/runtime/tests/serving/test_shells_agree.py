"""One model, one number: the endpoint, Azure's inference server, the batch driver and scikit-learn itself
agree on every row of the test set. A shell that rounds, reorders or fills differently would put another
model in production than the one that passed the gates.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from mlops.serving.batch.job import score_folder
from tests.serving.harness import Example, Line, Server, serving
from tests.serving.inference_server import AzureServer, azure_serving

ROWS = 2_000
"""A request's share of the test set."""
TOLERANCE = 1e-6
"""float32 against float64; the flip of a single tree is a thousand times as much."""


@pytest.fixture(scope="module")
def endpoint(example: Example, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("endpoint"), model=example.folder) as made:
        yield made


@pytest.fixture(scope="module")
def azure(example: Example, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    with azure_serving(example.folder, tmp_path_factory.mktemp("azure")) as made:
        yield made


def bodies(example: Example, shape: str) -> Iterator[bytes]:
    """The test set in requests, as a caller with pandas would write them."""
    frame = example.inputs.astype(object).where(example.inputs.notna(), None)
    for start in range(0, len(frame), ROWS):
        part = frame.iloc[start : start + ROWS]
        value: Any = {"columns": list(part.columns), "data": part.to_numpy().tolist()}
        if shape in ("data", "dataframe_records", "instances"):
            value = part.to_dict(orient="records")
        elif shape == "inputs":
            value = {name: part[name].tolist() for name in part.columns}
        yield msgspec.json.encode({shape: value})


def scored(line: Line, path: str, example: Example, shape: str) -> np.ndarray:
    found: list[float] = []
    for body in bodies(example, shape):
        reply = line.post(path, body)
        assert reply.status == 200, reply.body[:500]
        found += reply.json()["predictions"]
    return np.array(found)


def test_the_test_set_is_a_whole_month(example: Example) -> None:
    assert len(example.inputs) > 25_000
    assert example.inputs.isna().any().sum() > 0, "with the nulls that real rows have"
    assert example.wanted.std() > 0.05, "the model tells rows apart, so that a mix-up would show"


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/score", "input_data"),
        ("/score", "data"),
        ("/invocations", "dataframe_split"),
        ("/invocations", "inputs"),
    ],
)
def test_the_endpoint_predicts_what_scikit_learn_predicts(
    endpoint: Server, example: Example, path: str, shape: str
) -> None:
    with Line(endpoint.port, endpoint.keys.primary) as line:
        np.testing.assert_allclose(scored(line, path, example, shape), example.wanted, rtol=0, atol=TOLERANCE)


def test_azures_inference_server_predicts_what_scikit_learn_predicts(
    azure: AzureServer, example: Example
) -> None:
    with Line(azure.port, timeout=60) as line:
        found = scored(line, "/score", example, "input_data")
    np.testing.assert_allclose(found, example.wanted, rtol=0, atol=TOLERANCE)


def test_the_batch_driver_predicts_what_scikit_learn_predicts(example: Example, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    half = len(example.inputs) // 2
    example.inputs.iloc[:half].to_parquet(source / "0.parquet", index=False)
    example.inputs.iloc[half:].to_parquet(source / "1.parquet", index=False)
    report = score_folder(example.folder, source, tmp_path / "out", workers=1)
    assert (report.rows, report.quarantined) == (len(example.inputs), ())
    files = sorted((tmp_path / "out").glob("*.predictions.parquet"))
    found = np.concatenate([pq.read_table(file)["_prediction"].to_numpy() for file in files])
    np.testing.assert_allclose(found, example.wanted, rtol=0, atol=TOLERANCE)


def test_rows_predicted_alone_and_together_are_the_same(endpoint: Server, example: Example) -> None:
    """Micro-batches of other callers must not change an answer."""
    some = example.inputs.iloc[:: len(example.inputs) // 200]
    frame = some.astype(object).where(some.notna(), None)
    with Line(endpoint.port, endpoint.keys.primary) as line:
        for row, wanted in zip(frame.to_dict(orient="records"), example.wanted[some.index], strict=True):
            (found,) = line.post("/score", msgspec.json.encode({"data": [row]})).json()["predictions"]
            assert found == pytest.approx(wanted, abs=TOLERANCE)

"""Dates, vectors, lists and images: one meaning in training, endpoint, batch, capture and OpenAPI."""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandera.pandas import Check, Column
from sklearn.base import BaseEstimator
from toy import Toy

from mlops import columns
from mlops.errors import InvalidInput
from mlops.monitoring.contract import check
from mlops.monitoring.rules import columns_of, unchecked
from mlops.serving.http.openapi import document
from mlops.serving.score import core, rows
from mlops.serving.score.library import LibraryScorer
from mlops.serving.score.request import RequestError, RequestParser
from mlops.serving.score.table import check_table
from mlops.spec.admits import cell_array
from mlops.spec.schema import ModelSchema
from mlops.steps import artifact
from mlops.steps.latency import rows_of

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20
SINCE = pd.Timestamp("2020-01-01")
CONTRACT = {
    "at": Column("datetime64[ns]", Check.in_range(SINCE, pd.Timestamp("2030-01-01"), include_max=False)),
    "seen": Column("datetime64[ns]", nullable=True),
    "vector": columns.vector(3),
    "tags": columns.items("string", most=4),
    "picture": columns.image(most_bytes=100),
}


class Summing(BaseEstimator):
    """Of every cell, so that a difference in one is a difference of the answer."""

    def fit(self, X: pd.DataFrame, y: Any) -> Summing:  # noqa: N803
        self.fitted_ = True
        return self

    def predict(self, X: pd.DataFrame) -> Any:  # noqa: N803
        days = (X["at"] - SINCE).dt.total_seconds().to_numpy() / 86400
        seen = X["seen"].dt.hour.fillna(-1).to_numpy()
        sizes = X["tags"].map(len).to_numpy() + X["picture"].map(len).to_numpy() / 7
        return np.tanh(days / 9000 + seen / 100 + sizes / 50) + np.tanh(
            np.stack(X["vector"].tolist()) / 10
        ).sum(axis=1)


@pytest.fixture(scope="module")
def toy() -> Toy:
    usecase = Toy("regression", CONTRACT)
    usecase.trusted_types = (f"{Summing.__module__}.{Summing.__qualname__}",)  # type: ignore[attr-defined]
    return usecase


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    draw = np.random.default_rng(1)
    count = 60
    hours = pd.Series(SINCE + pd.to_timedelta(draw.integers(0, 900, count), unit="h"))
    return pd.DataFrame(
        {
            "at": SINCE + pd.to_timedelta(draw.integers(0, 3000 * 86400, count), unit="s"),
            "seen": hours.where(draw.random(count) < 0.8),
            "vector": [draw.normal(size=3) for _ in range(count)],
            "tags": [draw.choice(["a", "b", "é"], int(draw.integers(0, 4))).tolist() for _ in range(count)],
            "picture": [PNG + bytes(int(draw.integers(1, 60))) for _ in range(count)],
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(toy: Toy, frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rich") / "model"
    frame.to_parquet(folder.parent / "rows.parquet")
    again = pd.read_parquet(folder.parent / "rows.parquet")  # as prep hands it on: lists are arrays now
    artifact.save(folder, toy, Summing().fit(again, None), again)
    return folder


@pytest.fixture(scope="module")
def schema(model: Path) -> ModelSchema:
    return core.read_schema(model)


def body(schema: ModelSchema, frame: pd.DataFrame) -> bytes:
    import msgspec

    names = [c.name for c in schema.columns]
    return msgspec.json.encode({"input_data": {"columns": names, "data": rows_of(schema, frame, len(frame))}})


def test_what_is_served_answers_as_training_does(
    toy: Toy, model: Path, schema: ModelSchema, frame: pd.DataFrame, tmp_path: Path
) -> None:
    scorer = LibraryScorer.load(schema, model)
    expected = Summing().fit(frame, None).predict(frame)
    parsed = RequestParser(schema).parse(body(schema, frame), "score")
    assert np.allclose(scorer.predict_rows(parsed), expected, atol=1e-12)
    captured = pa.table(
        {
            c.name: cell_array(c, values)
            for c, values in zip(schema.columns, zip(*parsed, strict=True), strict=True)
        }
    )
    check_table(schema, captured)
    assert np.allclose(scorer.predict_frame(captured), expected, atol=1e-12)
    for suffix in ("parquet", "csv", "json", "jsonl"):
        path = tmp_path / f"rows.{suffix}"
        written(schema, frame, path)
        (batch,) = rows.batches(schema, path)
        check_table(schema, batch)
        assert np.allclose(scorer.predict_frame(batch), expected, atol=1e-12), suffix
        assert len(RequestParser(schema).parse(json.dumps(rows.body(schema, path)).encode(), "score")) == len(
            frame
        )


def written(schema: ModelSchema, frame: pd.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
        return
    records = json.loads(body(schema, frame))["input_data"]
    dicts = [dict(zip(records["columns"], row, strict=True)) for row in records["data"]]
    if path.suffix == ".json":
        path.write_text(json.dumps(dicts))
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, dicts)))
    else:
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(records["columns"])
        for row in records["data"]:
            writer.writerow(["" if v is None else json.dumps(v) if isinstance(v, list) else v for v in row])
        path.write_text(out.getvalue())


GOOD: dict[str, Any] = {
    "at": "2024-02-29", "seen": None, "vector": [1, 2.5, -3], "tags": ["a", "é"],
    "picture": base64.b64encode(PNG).decode(),
}  # fmt: skip


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("at", "2019-12-31T23:59:59", "not before 2020-01-01T00:00:00"),
        ("at", "2030-01-01", "not after 2029-12-31T23:59:59.999999999"),
        ("at", "2023-02-29", "a date or time without an offset"),
        ("at", "2024-01-01T00:00:00Z", "without an offset"),
        ("at", 1700000000, "such as 2024-03-01"),
        ("at", None, "a date or time"),
        ("vector", [1, 2], "a list of 3 finite numbers"),
        ("vector", [1, 2, "3"], "a list of 3 finite numbers"),
        ("vector", [1, 2, 1e300], "a list of 3 finite numbers"),
        ("tags", ["a"] * 5, "a list of at most 4 texts"),
        ("tags", [1], "a list of at most 4 texts"),
        ("picture", "no base64!", "an image"),
        ("picture", base64.b64encode(b"text").decode(), "an image"),
        ("picture", base64.b64encode(PNG + bytes(100)).decode(), "at most 100 bytes"),
    ],
)
def test_the_endpoint_refuses_what_training_refuses(
    schema: ModelSchema, toy: Toy, column: str, value: Any, words: str
) -> None:
    parser = RequestParser(schema)
    assert len(parser.parse(json.dumps({"input_data": [GOOD]}).encode(), "score")) == 1
    bad = {**GOOD, column: value}
    table = {"columns": list(bad)[::-1], "data": [list(bad.values())[::-1]]}
    for form in ({"input_data": [bad]}, {"input_data": table}):
        with pytest.raises(RequestError) as refused:
            parser.parse(json.dumps(form).encode(), "score")
        assert words in str(refused.value) and refused.value.error["field"] == column


def test_the_contract_and_the_signature_know_each_kind(toy: Toy, frame: pd.DataFrame, model: Path) -> None:
    assert check(frame, toy.contract()) == []
    assert unchecked(toy.contract()) == []
    bad = frame.assign(vector=[np.zeros(2)] * len(frame), tags=[["a"] * 9] * len(frame))
    assert {violation.column for violation in check(bad, toy.contract())} == {"vector", "tags"}
    described = (model / "MLmodel").read_text()
    assert all(word in described for word in ("datetime", "array", "binary"))
    assert [c.type for c in columns_of(toy.contract())] == ["datetime", "datetime", "vector", "list", "image"]


def test_openapi_describes_each_kind(schema: ModelSchema) -> None:
    told = json.dumps(document(schema, 1, swagger=False))
    for words in ('"format": "date-time"', '"format": "byte"', '"minItems": 3, "maxItems": 3'):
        assert words in told


def test_a_time_with_a_zone_is_no_column() -> None:
    with pytest.raises(InvalidInput, match="without a time zone"):
        columns_of(Toy("regression", {"at": Column("datetime64[ns, UTC]")}).contract())


def test_a_value_within_a_list_is_named_by_its_column_in_a_table_of_columns(schema: ModelSchema) -> None:
    parser = RequestParser(schema)
    columns = {name: [value, value] for name, value in GOOD.items()}
    assert len(parser.parse(json.dumps({"inputs": columns}).encode(), "invocations")) == 2
    with pytest.raises(RequestError, match="a list of 3 finite numbers"):
        parser.parse(
            json.dumps({"inputs": {**columns, "vector": [[1, 2, 3], [1, "2", 3]]}}).encode(), "invocations"
        )

"""Records whose keys stand in any order are read at the cost of a column, and say what they said before.

msgspec looks for a key from the field before it on: shuffled keys cost columns squared, 4 µs a cell at 2,000.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from mlops.serving.score.request import RequestError, RequestParser
from mlops.spec.schema import Column, ModelSchema

COUNT = 60


@pytest.fixture
def parser() -> RequestParser:
    columns = [Column(name=f"c {i}", type="integer" if i % 3 else "number") for i in range(COUNT - 1)]
    columns.append(Column(name="text", type="string"))
    return RequestParser(ModelSchema(model="model", task="regression", columns=columns))


def record(seed: int | None, **more: Any) -> dict[str, Any]:
    found = {f"c {i}": i for i in range(COUNT - 1)} | {"text": "a } b"} | more
    keys = list(found)
    if seed is not None:
        random.Random(seed).shuffle(keys)  # noqa: S311 (an order, no secret)
    return {key: found[key] for key in keys}


def body(*records: dict[str, Any]) -> bytes:
    return json.dumps({"data": list(records)}).encode()


def refusal(parser: RequestParser, sent: bytes) -> dict[str, Any]:
    with pytest.raises(RequestError) as caught:
        parser.parse(sent, "score")
    return caught.value.error


@pytest.mark.parametrize("seeds", [(None,), (1,), (1, 1, 1), (1, None, 2), (None, 1)])
def test_any_order_gives_the_same_rows(parser: RequestParser, seeds: tuple[int | None, ...]):
    usual = parser.parse(body(*(record(None) for _ in seeds)), "score")
    assert parser.parse(body(*map(record, seeds)), "score") == usual


def test_a_client_has_one_order_and_it_is_looked_up_once(
    parser: RequestParser, monkeypatch: pytest.MonkeyPatch
):
    """The usual decoder, whose cost is columns squared here, is not asked."""
    made: list[Any] = []
    real = parser._record_decoder
    monkeypatch.setattr(parser, "_record_decoder", lambda names: made.append(names) or real(names))
    monkeypatch.setattr(parser, "_records", None)
    for _ in range(50):
        parser.parse(body(record(7)), "score")
    assert len(made) == 1


def test_orders_that_are_kept_are_bounded(parser: RequestParser):
    for seed in range(200):
        parser.parse(body(record(seed)), "score")
    assert len(parser._record_orders) <= 32


@pytest.mark.parametrize(
    "wrong", [{"c 3": "x"}, {"c 4": 1.5}, {"text": None}, {"unknown": 1}, {"text": ["}"] * 20}]
)
def test_refusals_are_those_of_the_usual_order(parser: RequestParser, wrong: dict[str, Any]):
    assert refusal(parser, body(record(5), record(5, **wrong))) == refusal(
        parser, body(record(None), record(None, **wrong))
    )


def test_a_missing_column_is_named(parser: RequestParser):
    for seed in (None, 5):
        sent = record(seed)
        del sent["c 9"]
        assert refusal(parser, body(sent))["field"] == "c 9"

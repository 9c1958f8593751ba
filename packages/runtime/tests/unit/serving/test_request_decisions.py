"""A column that is sent twice has two values: whichever wins, the caller meant the other one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlops.serving.score.request import Protocol, RequestError, RequestParser
from mlops.spec.schema import Column, ModelSchema

PARSER = RequestParser(
    ModelSchema(
        model="freight",
        task="regression",
        columns=[Column(name="a", type="number"), Column(name="b", type="number")],
    )
)
SPLITS: list[tuple[Protocol, str]] = [("score", "input_data"), ("invocations", "dataframe_split")]


def asked(protocol: Protocol, key: str, columns: list[str], row: list[Any]) -> RequestError:
    body = json.dumps({key: {"columns": columns, "index": [0], "data": [row]}}).encode()
    with pytest.raises(RequestError) as refused:
        PARSER.parse(body, protocol)
    assert refused.value.status == 422
    return refused.value


@pytest.mark.parametrize(("protocol", "key"), SPLITS)
@pytest.mark.parametrize(
    ("columns", "field"),
    [
        (["a", "b", "a"], "a"),
        (["b", "a", "b"], "b"),
        (["a", "a"], "b"),  # the missing one is told first
        (["a", "b", "c"], "c"),
        (["a"], "b"),
    ],
)
def test_each_column_is_sent_once(protocol: Protocol, key: str, columns: list[str], field: str) -> None:
    assert asked(protocol, key, columns, [1.0] * len(columns)).error["field"] == field


@pytest.mark.parametrize(("protocol", "key"), SPLITS)
def test_two_values_that_are_equal_are_two_as_well(protocol: Protocol, key: str) -> None:
    assert asked(protocol, key, ["a", "a", "b"], [1.0, 1.0, 2.0]).error["field"] == "a"

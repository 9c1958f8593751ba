"""Expressions of Azure Pipelines mean here what they mean there: a wrong `eq` skips a stage that matters."""

from __future__ import annotations

from typing import Any

import pytest
from azure_pipelines import Refused
from azure_pipelines.expressions import Context, evaluate
from azure_pipelines.source import Place

PLACE = Place("a.yml", 7)


def _value(expression: str, **variables: str) -> Any:
    return evaluate(expression, Context({"variables": variables.get}), PLACE)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'it''s'", "it's"),
        ("eq('Main', 'main')", True),
        ("eq(variables.a, 'x')", True),
        ("eq(variables['a'], 'X')", True),
        ("eq(variables.missing, '')", True),
        ("ne(variables.missing, 'x')", True),
        ("eq(true, 'true')", True),
        ("eq(true, 'false')", False),
        ("eq(1, '1')", True),
        ("eq(1, 'one')", False),
        ("and(true, 'text', 1)", True),
        ("and(true, '')", False),
        ("or(false, variables.missing)", False),
        ("not('')", True),
        ("in('b', 'A', 'B')", True),
        ("in('c', 'A', 'B')", False),
        ("contains('[\"dev\"]', '\"DEV\"')", True),
        ("trim('  a ')", "a"),
        ("and(eq(variables.a, 'x'),\n  or(false, true))", True),
    ],
)
def test_expressions(expression: str, value: Any) -> None:
    assert _value(expression, a="x") == value


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("counter('a', 1)", r"knows no function counter\(\) here; it knows and, or, not"),
        ("succeeded()", r"knows no function succeeded\(\) here"),
        ("parameters.a", "'parameters' is not known here, only variables"),
        ("variables", "'variables' alone is no value"),
        ("eq('a')", r"eq\(\) got 1 arguments"),
        ("eq('a', 'b'", "the end comes too early|is missing"),
        ("eq('a' 'b')", "',' is missing"),
        ("a && b", "cannot read"),
        ("'a' 'b'", "nothing can stand at"),
        ("", "there is nothing"),
        ("variables['a'", "']' is missing"),
    ],
)
def test_an_expression_that_is_not_known_is_refused(expression: str, sentence: str) -> None:
    with pytest.raises(Refused, match=rf"^a\.yml:7: .*({sentence})"):
        _value(expression)

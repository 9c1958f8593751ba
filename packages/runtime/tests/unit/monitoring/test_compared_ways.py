"""Each way out of a column's distribution has a test of its own, over the rows that it is about."""

from __future__ import annotations

from typing import Any

import pytest

from mlops.monitoring import distance, judge
from mlops.monitoring.profile import ColumnProfile, RichProfile, TextProfile

Ways = list[tuple[int, int, int, int]]


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Ways:
    """What was asked: so many of so many then, so many of so many now; the p of each is its place."""
    asked: Ways = []

    def rates(*way: int) -> float:
        asked.append(way)  # type: ignore[arg-type]
        return len(asked) / 10

    monkeypatch.setattr(distance, "rates", rates)
    monkeypatch.setattr(distance, "together", lambda found: found[1:])
    return asked


def numeric(counts: list[int], **more: Any) -> ColumnProfile:
    edges = [float(i) for i in range(len(counts) - 1)]
    return ColumnProfile(name="a", kind="numeric", edges=edges, counts=counts, **more)


def category(counts: list[int], **more: Any) -> ColumnProfile:
    return ColumnProfile(name="a", kind="category", values=["x", "y"], counts=counts, **more)


def test_a_number_may_be_absent_below_between_or_above(ways: Ways) -> None:
    old = numeric([10, 20, 30, 4], below=1, between=2, nulls=3)  # 67 numbers, 70 rows
    new = numeric([5, 5, 5, 8], below=7, between=6, nulls=9)  # 36 numbers, 45 rows
    found = judge.compare(old, new)
    assert ways == [(3, 70, 9, 45), (1, 67, 7, 36), (2, 67, 6, 36), (4, 67, 8, 36)]
    assert found.p_value == [0.1, 0.2, 0.3, 0.4], "each with the test of the whole"
    assert found.values["outside"] == pytest.approx((7 + 6 + 8) / 36)


@pytest.mark.parametrize(
    ("old", "new", "asked"),
    [
        (numeric([9, 9, 0]), numeric([9, 9, 0]), []),
        (numeric([9, 9, 0], nulls=1), numeric([9, 9, 0]), [(1, 19, 0, 18)]),
        (numeric([9, 9, 0]), numeric([9, 9, 0], nulls=1), [(0, 18, 1, 19)]),
        (numeric([9, 9, 0], nulls=2), numeric([9, 9, 0], nulls=2), [(2, 20, 2, 20)]),
        (numeric([9, 9, 0]), numeric([9, 9, 1]), [(0, 18, 1, 19)]),
    ],
)
def test_what_neither_side_has_costs_no_test(
    ways: Ways, old: ColumnProfile, new: ColumnProfile, asked: Ways
) -> None:
    judge.compare(old, new)
    assert ways == asked


def test_of_no_rows_nothing_is_outside(ways: Ways) -> None:
    assert judge.compare(numeric([9, 9, 1]), numeric([0, 0, 0], nulls=4)).values["outside"] == 0.0
    assert judge.compare(category([9, 9, 1]), category([0, 0, 0], nulls=4)).values["unseen"] == 0.0
    assert judge.compare(numeric([9, 9, 1]), numeric([0, 0, 1])).values["outside"] == 1.0
    assert judge.compare(category([9, 9, 1]), category([0, 0, 1])).values["unseen"] == 1.0


def test_a_category_may_be_absent_or_new(ways: Ways) -> None:
    found = judge.compare(category([50, 40, 1], nulls=2), category([20, 10, 6], nulls=3))
    assert ways == [(2, 93, 3, 39), (1, 91, 6, 36)]
    assert found.values["unseen"] == pytest.approx(6 / 36)


WORDS = TextProfile(words=[1], length=numeric([9, 9, 0]), unknown=numeric([9, 9, 0]))
VECTORS = RichProfile(
    kind="vector", traits=[numeric([9, 9, 0]).model_copy(update={"name": "norm"})], sample=[]
)


@pytest.mark.parametrize("more", [{"text": WORDS}, {"rich": VECTORS}])
def test_what_is_no_category_has_none_that_are_new(ways: Ways, more: dict[str, Any]) -> None:
    found = judge.compare(category([9, 9, 1], **more), category([9, 9, 6], **more))
    assert ways == [] and "unseen" not in found.values


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ({"text": WORDS}, {"text": WORDS}, ["a (length)", "a (unknown words)"]),
        ({"text": WORDS}, {}, []),
        ({}, {"text": WORDS}, []),
        ({"rich": VECTORS}, {"rich": VECTORS}, ["a (norm)"]),
        ({"rich": VECTORS}, {}, []),
        ({}, {"rich": VECTORS}, []),
        ({}, {}, []),
    ],
)
def test_traits_are_compared_where_both_sides_have_them(
    old: dict[str, Any], new: dict[str, Any], names: list[str]
) -> None:
    found = judge.traits(category([9, 9, 1], **old), category([9, 9, 1], **new))
    assert [(one.name, one.kind, one.column) for one in found] == [(n, "categorical", "a") for n in names]


def test_a_trait_is_compared_with_that_of_the_reference() -> None:
    longer = WORDS.model_copy(update={"length": numeric([0, 0, 18])})
    length, unknown = judge.traits(category([9, 9, 1], text=WORDS), category([9, 9, 1], text=longer))
    assert length.values["outside"] == 1.0 and unknown.values["outside"] == 0.0

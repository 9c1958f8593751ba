"""The contract blocks each kind of violation; a rule that cannot fail lets bad rows teach the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandera.pandas import Check, Column, DataFrameSchema

from flights import usecase
from mlops.errors import InvalidInput
from mlops.monitoring.contract import check
from mlops.monitoring.rules import columns_of
from mlops.spec.window import Window

Edit = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def inputs(raw_sample: Path) -> pd.DataFrame:
    frame = usecase.features(raw_sample, Window.parse("2013-04"))
    return frame[list(usecase.contract().columns)]


def _set(column: str, value: object, rows: int = 3) -> Edit:
    def edit(frame: pd.DataFrame) -> pd.DataFrame:
        values = frame[column].to_list()
        values[:rows] = [value] * rows
        dtype = frame[column].dtype if not isinstance(value, str) and value is not None else object
        return frame.assign(**{column: pd.Series(values, dtype=dtype)})

    return edit


BROKEN: list[tuple[Edit, str, str, int, str]] = [
    (_set("weekday", 7), "weekday", "in_range(0, 6)", 3, "in_range(0, 6)"),
    (_set("weekday", -1), "weekday", "in_range(0, 6)", 3, "-1"),
    (_set("humid", 101.0), "humid", "in_range(0, 100)", 3, "101.0"),
    (_set("origin", "SFO"), "origin", "isin(('EWR', 'JFK', 'LGA'))", 3, "'SFO'"),
    (_set("carrier", "United"), "carrier", "str_matches('^[A-Z0-9]{2}$')", 3, "'United'"),
    (_set("carrier", None, 2), "carrier", "not_nullable", 2, "is never null"),
    (_set("precip", np.inf, 1), "precip", "finite", 1, "finite number"),
    (
        lambda f: f.assign(seats=f["seats"].astype("float64")),
        "seats",
        "dtype('float32')",
        0,
        "must be float32",
    ),
    (lambda f: f.drop(columns="dest"), "dest", "column present", 0, "it is missing"),
    (lambda f: f.assign(dep_delay=1.0), "dep_delay", "known column", 0, "the contract knows carrier, "),
]


@pytest.mark.parametrize(("edit", "column", "rule", "rows", "words"), BROKEN)
def test_each_kind_of_violation_is_found(  # noqa: PLR0917 - pytest passes them by name
    inputs: pd.DataFrame, edit: Edit, column: str, rule: str, rows: int, words: str
) -> None:
    assert check(inputs, usecase.contract()) == []
    found = {v.rule: v for v in check(edit(inputs), usecase.contract()) if v.column == column}
    assert rule in found, found
    assert found[rule].rows == rows
    assert words in str(found[rule])


def test_all_violations_are_reported_at_once_in_the_contracts_order(inputs: pd.DataFrame) -> None:
    broken = _set("seats", 0.0)(_set("weekday", 9)(_set("origin", "SFO")(inputs)))
    assert [v.column for v in check(broken, usecase.contract())] == ["origin", "weekday", "seats"]


def test_a_violation_quotes_the_first_few_different_values(inputs: pd.DataFrame) -> None:
    broken = inputs.assign(weekday=np.arange(len(inputs)) + 7)
    (found,) = check(broken, usecase.contract())
    assert found.examples == ("7", "8", "9", "10", "11")
    assert found.rows == len(inputs)


def test_the_frame_is_not_changed(inputs: pd.DataFrame) -> None:
    before = inputs.copy()
    check(_set("weekday", 9)(inputs), usecase.contract())
    pd.testing.assert_frame_equal(inputs, before)


def test_columns_carry_everything_that_serving_needs(inputs: pd.DataFrame) -> None:
    columns = {c.name: c for c in columns_of(usecase.contract(), {"carrier": ["AA", "UA"]})}
    assert list(columns) == list(inputs)
    assert columns["carrier"].categories == ["AA", "UA"]
    assert columns["carrier"].unknown_category == "accept"
    assert columns["origin"].categories == ["EWR", "JFK", "LGA"]
    assert columns["origin"].unknown_category == "refuse"
    weekday = columns["weekday"]
    assert (weekday.type, weekday.minimum, weekday.maximum, weekday.nullable) == ("integer", 0, 6, False)
    assert (columns["wind_gust"].type, columns["wind_gust"].nullable) == ("number", True)
    assert all(c.description for c in columns.values())


@pytest.mark.parametrize(
    ("rule", "minimum", "maximum"),
    [
        (Check.ge(1), 1, None),
        (Check.le(2), None, 2),
        (Check.gt(0), 0, None),
        (Check.lt(9), None, 9),
        (Check.between(1, 2), 1, 2),
    ],
)
def test_bounds_of_every_range_rule(rule: Check, minimum: float | None, maximum: float | None) -> None:
    (column,) = columns_of(DataFrameSchema({"x": Column("float32", rule)}))
    assert (column.minimum, column.maximum) == (minimum, maximum)


def test_a_type_that_cannot_be_served_is_refused() -> None:
    with pytest.raises(InvalidInput, match="column 'when' has the type timedelta64"):
        columns_of(DataFrameSchema({"when": Column("timedelta64[ns]")}))


def test_a_policy_that_does_not_exist_is_refused() -> None:
    schema = DataFrameSchema({"x": Column(str, metadata={"unknown_category": "ignore"})})
    with pytest.raises(InvalidInput, match=r"unknown_category 'ignore'.*must be accept or refuse"):
        columns_of(schema)

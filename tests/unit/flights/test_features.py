"""Features hold nothing that is known only after departure, for a leak makes every later figure a lie."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flights import usecase
from flights.columns import FLOATS, INPUTS, INTEGERS
from mlops.errors import InvalidInput
from mlops.monitoring.contract import check
from mlops.spec.window import Window
from mlops.usecase import UseCase, load_usecase

AFTER_DEPARTURE = ("dep_time", "dep_delay", "arr_time", "air_time")
APRIL = Window.parse("2013-04")


@pytest.fixture
def raw(raw_sample: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(raw_sample, tmp_path / "raw"))


def test_is_a_use_case() -> None:
    assert isinstance(usecase, UseCase)
    assert load_usecase("flights") is usecase
    assert set(usecase.slices) <= set(INPUTS)


def test_inputs_do_not_change_when_all_that_happened_after_departure_is_scrambled(raw: Path) -> None:
    before = usecase.features(raw, APRIL)
    path = raw / "flights.parquet"
    table = pd.read_parquet(path)
    shuffled = np.random.default_rng(0).permutation(len(table))
    for name in AFTER_DEPARTURE:
        table[name] = table[name].to_numpy()[shuffled]
    arrived = table["arr_delay"].notna()
    table.loc[arrived, "arr_delay"] = np.random.default_rng(1).permutation(table.loc[arrived, "arr_delay"])
    table.to_parquet(path, index=False)

    after = usecase.features(raw, APRIL)

    pd.testing.assert_frame_equal(before[list(INPUTS)], after[list(INPUTS)])
    assert not before["late"].equals(after["late"]), "the labels come from arr_delay, so they must move"


def test_the_files_of_later_columns_are_not_even_needed(raw: Path) -> None:
    path = raw / "flights.parquet"
    pd.read_parquet(path).drop(columns=list(AFTER_DEPARTURE)).to_parquet(path, index=False)
    assert len(usecase.features(raw, APRIL)) > 500


def test_label_is_more_than_fifteen_minutes_and_needs_an_arrival(raw: Path) -> None:
    path = raw / "flights.parquet"
    table = pd.read_parquet(path)
    april = table[table["month"] == 4]
    delays = np.resize([15.0, 15.1, np.nan, -5.0], len(april))
    table.loc[april.index, "arr_delay"] = delays
    table.to_parquet(path, index=False)

    frame = usecase.features(raw, APRIL)

    assert len(frame) == np.isfinite(delays).sum()
    assert frame["late"].sum() == (delays == 15.1).sum()


def test_without_arrivals_every_flight_is_kept_and_has_no_label(raw: Path) -> None:
    path = raw / "flights.parquet"
    table = pd.read_parquet(path).drop(columns="arr_delay")
    table.to_parquet(path, index=False)
    frame = usecase.features(raw, APRIL)
    assert "late" not in frame
    assert len(frame) == (table["month"] == 4).sum()


def test_rows_are_of_the_window_sorted_by_time_and_numbers_fit_float32(raw_sample: Path) -> None:
    frame = usecase.features(raw_sample, Window.parse("2013-01..2013-03"))
    times = frame["scheduled_departure"]
    assert times.is_monotonic_increasing
    assert (times.min().month, times.max().month) == (1, 3)
    assert set(frame) == {*INPUTS, "late", "scheduled_departure"}
    assert list(frame[list(INPUTS)]) == list(usecase.contract().columns), (
        "the contract's order is the signature"
    )
    for name in (*INTEGERS, *FLOATS):
        wide = frame[name].to_numpy(np.float64)
        assert np.array_equal(wide, wide.astype(np.float32), equal_nan=True), name


def test_adjacent_windows_share_no_row_and_lose_none(raw_sample: Path) -> None:
    both = usecase.features(raw_sample, Window.parse("2013-02..2013-03"))
    parts = [usecase.features(raw_sample, Window.parse(w)) for w in ("2013-02", "2013-03")]
    assert len(both) == sum(map(len, parts))
    assert parts[0]["scheduled_departure"].max() < parts[1]["scheduled_departure"].min()


@pytest.mark.parametrize("month", range(1, 13))
def test_every_month_of_the_year_keeps_the_contract(raw_sample: Path, month: int) -> None:
    frame = usecase.features(raw_sample, Window.parse(f"2013-{month:02d}"))
    assert len(frame) > 500
    assert check(frame[list(INPUTS)], usecase.contract()) == []


@pytest.mark.slow
@pytest.mark.parametrize("month", range(1, 13))
def test_every_row_of_every_month_keeps_the_contract(raw_flights: Path, month: int) -> None:
    frame = usecase.features(raw_flights, Window.parse(f"2013-{month:02d}"))
    assert len(frame) > 23_000
    assert check(frame[list(INPUTS)], usecase.contract()) == []


def test_an_impossible_wind_is_null_and_the_contract_would_have_refused_it(raw: Path) -> None:
    weather = pd.read_parquet(raw / "weather.parquet")
    weather.loc[weather["month"] == 4, "wind_speed"] = 1048.36
    weather.to_parquet(raw / "weather.parquet", index=False)
    frame = usecase.features(raw, APRIL)
    assert frame["wind_speed"].isna().all()
    broken = frame[list(INPUTS)].assign(wind_speed=np.float32(1048.36))
    (violation,) = check(broken, usecase.contract())
    assert (violation.column, violation.rows) == ("wind_speed", len(frame))


def test_busy_hours_count_flights_that_were_cancelled_later(raw: Path) -> None:
    before = usecase.features(raw, APRIL)
    path = raw / "flights.parquet"
    table = pd.read_parquet(path)
    busiest = before.loc[before["departures_in_hour"].idxmax()]
    hour = busiest["scheduled_departure"]
    same = (
        (table["origin"] == busiest["origin"])
        & (table["month"] == 4)
        & (table["day"] == hour.day)
        & (table["hour"] == hour.hour)
    )
    assert same.sum() == busiest["departures_in_hour"] > 1
    table.loc[table.index[same][1:], "arr_delay"] = np.nan
    table.to_parquet(path, index=False)
    after = usecase.features(raw, APRIL)
    left = after[
        (after["origin"] == busiest["origin"])
        & (after["scheduled_departure"].dt.floor("h") == hour.floor("h"))
    ]
    assert left["departures_in_hour"].tolist() == [same.sum()]


@pytest.mark.parametrize(
    ("table", "column"),
    [("flights", "carrier"), ("flights", "sched_arr_time"), ("weather", "precip"), ("planes", "seats")],
)
def test_a_missing_column_is_named_with_its_file(raw: Path, table: str, column: str) -> None:
    path = raw / f"{table}.parquet"
    pd.read_parquet(path).drop(columns=column).to_parquet(path, index=False)
    with pytest.raises(InvalidInput, match=f"{table}.parquet: lacks the columns {column}; it has "):
        usecase.features(raw, APRIL)


def test_a_missing_or_broken_file_is_named(raw: Path) -> None:
    (raw / "weather.parquet").write_bytes(b"PAR1 cut short")
    with pytest.raises(InvalidInput, match=r"weather\.parquet: cannot be read as Parquet"):
        usecase.features(raw, APRIL)
    (raw / "weather.parquet").unlink()
    with pytest.raises(InvalidInput, match=r"weather\.parquet: does not exist"):
        usecase.features(raw, APRIL)


def test_an_empty_window_says_what_the_data_cover(raw_sample: Path) -> None:
    with pytest.raises(InvalidInput, match=r"is in the window 2014-01; the data cover 2013-01\.\.2013-12"):
        usecase.features(raw_sample, Window.parse("2014-01"))

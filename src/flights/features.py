"""From raw tables to one row a flight: what is known before departure, and the label.

Written once for DuckDB and Spark (see `mlops.tables`). Weather is what was observed at the origin in the hour
of the scheduled departure. A system that predicts hours ahead would have a forecast instead, so the figures
of this example are a little better than life.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import narwhals as nw
from narwhals import col

from flights.columns import FLOATS, INTEGERS, LATE_MINUTES, STRINGS, TARGET, TIME, WIND_LIMIT
from mlops.spec.window import Window
from mlops.tables import Kind, Tables, clock

_SCHEDULE: dict[str, Kind] = {
    "year": "integer",
    "month": "integer",
    "day": "integer",
    "hour": "integer",
    "minute": "integer",
    "sched_arr_time": "integer",
    "carrier": "text",
    "origin": "text",
    "dest": "text",
    "distance": "integer",
    "tailnum": "text",
    "time_hour": "moment",
}
_WEATHER: dict[str, Kind] = dict.fromkeys(("precip", "visib", "humid", "wind_speed", "wind_gust"), "number")
_PLANES: dict[str, Kind] = {"tailnum": "text", "year": "integer", "seats": "integer"}
_DAY = ("year", "month", "day")
_HOUR: dict[str, Kind] = {"origin": "text", "time_hour": "moment"}


def rows(raw: Tables, window: Window) -> nw.LazyFrame[Any]:
    """Flights of `window` (local time), in any order: `INPUTS`, `TARGET` and `TIME`.

    Units: minutes, miles, inches (precip), miles (visib), percent (humid), miles an hour (wind), years.
    Flights without an arrival are dropped when arrivals are known at all; without the raw column
    `arr_delay` every scheduled flight is kept and `TARGET` is absent.
    Raises `InvalidInput` when a file or column is missing.
    """
    every = raw.table("flights", _SCHEDULE, optional={"arr_delay": "number"})
    flights = every.join(_days(every, window), on=list(_DAY), how="inner")
    flights = flights.with_columns(_departure().alias(TIME))
    flights = flights.filter(col(TIME) >= clock(window.first), col(TIME) < clock(window.end))
    # The schedule tells how busy the airport will be, so count before flights without arrival go.
    flights = flights.with_columns(departures_in_hour=nw.len().over("origin", "time_hour"))
    labelled = "arr_delay" in every.collect_schema()
    if labelled:
        flights = flights.filter(~col("arr_delay").is_null())
    # One row a key, and the same one on every engine.
    weather = raw.table("weather", {**_HOUR, **_WEATHER}).unique(
        subset=list(_HOUR), keep="first", order_by=list(_WEATHER)
    )
    planes = raw.table("planes", _PLANES).rename({"year": "built"})
    planes = planes.unique(subset=["tailnum"], keep="first", order_by=["built", "seats"])
    joined = flights.join(weather, on=list(_HOUR), how="left").join(planes, on="tailnum", how="left")
    label = [(col("arr_delay") > LATE_MINUTES).cast(nw.Int64()).alias(TARGET)] if labelled else []
    return joined.with_columns(*_derived(), *label).select(
        *(col(name).cast(nw.String()) for name in STRINGS),
        *(col(name).cast(nw.Int64()) for name in INTEGERS),
        *(col(name).cast(nw.Float32()) for name in FLOATS),
        *([TARGET] if labelled else []),
        TIME,
    )


def _days(every: nw.LazyFrame[Any], window: Window) -> nw.LazyFrame[Any]:
    """The dates of the window and the day before it, as `date`: made once a day, because they are dear."""
    year, month, day = (col(name).cast(nw.String()).str.zfill(2) for name in _DAY)
    text = nw.concat_str(year, month, day, separator="-")
    days = every.select(*_DAY).unique().with_columns(date=text.cast(nw.Datetime("us")))
    before = clock(window.first - timedelta(days=1))
    return days.filter(col("date") >= before, col("date") < clock(window.end))


def _departure() -> nw.Expr:
    """The scheduled departure by the local clock. The source writes midnight at the end of a day as 24:00."""
    return col("date") + (col("hour") * 60 + col("minute")) * nw.lit(timedelta(minutes=1))


def _derived() -> list[nw.Expr]:
    departure = col("hour") * 60 + col("minute")
    arrival = col("sched_arr_time") // 100 * 60 + col("sched_arr_time") % 100
    return [
        # Monday is 0. Narwhals counts from 1, and calls Sunday 7 on DuckDB but 0 on Spark.
        ((col(TIME).dt.weekday() + 6) % 7).alias("weekday"),
        departure.alias("departure_minute"),
        # Both clocks are local: the flight less the time zones that it crosses. The model knows `dest`.
        # SQL's remainder of a negative number is negative.
        (((arrival - departure) % 1440 + 1440) % 1440).alias("scheduled_minutes"),
        nw.when(col("wind_speed") <= WIND_LIMIT).then(col("wind_speed")).alias("wind_speed"),
        # The register was drawn up at the end of the year: a plane built in it has age 0.
        (col("year") - col("built")).alias("plane_age"),
    ]

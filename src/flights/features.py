"""From raw tables to one row a flight: what is known before departure, and the label.

Weather is what was observed at the origin in the hour of the scheduled departure. A system that predicts
hours ahead would have a forecast instead, so the figures of this example are a little better than life.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from flights import tables
from flights.columns import FLOATS, INTEGERS, LATE_MINUTES, STRINGS, TARGET, TIME, WIND_LIMIT
from mlops.errors import InvalidInput
from mlops.spec.window import Window

_SCHEDULE = (
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "sched_arr_time",
    "carrier",
    "origin",
    "dest",
    "distance",
    "tailnum",
    "time_hour",
)
_WEATHER = ("precip", "visib", "humid", "wind_speed", "wind_gust")


def build(raw: Path, window: Window) -> pd.DataFrame:
    """Flights of `window` (local time), sorted by scheduled departure: `INPUTS`, `TARGET` and `TIME`.

    Units: minutes, miles, inches (precip), miles (visib), percent (humid), miles an hour (wind), years.
    Flights without an arrival are dropped when arrivals are known at all; without the raw column
    `arr_delay` every scheduled flight is kept and `TARGET` is absent.
    Raises `InvalidInput` when a file or column is missing or no flight is in the window.
    """
    every = tables.read(raw, "flights", _SCHEDULE, optional=("arr_delay",))
    weather = tables.read(raw, "weather", ("origin", "time_hour", *_WEATHER))
    planes = tables.read(raw, "planes", ("tailnum", "year", "seats"))

    every[TIME] = pd.to_datetime(every[["year", "month", "day", "hour", "minute"]])
    inside = every[TIME].between(pd.Timestamp(window.first), pd.Timestamp(window.end), inclusive="left")
    flights = every[inside]
    if flights.empty:
        raise InvalidInput(
            f"no flight of {raw / 'flights.parquet'} is in the window {window}; "
            f"the data cover {every[TIME].min():%Y-%m}..{every[TIME].max():%Y-%m}"
        )
    # The schedule tells how busy the airport will be, so count before flights without arrival go.
    busy = flights.groupby(["origin", "time_hour"])["carrier"].transform("size")
    flights = flights.assign(departures_in_hour=busy)
    if "arr_delay" in flights:
        flights = flights[flights["arr_delay"].notna()]
    joined = flights.merge(
        weather.drop_duplicates(["origin", "time_hour"]), on=["origin", "time_hour"], how="left"
    ).merge(planes.drop_duplicates("tailnum").rename(columns={"year": "built"}), on="tailnum", how="left")
    return _columns(joined).sort_values(TIME, kind="stable", ignore_index=True)


def _columns(joined: pd.DataFrame) -> pd.DataFrame:
    frame = pd.DataFrame({name: joined[name].astype("object") for name in STRINGS})
    departure = joined["hour"] * 60 + joined["minute"]
    arrival = joined["sched_arr_time"] // 100 * 60 + joined["sched_arr_time"] % 100
    frame["weekday"] = joined[TIME].dt.weekday
    frame["departure_minute"] = departure
    # Both clocks are local: the flight less the time zones that it crosses. The model knows `dest`.
    frame["scheduled_minutes"] = (arrival - departure) % 1440
    frame["distance"] = joined["distance"]
    frame["departures_in_hour"] = joined["departures_in_hour"]
    for name in _WEATHER:
        frame[name] = joined[name]
    frame["wind_speed"] = joined["wind_speed"].where(joined["wind_speed"] <= WIND_LIMIT)
    # The register was drawn up at the end of the year: a plane built in it has age 0.
    frame["plane_age"] = joined["year"] - joined["built"]
    frame["seats"] = joined["seats"]
    frame = frame.astype(dict.fromkeys(INTEGERS, "int64") | dict.fromkeys(FLOATS, np.float32))
    if "arr_delay" in joined:
        frame[TARGET] = (joined["arr_delay"] > LATE_MINUTES).astype("int64")
    frame[TIME] = joined[TIME]
    return frame

"""Names that every module of the use case shares."""

from __future__ import annotations

TARGET = "late"
TIME = "scheduled_departure"
LATE_MINUTES = 15
"""A flight is late when it arrives more than this many minutes after its schedule."""

STRINGS = ("carrier", "origin", "dest")
INTEGERS = ("weekday", "departure_minute", "scheduled_minutes", "distance", "departures_in_hour")
FLOATS = ("precip", "visib", "humid", "wind_speed", "wind_gust", "plane_age", "seats")
INPUTS = (*STRINGS, *INTEGERS, *FLOATS)

WIND_LIMIT = 200.0
"""Miles an hour. The fastest 10-minute wind ever measured is 193; the raw data hold one reading of 1,048."""

"""The data contract of the model's inputs, used in training and at the endpoint.

Ranges come from physics, clocks and the register of aircraft, never from the months at hand: a contract
that is fitted to January refuses July.
"""

from __future__ import annotations

from pandera.pandas import Check, Column, DataFrameSchema

from flights.columns import WIND_LIMIT

ORIGINS = ("EWR", "JFK", "LGA")
_KNOWN = {"unknown_category": "refuse"}
_OPEN = {"unknown_category": "accept"}


def contract() -> DataFrameSchema:
    """Columns in the order of the signature; null is legal only where a sensor or register may be silent."""
    return DataFrameSchema(
        {
            "carrier": Column(
                str,
                Check.str_matches(r"^[A-Z0-9]{2}$"),
                metadata=_OPEN,
                description="IATA code of the airline",
            ),
            "origin": Column(
                str, Check.isin(ORIGINS), metadata=_KNOWN, description="IATA code of the airport of departure"
            ),
            "dest": Column(
                str,
                Check.str_matches(r"^[A-Z]{3}$"),
                metadata=_OPEN,
                description="IATA code of the airport of arrival",
            ),
            "weekday": _integer(0, 6, "day of the week of the scheduled departure, Monday is 0"),
            "departure_minute": _integer(0, 1439, "scheduled departure, minutes after local midnight"),
            "scheduled_minutes": _integer(
                0, 1439, "scheduled local arrival less scheduled local departure, minutes"
            ),
            "distance": _integer(1, 12_000, "miles between the airports"),
            "departures_in_hour": _integer(
                1, 300, "departures scheduled at the origin in the same clock hour, this flight included"
            ),
            "precip": _number(0, 15, "rain or melted snow at the origin in that hour, inches"),
            "visib": _number(0, 10, "visibility at the origin, miles; sensors stop at 10"),
            "humid": _number(0, 100, "relative humidity at the origin, percent"),
            "wind_speed": _number(0, WIND_LIMIT, "wind speed at the origin, miles an hour"),
            "wind_gust": _number(0, 260, "gusts at the origin, miles an hour; null when there were none"),
            "plane_age": _number(0, 80, "years since the plane was built; null when it is not registered"),
            "seats": _number(1, 900, "seats of the plane; null when it is not registered"),
        },
        # Other columns are refused: a column that the model does not know is a mistake, or a leak.
        strict=True,
    )


def _integer(low: float, high: float, description: str) -> Column:
    return Column("int64", Check.in_range(low, high), description=description)


def _number(low: float, high: float, description: str) -> Column:
    return Column("float32", Check.in_range(low, high), nullable=True, description=description)

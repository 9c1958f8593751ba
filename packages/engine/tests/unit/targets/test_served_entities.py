"""Which release answered a request is a matter of when it was asked, however a warehouse writes a time."""

from __future__ import annotations

import pytest

from mlops.targets.databricks.observations import _Entities

ENTITIES = _Entities(
    [
        ("a", "blue", "1", "2026-03-01T10:00:00.000Z"),
        ("a", "blue", "2", "2026-03-01T12:00:00Z"),
        ("b", "green", "7", "2026-03-01T12:00:00Z"),
    ]
)


@pytest.mark.parametrize(
    ("entity", "at", "found"),
    [
        ("a", "2026-03-01T11:59:59Z", ("blue", "1")),
        ("a", "2026-03-01T12:00:00.000Z", ("blue", "2")),  # as text it comes before what it equals
        ("a", "2026-03-01 12:30:00", ("blue", "2")),  # as text a space comes before any T
        ("a", "2026-03-01T12:30:00+01:00", ("blue", "1")),  # half past eleven
        ("a", "2026-03-01T09:00:00Z", ("blue", "1")),  # what is known first
        ("b", "2026-03-01T13:00:00Z", ("green", "7")),
        ("c", "2026-03-01T13:00:00Z", ("", "")),
    ],
)
def test_an_entity_is_what_it_was_then(entity: str, at: str, found: tuple[str, str]) -> None:
    assert ENTITIES.of(entity, at) == found

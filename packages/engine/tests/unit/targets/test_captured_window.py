"""The files of a window are told by their names: a window of an hour in a year opens an hour's files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mlops.targets.local.observations import LocalObservations, within

START = datetime(2026, 1, 1, tzinfo=UTC)


def name(seconds: float, number: int, origin: str = "blue-v1") -> str:
    return f"{START + timedelta(seconds=seconds):%Y%m%dT%H%M%S%f}-{number:06d}-{origin}.parquet"


def test_a_window_of_an_hour_opens_the_files_of_an_hour():
    names = [name(60 * n, n) for n in range(10_000)]
    since = START + timedelta(hours=100)
    chosen = within(names, since, since + timedelta(hours=1))
    assert 60 <= len(chosen) <= 60 + 12, "the hour, and five minutes before and after"
    assert chosen == list(range(chosen[0], chosen[-1] + 1))


def test_without_a_window_all_are_chosen():
    assert within([name(60, 1), name(120, 2)], None, None) == [0, 1]


def test_a_name_of_another_form_is_always_chosen():
    assert within(["000.parquet", name(0, 1), "x.parquet"], START + timedelta(days=1), None) == [0, 2]


@given(
    st.lists(st.tuples(st.floats(0, 5e4), st.sampled_from(["blue-v1", "green-v2"])), min_size=1, max_size=60),
    st.floats(0, 5e4),
    st.floats(1, 1e4),
    st.floats(1, 4000),
)
def test_no_row_of_the_window_is_left_out(
    rows: list[tuple[float, str]], since: float, length: float, every: float
):
    """Rows go to the file that is closed next, whenever that is; one with a row of the window is opened."""
    files: dict[str, list[float]] = {}
    for at, origin in rows:
        number = int(at // every) + 1
        files.setdefault(name(every * number, number, origin), []).append(at)
    names = sorted(files)
    first = START + timedelta(seconds=since)
    chosen = {names[i] for i in within(names, first, first + timedelta(seconds=length))}
    needed = {n for n, held in files.items() if any(since <= at < since + length for at in held)}
    assert needed <= chosen


def test_the_files_of_the_target(tmp_path: Path):
    folder = tmp_path / "endpoints" / "prod" / "freight" / "capture"
    folder.mkdir(parents=True)
    for hour in range(48):
        (folder / name(3600 * hour + 1800, hour)).write_bytes(b"")
    kept = LocalObservations(tmp_path)
    assert len(kept.captured("prod", "freight")) == 48
    since = START + timedelta(hours=10)
    assert len(kept.captured("prod", "freight", since, since + timedelta(hours=2))) == 3

"""Where recorded data end is read from the data, not from what anybody wrote about them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from mlops.errors import NotFound
from mlops.lifecycle.watch import recorded as module
from mlops.lifecycle.watch.recorded import recorded_until
from mlops.spec.window import Window


class Data:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resolve(self, name: str, version: str) -> str:
        if (name, version) != ("raw", "3"):
            raise NotFound(f"{name} {version}")
        return str(self.folder)


def until(monkeypatch: pytest.MonkeyPatch, place: Path, days: str, span: str, **change: Any) -> date | None:
    at = pd.to_datetime(days.split())

    def rows(usecase: Any, raw: Path, window: Window) -> pd.DataFrame:
        inside = (at >= pd.Timestamp(window.first)) & (at < pd.Timestamp(window.end))
        return pd.DataFrame({"at": at[inside]})

    settings = SimpleNamespace(model=lambda _: ("m", SimpleNamespace(usecase="m")))
    monkeypatch.setattr(module, "load_settings", lambda _: settings)
    monkeypatch.setattr(module, "load_usecase", lambda *_: SimpleNamespace(time=change.get("time", "at")))
    monkeypatch.setattr(module, "rows", rows)
    target: Any = SimpleNamespace(data=Data(change.get("folder", place)))
    return recorded_until(place, target, "m", ("raw", change.get("version", "3")), Window.parse(span))


@pytest.mark.parametrize(
    ("days", "span", "expected"),
    [
        ("2013-04-02 2013-06-30", "2013-04..2026-10", date(2013, 7, 1)),
        ("2013-04-02 2013-06-01", "2013-04..2026-10", date(2013, 7, 1)),
        ("2013-04-02 2013-06-30", "2013-04..2013-05", date(2013, 5, 1)),
        ("2013-04-30", "2013-04", date(2013, 5, 1)),
        ("2013-12-31", "2013-12..2014-03", date(2014, 1, 1)),
        ("2013-04-02 2013-06-30", "2013-04-02..2014-01-01", date(2013, 7, 1)),
    ],
)
def test_the_month_of_the_last_row_counts_and_no_later_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, days: str, span: str, expected: date
):
    assert until(monkeypatch, tmp_path, days, span) == expected


def test_where_nobody_knows_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for change in ({"time": None}, {"version": "9"}, {"folder": tmp_path / "azureml:elsewhere"}):
        assert until(monkeypatch, tmp_path, "2013-04-02", "2013-04", **change) is None

"""Windows of any cadence, and the rules that deal rows where there is no clock: what is written is what is
read."""

from __future__ import annotations

from datetime import date

import pytest

from mlops.spec.split import Part, Split
from mlops.spec.window import Window


@pytest.mark.parametrize(
    ("text", "end", "count"),
    [
        ("2013-01..2013-03", date(2013, 4, 1), 3),
        ("2012-12", date(2013, 1, 1), 1),
        ("2020-W53", date(2021, 1, 4), 1),
        ("2012-W52..2013-W02", date(2013, 1, 14), 3),
        ("2012-02-28..2012-03-01", date(2012, 3, 2), 3),
        ("2013-06-30", date(2013, 7, 1), 1),
    ],
)
def test_a_window_ends_after_its_last_unit(text: str, end: date, count: int):
    window = Window.parse(text)
    assert (window.end, window.count, str(window)) == (end, count, text)
    assert next(str(w) for w in window.split()) == text.partition("..")[0]
    assert len(window.split()) == count


@pytest.mark.parametrize(
    "text", ["2013-W00", "2013-W53", "2013-02-29", "2013-01..2013-W05", "2013-01-02..2013-01-01"]
)
def test_what_is_no_window_is_refused(text: str):
    with pytest.raises(ValueError, match="window"):
        Window.parse(text)


def test_only_whole_units_lie_within():
    first, end = date(2013, 4, 2), date(2013, 7, 1)
    assert str(Window.within(first, end, "month")) == "2013-05..2013-06"
    assert str(Window.within(first, end, "week")) == "2013-W15..2013-W26"
    assert str(Window.within(first, end, "day")) == "2013-04-02..2013-06-30"
    assert Window.within(date(2013, 4, 2), date(2013, 5, 31), "month") is None


@pytest.mark.parametrize(
    "text",
    [
        "random:test=0.2,seed=7",
        "group:patient,test=0.25,seed=0",
        "column:fold,test=4+5",
        "column:set,train=train,test=holdout",
    ],
)
def test_a_split_is_written_as_it_is_read(text: str):
    assert str(Split.parse(text)) == text
    for part in (f"train by {text}", f"2013-01..2013-03 test by {text}"):
        assert str(Part.parse(part)) == part


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("random", "a split is written"),
        ("random:0.2", "a split is written"),
        ("random:test=0.2,share=1", "a split is written"),
        ("shuffle:test=0.2", "a split is written"),
        ("random:test=1", "between 0 and 1"),
        ("random:test=a", "test must be a share"),
        ("random:test=0.2,seed=-1", "seed a whole number of 0 or more"),
        ("group:test=0.2", "names the column of the groups"),
        ("column:fold", "a split is written"),
        ("column:test=a", "names the column and the values"),
        ("column:fold,train=a,test=a+b", "cannot be learned from and tested on"),
    ],
)
def test_what_is_no_split_is_refused(text: str, why: str):
    with pytest.raises(ValueError, match=why):
        Split.parse(text)


def test_what_names_no_rows_is_refused():
    with pytest.raises(ValueError, match="a window is written"):
        Part.parse("spring")
    with pytest.raises(ValueError, match="a split is written"):
        Part.parse("test by chance")

"""A hint helps where it is right and harms where it is far-fetched."""

from __future__ import annotations

import pytest

from mlops.spec.near import hint, nearest


@pytest.mark.parametrize(
    ("word", "alike", "found"),
    [
        ("relase", 0.6, "release"),
        ("release", 1.0, "release"),
        ("relase", 1.0, ""),
        ("replace", 0.6, "replaces"),  # not release, which looks like it too
        ("zzz", 0.6, ""),
        ("", 0.6, ""),
    ],
)
def test_the_nearest_is_named_where_it_is_near_enough(word: str, alike: float, found: str) -> None:
    known = (name for name in ("replaces", "release", "hold"))
    assert nearest(word, known, alike) == found
    said = hint(word, ["replaces", "release", "hold"], alike)
    assert said == (f"; did you mean {found!r}?" if found else "")

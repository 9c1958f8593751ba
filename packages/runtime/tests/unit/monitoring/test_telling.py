"""A classifier tells what has changed from what has not: seldom wrong, and never blind to a new language."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest

from mlops.monitoring import telling
from mlops.monitoring.judge import traits
from mlops.monitoring.profile import ColumnProfile, Counter, profile_values

WORDS = [f"word{i}" for i in range(400)]


def texts(count: int, seed: int, words: list[str] = WORDS) -> list[str]:
    draw = np.random.default_rng(seed)
    weights = 1 / np.arange(1, len(words) + 1)
    return [" ".join(draw.choice(words, 30, p=weights / weights.sum())) for _ in range(count)]


def vectors(count: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> list[list[float]]:
    draw = np.random.default_rng(seed)
    mixed = draw.normal(size=(count, 384)) * scale + shift
    return mixed.round(4).tolist()


def picture(seed: int, bright: float) -> bytes:
    image = pytest.importorskip("PIL.Image")
    draw = np.random.default_rng(seed)
    pixels = np.clip(draw.normal(bright, 30, (16, 16)), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def compared(reference: ColumnProfile, values: object, kind: str) -> dict[str, tuple[float, float]]:
    counter = Counter(reference.model_copy(update={"counts": [0] * len(reference.counts), "nulls": 0}))
    counter.add(values, kind)  # type: ignore[arg-type]
    found = traits(reference, counter.result())
    return {c.name: (c.values["psi"], c.p_value) for c in found}


@pytest.mark.parametrize(("reference", "current"), [(600, 200), (200, 600), (400, 60)])
def test_a_chance_is_what_it_says(reference: int, current: int):
    """Two halves that learn of each other are not two trials: taken for two, 4 in 100 had less than 1 %."""
    draw = np.random.default_rng(3)
    chances = np.array(
        [
            (telling.apart(draw.normal(size=(reference, 24)), draw.normal(size=(current, 24))) or (0, 1))[1]
            for _ in range(400)
        ]
    )
    for level in (0.01, 0.05, 0.2):
        allowed = level + 3 * np.sqrt(level * (1 - level) / len(chances))
        assert (chances <= level).mean() <= allowed, f"at a level of {level}"
    assert (chances <= 0.2).mean() >= 0.1, "and it is not blind"


def test_nothing_changed_is_seldom_taken_for_change():
    """At a level of 1 % about one window in a hundred, and then PSI must be large as well."""
    reference = telling.features("vector", vectors(telling.SAMPLE, 0))
    small = [
        telling.apart(reference, telling.features("vector", vectors(300, seed))) for seed in range(1, 101)
    ]
    assert sum(found is not None and found[1] <= 0.01 for found in small) <= 4
    assert telling.apart(reference, reference[:49]) is None, "too few to learn from"


@pytest.mark.parametrize(("shift", "scale"), [(0.2, 1.0), (0.0, 1.5)])
def test_a_change_of_embeddings_is_told(shift: float, scale: float):
    reference = profile_values("v", pa.array(vectors(2000, 0)), "vector")
    same = compared(reference, pa.array(vectors(800, 1)), "vector")["v (classifier)"]
    other = compared(reference, pa.array(vectors(800, 2, shift, scale)), "vector")["v (classifier)"]
    assert same[1] > 0.001
    assert other[0] > 0.2 and other[1] < 1e-6


def test_another_mixture_of_known_words_is_told():
    """Neither length nor unknown words say anything of it."""
    reference = profile_values("t", pa.array(texts(2000, 0)), "string")
    assert reference.text is not None
    same = compared(reference, pa.array(texts(700, 1)), "string")
    assert all(psi < 0.2 or p > 0.001 for psi, p in same.values()), same
    other = compared(reference, pa.array(texts(700, 2, WORDS[::-1])), "string")
    assert other["t (classifier)"][0] > 0.2 and other["t (classifier)"][1] < 1e-6


def test_darker_images_are_told_by_name():
    reference = profile_values("i", pa.array([picture(i, 150) for i in range(400)], pa.binary()), "image")
    found = compared(reference, pa.array([picture(i, 90) for i in range(1000, 1200)], pa.binary()), "image")
    assert found["i (brightness)"][0] > 0.2 and found["i (classifier)"][1] < 1e-6
    same = compared(reference, pa.array([picture(i, 150) for i in range(2000, 2200)], pa.binary()), "image")
    assert same["i (brightness)"][1] > 0.001


def test_moments_are_compared_by_hour_and_weekday_and_not_by_date():
    """Time goes on: that it does is no drift."""
    hours = np.datetime64("2024-01-01", "ns") + np.arange(4000) * np.timedelta64(3, "h")
    reference = profile_values("at", pa.array(hours), "datetime")
    later = compared(reference, pa.array(hours[:2000] + np.timedelta64(728, "D")), "datetime")
    assert set(later) == {"at (weekday)", "at (hour)"} and all(psi < 0.1 for psi, _ in later.values())
    nights = hours[(hours.astype("datetime64[h]").astype(int) % 24) < 7]
    assert compared(reference, pa.array(nights), "datetime")["at (hour)"][0] > 0.2


def test_lists_are_compared_by_how_many_they_hold():
    draw = np.random.default_rng(4)

    def baskets(size: int) -> list[list[str]]:
        return [draw.choice(WORDS, int(draw.integers(1, size))).tolist() for _ in range(800)]

    reference = profile_values("b", pa.array(baskets(8)), "list")
    assert compared(reference, pa.array(baskets(25)), "list")["b (entries)"][0] > 0.2

"""Whether a classifier can tell production from training: for texts, vectors, lists and images, whose
values hardly ever come twice.

Each value becomes some numbers (`features`). A linear classifier learns on one half of both sides to tell
them apart, and is asked about the other half, and the other way round. Where nothing has changed it
guesses: its scores of both sides are distributed alike. This is the classifier two-sample test of Lopez-Paz
and Oquab (2017).
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

SAMPLE = 600
"""Values of the reference that travel with it, as numbers."""
SIZE = 24
"""Numbers of each value."""
_DIGITS = 5
_SEED = 20130101
_RIDGE = 0.1


def features(kind: str, values: Sequence[Any]) -> Array:
    """[n, k] numbers that stand for texts, vectors, lists or images."""
    if not len(values):
        return np.zeros((0, SIZE))
    return np.stack([_FEATURES[kind](value) for value in values]).round(_DIGITS)


def traits(kind: str, values: Sequence[Any]) -> Mapping[str, Array]:
    """Numbers of each value that a person understands, by name."""
    by_name = {
        name: np.array([of(v) for v in values], dtype=np.float64) for name, of in _TRAITS[kind].items()
    }
    return {name: numbers[np.isfinite(numbers)] for name, numbers in by_name.items()}


def scores(reference: Array, current: Array) -> tuple[Array, Array]:
    """What classifiers that have not seen a value say of it, for both sides: higher is more like
    `current`."""
    every = np.vstack([reference, current]).astype(np.float64)
    label = np.r_[np.zeros(len(reference)), np.ones(len(current))]
    centre, spread = every.mean(axis=0), every.std(axis=0)
    every = (every - centre) / np.where(spread > 0, spread, 1)
    every = np.hstack([every, np.clip(every, -6, 6) ** 2])
    fold = np.r_[np.arange(len(reference)) % 2, np.arange(len(current)) % 2]
    ranks = np.zeros(len(every))
    for held in (0, 1):
        learn, ask = fold != held, fold == held
        one, other = every[learn & (label == 0)], every[learn & (label == 1)]
        pooled = (np.cov(one.T) * len(one) + np.cov(other.T) * len(other)) / (len(one) + len(other))
        direction = np.linalg.solve(
            pooled + _RIDGE * np.eye(len(pooled)), other.mean(axis=0) - one.mean(axis=0)
        )
        said = every[ask] @ direction
        # Each half has a classifier of its own: their scores are compared by rank.
        ranks[ask] = _ranks(said) / len(said)
    return ranks[: len(reference)], ranks[len(reference) :]


def _ranks(values: Array) -> Array:
    """From 1; equal values share the middle of theirs."""
    _, place, often = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(often)
    return np.asarray((last - (often - 1) / 2)[place])


def apart(reference: Array, current: Array) -> tuple[float, float] | None:
    """How well they are told apart (the area under the ROC curve, 0.5 is guessing), and the chance of as
    much.

    None for fewer than 50 on a side: a classifier learns nothing of them.
    """
    if min(len(reference), len(current)) < 50:
        return None
    old, new = scores(reference, current)
    ranks = _ranks(np.r_[old, new])
    n, m = len(old), len(new)
    area = (ranks[n:].sum() - m * (m + 1) / 2) / (n * m)
    # What one half learns of the other is, but for the sign of chance, what the other learns of it: the two
    # areas rise and fall together, so half of the values count.
    deviation = math.sqrt((n + m + 1) / (6 * n * m))
    return float(area), 0.5 * math.erfc((area - 0.5) / deviation / math.sqrt(2))


# --- numbers of a value
# --------------------------------------------------------------------------------------


def _of_text(text: str) -> Array:
    return _hashed(text.lower().split()[:200])


def _of_list(items: Sequence[Any]) -> Array:
    if len(items) and not isinstance(items[0], str):
        numbers = np.asarray(items, dtype=np.float64)
        features = np.zeros(SIZE)
        features[:4] = _log(len(items)), _log(numbers.mean()), _log(numbers.min()), _log(numbers.max())
        return features
    return _hashed([str(item) for item in items])


def _hashed(words: Sequence[str]) -> Array:
    features = np.zeros(SIZE)
    for word in words:
        features[zlib.crc32(word.encode("utf-8", "surrogatepass")) % (SIZE - 1)] += 1
    features[:-1] /= math.sqrt(max(1.0, float(np.sum(features))))
    features[-1] = _log(len(words))
    return features


def _of_vector(vector: Any) -> Array:
    numbers = np.asarray(vector, dtype=np.float64)
    features = np.zeros(SIZE)
    if len(numbers) <= SIZE - 1:
        features[: len(numbers)] = numbers
    else:
        features[:-1] = _projection(len(numbers)) @ numbers
    features[-1] = float(np.linalg.norm(numbers))
    return np.sign(features) * np.log1p(np.abs(features)) if np.abs(features).max() > 1e6 else features


_projections: dict[int, Array] = {}


def _projection(size: int) -> Array:
    """Fixed directions: the same for the reference and for production."""
    if size not in _projections:
        drawn = np.random.default_rng(_SEED).normal(size=(SIZE - 1, size))
        _projections[size] = drawn / math.sqrt(size)
    return _projections[size]


def _of_image(data: bytes) -> Array:
    grey, features = _grey(data), np.zeros(SIZE)
    if grey is not None:
        features[:16] = grey.ravel()[:16]
        features[16:19] = grey.mean(), grey.std(), _log(len(data))
    else:
        counts = np.bincount(np.frombuffer(data, dtype=np.uint8) // 16, minlength=16)
        features[:16] = counts / max(1, counts.sum())
        features[18] = _log(len(data))
    return features


def _grey(data: bytes) -> Array | None:
    """The image as 4 x 4 shades of grey from 0 to 1; None without Pillow, or where it cannot be read."""
    try:
        from PIL import Image

        with Image.open(io.BytesIO(data)) as picture:
            small = picture.convert("L").resize((4, 4))
            return np.asarray(small, dtype=np.float64) / 255
    except (ImportError, OSError, ValueError):
        return None


def _brightness(data: bytes) -> float:
    grey = _grey(data)
    return math.nan if grey is None else float(grey.mean())


def _log(value: float) -> float:
    return math.copysign(math.log1p(abs(float(value))), float(value))


_FEATURES: Mapping[str, Callable[[Any], Array]] = {
    "string": _of_text,
    "list": _of_list,
    "vector": _of_vector,
    "image": _of_image,
}
_TRAITS: Mapping[str, Mapping[str, Callable[[Any], float]]] = {
    "string": {},
    "list": {"entries": len},
    "vector": {"length": lambda v: float(np.linalg.norm(v)), "mean": lambda v: float(np.mean(v))},
    "image": {"bytes": len, "brightness": _brightness},
    "datetime": {"weekday": lambda v: v.weekday(), "hour": lambda v: v.hour},
}

"""Images as numbers: the first step of a pipeline whose columns are files of images.

    make_pipeline(Pixels(width=28, height=28, mode="L"), MLPClassifier(...))

Each image becomes its pixels from 0 to 1, row by row, channel after channel: [images, channels * height *
width], as any estimator of scikit-learn takes them, and a network too (`rows.reshape(-1, channels, height,
width)`).
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}


class Pixels(TransformerMixin, BaseEstimator):
    """Reads images by Pillow; one of another size is made `width` x `height` (bilinear), one of another mode
    is converted. Null becomes NaN."""

    def __init__(self, width: int, height: int, mode: Literal["L", "RGB", "RGBA"] = "L") -> None:
        self.width = width
        self.height = height
        self.mode = mode

    def fit(self, images: Any, labels: Any = None) -> Self:
        if self.mode not in CHANNELS:
            raise ValueError(f"mode={self.mode!r}: it must be {', '.join(CHANNELS)}")
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, images: Any) -> Array:
        columns = [images[name] for name in images] if hasattr(images, "iloc") else _columns(images)
        parts = [np.stack([self._one(file) for file in column]) for column in columns if len(column)]
        size = CHANNELS[self.mode] * self.width * self.height
        return np.hstack(parts) if parts else np.zeros((0, size * len(columns)), dtype=np.float32)

    def _one(self, file: Any) -> Array:
        size = CHANNELS[self.mode] * self.width * self.height
        if file is None or isinstance(file, float):
            return np.full(size, np.nan, dtype=np.float32)
        from PIL import Image

        with Image.open(io.BytesIO(file)) as opened:
            picture: Any = opened if opened.mode == self.mode else opened.convert(self.mode)
            if picture.size != (self.width, self.height):
                picture = picture.resize((self.width, self.height), Image.Resampling.BILINEAR)
            pixels = np.asarray(picture, dtype=np.float32) / np.float32(255)
        return np.moveaxis(pixels.reshape(self.height, self.width, -1), 2, 0).reshape(size)


def _columns(images: Any) -> list[Any]:
    cells = np.asarray(images, dtype=object)
    return [cells] if cells.ndim == 1 else list(cells.T)

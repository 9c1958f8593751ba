"""The smallest use case that has a contract: for tests that bring rows and an estimator of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandera.pandas import Column, DataFrameSchema

from mlops.spec.schema import Task
from mlops.spec.window import Window


class Toy:
    """`columns` by name: a pandera type, or a whole column of pandera."""

    name = "toy"
    target = "y"
    time = "t"
    slices: tuple[str, ...] = ()

    def __init__(self, task: Task, columns: Mapping[str, Any], nullable: Collection[str] = ()) -> None:
        self.task: Task = task
        self._columns = {
            name: kind if isinstance(kind, Column) else Column(kind, nullable=name in nullable)
            for name, kind in columns.items()
        }

    def contract(self) -> DataFrameSchema:
        return DataFrameSchema(self._columns, strict=True)

    def load(self, folder: Path) -> None:
        raise NotImplementedError

    def features(self, raw: Path, window: Window) -> pd.DataFrame:
        raise NotImplementedError

    def build(self, params: Mapping[str, Any]) -> Any:
        raise NotImplementedError

    def evaluate(self, truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
        return {}


def toy_of(task: Task, frame: pd.DataFrame, nullable: Collection[str] = ()) -> Toy:
    """A use case whose contract is the types of `frame`."""
    return Toy(task, {c: "str" if frame[c].dtype == object else str(frame[c].dtype) for c in frame}, nullable)

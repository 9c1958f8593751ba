"""The example use case: will a flight from New York arrive more than 15 minutes late?

All that a fork replaces. It implements `mlops.usecase.UseCase` and knows nothing of targets, CI or Azure.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flights.columns import TARGET, TIME

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np
    import pandas as pd
    from pandera.pandas import DataFrameSchema

    from mlops.spec.schema import Task
    from mlops.spec.window import Window
    from mlops.tables import Tables
    from mlops.usecase import Delivery


class Flights:
    """See `mlops.usecase.UseCase` for what each member promises."""

    name = "flights"
    task: Task = "binary"
    target = TARGET
    time = TIME
    slices = ("carrier", "origin")
    decision = "f:1"
    """Three in ten flights are late; at 0.5 hardly one of them would be called."""
    files = ("flights.csv", "weather.csv", "planes.csv")

    def load(self, folder: Path) -> None:
        """Write flights, weather and planes as Parquet; the package is installed, so no network is used."""
        from flights import tables

        tables.write(folder)

    def ingest(self, source: Path, window: Window, base: Path, fresh: Path) -> Delivery:
        """See `mlops.usecase.Ingests`."""
        from flights import ingest

        return ingest.ingest(source, window, base, fresh)

    def features(self, raw: Path, window: Window) -> pd.DataFrame:
        from mlops.tables import frame

        return frame(self, raw, window)

    def rows(self, raw: Tables, window: Window) -> nw.LazyFrame[Any]:
        """See `mlops.usecase.Scales`."""
        from flights import features

        return features.rows(raw, window)

    def contract(self) -> DataFrameSchema:
        from flights import inputs

        return inputs.contract()

    def build(self, params: Mapping[str, Any]) -> Any:
        from flights import model

        return model.build(params)

    def evaluate(self, truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
        """`top_tenth_late`: the share of late flights among the tenth with the highest probability."""
        tenth = max(1, len(prediction) // 10)
        riskiest = prediction.argpartition(-tenth)[-tenth:]
        return {"top_tenth_late": float(truth[riskiest].mean())}


usecase = Flights()

"""Single-row latency, measured so that figures compare: in turns, in one thread of one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from mlops.spec import cells
from mlops.spec.admits import RICH
from mlops.spec.evaluation import Latency

if TYPE_CHECKING:
    import pandas as pd

    from mlops.serving.score.core import Row, Scorer
    from mlops.spec.schema import ModelSchema

REPEATS = 300
_UNDISTURBED = 0.1
_WARM_UP = 20
_SIDE = 128


def rows_of(schema: ModelSchema, frame: pd.DataFrame, count: int = 32) -> list[Row]:
    """The first `count` rows of `frame` as a request carries them: signature order, null for missing."""
    part: Any = frame[[c.name for c in schema.columns]].head(count)
    rich = {c.name: [cells.of_table(c, v) for v in part[c.name]] for c in schema.columns if c.type in RICH}
    plain: Any = part.drop(columns=list(rich)).astype(object)
    plain = plain.where(plain.notna(), None)
    columns = [rich.get(c.name) or plain[c.name].tolist() for c in schema.columns]
    return list(zip(*columns, strict=True))


def measure(calls: Sequence[tuple[Scorer, Sequence[Row]]], repeats: int = REPEATS) -> list[Latency]:
    """Seconds to score one row, for each (scorer, rows).

    All take turns, so load hits all alike, and nobody always comes first: who comes after the yardstick
    finds the caches cold. The lowest tenth is what the model costs; the rest is what else the machine did.
    """
    reference = _reference()
    took: list[list[float]] = [[] for _ in calls]
    yardstick: list[float] = []
    # A second thread of BLAS waits for a core of its own: where all are busy, for a time slice a call.
    with threadpool_limits(1):
        for turn in range(-_WARM_UP, repeats):
            spent = [0.0] * len(calls)
            for index in range(turn, turn + len(calls)):
                scorer, rows = calls[index % len(calls)]
                spent[index % len(calls)] = _timed(partial(scorer.predict_rows, [rows[turn % len(rows)]]))
            unit = _timed(reference)
            if turn >= 0:
                yardstick.append(unit)
                for series, seconds in zip(took, spent, strict=True):
                    series.append(seconds)
    unit = float(np.quantile(yardstick, _UNDISTURBED))
    return [
        Latency(seconds=float(np.quantile(s, _UNDISTURBED)), repeats=repeats, reference_seconds=unit)
        for s in took
    ]


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _reference() -> Callable[[], object]:
    matrix = np.random.default_rng(0).random((_SIDE, _SIDE), dtype=np.float32)
    return lambda: matrix @ matrix

"""Step `explain`: which raw columns the model relies on, by permutation importance on test rows."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.steps import _args

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops.metrics.scores import About
    from mlops.serving.score.core import Scorer
    from mlops.spec.gatepolicy import Direction

EXPLANATION = "explanation"
"""Run artifacts: the folder of this step."""
IMPORTANCE = "importance.json"
ROWS = 5000
REPEATS = 3
SECONDS = 20.0
"""No new repeat starts after this time; importance.json says how many were made."""
SEED = 20130101


def main(argv: Sequence[str] | None = None) -> int:
    """Write `explanation/`: importance.json and importance.png."""
    options = _args.parser("explain", __doc__)
    options.add_argument("--model", type=_args.existing, required=True, help="folder that train wrote")
    options.add_argument("--test", type=_args.existing, required=True, help="folder that prep wrote")
    options.add_argument("--explanation", type=Path, required=True, help="output folder")
    return _args.run(_explain, options, argv)


def _explain(given: argparse.Namespace) -> None:
    from mlops import tracking
    from mlops.metrics.truth import encode_truth
    from mlops.steps import _plots
    from mlops.steps.about import about, main_metric, named
    from mlops.steps.opened import opened
    from mlops.steps.stored import Stored, taken
    from mlops.usecase import load_usecase

    usecase = load_usecase(given.usecase)
    rows = Stored(given.test)
    scorer = opened(given.model, usecase)
    groups = about(usecase, rows.frame(named(usecase, rows.columns))).groups if rows.count > ROWS else None
    sample = taken(rows, sampled(rows.count, groups))
    influence = importance(
        scorer,
        sample,
        encode_truth(scorer.schema, sample[usecase.target]),
        about=about(usecase, sample),
        by=main_metric(usecase),
    )
    given.explanation.mkdir(parents=True, exist_ok=True)
    record = {"window": rows.manifest.window, "test_rows": rows.count, **influence}
    (given.explanation / IMPORTANCE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    columns = influence["columns"]
    _plots.importance(
        given.explanation / "importance.png",
        [c["name"] for c in columns],
        [c["mean"] for c in columns],
        [c["deviation"] for c in columns],
        influence["metric"],
    )
    logged: dict[str, float] = {}
    for column in columns:
        logged[tracking.key_of(f"importance_{column['name']}", logged)] = column["mean"]
    tracking.log_metrics(logged)
    tracking.log_artifacts(given.explanation, EXPLANATION)


def sampled(count: int, groups: Any) -> np.ndarray[Any, Any]:
    """Which of `count` rows: at most `ROWS`, at random and not the first days: the weather in one week says
    little of it.

    Where rows belong together, whole groups are drawn.
    """
    import numpy as np

    if count <= ROWS or groups is None:
        return np.random.RandomState(SEED).choice(count, size=min(ROWS, count), replace=False)
    names, codes = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(SEED).permutation(len(names))
    sizes = np.bincount(codes)[order].cumsum()
    kept = order[: max(1, int(np.searchsorted(sizes, ROWS, side="right")))]
    return np.flatnonzero(np.isin(codes, kept))


def importance(
    scorer: Scorer,
    sample: pd.DataFrame,
    truth: Any,
    seconds: float = SECONDS,
    *,
    about: About | None = None,
    by: tuple[str, Direction] | None = None,
) -> dict[str, Any]:
    """Loss of the task's main metric when one column is shuffled, mean and deviation over the repeats.

    Positive: the model is worse without the column. Most important first. `truth` is [n], encoded.
    """
    import numpy as np

    from mlops.metrics.scores import NOTHING, Scores
    from mlops.spec.metrics import MAIN

    metric, direction = by or MAIN[scorer.schema.task]
    sign = 1.0 if direction == "higher" else -1.0

    def value(frame: pd.DataFrame) -> float:
        return Scores.of(scorer.schema, truth, scorer.predict_frame(frame), about or NOTHING).value(metric)

    generator = np.random.default_rng(SEED)
    base, stop = value(sample), time.monotonic() + seconds
    losses: list[list[float]] = []
    while len(losses) < REPEATS and (not losses or time.monotonic() < stop):
        order = generator.permutation(len(sample))
        row = []
        for name in scorer.names:
            shuffled = sample.assign(**{name: sample[name].to_numpy()[order]})
            row.append(sign * (base - value(shuffled)))
        losses.append(row)
    means, deviations = np.mean(losses, axis=0), np.std(losses, axis=0)
    return {
        "metric": metric,
        "value": base,
        "rows": len(sample),
        "repeats": len(losses),
        "seed": SEED,
        "columns": [
            {"name": scorer.names[i], "mean": float(means[i]), "deviation": float(deviations[i])}
            for i in np.argsort(-means)
        ],
    }


if __name__ == "__main__":
    sys.exit(main())

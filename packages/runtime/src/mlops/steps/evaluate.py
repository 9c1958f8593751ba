"""Step `evaluate`: how good the model is on rows that it has not seen, and what serving it costs."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import InvalidInput
from mlops.spec.evaluation import FILE, PREDICTIONS, CalibrationBin, Evaluation, OnnxParity, SliceMetrics
from mlops.spec.tasks import CALLED, is_values
from mlops.steps import _args
from mlops.usecase import Weighs, beside

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mlops.metrics.scores import Scores
    from mlops.serving.score.core import Scorer
    from mlops.spec.gates import Interval
    from mlops.steps.stored import Rows
    from mlops.usecase import UseCase

log = logging.getLogger("mlops.steps")

CONFIDENCE = 0.95
RESAMPLES = 500
SEED = 20130101
SMALLEST_SLICE = 100
"""Rows below which a slice's metrics are not reported."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write `report/`: evaluation.json, predictions.parquet and plots/*.png."""
    options = _args.parser("evaluate", __doc__)
    options.add_argument("--model", type=_args.existing, required=True, help="folder that train wrote")
    options.add_argument("--test", type=_args.existing, required=True, help="folder that prep wrote")
    options.add_argument("--report", type=Path, required=True, help="output folder")
    return _args.run(_evaluate, options, argv)


def _evaluate(given: argparse.Namespace) -> None:
    from mlops import tracking
    from mlops.usecase import load_usecase

    evaluation = report(load_usecase(given.usecase), given.model, given.test, given.report)
    logged = {name: interval.value for name, interval in evaluation.metrics.items()}
    logged |= {
        "latency_seconds": evaluation.latency.seconds,
        "artifact_bytes": float(evaluation.artifact_bytes),
    }
    if evaluation.onnx is not None:
        logged["onnx_max_abs_difference"] = evaluation.onnx.max_abs_difference
    for sentence in evaluation.undefined:
        log.warning(sentence)
    tracking.log_metrics(logged)
    tracking.log_artifacts(given.report, "report")


def report(usecase: UseCase, model: Path, test: Path, to: Path, digest: str | None = None) -> Evaluation:
    """Test the artifact `model` on the rows of the folder `test`; write evaluation.json and the rest to `to`.

    `digest` as in `mlops.serving.score.core.load`, which raises when the model cannot be loaded. Raises
    `InvalidInput` when the rows lack a column, or no metric is defined on them.
    """
    from mlops.metrics.scores import Scores
    from mlops.steps import _plots
    from mlops.steps.about import about, named
    from mlops.steps.opened import opened
    from mlops.steps.stored import Stored, joined

    rows = Stored(test)
    if missing := [c for c in (*beside(usecase), *usecase.slices) if c not in rows.columns]:
        raise InvalidInput(f"the test rows lack the columns {', '.join(missing)}")
    scorer = opened(model, usecase, digest)
    truth = truth_of(scorer, rows, usecase.target)
    inputs = [name for name in scorer.names if name in rows.columns]
    prediction = joined(scorer.predict_frame(frame) for frame in rows.frames(inputs))
    # The use case's own metrics are asked for by themselves: where one fails, a sentence says on which rows.
    told = replace(about(usecase, rows.frame(named(usecase, rows.columns))), extra=None)
    scores = Scores.of(scorer.schema, truth, prediction, told)
    evaluation = evaluate(usecase, scorer, model, rows, scores)
    to.mkdir(parents=True, exist_ok=True)
    (to / FILE).write_text(evaluation.model_dump_json(indent=2) + "\n", encoding="utf-8")
    write_predictions(usecase, scorer, rows, (truth, prediction), to / PREDICTIONS)
    _plots.evaluation(to / "plots", evaluation, truth, prediction)
    return evaluation


def truth_of(scorer: Scorer, rows: Rows, target: str) -> np.ndarray[Any, Any]:
    """The labels, encoded. Raises `InvalidInput`."""
    from mlops.metrics.truth import encode_truth
    from mlops.steps.stored import joined

    if scorer.schema.task != "custom":  # whose labels may be of any shape, in each batch another
        with contextlib.suppress(InvalidInput):
            parts = (encode_truth(scorer.schema, frame[target]) for frame in rows.frames([target]))
            found: np.ndarray[Any, Any] = joined(parts)
            return found
    # What is wrong is told of all rows.
    return encode_truth(scorer.schema, rows.frame([target])[target])


def intervals_of(usecase: UseCase, scores: Scores) -> tuple[dict[str, Interval], list[str]]:
    """Every metric that is defined, with its interval, and a sentence for each that is not."""
    from mlops.metrics import intervals as of

    undefined: list[str] = []
    intervals = of.intervals(
        scores,
        confidence=CONFIDENCE,
        resamples=RESAMPLES,
        seed=SEED,
        extra=usecase.evaluate,
        tell=undefined.append,
    )
    return intervals, undefined


def evaluate(usecase: UseCase, scorer: Scorer, folder: Path, rows: Rows, scores: Scores) -> Evaluation:
    """All that the gates read. Raises `InvalidInput` when no metric is defined on the test rows."""
    from mlops.monitoring.streamed import check_batches
    from mlops.steps import latency

    task = scorer.schema.task
    intervals, undefined = intervals_of(usecase, scores)
    if not intervals:
        raise InvalidInput(
            f"no metric is defined on the {scores.rows} test rows: are all labels the same, "
            "or did the model predict values that are not numbers? Where rows are few or a class is rare, a "
            "greater `test` or another `seed` in `split` of the training pipeline tests on others"
        )
    contract = usecase.contract()
    first = next(rows.frames([column.name for column in scorer.schema.columns]))
    (took,) = latency.measure([(scorer, latency.rows_of(scorer.schema, first))])
    return Evaluation(
        task=task,
        rows=scores.rows,
        threshold=scores.threshold,
        weight=usecase.weight if isinstance(usecase, Weighs) else None,
        base_rate=None if scores.truth.dtype == object or task == "multiclass" else _mean_truth(scores),
        confidence=CONFIDENCE,
        resamples=RESAMPLES,
        seed=SEED,
        metrics=intervals,
        undefined=undefined,
        slices=_slices(usecase, rows, scores),
        onnx=_parity(usecase, scorer, folder, rows, scores),
        artifact_bytes=sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()),
        latency=took,
        calibration=_calibration(scores) if task == "binary" else [],
        contract_violations=[str(v) for v in check_batches(rows, list(contract.columns), contract)],
    )


def _slices(usecase: UseCase, rows: Rows, scores: Scores) -> list[SliceMetrics]:
    import numpy as np

    slices = []
    for column in usecase.slices:
        texts, codes = coded(frame[column].astype(str).to_numpy() for frame in rows.frames([column]))
        counts = np.bincount(codes, minlength=len(texts))
        for code in sorted(range(len(texts)), key=lambda code: texts[code]):
            if counts[code] < SMALLEST_SLICE:
                continue
            values = scores.subset(codes == code).values()
            defined = {name: v for name, v in values.items() if np.isfinite(v)}
            entry = SliceMetrics(column=column, value=texts[code], rows=int(counts[code]), metrics=defined)
            slices.append(entry)
    return slices


def coded(batches: Iterable[np.ndarray[Any, Any]]) -> tuple[list[str], np.ndarray[Any, Any]]:
    """The texts that differ, and for each row which of them it has."""
    import numpy as np
    import pandas as pd

    known: dict[str, int] = {}
    parts = []
    for batch in batches:
        codes, texts = pd.factorize(batch)
        place = np.array([known.setdefault(str(text), len(known)) for text in texts], dtype=np.int32)
        parts.append(place[codes])
    return list(known), np.concatenate(parts)


def _parity(usecase: UseCase, scorer: Scorer, folder: Path, rows: Rows, scores: Scores) -> OnnxParity | None:
    """The graph against the trained model in the same folder; None when there is no graph."""
    import numpy as np

    from mlops.serving.score.core import PyfuncScorer
    from mlops.serving.score.library import LibraryScorer
    from mlops.steps.stored import joined
    from mlops.usecase import trusted_types

    schema = scorer.schema
    if schema.onnx is None:
        return None
    trained: Scorer
    if schema.library is not None:
        verified = schema.library.code is not None
        trained = LibraryScorer.load(schema, folder, trusted=None if verified else trusted_types(usecase))
    else:
        trained = PyfuncScorer(schema, folder)
    answers = joined(trained.predict_frame(frame) for frame in rows.frames(list(trained.names)))
    original = np.asarray(answers, dtype=np.float64)
    return OnnxParity(
        max_abs_difference=float(np.abs(original - scores.prediction).max()),
        label_flips=int((_labels(scores, original) != _labels(scores, scores.prediction)).sum()),
        rows=scores.rows,
    )


def _labels(scores: Scores, prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    from mlops.metrics.scores import DEFAULT_THRESHOLD

    if is_values(scores.task):
        return np.zeros(len(prediction))
    if scores.task == "multiclass":
        return np.asarray(prediction.argmax(axis=1))
    if scores.task == "multilabel":
        return np.asarray([row.tobytes() for row in prediction >= CALLED])
    cut = DEFAULT_THRESHOLD if scores.threshold is None else scores.threshold
    return np.asarray(prediction >= cut)


def _mean_truth(scores: Scores) -> float:
    import numpy as np

    each_row = scores.truth.reshape(scores.rows, -1).mean(axis=1)
    return float(np.average(each_row, weights=scores.about.weights))


def _calibration(scores: Scores) -> list[CalibrationBin]:
    import numpy as np

    from mlops.metrics.standard import BINS

    each = np.ones(scores.rows) if scores.about.weights is None else scores.about.weights
    which = np.clip((scores.prediction * BINS).astype(int), 0, BINS - 1)
    return [
        CalibrationBin(
            low=index / BINS,
            high=(index + 1) / BINS,
            rows=int(at.sum()),
            mean_prediction=float(np.average(scores.prediction[at], weights=each[at])),
            observed_rate=float(np.average(scores.truth[at], weights=each[at])),
        )
        for index in np.unique(which[each > 0])
        for at in [which == index]
    ]


def write_predictions(
    usecase: UseCase,
    scorer: Scorer,
    rows: Rows,
    told: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
    to: Path,
) -> None:
    """Truth and prediction of each row, with what is beside it and what it is sliced by."""
    from mlops.steps.about import named
    from mlops.steps.stored import Written

    kept = [c for c in beside(usecase) if c != usecase.target]
    # A group or a weight that is an input too: whoever compares two reports needs it.
    columns, first = list(dict.fromkeys([*kept, *named(usecase, rows.columns), *usecase.slices])), 0
    with Written(to, rows.kinds) as written:
        for frame in rows.frames(columns):
            part = slice(first, first + len(frame))
            written.add(_predicted(scorer, frame.copy(), *(values[part] for values in told)))
            first = part.stop


def _predicted(scorer: Scorer, table: pd.DataFrame, truth: Any, prediction: Any) -> pd.DataFrame:
    table["truth"] = list(truth) if truth.ndim > 1 else truth
    if scorer.schema.listed:
        for index, label in enumerate(scorer.schema.listed):
            table[f"prediction_{label}"] = prediction[:, index]
    else:
        table["prediction"] = prediction
    return table


if __name__ == "__main__":
    sys.exit(main())

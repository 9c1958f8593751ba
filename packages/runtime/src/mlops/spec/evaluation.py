"""`report/evaluation.json` of a training run: how a model did on its test rows, measured once.

JSON has no NaN: what is not defined (the ROC AUC of rows with one class) is left out of its mapping.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, FiniteFloat, NonNegativeFloat, PositiveFloat, ValidationError

from mlops.errors import InvalidInput
from mlops.spec._base import Spec
from mlops.spec._yaml import problems_of
from mlops.spec.gates import Interval
from mlops.spec.schema import Task

FILE = "evaluation.json"
PREDICTIONS = "predictions.parquet"
"""Beside it: time and what else is beside the inputs, slice columns, `truth` and `prediction` (multiclass:
`prediction_<class>`)."""


class SliceMetrics(Spec):
    """Metrics of the rows where `column` is `value`; no intervals, the gates compute what they need."""

    column: str
    value: str
    rows: int = Field(ge=1)
    metrics: dict[str, FiniteFloat]


class OnnxParity(Spec):
    """The exported graph against the scikit-learn original over all test rows."""

    max_abs_difference: NonNegativeFloat = Field(allow_inf_nan=False)
    label_flips: int = Field(ge=0)
    """Rows whose predicted class differs; always 0 for regression."""
    rows: int = Field(ge=1)


class Latency(Spec):
    """Scoring one row after warm-up, in one thread of one process."""

    seconds: PositiveFloat
    """Lowest tenth of `repeats` calls: what the model costs when nothing disturbs it."""
    repeats: int = Field(ge=1)
    reference_seconds: PositiveFloat
    """The same of a fixed operation (a 128 x 128 float32 matrix product) measured in turns with the calls,
    so that figures of different machines can be compared as multiples of it."""

    @property
    def relative(self) -> float:
        """`seconds` as a multiple of the reference operation."""
        return self.seconds / self.reference_seconds


class CalibrationBin(Spec):
    """Rows whose predicted probability is in [low, high)."""

    low: float
    high: float
    rows: int = Field(ge=1)
    mean_prediction: FiniteFloat
    observed_rate: FiniteFloat


class Evaluation(Spec):
    """Everything that the gates read of a candidate's training run."""

    task: Task
    rows: int = Field(ge=0)
    threshold: FiniteFloat | None = None
    """From which probability on the positive class is called, for binary tasks."""
    weight: str | None = None
    """Column of the test rows by which they are weighed in all that follows; None: each counts once."""
    base_rate: FiniteFloat | None = None
    """Share of the positive class (binary), mean of the target (regression), None for multiclass."""
    confidence: float = Field(gt=0, lt=1)
    """Of the percentile bootstrap intervals in `metrics`."""
    resamples: int = Field(ge=1)
    seed: int
    metrics: dict[str, Interval] = Field(min_length=1)
    undefined: list[str] = []
    """Sentences: metrics without a value, or without an interval, and why."""
    slices: list[SliceMetrics] = []
    onnx: OnnxParity | None = None
    """None when the model has no ONNX export."""
    artifact_bytes: int = Field(ge=1)
    latency: Latency
    calibration: list[CalibrationBin] = []
    """Ten bins of equal width, empty ones left out; binary tasks only."""
    believed: Literal["", "predictions", "report"] = ""
    """What the metrics are made of when nobody asked the model itself: what its pipeline says. `rows` is 0
    where a report does not say how many."""
    contract_violations: list[str] = []
    """Sentences; empty when every test row keeps the data contract."""


def read_evaluation(path: Path) -> Evaluation:
    """Raises `InvalidInput` when the file is missing, not JSON, or not an evaluation."""
    try:
        return Evaluation.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InvalidInput(f"{path}: the file does not exist; the evaluate step writes it") from None
    except ValidationError as error:
        raise InvalidInput(problems_of(error, Evaluation, str(path))) from None

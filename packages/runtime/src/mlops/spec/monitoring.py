"""What `mlops monitor` judges by and says: the `monitoring` section of `model.yaml`, and a stored verdict.

`pipelines/<model>/monitor.yml` (Azure ML's own format) has the thresholds of data quality, drift and
prediction drift. Here is what that format cannot say.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, NonNegativeFloat, PositiveFloat, model_validator

from mlops.spec._base import Digest, EnvName, ModelName, Spec, Version, WindowText
from mlops.spec.desired import Seconds

# --- the section `monitoring` of model.yaml ---------------------------------------------------------

Confidence = Annotated[float, Field(gt=0.5, lt=1)]


class PerformanceLimit(Spec):
    """A limit on a metric of labelled production rows. It is broken when the whole interval is beyond it."""

    metric: str
    """One of the evaluation, or one of the use case's own."""
    min: FiniteFloat | None = None
    """The lowest legal value, in the metric's own unit."""
    max: FiniteFloat | None = None
    """The highest legal value, in the metric's own unit."""
    max_loss: NonNegativeFloat | None = None
    """How much worse than the release's own test metric it may be."""
    direction: Literal["higher", "lower"] = "higher"
    """Which way is better; only `max_loss` needs it."""

    @model_validator(mode="after")
    def _bounded(self) -> PerformanceLimit:
        if self.min is None and self.max is None and self.max_loss is None:
            raise ValueError("give min, max, max_loss or several of them")
        return self


class SliceLimit(PerformanceLimit):
    """The same for every value of one input column that has enough labelled rows."""

    column: str
    """One of the use case's `slices`."""
    min_rows: int = Field(default=500, ge=1)
    """Values with fewer labelled rows in the window are not judged."""


class VolumeLimit(Spec):
    """Rows a second, against the median of earlier windows of the same length."""

    max_fall: float = Field(default=0.5, gt=0, lt=1)
    """Share of the usual volume that may be missing."""
    max_rise: PositiveFloat = 3.0
    """How many times the usual volume is too much."""
    windows: int = Field(default=4, ge=1, le=60)
    """How many earlier windows are looked at; those with fewer than `min_rows` do not count."""


class RetrainPolicy(Spec):
    """What a breach may start."""

    train: bool = False
    """Train on the new window at once; otherwise the pull request only proposes it."""
    window: Literal["expanding", "sliding"] = "expanding"
    """Learn from all rows since the live model's first ones, or from as long a window as the live model
    did. Data without a clock are learned from whole: their newest version."""
    test_months: int = Field(default=1, ge=1, le=366)
    """The newest complete months with labels are kept to test on; weeks or days where the training window
    counts in these."""
    cooldown: Seconds = 7 * 86_400.0
    """How long after a training nothing is trained again."""
    at_most: int = Field(default=4, ge=1)
    """Trainings within `per`."""
    per: Seconds = 30 * 86_400.0
    """The time that `at_most` is about; it ends now."""


class MonitoringPolicy(Spec):
    """The section `monitoring` of `pipelines/<model>/model.yaml`."""

    min_rows: int = Field(default=500, ge=30)
    """Fewer captured rows in a window give no verdict: exit code 4."""
    min_labels: int = Field(default=500, ge=30)
    """Fewer labelled rows, and performance is not judged."""
    confidence: Confidence = 0.95
    """Of the intervals of performance; drift tests have theirs in monitor.yml."""
    correction: Literal["holm", "benjamini-hochberg"] = "holm"
    """holm: at most the given chance of one false alarm in a window; the other finds more and errs more."""
    performance: list[PerformanceLimit] = []
    slices: list[SliceLimit] = []
    volume: VolumeLimit = VolumeLimit()
    retrain: RetrainPolicy = RetrainPolicy()


# --- a verdict, as the target keeps it ---------------------------------------------------------------

SignalKind = Literal["quality", "drift", "prediction", "performance", "slice", "volume"]
Outcome = Literal["pass", "breach", "inconclusive"]


class Signal(Spec):
    """One thing that was looked at. `skipped` says in `detail` why nothing can be said of it."""

    kind: SignalKind
    name: str
    """What it is about: a column, a metric, `column=value metric`, or `rows`."""
    metric: str
    """What decided: psi, jensen_shannon, null_rate, roc_auc, …"""
    verdict: Literal["pass", "breach", "skipped"]
    observed: FiniteFloat | None = None
    limit: str = ""
    """For people, with its unit."""
    p_value: Annotated[float, Field(ge=0, le=1)] | None = None
    """After the correction for the number of tests of this verdict."""
    detail: str = ""
    values: dict[str, FiniteFloat] = {}
    """Everything that was measured, for plots."""


class TimeSpan(Spec):
    """From `start` (included) to `end` (not included), with time zone."""

    start: datetime
    end: datetime

    @model_validator(mode="after")
    def _ordered(self) -> TimeSpan:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("start and end need a time zone")
        if self.end <= self.start:
            raise ValueError("end must be after start")
        return self


class MonitorReport(Spec):
    """What `mlops monitor` found in one window of one model in one environment."""

    id: str
    """Sorts by the time it was made; also the name of the stored file."""
    environment: EnvName
    model: ModelName
    release: Version | None
    """What was live; None when nothing was."""
    digest: Digest | None
    made: datetime
    window: TimeSpan
    """Capture times."""
    rows: int = Field(ge=0)
    """Captured rows of the live release in the window."""
    set_aside: int = Field(default=0, ge=0)
    """Captured lines of the files that were read that could not be understood; they count in nothing else."""
    unpaired: int = Field(default=0, ge=0)
    """Captured rows of these files without their other half, request or answer."""
    labelled: int = Field(default=0, ge=0)
    reference: str = ""
    """What it was compared with, for people."""
    reference_rows: int = Field(default=0, ge=0)
    events: WindowText | None = None
    """From the first to the last label, by the labels' own time."""
    outcome: Outcome
    reason: str
    """One sentence."""
    signals: list[Signal] = []

    @property
    def breaches(self) -> list[Signal]:
        """What is beyond its limit, in order."""
        return [s for s in self.signals if s.verdict == "breach"]

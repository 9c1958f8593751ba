"""`pipelines/<model>/model.yaml`: the gates that a new version must pass before it becomes a release.

No gate can be left out by accident: every section is required, and what does not apply is said in so many
words (`slices: []`, `onnx: {required: false, ...}`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, NonNegativeFloat, PositiveFloat, model_validator

from mlops.spec._base import Spec
from mlops.spec._yaml import Document
from mlops.spec.files import gates_path
from mlops.spec.monitoring import MonitoringPolicy

Share = Annotated[float, Field(gt=0.5, lt=1)]
Drop = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Direction = Literal["higher", "lower"]


class Limits(Spec):
    """Legal values of a metric, bounds included; the metric's point value counts, not its interval."""

    min: FiniteFloat | None = None
    """The lowest legal value."""
    max: FiniteFloat | None = None
    """The highest legal value."""

    @model_validator(mode="after")
    def _bounded(self) -> Limits:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        if self.min is not None and self.max is not None and self.max < self.min:
            raise ValueError(f"max {self.max} is below min {self.min}")
        return self


class ChampionGate(Spec):
    """Not worse than the champion, proven on the same test rows by a paired bootstrap.

    Blocks unless the one-sided confidence interval of the difference (candidate - champion, in the
    direction that is better) lies above -max_drop. A model that is truly worse by more than max_drop passes
    with a probability of at most 1 - confidence: that is the error this gate controls. An equally good
    model may be blocked when the test rows are too few; then test on more rows, or allow a larger drop.
    """

    metric: str
    """One of the evaluation, or one of the use case's own."""
    direction: Direction
    """Which way is better."""
    max_drop: Drop
    """By how much the candidate may be worse, in units of the metric."""
    confidence: Share = 0.95
    """Of the one-sided interval."""
    resamples: int = Field(default=1000, ge=200, le=100_000)
    """Of the bootstrap."""
    seed: int = 0
    """Of the bootstrap: the same evidence gives the same verdict."""


class SliceGate(Spec):
    """Every value of one input column (with enough rows) keeps an absolute limit, a relative one, or both.

    The relative limit blocks when the slice is proven worse than the champion by more than max_drop: the
    upper end of the one-sided interval lies below -max_drop. With many slices the other direction would
    block good models by chance; `confidence` is divided among the slices of the column (Bonferroni), so
    that a model that is nowhere worse by more than max_drop is blocked with a probability of at most
    1 - confidence.
    """

    column: str
    """One of the use case's `slices`."""
    metric: str
    """As for the champion."""
    direction: Direction
    """Which way is better."""
    min_rows: int = Field(ge=1)
    """Smaller slices are not judged; the report says how many there were."""
    min: FiniteFloat | None = None
    """The lowest legal value in any slice."""
    max: FiniteFloat | None = None
    """The highest legal value in any slice."""
    max_drop: Drop | None = None
    """By how much a slice may be worse than the champion's."""
    confidence: Share = 0.95
    """Of all slices of the column together."""
    resamples: int = Field(default=500, ge=200, le=100_000)
    """Of the bootstrap."""
    seed: int = 0
    """Of the bootstrap."""

    @model_validator(mode="after")
    def _bounded(self) -> SliceGate:
        if self.min is None and self.max is None and self.max_drop is None:
            raise ValueError("give min, max, max_drop or several of them")
        return self


class OnnxGate(Spec):
    """The served graph answers what the trained model answers."""

    required: bool
    """Whether a model without an ONNX export is blocked."""
    max_abs_difference: NonNegativeFloat = Field(allow_inf_nan=False)
    """Between the graph's answers and the trained model's, over all test rows."""
    max_label_flips: int = Field(default=0, ge=0)
    """Rows whose label differs."""


class SizeGate(Spec):
    max_megabytes: PositiveFloat
    """Of all files of the artifact; 1 MB is 1,000,000 bytes."""


class LatencyGate(Spec):
    """Scoring one row, lowest tenth of the calls; both models measured in turns in one process."""

    max_ratio: PositiveFloat
    """Candidate over champion."""
    max_milliseconds: PositiveFloat | None = None
    """Absolute, for a first version too; generous, since machines differ."""


class ContractGate(Spec):
    max_violations: int = Field(ge=0)
    """Checks of the data contract that the test rows may fail."""


class SignatureGate(Spec):
    """A request that is valid for the live model stays valid, and the answer keeps its shape."""

    compatible_with_live: bool
    """False admits a breaking change: say so in the pull request that clients must follow."""


class AllowCode(Spec):
    """A model whose file runs code when it is loaded (a pickle) may be released."""

    reason: str = Field(min_length=10)
    """Why no other file can hold it; told in every verdict."""
    approver: str = Field(min_length=1)
    """Who allows it."""


class Believe(Spec):
    """What a training pipeline says of its own model counts, although nobody here asked the model.

    Without it such a version is blocked: figures of a pipeline can be wrong, and two reports may be of other
    rows.
    """

    what: Literal["predictions", "report"]
    """`predictions`: truth and prediction, row by row. `report`: those, or metrics alone."""
    reason: str = Field(min_length=10)
    """Why the pipeline gives no rows that the model can be asked about; told in every verdict."""
    approver: str = Field(min_length=1)
    """Who allows it."""


class GatePolicy(Spec):
    """All of `model.yaml`."""

    metrics: dict[str, Limits] = Field(min_length=1)
    champion: ChampionGate
    slices: list[SliceGate]
    onnx: OnnxGate
    size: SizeGate
    latency: LatencyGate
    contract: ContractGate
    signature: SignatureGate
    allow_code: AllowCode | None = None
    """None blocks a model whose file runs code when it is loaded."""
    believe: Believe | None = None
    """None blocks a version of which there is only what its own pipeline says."""
    monitoring: MonitoringPolicy = MonitoringPolicy()
    """No gate: what `mlops monitor` and `mlops retrain` do once a version is live."""


def load_gates(root: Path, model: str) -> GatePolicy:
    """Read `pipelines/<model>/model.yaml`; raises `InvalidInput` with file, line and field."""
    name = gates_path(model)
    return Document.read(root / name, name).parse(GatePolicy)

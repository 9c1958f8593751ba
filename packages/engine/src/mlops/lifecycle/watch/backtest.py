"""Versions measured on recorded windows that they have not seen: what drift costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.errors import InvalidInput
from mlops.lifecycle.train.evidence import DIGEST_TAG
from mlops.metrics.scores import Scores
from mlops.metrics.truth import encode_truth
from mlops.spec.settings import load_settings
from mlops.spec.split import Part
from mlops.spec.window import Window
from mlops.steps.about import about
from mlops.steps.prep import parts
from mlops.targets.base import ModelVersion, Target
from mlops.targets.here import on_this_machine
from mlops.usecase import UseCase, load_usecase, rows

if TYPE_CHECKING:
    import pandas as pd

    from mlops.spec.schema import ModelSchema

TESTED = "test"
"""Names the rows that a version was tested on."""


@dataclass(frozen=True)
class Cost:
    """One version on one month."""

    version: int
    month: str
    rows: int
    metrics: Mapping[str, float]


def compare(
    root: Path,
    target: Target,
    model: str,
    *,
    versions: Sequence[int],
    months: Sequence[Window | None],
    metrics: Sequence[str],
) -> list[Cost]:
    """Metrics of `versions` on recorded `months`, by the scoring core that serves them."""
    from mlops.serving.score.core import load

    costs = []
    for number in versions:
        version = target.registry.get(model, number)
        folder = target.registry.fetch(model, number, version.tags[DIGEST_TAG])
        scorer = load(folder, digest=version.tags[DIGEST_TAG])
        for month in months:
            usecase, frame = recorded(root, target, version, model, month)
            truth = encode_truth(scorer.schema, frame[usecase.target])
            scores = Scores.of(scorer.schema, truth, scorer.predict_frame(frame), about(usecase, frame))
            costs.append(Cost(number, str(month or TESTED), len(frame), scores.values(list(metrics))))
    return costs


def schema_of(target: Target, version: ModelVersion) -> ModelSchema:
    """What a request to this version must look like."""
    from mlops.serving.score.core import read_schema

    return read_schema(target.registry.fetch(version.model, version.version, version.tags[DIGEST_TAG]))


def recorded(
    root: Path, target: Target, version: ModelVersion, model: str, month: Window | None
) -> tuple[UseCase, pd.DataFrame]:
    """The use case and its rows of a window, or those that the version was tested on, from its own raw
    data."""
    settings = load_settings(root)
    usecase = load_usecase(settings.model(model)[1].usecase, root / "src")
    asset = version.tags["mlops.data.name"], version.tags["mlops.data.version"]
    raw = on_this_machine(target.data, root, settings, *asset)
    tested = Part(month) if month else Part.parse(version.tags["mlops.data.test_window"])
    if tested.split is not None:
        (*_, (_, frame)) = parts(usecase, raw, tested.window, None, tested.split)
    else:
        frame = rows(usecase, raw, tested.window)
    if usecase.target not in frame:
        raise InvalidInput(
            f"the raw data have no labels for {month or TESTED}, so nothing can be learned from a replay"
        )
    return usecase, frame

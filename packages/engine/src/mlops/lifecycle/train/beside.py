"""What `mlops train` shows: the run beside the one before it and beside the champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mlops.errors import NotFound
from mlops.lifecycle.train.compare import Comparison, compare
from mlops.lifecycle.train.runs import NEWEST, SEARCHED, Made, champion, runs
from mlops.lifecycle.train.training import EVALUATES
from mlops.pipeline import StepEvent
from mlops.spec.evaluation import FILE, read_evaluation
from mlops.steps.dataset import MANIFEST, read_manifest
from mlops.steps.register import data_tags, logged
from mlops.targets.base import Registry, TrainingRun

LAST = "the last run"


def beside(root: Path, registry: Registry, model: str, run_id: str) -> tuple[Made, dict[str, Comparison]]:
    """The run, and what it is compared with by the name that a reader knows. Raises `NotFound`."""
    known = runs(root, registry, model, NEWEST)
    here = next((index for index, made in enumerate(known) if made.run_id == run_id), None)
    if here is None:
        raise NotFound(f"run {run_id[:8]} of {model} has not arrived at the tracking server")
    made = known[here]
    return made, _against(root, registry, model, made, known[here + 1 :], report=None)


@dataclass
class Early:
    """The same as soon as the metrics are known: what explains and registers the model comes after it."""

    root: Path
    registry: Registry
    model: str
    tags: Mapping[str, str]
    """Of the run."""
    _made: dict[str, Path] = field(default_factory=dict)
    _anew: bool = False

    def hear(self, event: StepEvent) -> tuple[Made, dict[str, Comparison]] | None:
        """An answer once, when `event` is the end of the step that evaluates and anything ran anew."""
        self._anew |= event.state == "finished"
        self._made |= {name: Path(path) for name, path in event.outputs.items()}
        report = self._made.get("report")
        if event.step != EVALUATES or report is None or not (report / FILE).is_file() or not self._anew:
            return None
        train, test = (self._made.get(name) for name in ("train", "test"))
        if train is None or test is None or not all((p / MANIFEST).is_file() for p in (train, test)):
            return None
        tags = {**self.tags, **data_tags(read_manifest(train), read_manifest(test))}
        metrics = logged(read_evaluation(report / FILE))
        params = self.registry.params(event.run_id)
        made = Made.of(TrainingRun(event.run_id, datetime.now(UTC), params, metrics, tags))
        known = runs(self.root, self.registry, self.model, NEWEST)
        return made, _against(self.root, self.registry, self.model, made, known, report=report)


def _against(
    root: Path, registry: Registry, model: str, made: Made, older: list[Made], *, report: Path | None
) -> dict[str, Comparison]:
    others = {LAST: before} if (before := next(iter(older), None)) is not None else {}
    live = champion(root, registry, model)
    if live is not None and live != made.version:
        source = registry.get(model, live).run_id
        of_champion = [other for other in older if other.run_id == source]
        of_champion = of_champion or [o for o in runs(root, registry, model, SEARCHED) if o.run_id == source]
        others |= {f"champion {live}": other for other in of_champion}
    return {
        title: compare(root, registry, model, made, other, report=report) for title, other in others.items()
    }

"""What `mlops train` ends with: the run beside the one before it and beside the champion."""

from __future__ import annotations

from pathlib import Path

from mlops.errors import NotFound
from mlops.lifecycle.train.compare import Comparison, compare
from mlops.lifecycle.train.runs import NEWEST, SEARCHED, Made, champion, runs
from mlops.targets.base import Registry

LAST = "the last run"


def beside(root: Path, registry: Registry, model: str, run_id: str) -> tuple[Made, dict[str, Comparison]]:
    """The run, and what it is compared with by the name that a reader knows. Raises `NotFound`."""
    known = runs(root, registry, model, NEWEST)
    here = next((index for index, made in enumerate(known) if made.run_id == run_id), None)
    if here is None:
        raise NotFound(f"run {run_id[:8]} of {model} has not arrived at the tracking server")
    made = known[here]
    others = {LAST: before} if (before := next(iter(known[here + 1 :]), None)) is not None else {}
    live = champion(root, registry, model)
    if live is not None and live != made.version:
        source = registry.get(model, live).run_id
        found = [other for other in known if other.run_id == source]
        found = found or [o for o in runs(root, registry, model, SEARCHED) if o.run_id == source]
        others |= {f"champion {live}": other for other in found}
    return made, {title: compare(root, registry, model, made, other) for title, other in others.items()}

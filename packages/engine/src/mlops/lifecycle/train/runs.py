"""Training runs, registered or only tried: find them, and say which is the best.

A run is called by its id (the first letters do), by the number of its version, `last` or `champion`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from mlops.errors import InvalidInput, NotFound
from mlops.lifecycle.desired.proven import live_version
from mlops.spec._yaml import Document
from mlops.spec.files import load_policy, training_path
from mlops.spec.gatepolicy import Direction, GatePolicy, load_gates
from mlops.spec.gates import Interval
from mlops.spec.metrics import GAPS, LOWER_IS_BETTER, METRICS, NEAR_ZERO_IS_BETTER
from mlops.targets.base import Registry, TrainingRun

TRY = "mlops.try"
NEWEST = 50
"""Runs that are looked at unless somebody asks for more."""
SEARCHED = 10_000
"""Runs among which one is looked for by name."""
_SHORT = 4
"""The fewest letters of an id."""
_ENDS = ("_low", "_high")
_NO_METRICS = frozenset(
    ("test_rows", "artifact_bytes", "latency_seconds", "onnx_max_abs_difference", "fit_seconds", "train_rows")
)
_NO_PARAMS = frozenset(("window",))


@dataclass(frozen=True)
class Made:
    """One run as people compare it."""

    run_id: str
    started: datetime
    version: int | None
    """None when it registered nothing."""
    tried: bool
    who: str
    commit: str
    dirty: bool
    tree: str
    """The files that it was made from, as a tree of git."""
    data: str
    window: str
    test_window: str
    data_digest: str
    params: dict[str, str]
    metrics: dict[str, Interval]
    note: str = ""

    @classmethod
    def of(cls, run: TrainingRun) -> Made:
        tags = run.tags
        number, dirty = tags.get("mlops.version", ""), tags.get("mlops.dirty") == "true"
        name, version = tags.get("mlops.data.name", ""), tags.get("mlops.data.version", "")
        return cls(
            run_id=run.run_id,
            started=run.started,
            version=int(number) if number.isdecimal() else None,
            tried=tags.get(TRY) == "true",
            who=tags.get("mlops.actor", ""),
            commit=tags.get("mlops.commit", ""),
            dirty=dirty,
            tree=tags.get("mlops.tree", "") or ("" if dirty else tags.get("mlops.commit", "")),
            data=f"{name}:{version}" if name else "",
            window=tags.get("mlops.data.window", ""),
            test_window=tags.get("mlops.data.test_window", ""),
            data_digest=tags.get("mlops.data.digest", ""),
            params={k: v for k, v in sorted(run.params.items()) if k not in _NO_PARAMS},
            metrics=_metrics(run),
            note=tags.get("mlflow.note.content", ""),
        )

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"version {self.version}" if self.version is not None else f"run {self.run_id[:8]}"


def _metrics(run: TrainingRun) -> dict[str, Interval]:
    intervals = {}
    for name, value in run.metrics.items():
        low, high = (run.metrics.get(name + end) for end in _ENDS)
        if not name.endswith(_ENDS) and name not in _NO_METRICS and low is not None and high is not None:
            intervals[name] = Interval(value=value, low=low, high=high)
    order = [name for names in METRICS.values() for name in names]
    return dict(
        sorted(intervals.items(), key=lambda row: order.index(row[0]) if row[0] in order else len(order))
    )


def runs(root: Path, registry: Registry, model: str, limit: int = NEWEST) -> list[Made]:
    """Runs of the model's training pipeline that ended well, newest first."""
    logged = registry.runs(experiment(root, model), {"mlops.pipeline": training_path(model)}, limit)
    every = (Made.of(run) for run in logged)
    return [made for made in every if made.metrics]  # a part of the pipeline has none


def find(root: Path, registry: Registry, model: str, called: str, among: Sequence[Made] = ()) -> Made:
    """The run that somebody means; raises `NotFound`, and `InvalidInput` for a name that is not clear."""
    if called == "champion":
        version = champion(root, registry, model)
        if version is None:
            raise NotFound(f"{model} has no champion: nothing is live in the last environment yet")
        called = str(version)
    known = list(among) or runs(root, registry, model, SEARCHED)
    if not known:
        raise NotFound(f"{model} has no run yet; mlops train makes one")
    if called == "last":
        return known[0]
    if called.isdecimal() and len(called) < _SHORT + 2:
        wanted = registry.get(model, int(called)).run_id
        same = [made for made in known if made.run_id == wanted]
        if not same:
            raise NotFound(
                f"version {called} of {model} was not made by {training_path(model)}, so there is no run"
            )
        return same[0]
    same = [made for made in known if made.run_id.startswith(called)] if len(called) >= _SHORT else []
    if len(same) > 1:
        raise InvalidInput(f"{called!r} begins {len(same)} runs of {model}; write more of it")
    if not same:
        raise NotFound(
            f"{model} has no run {called!r}; name a version, the first {_SHORT} letters of a run, `last` or "
            "`champion`. `mlops runs` lists them"
        )
    return same[0]


def champion(root: Path, registry: Registry, model: str) -> int | None:
    """The version that is live in the last environment."""
    live = live_version(registry, model, load_policy(root).order[-1])
    return None if live is None else live.version


def best(root: Path, found: Sequence[Made], model: str, metric: str | None = None) -> list[Made]:
    """`found` by the metric of the champion gate (or `metric`), best first, on the newest test rows only.

    Values of different test months say nothing about each other. Raises `InvalidInput` for a metric that no
    run has, or whose better side nobody knows.
    """
    policy = load_gates(root, model)
    name = metric or policy.champion.metric
    having = [made for made in found if name in made.metrics]
    if not having:
        known = ", ".join(found[0].metrics) if found else ""
        raise InvalidInput(
            f"no run of {model} has the metric {name!r}" + (f"; they have {known}" if known else "")
        )
    way = direction(name, policy, having[0].metrics)
    if way is None:
        raise InvalidInput(
            f"nobody knows which way {name!r} is better; name a limit for it under `metrics` of "
            f"pipelines/{model}/model.yaml, or choose another by --metric"
        )
    tested = having[0].test_window, having[0].data_digest
    same = [made for made in having if (made.test_window, made.data_digest) == tested]
    return sorted(same, key=lambda made: goodness(made.metrics[name].value, way), reverse=True)


Way = Direction | Literal["zero"] | float
"""A number is what the metric ought to be: more is no better than less."""


def direction(
    metric: str, policy: GatePolicy, measured: Mapping[str, Interval] = MappingProxyType({})
) -> Way | None:
    """Which way it is better; None when neither the metric's name nor the gates say.

    `measured`: metrics of a run, which say what a metric ought to be that has a target of its own.
    """
    if metric in GAPS:
        return _promised(measured.get(metric), measured.get(GAPS[metric]))
    if metric in NEAR_ZERO_IS_BETTER:
        return "zero"
    if any(metric in names for names in METRICS.values()):
        return "lower" if metric in LOWER_IS_BETTER else "higher"
    if metric == policy.champion.metric:
        return policy.champion.direction
    limits = policy.metrics.get(metric)
    if limits is None or (limits.min is None) == (limits.max is None):
        return None
    return "higher" if limits.max is None else "lower"


def _promised(found: Interval | None, gap: Interval | None) -> float | None:
    return None if found is None or gap is None else round(found.value - gap.value, 9)


def goodness(value: float, way: Way) -> float:
    """A number that is higher for the better of two values."""
    if isinstance(way, float):
        return -abs(value - way)
    return -abs(value) if way == "zero" else -value if way == "lower" else value


def experiment(root: Path, model: str) -> str:
    """As the runner names it."""
    name = training_path(model)
    content = Document.read(root / name, name).value
    given = content if isinstance(content, dict) else {}
    return str(given.get("experiment_name") or given.get("name") or Path(name).stem)

"""`mlops monitor`: captured traffic against the reference of the live release, as a verdict that is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import Inconclusive, InvalidInput, NotFound
from mlops.events import publish
from mlops.lifecycle.desired.proven import live_version
from mlops.lifecycle.train.evidence import DIGEST_TAG, REPORT
from mlops.lifecycle.watch import labels as known
from mlops.lifecycle.watch.performance import judged_performance
from mlops.lifecycle.watch.reference import most_important, reference_of
from mlops.metrics.scores import Extra, asked
from mlops.monitoring import judge
from mlops.monitoring.distance import CORRECTIONS
from mlops.monitoring.profile import Profile
from mlops.monitoring.scan import Scanned, scan
from mlops.monitoring.thresholds import Thresholds, load_thresholds
from mlops.spec.evaluation import FILE, Evaluation, read_evaluation
from mlops.spec.events import Breach, DriftDetected
from mlops.spec.gatepolicy import load_gates
from mlops.spec.monitoring import MonitoringPolicy, MonitorReport, Outcome, Signal, TimeSpan
from mlops.spec.schema import ModelSchema
from mlops.spec.settings import load_settings
from mlops.targets.base import ModelVersion, Observations, Record, Registry, Target
from mlops.usecase import load_usecase

if TYPE_CHECKING:
    import pandas as pd

VERDICTS: Record = "verdicts"


@dataclass(frozen=True)
class _Release:
    """What is live, and what it is compared with."""

    version: ModelVersion
    schema: ModelSchema
    reference: Profile
    evaluation: Evaluation | None


def monitor(
    root: Path, target: Target, env: str, model: str, *, now: datetime, window: TimeSpan | None = None
) -> MonitorReport:
    """Judge what was captured in `window` (default: the lookback of monitor.yml up to `now`) and keep it.

    A breach is announced as an event. Raises `InvalidInput` for wrong files, `TargetError` when captured
    files or the release's artifact cannot be read. Too little traffic is no error but a report whose
    outcome is `inconclusive`.
    """
    policy = load_gates(root, model).monitoring
    thresholds = load_thresholds(root, model)
    keep = known.observations(target)
    span = window or TimeSpan(start=now - thresholds.lookback, end=now)
    report = _judge(
        target, keep, env, model, policy=policy, thresholds=thresholds, span=span, now=now,
        extra=_own_metrics(root, model),
    )  # fmt: skip
    keep.add(env, model, VERDICTS, f"{report.id}.json", report.model_dump_json(indent=2).encode())
    if report.outcome == "breach":
        publish(root, drift_event(report), report.made)
    return report


def verdicts(target: Target, env: str, model: str) -> list[MonitorReport]:
    """All that were kept, oldest first; raises `InvalidInput` when one cannot be read."""
    reports = []
    for path in known.observations(target).files(env, model, VERDICTS):
        try:
            reports.append(MonitorReport.model_validate_json(path.read_bytes()))
        except (OSError, ValueError) as error:
            raise InvalidInput(f"{path} is no verdict of mlops monitor ({error}); move it away") from None
    return reports


def drift_event(report: MonitorReport) -> DriftDetected:
    """What the world is told of a breach."""
    return DriftDetected(
        model=report.model,
        environment=report.environment,
        release=report.release,
        start=report.window.start,
        end=report.window.end,
        breaches=[
            Breach(name=title(s), observed=observed(s), limit=s.limit, value=s.observed)
            for s in report.breaches
        ],
        report=f"monitor/{report.environment}/{report.model}/{VERDICTS}/{report.id}.json",
    )


def title(signal: Signal) -> str:
    """A signal's name among all others."""
    return ".".join(part for part in (signal.kind, signal.name, signal.metric) if part)


def observed(signal: Signal) -> str:
    """For people: the figure, with its interval or p-value where there is one."""
    if signal.observed is None:
        return ""
    text = f"{signal.observed:,.0f}" if signal.kind == "volume" else f"{signal.observed:.4g}"
    if "low" in signal.values and "high" in signal.values:
        text += f" [{signal.values['low']:.4g}, {signal.values['high']:.4g}]"
    if signal.p_value is not None:
        text += f" (p {signal.p_value:.2g})"
    return text


# --- gathering -----------------------------------------------------------------------------------------


def _judge(
    target: Target,
    keep: Observations,
    env: str,
    model: str,
    *,
    policy: MonitoringPolicy,
    thresholds: Thresholds,
    span: TimeSpan,
    now: datetime,
    extra: Extra | None,
) -> MonitorReport:
    facts: dict[str, Any] = {
        "id": f"{now.astimezone(UTC):%Y%m%dT%H%M%S%fZ}",
        "environment": env,
        "model": model,
        "made": now,
        "window": span,
        "release": None,
        "digest": None,
        "rows": 0,
    }
    live = live_version(target.registry, model, env)
    if live is None:
        return _unknown(facts, f"no release of {model} is live in {env}")
    try:
        release = _release(target.registry, live)
        if thresholds.ranked:
            thresholds = thresholds.among(most_important(target.registry, live))
    except Inconclusive as why:
        return _unknown(facts | {"release": live.version}, str(why))
    facts |= {
        "release": live.version,
        "digest": live.tags.get(DIGEST_TAG),
        "reference": release.reference.source,
        "reference_rows": release.reference.rows,
    }
    # What is usual is told by windows like the last one; a chosen one may be of any length.
    earlier = policy.volume.windows if span.end == now else 0
    files = keep.captured(env, model, span.start - earlier * (span.end - span.start), span.end)
    if not files:
        return _unknown(
            facts,
            f"nothing was captured of {model} in {env}; see docs/monitoring.md for how capture is turned on",
        )
    labels = known.known_labels(keep, env, model)
    scanned = _scan(files, span, release, policy, labels, earlier=earlier)
    facts |= {
        "rows": scanned.rows,
        "set_aside": scanned.set_aside,
        "unpaired": scanned.unpaired,
        "labelled": 0,
        "events": known.covered_days(labels[known.TIME]) if labels is not None else None,
    }
    if scanned.rows < policy.min_rows:
        others = f", and {scanned.other_rows} of other releases" if scanned.other_rows else ""
        return _unknown(
            facts,
            f"release {live.version} answered {scanned.rows} captured rows in the window{others}; "
            f"a verdict needs {policy.min_rows} (monitoring.min_rows)",
            [_volume(scanned, policy)],
        )
    signals = _signals(release, scanned, thresholds, policy)
    rows, told = judged_performance(release.schema, scanned, labels, policy, release.evaluation, extra=extra)
    facts["labelled"] = rows
    return _verdict(facts, [*signals, *told])


def _own_metrics(root: Path, model: str) -> Extra:
    """The use case's `evaluate`, imported only when labelled rows are judged."""

    def evaluate(truth: Any, prediction: Any, weights: Any = None) -> Mapping[str, float]:
        package = load_settings(root).model(model)[1].usecase
        return asked(load_usecase(package, root / "src").evaluate, truth, prediction, weights)

    return evaluate


def _release(registry: Registry, live: ModelVersion) -> _Release:
    from mlops.serving.score.core import read_schema

    schema = read_schema(registry.fetch(live.model, live.version, live.tags.get(DIGEST_TAG, "")))
    try:
        evaluation = read_evaluation(registry.artifacts(live.run_id, f"{REPORT}/{FILE}"))
    except NotFound:
        evaluation = None
    return _Release(live, schema, reference_of(registry, live, schema), evaluation)


def _scan(
    files: Sequence[Path],
    span: TimeSpan,
    release: _Release,
    policy: MonitoringPolicy,
    labels: pd.DataFrame | None,
    *,
    earlier: int,
) -> Scanned:
    import pyarrow as pa

    ids = pa.array(labels[known.REQUEST].unique(), pa.string()) if labels is not None else None
    return scan(
        files,
        span,
        release.version.version,
        release.schema,
        release.reference,
        slices=sorted({*(limit.column for limit in policy.slices), *_weighed_by(release)}),
        labelled_ids=ids,
        earlier=earlier,
    )


def _weighed_by(release: _Release) -> list[str]:
    """The input, if it is one, that says how much each row counts."""
    weight = release.evaluation.weight if release.evaluation else None
    return [column.name for column in release.schema.columns if column.name == weight]


def _signals(
    release: _Release, found: Scanned, thresholds: Thresholds, policy: MonitoringPolicy
) -> list[Signal]:
    correction = CORRECTIONS[policy.correction]
    told = [_volume(found, policy)]
    if thresholds.quality:
        told += judge.quality(release.schema.columns, found.columns, release.reference, thresholds.quality)
    if thresholds.drift:
        told += judge.drift(release.reference, found.columns, thresholds.drift, correction)
    if thresholds.prediction:
        told += judge.prediction_drift(
            release.reference.prediction, found.prediction, thresholds.prediction, correction
        )
    return told


def _volume(found: Scanned, policy: MonitoringPolicy) -> Signal:
    return judge.volume(found.rows + found.other_rows, found.earlier, policy.volume, policy.min_rows)


def _unknown(facts: dict[str, Any], reason: str, signals: Sequence[Signal] = ()) -> MonitorReport:
    return MonitorReport(**facts, outcome="inconclusive", reason=reason, signals=list(signals))


def _verdict(facts: dict[str, Any], signals: list[Signal]) -> MonitorReport:
    broken = [s for s in signals if s.verdict == "breach"]
    judged = sum(s.verdict != "skipped" for s in signals)
    outcome: Outcome = "breach" if broken else "pass"
    if broken:
        reason = f"{len(broken)} of {judged} signals are beyond their limit: " + ", ".join(map(title, broken))
    else:
        reason = f"all {judged} signals are within their limits"
    return MonitorReport(**facts, outcome=outcome, reason=reason, signals=signals)


def parse_window(text: str, now: datetime) -> TimeSpan:
    """`24h`, `7d` (up to `now`), or `2026-11-20T00:00..2026-11-21T00:00` (UTC unless it says otherwise).

    Raises `InvalidInput`.
    """
    from pydantic import TypeAdapter, ValidationError

    from mlops.spec.desired import Seconds

    begin, dots, end = text.partition("..")
    try:
        if not dots:
            seconds = TypeAdapter(Seconds).validate_python(text)
            return TimeSpan(start=now - timedelta(seconds=seconds), end=now)
        start, stop = (datetime.fromisoformat(part) for part in (begin, end))
        return TimeSpan(start=_aware(start), end=_aware(stop))
    except (ValidationError, ValueError):
        raise InvalidInput(
            f"--window is a duration (90m, 24h, 7d) or START..END, such as "
            f"2026-11-20T00:00..2026-11-21T00:00 with END after START; got {text!r}"
        ) from None


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def plain(report: MonitorReport) -> dict[str, Any]:
    """For `--json`."""
    value: dict[str, Any] = json.loads(report.model_dump_json())
    return value

"""What the gates judge, gathered from the target; `gate` then decides and records the verdict."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import IntegrityError, InvalidInput, MlopsError, NotFound, TargetError
from mlops.events import publish
from mlops.lifecycle.decide.gates import Evidence, decide
from mlops.lifecycle.decide.report import markdown
from mlops.lifecycle.desired.proven import VERDICT, keep_released, live_version, recorded
from mlops.lifecycle.desired.proven import stored_report as stored_report  # noqa: PLC0414 (asked of this room)
from mlops.lifecycle.train import facts
from mlops.metrics.truth import encode_truth
from mlops.spec.admits import RICH
from mlops.spec.digest import text_digest
from mlops.spec.evaluation import FILE, Evaluation, read_evaluation
from mlops.spec.files import gates_path, load_policy
from mlops.spec.gatepolicy import GatePolicy, load_gates
from mlops.spec.gates import GateReport
from mlops.spec.proof import changed_facts, judged_tags
from mlops.spec.schema import ModelSchema
from mlops.spec.settings import load_settings
from mlops.steps import latency
from mlops.steps.about import about, named
from mlops.targets.base import ModelVersion, Registry, Target
from mlops.usecase import Judges, UseCase, load_usecase

if TYPE_CHECKING:
    from mlops.metrics.scores import About
    from mlops.serving.score.core import Cell, Row, Scorer
    from mlops.steps.stored import File

GATE_TAG = "mlops.gate"
BLOCKED_TAG = "mlops.gate.blocked"
"""What has ever blocked a version, also one that passes since its gates were loosened."""
VERDICT_TAG = "mlops.verdict"
"""Of a run: what its version's gates said last, in words, for MLflow's page."""
DIGEST_TAG = "mlops.digest"
REPORT = "report"
"""Run artifacts: the folder of the evaluate step."""
TEST_ROWS = "evaluation/test.parquet"
ROWS = 1 << 12
"""Test rows that are in memory at a time."""
_LABELS = ("string", "int64", "int32", "double", "float")
"""Types of Arrow whose labels need no pandas."""
SINGLE = 32
"""Rows that are scored one by one to see how long that takes."""
SAID = "evaluation/said.parquet"
"""`truth` and `prediction` as a brought pipeline gives them, where nobody asked the model."""


def gate(target: Target, root: Path, model: str, version: int | None = None) -> GateReport:
    """Judge a version (default: the newest), tag it `mlops.gate` and store the report beside its run.

    What came of it is recorded on the version, so that a release can be proven (`mlops.spec.proof`).
    Raises `NotFound` when there is no version, `InvalidInput` for a wrong policy, `TargetError` or
    `IntegrityError` when the candidate's evidence cannot be read. A version that does not pass is no
    error: the report says so.
    """
    policy = load_gates(root, model)
    order = load_policy(root).order
    _, settings = load_settings(root).model(model)
    chosen = find_version(target.registry, model, version)  # before anything heavy is imported
    refuse_foreign(target.registry, chosen)
    usecase = load_usecase(settings.usecase, root / "src")
    _require_directions(usecase, policy)
    candidate, champion, live_schema = gather(
        target.registry, usecase, chosen, order, runs_code=policy.allow_code is not None
    )
    report = decide(candidate, champion, policy, live_schema)
    report = report.model_copy(update={"gates_digest": text_digest(root / gates_path(model))})
    keep_released(root, target.registry, chosen)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / f"{chosen.version}.json").write_text(report.model_dump_json(indent=2), encoding="utf-8")
        (place / f"{chosen.version}.md").write_text(markdown(report), encoding="utf-8")
        target.registry.add_artifacts(chosen.run_id, place, VERDICT)
    # After the report: a tag must never promise a report that is not there.
    record = recorded(target.registry, target.registry.get(model, chosen.version), seal=True)
    if changed := changed_facts(chosen.tags, record.tags):
        raise IntegrityError(
            f"{model} {chosen.version}: {', '.join(changed)} changed in the registry while it was judged, so "
            "nothing was recorded; find out who writes tags there, and judge again"
        )
    tags = judged_tags(record, report, chosen.created)
    verdict = {GATE_TAG: "pass" if report.passed else "blocked", **blocked_before(chosen.tags, report)}
    target.registry.tag(model, chosen.version, {**tags, **verdict})
    blocking = ", ".join(gate.name for gate in report.blocking)
    shown = "passed" if report.passed else f"blocked: {blocking}"
    target.registry.tag_run(chosen.run_id, {VERDICT_TAG: shown})
    publish(root, facts.judged(report, chosen.run_id))
    return report


def refuse_foreign(registry: Registry, version: ModelVersion) -> None:
    """Where records are signed: raises `IntegrityError` for an artifact that its run did not make.

    More identities register versions than run jobs, and gates would sign whatever is good enough.
    """
    if not recorded(registry, version).strict:
        return
    made, found = registry.run_tags(version.run_id).get(DIGEST_TAG), version.tags.get(DIGEST_TAG)
    if not found or made != found:
        raise IntegrityError(
            f"{version.model} {version.version} has the digest {found or 'of nothing'}, its run "
            f"{version.run_id} made {made or 'nothing that it names'}; it was not judged. Train it again, or "
            "register it with `mlops register` as the identity that trains"
        )


def blocked_before(tags: Mapping[str, str], report: GateReport) -> dict[str, str]:
    """A verdict that blocks is never forgotten: the tag that names its gates, and the file of gates."""
    if report.passed:
        return {}
    said = tags.get(BLOCKED_TAG, "")
    names = ", ".join(gate.name for gate in report.blocking)
    one = f"{names} (gates {(report.gates_digest or '').removeprefix('sha256:')[:8]})"
    return {} if one in said.split("; ") else {BLOCKED_TAG: f"{said}; {one}" if said else one}


def _require_directions(usecase: UseCase, policy: GatePolicy) -> None:
    """Raises `InvalidInput` where the gates' file and the use case mean opposite things."""
    if not isinstance(usecase, Judges):
        return
    given = [(policy.champion.metric, policy.champion.direction)]
    given += [(gate.metric, gate.direction) for gate in policy.slices]
    for metric, direction in given:
        told = usecase.directions.get(metric, direction)
        if told != direction:
            raise InvalidInput(
                f"{gates_path(usecase.name)} says that a {direction} {metric} is better, the use case "
                f"(`directions`) that a {told} one is; change one of them"
            )


def find_version(registry: Registry, model: str, version: int | None) -> ModelVersion:
    """The version asked for, or the newest; raises `NotFound`."""
    if version is not None:
        return registry.get(model, version)
    newest = registry.versions(model, limit=1)
    if not newest:
        raise NotFound(f"{model} has no version yet; mlops train makes one")
    return newest[0]


def gather(
    registry: Registry,
    usecase: UseCase,
    chosen: ModelVersion,
    order: list[str],
    *,
    runs_code: bool = False,
) -> tuple[Evidence, Evidence | None, ModelSchema | None]:
    """Candidate, champion (live in the last environment of `order`) and the schema that clients rely on.

    Both models score the test rows of the candidate's run with the scoring core. A champion that cannot
    is evidence too: its `problem` says why, and the gates block. So is a candidate that would run code when
    it is loaded: without `runs_code` it is not.
    """
    rows = _test_rows(registry, chosen)
    candidate, scorer = _candidate(registry, usecase, chosen, rows, runs_code=runs_code)
    live = [(env, live_version(registry, chosen.model, env)) for env in reversed(order)]
    current = live[0][1]
    if current is None:
        nearest = next((version for _, version in live if version is not None), None)
        schema = _schema(registry, nearest) if nearest else None
        return _timed(candidate, scorer, _latencies(rows, scorer)), None, schema
    champion, other = _champion(registry, usecase, current, rows, candidate)
    took = _latencies(rows, scorer, other)
    champion = replace(champion, latency=took[-1] if other else None)
    return _timed(candidate, scorer, took), champion, champion.schema


def _timed(candidate: Evidence, scorer: Scorer | None, took: list[float]) -> Evidence:
    return candidate if scorer is None else replace(candidate, latency=took[0])


def _test_rows(registry: Registry, version: ModelVersion) -> File:
    from mlops.steps.stored import File

    path = registry.artifacts(version.run_id, TEST_ROWS)
    try:
        return File(path, ROWS)
    except InvalidInput as error:
        raise TargetError(f"{TEST_ROWS} of run {version.run_id} cannot be read: {error}") from None


def sample_requests(registry: Registry, version: ModelVersion, count: int) -> list[dict[str, Any]]:
    """At most `count` of the version's test rows, drawn at random but always the same, one a request."""
    schema, frame = _schema(registry, version), _test_rows(registry, version).frame()
    rows = latency.rows_of(schema, frame.sample(min(count, len(frame)), random_state=count), count)
    columns = [column.name for column in schema.columns]
    return [{"input_data": {"columns": columns, "data": [list(row)]}} for row in rows]


def _in_arrow(scorer: Scorer | None, rows: File) -> bool:
    """Whether the rows need no pandas, which takes longer to import than a graph to answer them."""
    return scorer is not None and scorer.schema.onnx is not None and set(scorer.names) <= set(rows.columns)


def _predictions(scorer: Scorer, rows: File) -> Any:
    import numpy as np

    inputs = [name for name in scorer.names if name in rows.columns]
    batches = rows.arrow(inputs) if _in_arrow(scorer, rows) else rows.frames(inputs)
    return np.concatenate([scorer.predict_frame(batch) for batch in batches])


def _truth(schema: ModelSchema, rows: File, target: str) -> Any:
    """The labels, encoded. Raises `InvalidInput`."""
    import numpy as np

    kind = str(rows.kinds[target])
    if schema.task not in ("binary", "multiclass", "regression") or kind not in _LABELS:
        return encode_truth(schema, rows.frame([target])[target])
    return encode_truth(schema, np.concatenate([_labels(b.column(0)) for b in rows.arrow([target])]))


def _labels(column: Any) -> Any:
    """As pandas has them."""
    import numpy as np
    import pyarrow as pa

    from mlops.spec.arrays import numbers

    if str(column.type) == "string":
        return np.array(column.to_pylist(), dtype=object)
    # Whole numbers among which is a null are floats.
    return numbers(column, pa.float64() if column.null_count else column.type)


def _texts(rows: File, column: str) -> Any:
    """A column as text, as pandas says it."""
    import numpy as np

    if str(rows.kinds[column]) == "string":
        parts = [batch.column(0).to_pylist() for batch in rows.arrow([column])]
        return np.array([str(text) for part in parts for text in part], dtype=object)
    return rows.frame([column])[column].astype(str).to_numpy()


def _about(usecase: UseCase, rows: File) -> About:
    columns = named(usecase, rows.columns)
    frame: Any = rows.frame(columns) if columns else ()
    return about(usecase, frame)


def _single(scorer: Scorer, rows: File) -> Sequence[Row]:
    """A few rows as requests carry them."""
    if not _in_arrow(scorer, rows) or any(c.type in RICH for c in scorer.schema.columns):
        return latency.rows_of(scorer.schema, next(rows.frames(list(scorer.names))))
    first = next(rows.arrow(scorer.names)).slice(0, SINGLE)
    return list(zip(*(_cells(first.column(name)) for name in scorer.names), strict=True))


def _cells(column: Any) -> list[Cell]:
    return [None if isinstance(cell, float) and math.isnan(cell) else cell for cell in column.to_pylist()]


def _folder(registry: Registry, version: ModelVersion) -> Path:
    digest = version.tags.get(DIGEST_TAG)
    if not digest:
        raise TargetError(
            f"{version.model} {version.version} has no tag {DIGEST_TAG}, so its artifact cannot be verified"
        )
    return registry.fetch(version.model, version.version, digest)


def _schema(registry: Registry, version: ModelVersion) -> ModelSchema:
    from mlops.serving.score.core import read_schema

    return read_schema(_folder(registry, version))


def _candidate(
    registry: Registry, usecase: UseCase, version: ModelVersion, rows: File, *, runs_code: bool
) -> tuple[Evidence, Scorer | None]:
    from mlops.serving.score.core import load

    schema = _schema(registry, version)
    scorer = None
    if runs_code or not schema.runs_code:
        scorer = load(_folder(registry, version), digest=version.tags[DIGEST_TAG])
    if usecase.target not in rows.columns:
        raise InvalidInput(f"{TEST_ROWS} of run {version.run_id} lacks the target {usecase.target!r}")
    evaluation = None
    # A model that was trained elsewhere has none: the gates that need it block and say so.
    with contextlib.suppress(NotFound):
        evaluation = read_evaluation(registry.artifacts(version.run_id, f"{REPORT}/{FILE}"))
    if evaluation is not None and evaluation.believed:
        return _said(registry, usecase, version, schema, evaluation), scorer
    made = Evidence(
        version=version.version,
        schema=schema,
        truth=_truth(schema, rows, usecase.target),
        prediction=None if scorer is None else _predictions(scorer, rows),
        slices={c: _texts(rows, c) for c in usecase.slices if c in rows.columns},
        evaluation=evaluation,
        about=_about(usecase, rows),
        problem=""
        if scorer is not None
        else f"it was not loaded, because that runs code: {schema.runs_code}",
    )
    return made, scorer


def _said(
    registry: Registry, usecase: UseCase, version: ModelVersion, schema: ModelSchema, evaluation: Evaluation
) -> Evidence:
    """What its own pipeline says of a model."""
    import numpy as np
    import pandas as pd

    nothing = Evidence(version.version, schema, np.array([]), None, evaluation=evaluation)
    if evaluation.believed == "report":
        return replace(nothing, problem="its pipeline gives a report, and no rows")
    frame = pd.read_parquet(registry.artifacts(version.run_id, SAID))
    names = [f"prediction_{label}" for label in schema.listed] or ["prediction"]
    prediction = frame[names].to_numpy(dtype=np.float64)
    return replace(
        nothing,
        truth=encode_truth(schema, frame["truth"]),
        prediction=prediction if schema.listed else prediction[:, 0],
        slices={c: frame[c].astype(str).to_numpy() for c in usecase.slices if c in frame},
        about=about(usecase, frame),
    )


def _champion(
    registry: Registry, usecase: UseCase, version: ModelVersion, rows: File, candidate: Evidence
) -> tuple[Evidence, Scorer | None]:
    """Its predictions on the candidate's rows, or the sentence that says why there are none."""
    from mlops.serving.score.core import load, read_schema

    folder = _folder(registry, version)
    schema = read_schema(folder)
    bare = Evidence(version.version, schema, candidate.truth, None, about=candidate.about)
    if candidate.believed:
        return _champion_said(registry, usecase, version, bare, candidate.believed), load(
            folder, digest=version.tags[DIGEST_TAG]
        )
    try:
        scorer = load(folder, digest=version.tags[DIGEST_TAG])
        truth = _truth(schema, rows, usecase.target)
        prediction = _predictions(scorer, rows)
    except MlopsError as error:
        return replace(bare, problem=str(error)), None
    return replace(bare, truth=truth, prediction=prediction), scorer


def _champion_said(
    registry: Registry, usecase: UseCase, version: ModelVersion, bare: Evidence, what: str
) -> Evidence:
    """The champion's side of what pipelines say: its own report, and its predictions of the same rows."""
    try:
        evaluation = read_evaluation(registry.artifacts(version.run_id, f"{REPORT}/{FILE}"))
        if what == "report":
            return replace(bare, evaluation=evaluation)
        if evaluation.believed != "predictions":
            return replace(bare, problem="its predictions of these rows are not known")
        return _said(registry, usecase, version, bare.schema, evaluation)
    except MlopsError as error:
        return replace(bare, problem=str(error))


def _latencies(rows: File, *scorers: Scorer | None) -> list[float]:
    calls = [(scorer, _single(scorer, rows)) for scorer in scorers if scorer is not None]
    return [taken.seconds for taken in latency.measure(calls)]

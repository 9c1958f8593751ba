"""The model card of a version: what it is for, what it learned from, how good it is and where it is not, and
who let it in. Made from records alone and never kept in git, so nobody can edit what it says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlops.board.changes import Change, change, way_of
from mlops.board.facts import ModelFacts, VersionFacts
from mlops.board.words import digest, number, plural, short
from mlops.forge.git import request_number
from mlops.lifecycle.train.runs import Way
from mlops.spec.evaluation import SliceMetrics
from mlops.spec.gates import GateResult, Interval
from mlops.spec.schema import Column
from mlops.spec.visible import visible

INFLUENCES = 10
"""Columns whose importance is told."""
_SIGN = {"pass": "passed", "blocked": "BLOCKED", "skipped": "skipped", "bypassed": "BYPASSED"}
_ESCAPES = str.maketrans({c: f"\\{c}" for c in "\\|`*_[]"} | {c: f"&#{ord(c)};" for c in "<>@#"})


@dataclass(frozen=True)
class Approval:
    """One arrival in an environment."""

    env: str
    at: str
    actor: str
    commit: str
    author: str
    """Who asked for it."""
    approved_by: tuple[str, ...]
    request: int | None
    outcome: str


@dataclass(frozen=True)
class Card:
    """All that a card says. Empty: not known of this version."""

    facts: VersionFacts
    about: str
    target: str
    metric: str
    data: dict[str, str]
    metrics: dict[str, Interval]
    ways: Mapping[str, Way | None]
    """Which way each metric is better."""
    slices: tuple[SliceMetrics, ...]
    """Of `metric`, worst first within a column."""
    gates: tuple[GateResult, ...]
    columns: tuple[Column, ...]
    limits: tuple[str, ...]
    approvals: tuple[Approval, ...]

    @property
    def title(self) -> str:
        return f"{self.facts.model} version {self.facts.version}"


def card_of(model: ModelFacts, version: VersionFacts) -> Card:
    """Pure: the card of one version of `model`."""
    evaluation, report = version.evaluation, version.report
    metrics = dict(evaluation.metrics) if evaluation else {}
    # The gates measured the same model on the same rows, and the champion beside it.
    metrics |= report.metrics if report else {}
    return Card(
        facts=version,
        about=model.about,
        target=model.target,
        metric=model.metric,
        data=_data(version),
        metrics=metrics,
        ways=model.ways,
        slices=_slices(model, version),
        gates=tuple(report.gates) if report else (),
        columns=tuple(version.schema.columns) if version.schema else (),
        limits=tuple(_limits(model, version)),
        approvals=tuple(_approvals(model, version.version)),
    )


def _data(version: VersionFacts) -> dict[str, str]:
    tags, evaluation = version.tags, version.evaluation
    fields = {
        "Data set": tags.get("mlops.data.name", ""),
        "Data version": tags.get("mlops.data.version", ""),
        "Data digest": digest(tags.get("mlops.data.digest", "")),
        "Learned from": tags.get("mlops.data.window", ""),
        "Tested on": tags.get("mlops.data.test_window", ""),
        "Test rows": f"{evaluation.rows:,}" if evaluation else "",
        "Base rate": number(evaluation.base_rate) if evaluation and evaluation.base_rate is not None else "",
    }
    return {key: value for key, value in fields.items() if value}


def _slices(model: ModelFacts, version: VersionFacts) -> tuple[SliceMetrics, ...]:
    if version.evaluation is None:
        return ()
    measured = [s for s in version.evaluation.slices if model.metric in s.metrics]
    sign = 1 if model.higher_is_better else -1
    return tuple(sorted(measured, key=lambda s: (s.column, sign * s.metrics[model.metric], s.value)))


def _limits(model: ModelFacts, version: VersionFacts) -> list[str]:
    """Sentences that follow from the records; what nobody measured is not claimed."""
    sentences = []
    tested, learned = version.tags.get("mlops.data.test_window"), version.tags.get("mlops.data.window")
    if learned and tested:
        sentences.append(
            f"It learned from {learned} and was tested on {tested}. How good it is in any other time is not "
            "measured here; mlops monitor measures it in production."
        )
    if version.external:
        sentences.append(
            "It was trained elsewhere. By whom, from which code and with which parameters is not known here; "
            "what it learned from is what was said when it was registered."
        )
    sentences += _slice_limits(model, version)
    if schema := version.schema:
        ranged = [c.name for c in schema.columns if c.minimum is not None or c.maximum is not None]
        if ranged:
            sentences.append(f"Requests outside the ranges below are refused ({', '.join(ranged)}).")
        unknown = [c.name for c in schema.columns if c.categories and c.unknown_category == "accept"]
        if unknown:
            sentences.append(
                f"Values of {', '.join(unknown)} that were not in training are scored as unknown, which is "
                "less exact."
            )
        sentences += [
            f"No request is held to all of the contract: {sentence}." for sentence in schema.unchecked
        ]
    if version.schema and version.schema.pretrained:
        files = ", ".join(f"{place} ({digest})" for place, digest in version.schema.pretrained.items())
        sentences.append(
            f"It is made of what somebody else has trained: {files}. On which data is not known here."
        )
    if version.schema and version.schema.onnx is None and version.schema.no_graph:
        sentences.append(
            f"It is served by the library that trained it, not by an ONNX graph: {version.schema.no_graph}."
        )
    if evaluation := version.evaluation:
        sentences += [f"{sentence}." for sentence in evaluation.undefined]
        if evaluation.contract_violations:
            sentences.append(
                "Its test rows break the data contract: " + "; ".join(evaluation.contract_violations)
            )
        if parity := evaluation.onnx:
            sentences.append(
                f"The served ONNX graph differs from the trained model by at most "
                f"{parity.max_abs_difference:.1e} over {parity.rows:,} rows, "
                f"{plural(parity.label_flips, 'label')} flipped."
            )
    weak = [
        g.name
        for g in (version.report.gates if version.report else [])
        if g.verdict in ("skipped", "bypassed")
    ]
    if weak:
        sentences.append(f"Not judged by every gate: {', '.join(weak)} did not count.")
    for env in model.environments:
        failed = [r for r in env.history if r.release == version.version and r.outcome == "failed"]
        sentences += [f"It was sent back from {env.env} on {r.at:%Y-%m-%d}: {r.detail}." for r in failed]
    return sentences


def _slice_limits(model: ModelFacts, version: VersionFacts) -> list[str]:
    whole = version.evaluation.metrics.get(model.metric) if version.evaluation else None
    if whole is None:
        return []
    sentences = []
    by_column: dict[str, SliceMetrics] = {}
    for one in _slices(model, version):
        by_column.setdefault(one.column, one)
    for column, worst in by_column.items():
        value = worst.metrics[model.metric]
        sentences.append(
            f"By {column} it is weakest where {column} is {worst.value}: {model.metric} {number(value)} on "
            f"{plural(worst.rows, 'row')}, against {number(whole.value)} on all."
        )
    return sentences


def _approvals(model: ModelFacts, version: int) -> list[Approval]:
    return [
        Approval(
            env=env.env,
            at=f"{row.at:%Y-%m-%d %H:%M} UTC",
            actor=row.actor,
            commit=row.commit,
            author=row.author,
            approved_by=row.approved_by,
            request=request_number(row.subject),
            outcome=row.outcome,
        )
        for env in model.environments
        for row in reversed(env.history)
        if row.release == version and row.outcome in ("served", "failed")
    ]


# --- Markdown ----------------------------------------------------------------------------------------


def markdown(card: Card) -> str:
    """The card as GitHub and Azure DevOps show it; hostile text cannot leave its place."""
    version, tags = card.facts, card.facts.tags
    lines = [f"# {_cell(card.title)}", "", _cell(card.about), ""]
    lines += [f"It predicts `{card.target}`." if card.target else "", ""]
    facts = {
        "Digest": digest(version.digest),
        "Registered": f"{version.created:%Y-%m-%d %H:%M} UTC",
        "Registered by" if version.external else "Trained by": tags.get("mlops.actor", ""),
        "Commit": short(version.commit_id) + (" with uncommitted changes (dirty)" if version.dirty else ""),
        "Run": version.run_id,
        "Pipeline": tags.get("mlops.pipeline", ""),
        "Yes from": _decision(version),
        "Served in": ", ".join(version.live),
    }
    lines += _table(("", ""), [(k, v) for k, v in facts.items() if v])
    lines += ["## Data", "", *_table(("", ""), list(card.data.items()))]
    lines += ["## Metrics", "", *_metrics(card)]
    if card.slices:
        sliced = [(s.column, s.value, f"{s.rows:,}", number(s.metrics[card.metric])) for s in card.slices]
        lines += ["## Slices", "", *_table(("column", "value", "rows", card.metric), sliced)]
    lines += ["## Limits", "", *(f"- {_cell(text)}" for text in card.limits), ""]
    if version.explanation:
        explanation = version.explanation
        losses = [
            (c.column, f"{c.mean:.4f}", f"± {c.deviation:.4f}") for c in explanation.columns[:INFLUENCES]
        ]
        said = f"Loss of {explanation.metric} when a column is shuffled, on {explanation.rows:,} test rows."
        lines += [
            "## What it relies on",
            "",
            _cell(said),
            "",
            *_table(("column", "loss", "deviation"), losses),
        ]
    if card.columns:
        lines += ["## Inputs", "", *_table(("column", "type", "allowed"), inputs(card.columns))]
    if card.gates:
        judged = [(g.name, _SIGN[g.verdict], g.observed, g.limit) for g in card.gates]
        lines += ["## Gates", "", *_table(("gate", "verdict", "observed", "limit"), judged)]
        if version.blocked_by and version.verdict == "pass":
            lines += [
                f"It was blocked before, by {_cell(version.blocked_by)}; it passes the gates of now.",
                "",
            ]
    lines += ["## Who let it in", "", *_approved(card)]
    return "\n".join(lines).rstrip() + "\n"


def _decision(version: VersionFacts) -> str:
    schema = version.schema
    if schema is None or schema.threshold is None:
        return ""
    return number(schema.threshold) + (
        f", chosen on training rows by {schema.decision}" if schema.decision else ""
    )


def inputs(columns: Sequence[Column]) -> list[tuple[str, str, str]]:
    """Name, type and what is allowed of each column, in words."""
    rows: list[tuple[str, str, str]] = []
    for column in columns:
        allowed = []
        if column.minimum is not None or column.maximum is not None:
            allowed.append(_range(column))
        if column.values is not None:
            allowed.append(plural(len(column.values), "legal value"))
        if column.categories:
            allowed.append(plural(len(column.categories), "known value"))
        if column.min_length is not None or column.max_length is not None:
            allowed.append(f"{column.min_length or 0} to {_bound(column.max_length)} characters")
        if more := len(column.texts) + bool(column.excluded):
            allowed.append(plural(more, "more rule"))
        if column.nullable:
            allowed.append("may be missing")
        rows.append((column.name, column.type, ", ".join(allowed) or column.description))
    return rows


def _range(column: Column) -> str:
    above = "above " if column.exclusive_minimum else ""
    below = "below " if column.exclusive_maximum else ""
    return f"{above}{_bound(column.minimum)} to {below}{_bound(column.maximum)}"


def _bound(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def _metrics(card: Card) -> list[str]:
    if not card.metrics:
        return ["No evaluation came with this version.", ""]
    confidence = card.facts.evaluation.confidence if card.facts.evaluation else 0.95
    against = card.facts.report.champion if card.facts.report else None
    compared = [f"version {against}", f"against version {against}"] if against else []
    titles = ["metric", "value", f"{confidence:.0%} interval", *compared, "better"]
    rows = []
    for name, metric in card.metrics.items():
        row = [name, number(metric.value), f"{number(metric.low)} to {number(metric.high)}"]
        way = card.ways.get(name)
        if against:
            row += [number(metric.champion), _against(change(metric, way))]
        rows.append((*row, way_of(way)))
    return _table(tuple(titles), rows)


def _against(one: Change | None) -> str:
    if one is None:
        return "-"
    said = one.text.replace("worse", "WORSE")
    return f"{said}, within the interval" if one.within and one.by else said


def _approved(card: Card) -> list[str]:
    if not card.approvals:
        return ["It has not been in any environment.", ""]
    rows = [
        (
            a.env,
            a.at,
            a.outcome,
            "; ".join(a.approved_by) or "no approval is recorded",
            f"pull request {a.request}" if a.request else short(a.commit),
            a.author or "-",
            a.actor,
        )
        for a in card.approvals
    ]
    return _table(
        ("environment", "when", "outcome", "approved by", "change", "asked for by", "applied by"), rows
    )


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return ["Not known.", ""]
    head = ["| " + " | ".join(map(_cell, titles)) + " |", "|" + "---|" * len(titles)]
    return [*head, *("| " + " | ".join(map(_cell, row)) + " |" for row in rows), ""]


def _cell(text: str) -> str:
    """Text that cannot leave its table cell, or become markup, a mention or HTML."""
    return " ".join(visible(str(text)).translate(_ESCAPES).split())

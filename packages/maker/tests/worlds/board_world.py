"""A board with everything on it: a live release, a canary that failed, a blocked version, drift, a hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

from mlops.board.facts import (
    BoardFacts,
    EnvironmentFacts,
    Explanation,
    Influence,
    ModelFacts,
    VersionFacts,
)
from mlops.board.links import Links
from mlops.forge.base import PullRequest
from mlops.forge.git import Commit
from mlops.lifecycle.desired.history import Approval, Row
from mlops.spec.desired import Hold
from mlops.spec.evaluation import CalibrationBin, Evaluation, Latency, OnnxParity, SliceMetrics
from mlops.spec.gates import GateReport, GateResult, Interval
from mlops.spec.monitoring import MonitorReport, Signal, TimeSpan
from mlops.spec.schema import Column, ModelSchema
from mlops.targets.base import Deployment
from mlops.targets.pages import Pages

NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
LINKS = Links(
    web="https://github.com/contoso/freight",
    kind="github",
    target=Pages(tracking="https://mlflow.contoso.com"),
)


def interval(value: float, champion: float | None = None) -> Interval:
    return Interval(value=value, low=value - 0.01, high=value + 0.01, champion=champion)


def evaluation(value: float) -> Evaluation:
    return Evaluation(
        task="binary",
        rows=28_128,
        base_rate=0.2196,
        confidence=0.95,
        resamples=500,
        seed=1,
        metrics={"roc_auc": interval(value), "brier": interval(0.148), "log_loss": interval(0.47)},
        slices=[
            SliceMetrics(column="carrier", value=name, rows=1000 + i, metrics={"roc_auc": value - 0.01 * i})
            for i, name in enumerate(("UA", "B6", "EV"))
        ],
        onnx=OnnxParity(max_abs_difference=4e-7, label_flips=0, rows=28_128),
        artifact_bytes=1_750_000,
        latency=Latency(seconds=5e-5, repeats=200, reference_seconds=1e-4),
        calibration=[
            CalibrationBin(
                low=i / 10, high=(i + 1) / 10, rows=100, mean_prediction=i / 10 + 0.05, observed_rate=i / 11
            )
            for i in range(9)
        ],
    )


def commit(number: int, subject: str) -> Commit:
    return Commit(f"{number:040x}", NOW - timedelta(days=30 - number), "Ada", subject, "")


def gates(blocked: str = "") -> list[GateResult]:
    names = ("limit roc_auc", "champion roc_auc", "slice carrier roc_auc", "onnx parity", "latency")
    return [
        GateResult(
            name=name,
            verdict="blocked" if name == blocked else "pass",
            observed="-0.0034, at least -0.0061",
            limit="not worse by more than 0.005, with 95% confidence",
            detail="the lower end of the interval is below the limit" if name == blocked else "",
        )
        for name in names
    ]


def version(
    number: int,
    value: float,
    *,
    live: tuple[str, ...] = (),
    blocked: str = "",
    subject: str = "Learn from April too",
) -> VersionFacts:
    champion = 0.728 if number > 1 else None
    return VersionFacts(
        model="freight",
        version=number,
        created=NOW - timedelta(days=20 - number),
        run_id=f"{number:032x}",
        digest="sha256:" + f"{number:x}" * 64,
        tags={
            "mlops.commit": f"{number:040x}",
            "mlops.branch": "main",
            "mlops.actor": "Ada",
            "mlops.pipeline": "pipelines/freight/training.yml",
            "mlops.data.name": "nycfreight",
            "mlops.data.version": "1",
            "mlops.data.digest": "sha256:" + "d" * 64,
            "mlops.data.window": f"2013-01..2013-0{number + 2}",
            "mlops.data.test_window": f"2013-0{number + 3}",
        },
        live=live,
        commit=commit(number, subject),
        report=GateReport(
            model="freight",
            version=number,
            champion=number - 1 or None,
            rows=28_128,
            confidence=0.95,
            metrics={
                "roc_auc": interval(value, champion),
                "brier": interval(0.148, 0.15 if champion else None),
                "precision": interval(0.51, 0.5612 if champion else None),
                "calibration_gap": interval(-0.031, 0.006 if champion else None),
                "recall": interval(0.4, 0.4 if champion else None),
                "minutes_saved": interval(12.0, 11.0 if champion else None),
            },
            gates=gates(blocked),
        ),
        evaluation=evaluation(value),
        explanation=Explanation(
            "roc_auc", 5000, (Influence("departure_minute", 0.12, 0.007), Influence("humid", 0.04, 0.004))
        ),
        schema=ModelSchema(
            model="freight",
            task="binary",
            classes=["on time", "late"],
            columns=[
                Column(name="carrier", type="string", categories=["UA", "B6", "EV"]),
                Column(name="distance", type="number", minimum=0, maximum=6000, nullable=True),
            ],
        ),
    )


def row(
    release: int,
    outcome: str,
    days: int,
    subject: str,
    *,
    by: tuple[str, ...] = (),
    rule: str = "pull request 12",
    detail: str = "",
) -> Row:
    return Row(
        release=release,
        outcome=outcome,  # type: ignore[arg-type]
        at=NOW - timedelta(days=days),
        until=None,
        actor="mlops-bot",
        commit=f"{release + 7:040x}",
        subject=subject,
        author="Ada",
        approvals=tuple(Approval(name, rule, f"{NOW - timedelta(days=days):%Y-%m-%d %H:%M}") for name in by),
        detail=detail,
    )


def verdict(days: int, psi: float, auc: float, release: int = 2) -> MonitorReport:
    end = NOW - timedelta(days=days)
    broken = psi > 0.2
    return MonitorReport(
        id=f"{end:%Y%m%dT%H%M%S}",
        environment="prod",
        model="freight",
        release=release,
        digest="sha256:" + "2" * 64,
        made=end,
        window=TimeSpan(start=end - timedelta(days=1), end=end),
        rows=24_000,
        labelled=12_000,
        outcome="breach" if broken else "pass",
        reason="2 of 4 signals are beyond their limit" if broken else "all 4 signals are within their limits",
        signals=[
            Signal(
                kind="drift",
                name="departures_in_hour",
                metric="psi",
                verdict="breach" if broken else "pass",
                observed=psi,
                limit="at most 0.2",
            ),
            Signal(
                kind="drift",
                name="wind_speed",
                metric="psi",
                verdict="pass",
                observed=0.03,
                limit="at most 0.2",
            ),
            Signal(
                kind="volume",
                name="rows",
                metric="rate",
                verdict="pass",
                observed=24000,
                limit="at least half",
            ),
            Signal(
                kind="performance",
                name="roc_auc",
                metric="roc_auc",
                verdict="breach" if auc < 0.7 else "pass",
                observed=auc,
                limit="at least 0.70",
                values={"low": auc - 0.01, "high": auc + 0.01},
            ),
        ],
    )


def board(text: str = "Promote freight 2 to prod", links: Links = LINKS) -> BoardFacts:
    """`text` goes wherever a person can write: subjects, names, reasons, the use case's own words."""
    prod = EnvironmentFacts(
        env="prod",
        health="serving",
        wanted=2,
        served=2,
        since=NOW - timedelta(days=3),
        commit=f"{9:040x}",
        actor="mlops-bot",
        url="https://freight-prod.westeurope.inference.ml.azure.com/score",
        metrics={"roc_auc": interval(0.744)},
        tested="2013-05",
        deployments=(Deployment("green", 2, "sha256:" + "2" * 64, 100),),
        history=[
            row(2, "served", 3, f"Merge pull request #12 from contoso/promote: {text}", by=("Grace", text)),
            row(1, "served", 10, "Promote freight 1 to prod (#9)", by=("Grace",)),
        ],
        verdicts=[
            verdict(4, 0.05, 0.74),
            verdict(3, 0.11, 0.731),
            verdict(2, 0.16, 0.712),
            verdict(1, 0.31, 0.688),
        ],
    )
    staging = EnvironmentFacts(
        env="staging",
        health="held",
        wanted=4,
        served=2,
        since=NOW - timedelta(days=5),
        deployments=(Deployment("blue", 2, "sha256:" + "2" * 64, 90), Deployment("green", 4, "sha256:4", 10)),
        hold=Hold(reason=text, since=NOW, by="Ada"),
        failure=f"predictions moved: {text}",
        history=[
            row(4, "failed", 1, "Release freight 4 to staging (#15)", detail=f"predictions moved: {text}"),
            row(2, "served", 5, "Release freight 2 to staging", by=()),
        ],
    )
    model = ModelFacts(
        name="freight",
        about=f"Will a flight from New York arrive more than 15 minutes late? {text}",
        target="late",
        metric="roc_auc",
        higher_is_better=True,
        ways={
            "roc_auc": "higher",
            "brier": "lower",
            "log_loss": "lower",
            "precision": "higher",
            "calibration_gap": "zero",
            "recall": "higher",
            "minutes_saved": None,
        },
        environments=(staging, prod),
        versions=(
            version(4, 0.739, subject=text),
            version(3, 0.699, blocked="champion roc_auc"),
            version(2, 0.744, live=("prod", "staging")),
            version(1, 0.67),
        ),
    )
    other = ModelFacts(
        name="delays",
        about="",
        target="minutes",
        metric="rmse",
        higher_is_better=False,
        ways={"rmse": "lower"},
        environments=(
            EnvironmentFacts("staging", "empty"),
            EnvironmentFacts("prod", "unknown", served=3, problem="the endpoint does not answer"),
        ),
        versions=(),
    )
    asked = PullRequest(15, "promote/prod/freight", "main", text, "open", "d" * 40, "")
    return BoardFacts("contoso-freight", "azure", "c" * 40, links, (other, model), (asked,))


CSS = (Path(__file__).parents[4] / "packages/engine/src/mlops/board/static/board.css").read_text()


class Page(HTMLParser):
    """What a browser would see: tags with attributes, ids, links, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

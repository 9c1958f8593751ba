"""At 80 columns, and in a pipe, no cell that matters is cut: a name with an ellipsis cannot be copied."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from mlops.cli import _app, _forge, _promote, _repository, _runs, _verbs  # noqa: F401  registers the commands
from mlops.forge.base import PullRequest
from mlops.forge.pushed.store import Run
from mlops.lifecycle.desired import history as past
from mlops.lifecycle.desired.history import Approval, Row
from mlops.lifecycle.train import runs as made_runs
from mlops.lifecycle.train import versions as registered
from mlops.lifecycle.train.runs import Made
from mlops.lifecycle.train.versions import VersionRow
from mlops.lifecycle.watch import status as watched
from mlops.lifecycle.watch.status import EnvironmentStatus
from mlops.spec.gates import Interval
from mlops.targets.base import Deployment

ROOT = Path(__file__).parents[5]
NOW = datetime(2026, 11, 29, 14, 5, tzinfo=UTC)
ENV = "production-west-europe-blue"
WINDOW, TESTED = "2013-01-07..2013-12-29", "2014-01-06..2014-02-23"
METRIC = "expected_calibration_error"
COMMIT = "0123456789abcdef" * 2 + "01234567"
URL = "https://flights-production-west-europe.westeurope.inference.ml.azure.com/score/of/a/long/address"
SUBJECT = "Promote flights 1234567 to production-west-europe-blue because staging served it for two weeks [x]"


@pytest.fixture(params=["80", ""], ids=["80 columns", "a pipe"])
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(_app.State, "environment", lambda _, name: name)
    return str(request.param)


def said(columns: str, *words: str) -> str:
    _app.out.cache_clear()
    done = CliRunner().invoke(_app.app, ["-C", str(ROOT), *words], env={"COLUMNS": columns or None})
    _app.out.cache_clear()
    assert done.exit_code == 0, done.output
    return done.stdout


def whole(shown: str, *cells: str) -> None:
    """Each cell is there, whole and on one line."""
    assert "…" not in shown
    for cell in cells:
        assert any(cell in line for line in shown.splitlines()), f"{cell} is not whole in:\n{shown}"


def test_status(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    interval = Interval(value=0.6712, low=0.66, high=0.68)
    row = EnvironmentStatus(
        env=ENV,
        model="flights",
        health="rolling out",
        wanted=1234567,
        served=1234566,
        since=NOW,
        commit=COMMIT,
        actor="Ada",
        deployments=(
            Deployment("blue", 1234566, "sha256:1", 90),
            Deployment("green", 1234567, "sha256:2", 10),
        ),
        url=URL,
        metrics={METRIC: interval},
        tested=TESTED,
        hold=None,
        failure="",
    )
    monkeypatch.setattr(watched, "status", lambda *_: [row])
    shown = said(columns, "status", "--model", "flights")
    whole(shown, ENV, "1234566", "1234567", "rolling out", COMMIT[:8], URL, TESTED, "green (release 1234567)")
    assert re.search(r"2026-11-\d\d \d\d:\d\d", shown)


def test_history(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Row(
        release=1234567,
        outcome="hold cleared",
        at=NOW,
        until=None,
        actor="deploy-flights-production",
        commit=COMMIT,
        subject=SUBJECT,
        author="eve-who-works-for-the-team-of-prices",
        why="the night's flights look wrong",
        approvals=(
            Approval("bea", "pull request 7", "2026-11-30 07:29"),
            Approval("cy", f"environment {ENV}", "2026-11-30 07:31", "seen with eve"),
        ),
    )
    monkeypatch.setattr(past, "history", lambda *_: [row])
    shown = said(columns, "history", ENV, "--model", "flights")
    whole(shown, ENV, "release 1234567", "hold cleared", COMMIT[:8])
    for text in (
        "approved by bea (pull request 7, 2026-11-30 07:29)",
        f"approved by cy (environment {ENV}, 2026-11-30 07:31): seen with eve",
        "the night's flights look wrong",
        SUBJECT,
        "asked for by eve-who-works-for-the-team-of-prices, applied by deploy-flights-production",
    ):
        assert text in " ".join(shown.split()), text


def test_versions(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"version": 1234567, "gate": "pass", "blocked": "latency (gates aaaaaaaa)", "dirty": True}
    known |= {"window": WINDOW, "commit": COMMIT, "created": NOW, "live": ("staging", ENV)}
    monkeypatch.setattr(registered, "find", lambda *_: [SimpleNamespace(**known)])
    assert known.keys() <= {f.name for f in dataclasses.fields(VersionRow)}
    shown = said(columns, "versions", "list", "--model", "flights")
    whole(shown, "1234567", "pass *", "2013-01-07..12-29", f"{COMMIT[:8]}+", f"staging, {ENV}")


def test_runs(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"run_id": COMMIT, "started": NOW, "version": 1234567, "tried": False, "test_window": TESTED}
    known |= {"metrics": {METRIC: Interval(value=0.1, low=0.0, high=0.2)}, "commit": COMMIT, "dirty": True}
    assert known.keys() <= {f.name for f in dataclasses.fields(Made)}
    monkeypatch.setattr(made_runs, "runs", lambda *_: [SimpleNamespace(**known)])
    shown = said(columns, "runs", "--model", "flights", "--metric", METRIC)
    whole(shown, COMMIT[:8], "1234567", METRIC, "0.1000 ± 0.1000", "2014-01-06..02-23", f"{COMMIT[:8]}+")


def test_forge_runs(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(
        1234,
        "retrain-flights-production-west-europe-nightly-of-models",
        "x",
        "push",
        SUBJECT,
        "refs/heads/main",
        COMMIT,
        "ada",
        0.0,
        state="waiting",
        ended=99_999.0,
    )
    monkeypatch.setattr(_forge, "_store", lambda: SimpleNamespace(runs=lambda: [run]))
    shown = said(columns, "forge", "runs")
    whole(shown, "1234", run.workflow, "waiting", COMMIT[:8], "99999 s")
    assert SUBJECT in " ".join(shown.split())


def test_pr_list(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    request = PullRequest(1234, f"promote/{ENV}/flights", "main", SUBJECT, "open", COMMIT, URL)
    monkeypatch.setattr(_promote, "_forge", lambda: SimpleNamespace(list_open=lambda: [request]))
    whole(said(columns, "pr", "list"), "1234", f"promote/{ENV}/flights", SUBJECT, URL)


def test_a_table_that_fits_stays_a_table(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"version": 7, "gate": "pass", "blocked": "", "dirty": False, "window": "2013-01..2013-03"}
    known |= {"commit": COMMIT, "created": NOW, "live": ("prod",)}
    monkeypatch.setattr(registered, "find", lambda *_: [SimpleNamespace(**known)])
    head, row = said(columns, "versions", "list", "--model", "flights").splitlines()
    assert head.split()[:2] == ["version", "gate"] and row.split()[:2] == ["7", "pass"]

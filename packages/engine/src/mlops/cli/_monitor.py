"""Verbs that watch what is served: monitor, labels, retrain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops.cli._app import (
    EachModelOption,
    EnvArgument,
    JsonOption,
    ModelOption,
    app,
    err,
    group,
    out,
    print_json,
    state,
    verb,
)
from mlops.cli._models import AllOption, chosen, each, every, named
from mlops.errors import Blocked, Inconclusive, InvalidInput

if TYPE_CHECKING:
    from mlops.lifecycle.watch.retrain import Retrained
    from mlops.spec.monitoring import MonitorReport, Signal
    from mlops.spec.window import Window


_MOVED = 0.1
"""A PSI that people look at."""
_COLOURS = {"pass": "green", "breach": "bold red", "skipped": "dim"}


@app.command(epilog="Example: mlops monitor prod --window 7d --report monitor.html")
@verb
def monitor(
    env: EnvArgument,
    model: EachModelOption = None,
    window: Annotated[
        str | None,
        typer.Option(help="Captured when: 24h, 7d or START..END (UTC); default: monitor.yml's lookback."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write the verdict as an HTML page.", metavar="FILE.html")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge captured traffic against the live release's training data; exit 3: breach, 4: no verdict."""
    from datetime import UTC, datetime

    from mlops.lifecycle.watch.monitor import monitor as judge
    from mlops.lifecycle.watch.monitor import parse_window, plain

    names, now = every(model), datetime.now(UTC)
    if report and len(names) > 1:
        raise InvalidInput(f"--report writes the page of one model; {state.settings.which()}")
    if report and not report.parent.is_dir():
        raise InvalidInput(f"--report: there is no folder {report.parent}")
    env, span = state.environment(env), parse_window(window, now) if window else None
    verdicts: list[MonitorReport] = []

    def one(name: str) -> None:
        verdict = judge(state.root, state.target, env, name, now=now, window=span)
        verdicts.append(verdict)
        if report:
            from mlops.monitoring.page import page

            report.write_text(page(verdict), encoding="utf-8")
        if not as_json:
            _show(verdict)
        if verdict.outcome == "breach":
            raise Blocked(f"{name} in {env}: {verdict.reason}")
        if verdict.outcome == "inconclusive":
            raise Inconclusive(f"{name} in {env}: no verdict, because {verdict.reason}")

    try:
        each(names, one)
    finally:
        if as_json and verdicts:
            print_json(plain(verdicts[0]) if len(names) == 1 else [plain(v) for v in verdicts])


def _show(report: MonitorReport) -> None:
    from rich.markup import escape
    from rich.table import Table

    from mlops.lifecycle.watch.monitor import observed

    title = f"{report.model} in {report.environment}"
    if report.release is not None:
        title += (
            f": release {report.release}, {report.rows} rows ({report.labelled} labelled) "
            f"against {report.reference_rows} {report.reference}"
        )
    table = Table(title=title, title_justify="left")
    for heading in ("verdict", "signal", "metric", "observed", "limit"):
        table.add_column(heading)
    told = [s for s in report.signals if _worth_telling(s)]
    for signal in told:
        colour = _COLOURS[signal.verdict]
        table.add_row(
            f"[{colour}]{signal.verdict}[/]",
            escape(f"{signal.kind} {signal.name}"),
            signal.metric,
            observed(signal),
            escape(signal.limit or signal.detail),
        )
    out().print(table)
    if rest := len(report.signals) - len(told):
        out().print(f"[dim]{rest} more within their limits or only measured; --json and --report show all[/]")
    if report.outcome == "pass":
        out().print(f"pass: {report.reason}")


def _worth_telling(signal: Signal) -> bool:
    """What is broken, how good the model was, and what moved by half of what it may."""
    if signal.verdict == "breach" or signal.kind not in ("quality", "drift"):
        return True
    return signal.kind == "drift" and signal.verdict == "pass" and (signal.observed or 0) >= _MOVED


labels = group("labels", "What turned out to be true.")


@labels.command("add", epilog="Example: mlops labels add prod late.csv")
@verb
def add(
    env: EnvArgument,
    file: Annotated[
        Path, typer.Argument(help="CSV, Parquet or JSON lines: request_id, label, and maybe row and time.")
    ],
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep labels of captured requests, by request id and row; adding a file again changes nothing."""
    from datetime import UTC, datetime

    from mlops.lifecycle.watch.labels import add_labels

    name, _ = state.model(model)
    added = add_labels(state.target, state.environment(env), name, file, datetime.now(UTC))
    if as_json:
        print_json(vars(added))
    elif added.new:
        out().print(f"{added.rows} labels of {name} in {env} are kept")
    else:
        out().print(f"nothing to do: these {added.rows} labels were added before")


@app.command(epilog="Example: mlops retrain prod; then: mlops retrain prod --all")
@verb
def retrain(
    env: EnvArgument, model: ModelOption = None, everything: AllOption = False, as_json: JsonOption = False
) -> None:
    """Answer the last breach: one pull request with the evidence and, if policy allows, a new model."""
    from datetime import UTC, datetime

    from mlops.cli import _progress
    from mlops.forge import open_forge
    from mlops.lifecycle.watch.retrain import retrain as answer

    answers: list[dict[str, object]] = []

    def one(name: str) -> None:
        with _progress.live(quiet=as_json) as progress:
            done = answer(
                state.root,
                state.target,
                lambda: open_forge(state.root, state.settings),
                env,
                name,
                now=datetime.now(UTC),
                progress=progress.step,
            )
        answers.append({"model": name, **vars(done)})
        if not as_json:
            _tell(name, done)
        if done.outcome == "blocked":
            raise Blocked(done.reason)

    env = state.environment(env)
    try:
        each(chosen(model, everything), one)
    finally:
        if as_json and (everything or answers):
            print_json(answers if everything else answers[0])


def _tell(name: str, done: Retrained) -> None:
    from rich.markup import escape

    about = f"{name}: " if len(state.settings.models) > 1 else ""
    out().print(escape(f"{about}{done.outcome}: {done.reason}"))
    if done.pull_request:
        err().print(f"[dim]{escape(done.pull_request)}[/]")


@app.command(epilog="Example: mlops replay prod 2013-06 --labels june.parquet")
@verb
def replay(
    env: EnvArgument,
    labels: Annotated[Path, typer.Option(help="Where to write what turned out to be true (Parquet).")],
    window: Annotated[
        str | None, typer.Argument(help="For example 2013-06; default: the rows it was tested on.")
    ] = None,
    model: ModelOption = None,
    every: Annotated[int, typer.Option(min=1, help="Send every n-th row only.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Send recorded rows to an endpoint as if they were asked today, to see what monitoring makes of it."""
    from mlops.lifecycle.watch.replay import replay as send

    name, _ = state.model(model)
    done = send(
        state.root,
        state.target,
        state.environment(env),
        name,
        month=_window(window),
        labels=labels,
        every=every,
    )
    if as_json:
        print_json(
            {
                "month": done.month,
                "release": done.release,
                "requests": done.requests,
                "rows": done.rows,
                "window": done.window,
                "labels": done.labels,
            }
        )
        return
    # The window alone goes to standard output, so that a shell can keep it.
    out().print(done.window)
    err().print(
        f"{done.rows} rows of {done.month} went to release {done.release} in {env} "
        f"in {done.requests} requests"
    )
    err().print(f"  mlops labels add {labels} --env {env}{named(name)}")
    err().print(f"  mlops monitor {env}{named(name)} --window {done.window}")


@app.command(epilog="Example: mlops backtest 1 2 --window 2013-07..2013-09")
@verb
def backtest(
    versions: Annotated[list[int], typer.Argument(min=1, help="Registered versions.")],
    window: Annotated[
        str | None, typer.Option(help="Months, weeks or days, each alone; default: what each was tested on.")
    ] = None,
    model: ModelOption = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="Default: ROC AUC, Brier score and calibration gap.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure versions on recorded rows: what drift costs, and what retraining brings."""
    from mlops.lifecycle.watch.backtest import compare

    name, _ = state.model(model)
    metrics = metric or ["roc_auc", "brier", "calibration_gap"]
    chosen = _window(window)
    months = chosen.split() if chosen else [None]
    costs = compare(state.root, state.target, name, versions=versions, months=months, metrics=metrics)
    if as_json:
        print_json([vars(cost) for cost in costs])
        return
    from rich.table import Table

    table = Table(title=name, title_justify="left")
    for heading in ("rows of", "count", "version", *metrics):
        table.add_column(heading, justify="right")
    for cost in sorted(costs, key=lambda c: (c.month, c.version)):
        figures = (f"{cost.metrics[m]:.4f}" for m in metrics)
        table.add_row(cost.month, str(cost.rows), str(cost.version), *figures)
    out().print(table)


def _window(text: str | None) -> Window | None:
    from mlops.spec.window import Window

    if text is None:
        return None
    try:
        return Window.parse(text)
    except ValueError as error:
        raise InvalidInput(f"{error}; got {text!r}") from None

"""Verbs from a commit to a release: train, gate, release, register."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mlops.cli import _warm
from mlops.cli._app import JsonOption, ModelOption, VersionArgument, app, err, out, print_json, state, verb
from mlops.cli._models import named
from mlops.errors import Blocked, InvalidInput, MlopsError

if TYPE_CHECKING:
    from mlops.cli._progress import Progress
    from mlops.lifecycle.train.beside import Early
    from mlops.lifecycle.train.compare import Comparison
    from mlops.lifecycle.train.runs import Made
    from mlops.lifecycle.train.training import Trained, Trial
    from mlops.pipeline import StepEvent
    from mlops.spec.schema import Task


def pairs(given: list[str], flag: str = "--set") -> dict[str, str]:
    """`name=value` of an option that may be repeated; raises `InvalidInput`."""
    values: dict[str, str] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InvalidInput(f"{flag} {pair!r} is not of the form name=value")
        values[name] = value
    return values


def _windows(**given: str | None) -> dict[str, str]:
    """Those that were given; a typing error shall not cost the start of a training run."""
    from mlops.spec.window import Window

    windows: dict[str, str] = {}
    for name, text in given.items():
        if text is None:
            continue
        try:
            windows[name] = str(Window.parse(text))
        except ValueError as error:
            raise InvalidInput(f"--{name.replace('_', '-')}: {error}; got {text!r}") from None
    return windows


def _seconds(text: str) -> float:
    from pydantic import TypeAdapter, ValidationError

    from mlops.spec.desired import Seconds

    try:
        return TypeAdapter(Seconds).validate_python(text)
    except ValidationError:
        raise InvalidInput(f"--for must be a duration such as 60s, 15m or 2h; got {text!r}") from None


def _say_trained(trained: Trained, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "model": trained.model,
                "version": trained.version,
                "digest": trained.digest,
                "run_id": trained.run_id,
                "new": trained.new,
                "reused_steps": trained.reused,
                "outputs": {key: str(path) for key, path in trained.outputs.items()},
            }
        )
        return
    name, version = trained.model, trained.version
    if version is None:
        _say_tried(trained)
    elif trained.new:
        out().print(f"[bold]{name}[/] version [bold]{version}[/] is registered (run {trained.run_id[:8]})")
    else:
        out().print(f"nothing changed: this is [bold]{name}[/] version [bold]{version}[/]")
        err().print(f"beside the champion: mlops compare {version}{named(name)}", style="dim")


def _say_tried(trained: Trained) -> None:
    from mlops.lifecycle.train.training import REGISTERED

    if REGISTERED in trained.outputs:
        out().print(
            f"run {trained.run_id[:8]} registered nothing; keep it with: mlops train{named(trained.model)}"
        )
        return
    out().print(f"run {trained.run_id[:8]} ran a part of the pipeline; what it made:")
    last = {event.step for event in trained.steps if event.state == "finished"}
    for name, path in trained.outputs.items():
        if name.partition(".")[0] in last:
            out().print(f"  {name:<20} {path}")


def _say_training(model: str, trial: Trial) -> None:
    """What begins; and what cannot be released, before minutes of training and not after them."""
    from mlops.lifecycle.train.lineage import checkout

    err().print(f"Training [bold]{model}[/] on the target {state.target.name}")
    keeps_nothing = trial.tries or not trial.selection.whole
    if not keeps_nothing and checkout(state.root, model).dirty:
        err().print(
            "[yellow]there are uncommitted changes:[/] this version can be judged now, and released once "
            "they are committed as they are. To register nothing: mlops train --try"
        )


def _say_beside(trained: Trained) -> None:
    """The run beside the last one and the champion; a run that cannot be compared is no failed run."""
    from mlops.lifecycle.train.beside import beside
    from mlops.lifecycle.train.training import REGISTERED

    if REGISTERED not in trained.outputs or all(event.state == "reused" for event in trained.steps):
        return
    try:
        run, against = beside(state.root, state.target.registry, trained.model, trained.run_id)
    except MlopsError as error:
        err().print(f"[yellow]the run is not compared:[/] {error}")
        return
    _table(run, against)


def _table(made: Made, against: Mapping[str, Comparison]) -> None:
    from mlops.cli import _comparison
    from mlops.lifecycle.train.beside import LAST

    _comparison.show(made, against)
    if LAST in against:
        _comparison.changes(against[LAST], LAST)


class _Shows:
    """Progress, and the table as soon as it can be had: while the run still explains and registers."""

    def __init__(self, model: str, trial: Trial, progress: Progress, *, quiet: bool) -> None:
        self._model, self._trial, self._progress, self._quiet = model, trial, progress, quiet
        self._early: Early | None = None
        self._said = quiet
        self.shown = quiet

    def begun(self, tags: Mapping[str, str]) -> None:
        """The run has these tags. Raises `Elsewhere` where it goes on in another process."""
        from mlops.lifecycle.train.beside import Early
        from mlops.pipeline.run import warm_start

        if warm_start.may_start():
            self._progress.line("[dim]loading libraries, once; the next training starts at once[/]")
            raise _warm.Elsewhere
        self._say()
        if not self._quiet:
            self._early = Early(state.root, state.target.registry, self._model, tags)

    def _say(self) -> None:
        """What is trained, before its first step, which may come from a run of before."""
        if not self._said:
            self._said = True
            _say_training(self._model, self._trial)

    def step(self, event: StepEvent) -> None:
        """One step of a pipeline started or ended."""
        self._say()
        self._progress.step(event)
        if self._early is None or self.shown:
            return
        # A run must not fail by what is only shown: at its end the table is asked for again, and tells.
        with contextlib.suppress(Exception):
            if (table := self._early.hear(event)) is not None:
                with self._progress.paused():
                    _table(*table)
                self.shown = True


def _train(name: str, inputs: Mapping[str, str], trial: Trial, as_json: bool) -> None:
    from mlops.cli import _progress
    from mlops.lifecycle.train import training as lifecycle

    with _progress.live(quiet=as_json, still=trial.selection.here) as progress:
        shows = _Shows(name, trial, progress, quiet=as_json)
        trained = lifecycle.train(
            state.root, state.target, name, inputs, shows.step, trial=trial, begun=shows.begun
        )
    if not shows.shown:
        _say_beside(trained)
    _say_trained(trained, as_json)


def _resume(model: str, job: str, patience: float, as_json: bool) -> None:
    from mlops.cli import _progress
    from mlops.lifecycle.train.training import resume, tell

    with _progress.live(quiet=as_json) as progress:
        trained = resume(state.root, state.target, model, job, progress=progress.step, patience=patience)
    if trained is not None:
        tell(state.root, state.target, trained)
        if not as_json:
            _say_beside(trained)
        _say_trained(trained, as_json)
    elif as_json:
        print_json({"job": job, "state": "running"})
    else:
        out().print(f"{job} still runs; wait on with: mlops train --resume {job}{named(model)}")


@app.command(
    epilog="Example: mlops train --try --set max_iter=300; then: mlops train --window 2013-01..2013-04 "
    "--test-window 2013-05; then: mlops train --only train --here --pdb; then: mlops train --detach; "
    "then: mlops train --resume RUN --for 50m"
)
@verb
def train(
    model: ModelOption = None,
    window: Annotated[
        str | None,
        typer.Option(help="What to learn from: 2013-01..2013-03, 2013-W05 or 2013-01-15..2013-02-14."),
    ] = None,
    test_window: Annotated[str | None, typer.Option(help="A later window to test on.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any other pipeline input.")
    ] = None,
    tries: Annotated[
        bool, typer.Option("--try", help="Register nothing; the run is compared and kept in `mlops runs`.")
    ] = False,
    note: Annotated[str, typer.Option(help="Why you start it; `mlops runs` and MLflow keep it.")] = "",
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="STEP", help="Run this step anew, and nothing after it. May be repeated."
        ),
    ] = None,
    start: Annotated[
        list[str] | None, typer.Option("--from", metavar="STEP", help="Run this step and all after it anew.")
    ] = None,
    here: Annotated[
        bool,
        typer.Option("--here", help="Run in this process, where breakpoints stop; registers nothing."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--pdb", help="With --here: open the debugger where a step fails.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Start it, print the job's name, and do not wait.")
    ] = False,
    job: Annotated[
        str | None, typer.Option("--resume", metavar="JOB", help="Wait for a job that was started before.")
    ] = None,
    patience: Annotated[
        str | None,
        typer.Option("--for", metavar="TIME", help="With --resume: wait no longer than, for example, 50m."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the training pipeline; unchanged steps are reused. Compares with the last run and the champion."""
    from mlops.lifecycle.train.training import EVALUATES
    from mlops.pipeline.run.selection import Selection

    name, _ = state.model(model)
    waited = () if as_json or here else (EVALUATES,)
    selection = Selection(tuple(only or ()), tuple(start or ()), here=here, debug=debug, first=waited)
    inputs = pairs(settings or [])
    inputs |= _windows(window=window, test_window=test_window)
    if job is not None:
        if detach or inputs or tries or note or not selection.whole:
            raise InvalidInput("--resume waits for a job as it was started; it takes no other input")
        _resume(name, job, math.inf if patience is None else _seconds(patience), as_json)
        return
    if patience is not None:
        raise InvalidInput("--for says how long --resume waits; name the job with --resume")
    from mlops.lifecycle.train import training as lifecycle

    if detach and not selection.whole:
        raise InvalidInput("--detach runs the whole pipeline; leave it out with --only, --from and --here")
    trial = lifecycle.Trial(tries, selection, note)
    if not detach:
        try:
            _train(name, inputs, trial, as_json)
        except _warm.Elsewhere:
            _warm.go_on()
            _train(name, inputs, trial, as_json)
        return
    if not as_json:
        _say_training(name, trial)
    started = lifecycle.submit(state.root, state.target, name, inputs, trial)
    if as_json:
        print_json({"job": started})
    else:
        err().print(f"it runs; wait for it with: mlops train --resume {started}{named(name)}")
        out().print(started)


@app.command(epilog="Example: mlops gate 7 --markdown gate.md")
@verb
def gate(
    version: VersionArgument = None,
    model: ModelOption = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write the verdict as Markdown to this file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a version with its limits and with the champion on the same rows; exit 3 when blocked."""
    from mlops.lifecycle.decide import report
    from mlops.lifecycle.train.evidence import gate as judge

    name, _ = state.model(model)
    verdict = judge(state.target, state.root, name, version)
    if markdown:
        markdown.write_text(report.markdown(verdict), encoding="utf-8")
    if as_json:
        print_json(verdict.model_dump(mode="json") | {"passed": verdict.passed})
    else:
        out().print(report.table(verdict))
    if not verdict.passed:
        raise Blocked(report.headline(verdict))


@app.command(epilog="Example: mlops release 7")
@verb
def release(
    version: VersionArgument = None,
    model: ModelOption = None,
    propose: Annotated[
        bool, typer.Option("--propose", help="Open a pull request instead of changing the work tree only.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the release file of a version that passed, and ask for it in the first environment."""
    from mlops.lifecycle.apply.sign import sign_release
    from mlops.lifecycle.propose.release import propose_release
    from mlops.lifecycle.propose.release import release as write

    name, _ = state.model(model)
    released = write(state.root, state.target, name, version)
    signature = sign_release(state.root, state.target.registry, released.release, state.settings.signing)
    if signature is not None:
        released = replace(released, written=(*released.written, signature))
    proposed = None
    if propose:
        from mlops.forge import open_forge

        forge = open_forge(state.root, state.settings)
        proposed = propose_release(state.root, forge, released)
    request = proposed.request if proposed else None
    if as_json:
        print_json(
            {
                "model": name,
                "release": released.release.version,
                "environment": released.environment,
                "replaces": released.replaces,
                "written": list(released.written),
                "pull_request": request.url if request else None,
                "already": proposed.already if proposed else "",
            }
        )
        return
    if proposed and proposed.already:
        place = f", {request.url}" if request else ""
        out().print(
            f"nothing to do for release {released.release.version} of {name} in {released.environment}: "
            f"{proposed.already}{place}"
        )
    elif request:
        out().print(f"pull request {request.number} ({request.state}): {request.title}, {request.url}")
    elif released.written:
        out().print(f"release {released.release.version} of {name} is written; commit it to have it served:")
        out().print(
            f"  git add {' '.join(released.written)} && "
            f"git commit -m 'Release {name} {released.release.version}'"
        )
    else:
        out().print(f"nothing to do: release {released.release.version} of {name} is already in the files")


@app.command(epilog="Example: mlops register ./trained-elsewhere --task binary --classes no,yes")
@verb
def register(
    path: Annotated[Path, typer.Argument(help="An MLflow model folder with a signature.")],
    model: ModelOption = None,
    task: Annotated[
        str | None, typer.Option(help="binary, multiclass or regression; when the folder does not say it.")
    ] = None,
    classes: Annotated[str, typer.Option(help="Class labels in the order of the probabilities.")] = "",
    window: Annotated[
        str | None, typer.Option(help="What it learned from; default: as training.yml says.")
    ] = None,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Accept a model that runs its own code when it is loaded.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Register a model that was trained elsewhere; it goes through the same gates."""
    from mlops.lifecycle.train.examine import examine
    from mlops.lifecycle.train.register import register_external
    from mlops.spec.window import Window
    from mlops.usecase import load_usecase, trusted_types

    name, settings = state.model(model)
    learned = Window.parse(_windows(window=window)["window"]) if window else None
    if task not in (None, "binary", "multiclass", "regression"):
        raise InvalidInput(f"--task must be binary, multiclass or regression; got {task!r}")
    labels = [label for label in classes.split(",") if label]
    registered = register_external(
        state.root,
        state.target.registry,
        path,
        name,
        task=cast("Task | None", task),
        classes=labels,
        allow_pickle=allow_pickle,
        trusted=trusted_types(load_usecase(settings.usecase, state.root / "src")),
        examine=lambda folder, to: examine(
            state.root, state.target.data, name, folder=folder, to=to, window=learned
        ),
    )
    if as_json:
        print_json(vars(registered))
    else:
        out().print(f"[bold]{name}[/] version [bold]{registered.version}[/] is registered")

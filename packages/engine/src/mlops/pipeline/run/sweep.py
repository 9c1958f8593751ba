"""Run a sweep job on this machine, as Azure ML would: one parent run, a child run a trial.

The study is found again by what its results depend on (search space, command, code, data, environment), and
goes on where it was. Another number of trials is the same study.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from mlops.errors import InvalidInput, Locked, MlopsError
from mlops.pipeline.checked import lint
from mlops.pipeline.parts import Step
from mlops.pipeline.read import load_pipeline
from mlops.pipeline.run.cache import StepCache
from mlops.pipeline.run.executor import PRELOAD, StepServer
from mlops.pipeline.run.key import environment_content, step_key
from mlops.pipeline.run.locks import FileLock
from mlops.pipeline.run.perform import Performer
from mlops.pipeline.run.runner import check_code, interruptible
from mlops.pipeline.run.snapshot import code_digest, take_snapshot
from mlops.pipeline.run.spread import spread
from mlops.pipeline.run.state import RunFolder, process_tag, recover
from mlops.pipeline.run.study import Study
from mlops.pipeline.run.tracker import RunStatus, Tracker
from mlops.pipeline.run.trials import Sweeping
from mlops.pipeline.run.values import AssetResolver, pipeline_inputs, step_inputs
from mlops.pipeline.run.work import task_of
from mlops.pipeline.sweep.models import SweepSpec
from mlops.pipeline.sweep.result import Progress, SweepResult, TrialResult
from mlops.spec import engine
from mlops.spec.digest import data_digest


def run_sweep(
    path: Path,
    inputs: Mapping[str, str],
    *,
    tracker: Tracker,
    state_dir: Path,
    resolve_asset: AssetResolver,
    progress: Progress = lambda _: None,
    tags: Mapping[str, str] | None = None,
    trials: int | None = None,
    workers: int | None = None,
    environment_digest: str = "",
    server: StepServer | None = None,
) -> SweepResult:
    """Run the sweep of `path` until its limits. `trials` and `workers` replace the limits of the file.

    Raises `InvalidInput` (lint, inputs), `StepFailed` when no trial can be finished, `Locked` when another
    process runs the same sweep, KeyboardInterrupt (the trials have been ended and are drawn again next time).
    """
    if problems := lint(path):
        raise InvalidInput(problems)
    pipeline = load_pipeline(path)
    (step,) = pipeline.steps.values()
    if step.sweep is None:
        raise InvalidInput(pipeline.document.problem(("type",), "must be sweep, for a sweep"))
    check_code(step)
    planned = spread(step)
    sweep = limited(step.sweep, trials, workers)
    state = state_dir.resolve()
    given = step_inputs(
        pipeline,
        step,
        inputs=pipeline_inputs(pipeline, inputs, resolve_asset),
        outputs={},
        resolve=resolve_asset,
    )
    with ExitStack() as stack:
        stack.enter_context(interruptible())
        code = _code(step)
        key = step_key(
            step,
            inputs={name: value.identity for name, value in given.items()},
            outputs={name: pipeline.output_type(step, name) for name in step.component.outputs},
            code=code,
            environment=environment_content(step),
            installed=environment_digest,
            sweep=sweep.study,
        )
        folder = state / "sweeps" / key[:20]
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        if not lock.try_acquire():
            raise Locked(
                f"another process runs {pipeline.document.name} with the same code and data; wait for it"
            )
        stack.callback(lock.release)
        if server is None:
            server = StepServer(PRELOAD)
            stack.callback(server.close)
        recover(state, StepCache(state / "cache"), tracker)
        study = Study(folder, sweep)
        job = pipeline.job
        if not study.parent:
            experiment = job.experiment_name or job.name or path.stem
            name = job.display_name or job.name or path.stem
            study.parent = tracker.create_parent(experiment, name, {**(tags or {}), **process_tag()})
        runs = RunFolder(state, study.parent)
        snapshot = runs.code / ".0"
        take_snapshot(step.code, snapshot, step.includes)
        if _code(step) != code:
            raise InvalidInput(f"{step.code} changed while it was copied; run again")
        performer = Performer(server, planned, {k: str(v) for k, v in step.variables.items()})
        sweeping = Sweeping(
            sweep, task_of(pipeline, step, given), performer, study, tracker, runs, snapshot, folder, progress
        )
        return _ended(sweeping)


def _code(step: Step) -> str:
    """Digest of what a trial's working folder starts with, and of the engine."""
    places = [place for place in (step.code, *step.includes) if place is not None and place.exists()]
    return data_digest([*(code_digest(place) for place in places), engine.digest()])


def _ended(sweeping: Sweeping) -> SweepResult:
    """Run it, and give its run the status that it has then."""
    parent, goal = sweeping.study.parent, sweeping.sweep.objective
    status: RunStatus = "KILLED"
    try:
        results: tuple[TrialResult, ...] = sweeping.run()
        status = "FINISHED"
    except MlopsError:
        status = "FAILED"
        raise
    finally:
        sweeping.tracker.finish(parent, status)
        sweeping.folder.ended(parent)
        sweeping.folder.close()
    return SweepResult(parent, goal.primary_metric, goal.goal, results)


def limited(sweep: SweepSpec, trials: int | None, workers: int | None) -> SweepSpec:
    """The sweep with other limits than its file has."""
    limits = sweep.limits
    total = trials or limits.max_total_trials
    concurrent = workers or limits.max_concurrent_trials
    replaced = limits.model_copy(update={"max_total_trials": total, "max_concurrent_trials": concurrent})
    return sweep.model_copy(update={"limits": replaced})

"""Run a pipeline job on this machine, as Azure ML would: one parent run, a child run a step."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from types import FrameType

from mlops.errors import InvalidInput, MlopsError, StepFailed, TargetError
from mlops.pipeline.binding import parse_parent
from mlops.pipeline.checked import lint
from mlops.pipeline.parts import Step
from mlops.pipeline.read import load_pipeline
from mlops.pipeline.result import JobResult, StepEvent
from mlops.pipeline.run.cache import KEEP_ENTRIES, StepCache
from mlops.pipeline.run.environments import Environments
from mlops.pipeline.run.executor import PRELOAD, StepServer
from mlops.pipeline.run.here import Inline
from mlops.pipeline.run.selection import WHOLE, Selection
from mlops.pipeline.run.selection import plan as plan_of
from mlops.pipeline.run.spread import spread
from mlops.pipeline.run.state import RunFolder, process_tag, recover
from mlops.pipeline.run.step import Run
from mlops.pipeline.run.tracker import RunStatus, Tracker
from mlops.pipeline.run.used import UsedFiles
from mlops.pipeline.run.values import AssetResolver, pipeline_inputs

_FULL = (errno.ENOSPC, errno.EDQUOT)


def run_pipeline(
    path: Path,
    inputs: Mapping[str, str],
    *,
    tracker: Tracker,
    state_dir: Path,
    resolve_asset: AssetResolver,
    progress: Callable[[StepEvent], None] = lambda _: None,
    tags: Mapping[str, str] | None = None,
    environment_digest: str = "",
    preload: Sequence[str] = PRELOAD,
    server: StepServer | None = None,
    keep: int = KEEP_ENTRIES,
    workers: int | None = None,
    selection: Selection = WHOLE,
) -> JobResult:
    """Run the job of `path`, whatever its kind, to its end.

    `inputs` override inputs of the pipeline. `environment_digest` stands for what is installed here (see
    `mlops.pipeline.installed_environment`): when it changes, nothing is reused. `preload` names the modules
    that steps find imported already; `server` is one that has done so and outlives this run. `keep` cache
    entries stay. `workers` defaults to the number of cores. `selection`: a part of the pipeline, or in this
    process; the outputs of steps that are left out are not in the result.

    Raises `InvalidInput` (lint, inputs), `StepFailed`, `TargetError` (disk full, tracking), KeyboardInterrupt
    (Control-C, SIGTERM or SIGHUP; the steps have been ended and the runs are marked KILLED).
    """
    state = state_dir.resolve()
    try:
        with ExitStack() as stack:
            stack.enter_context(interruptible())
            if server is None:
                server = StepServer(preload)
                stack.callback(server.close)
            if problems := lint(path):
                raise InvalidInput(problems)
            pipeline = load_pipeline(path, selection.stand_ins, (*selection.only, *selection.until))
            part = plan_of(selection, {name: pipeline.before(name) for name in pipeline.steps})
            environments = (
                _environments(state, environment_digest, progress) if selection.environment else None
            )
            for name in part.wanted:
                step = pipeline.steps[name]
                check_code(step)
                spread(step)  # what this machine cannot start is said before anything runs
                if environments is not None:
                    environments.of(step)
            given = pipeline_inputs(pipeline, inputs, resolve_asset)
            cache = StepCache(state / "cache", keep)
            stack.callback(cache.evict)
            stack.callback(cache.release)
            recover(state, cache, tracker)
            experiment = pipeline.job.experiment_name or pipeline.job.name or path.stem
            run_id = tracker.create_parent(
                experiment,
                pipeline.job.display_name or pipeline.job.name or path.stem,
                {**(tags or {}), **process_tag()},
            )
            run = Run(
                pipeline=pipeline,
                inputs=given,
                run_id=run_id,
                folder=RunFolder(state, run_id),
                cache=cache,
                server=server,
                tracker=tracker,
                resolve=resolve_asset,
                progress=progress,
                installed=environment_digest,
                used=UsedFiles(state / "cache" / "used"),
                part=part,
                debug=selection.debug,
                environments=environments,
            )
            return _drive(run, workers or os.cpu_count() or 1, tags or {})
    except OSError as error:
        if error.errno in _FULL:
            raise TargetError(
                f"the disk that holds {state} is full; free some space (old runs and cached steps are there) "
                f"and run again: finished steps are kept"
            ) from None
        raise


def _environments(state: Path, installed: str, progress: Callable[[StepEvent], None]) -> Environments:
    return Environments(
        state / "environments", installed, lambda said: progress(StepEvent("", "running", note=said))
    )


def _drive(run: Run, workers: int, tags: Mapping[str, str]) -> JobResult:
    status: RunStatus = "KILLED"
    try:
        events, failures = _schedule(run, workers)
        status = "FAILED" if failures else "FINISHED"
    except MlopsError:
        status = "FAILED"
        raise
    except OSError:
        status = "FAILED"
        raise
    finally:
        run.end(status)
    if failures:
        raise failures[0] if len(failures) == 1 else StepFailed("\n".join(map(str, failures)))
    return JobResult(run.run_id, tuple(events), _outputs(run), tags=dict(tags))


def _schedule(run: Run, workers: int) -> tuple[list[StepEvent], list[StepFailed]]:
    """Run every step whose upstream steps have finished; after a failure only the job of `on_finalize` is
    started, unless the pipeline says `continue_on_step_failure`. What runs already is left to finish. No step
    waits inside of the pool: there it would start after a failure too.
    """
    steps = {name: step for name, step in run.pipeline.steps.items() if name in run.part.wanted}
    before = {name: run.pipeline.before(name) & set(steps) for name in steps}
    order = TopologicalSorter(before)
    last = run.pipeline.job.settings.on_finalize
    order.prepare()
    events: dict[str, StepEvent] = {}
    failures: list[StepFailed] = []
    running: dict[Future[StepEvent], str] = {}
    waiting: list[str] = []
    unmet: set[str] = set()
    here = bool(run.part.here)
    workers = 1 if here else workers
    pool = Inline() if here else ThreadPoolExecutor(workers, thread_name_prefix="step")
    try:
        while order.is_active():
            waiting += order.get_ready()
            early = run.part.first - events.keys() - unmet
            # What somebody waits for shares the cores with nothing that comes after it.
            may_start = [name for name in waiting if name in early] if early else list(waiting)
            if early and not may_start and not running:
                may_start = list(waiting)
            while may_start and len(running) < workers:
                name = may_start.pop(0)
                waiting.remove(name)
                stop = failures and not run.pipeline.job.settings.continue_on_step_failure
                if name != last and (stop or before[name] & unmet):
                    unmet.add(name)
                    events[name] = run.tell(StepEvent(name, "skipped"))
                    order.done(name)
                else:
                    running[pool.submit(run.step, steps[name])] = name
            if not running:
                continue
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                name = running.pop(future)
                try:
                    events[name] = future.result()
                except StepFailed as error:
                    failures.append(error)
                    unmet.add(name)
                order.done(name)
    finally:
        # Only when something else than a failed step ended the loop is there anything left to stop.
        if running:
            run.stop()
        pool.shutdown(wait=True, cancel_futures=True)
    return [events[name] for name in steps if name in events], failures


def check_code(step: Step) -> None:
    """Raises `InvalidInput` for code that no folder of this machine holds: it would run in an empty one."""
    code = step.component.code
    if code is not None and (step.code is None or code.startswith("azureml:")):
        raise InvalidInput(
            step.problem(
                ("code",), f"{code!r} is not a folder of this repository; give a path, such as ../src"
            )
        )


def _outputs(run: Run) -> dict[str, Path]:
    paths = {f"{job}.{name}": Path(given.text) for (job, name), given in run.outputs.items()}
    for step in run.pipeline.steps.values():
        for name, output in step.node.outputs.items():
            bound = parse_parent(output.binding)
            if bound is not None and bound.kind == "output" and f"{step.name}.{name}" in paths:
                paths[bound.name] = paths[f"{step.name}.{name}"]
    return paths


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM, and SIGHUP of a terminal that is gone, end a run the way Control-C does.

    The first one counts: a shell passes the same signal on, and a second must not end the work of ending.
    What is ignored, as below `nohup`, stays so. Only the main thread can say what a signal does.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        for other in before:
            signal.signal(other, _nothing)
        raise KeyboardInterrupt

    asked = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    before = {number: handler for number, handler in asked.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Not SIG_IGN, which processes that are started meanwhile would inherit."""

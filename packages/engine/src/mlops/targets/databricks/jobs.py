"""Jobs of Databricks: the pipeline file of the repository as one run of several tasks."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, MlopsError, NotFound, StepFailed, TargetError
from mlops.pipeline import WHOLE, JobResult, Selection, StepEvent, StepState, lint
from mlops.pipeline.binding import parse_parent
from mlops.pipeline.parts import Pipeline
from mlops.pipeline.read import read_pipeline
from mlops.pipeline.run.values import pipeline_inputs
from mlops.steps.on_databricks import END, LOG, PLAN
from mlops.targets.base import DataAssets
from mlops.targets.databricks._tasks import job_of, planned, submitted
from mlops.targets.databricks._wheel import wheel
from mlops.targets.databricks.connect import Connection, enum
from mlops.targets.databricks.data import download, upload
from mlops.targets.databricks.registry import WorkspaceTracker
from mlops.targets.databricks.store import Volume
from mlops.tracking.databricks_errors import Unavailable, databricks_sentences

JOB = "mlops.databricks.run"
"""Tag of an MLflow run: the job's run that it is."""
OUTPUTS = "outputs.json"
"""In the folder of a run: what its outputs are called, for a process that has no checkout."""
_ENDED = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 15.0
_PATIENT = 6
"""Questions in a row that Databricks may leave without an answer, beyond what its client repeats on its
own."""
_CANCEL_SECONDS = 60.0
_LAST_LINES = 15
_COMPUTE = {
    "CLUSTER_ERROR": "its cluster did not start",
    "INVALID_CLUSTER_REQUEST": "its cluster cannot be had",
    "CLOUD_FAILURE": "the cloud did not give it a machine",
    "CLUSTER_REQUEST_LIMIT_EXCEEDED": "too many clusters are asked for",
    "WORKSPACE_RUN_LIMIT_EXCEEDED": "the workspace runs too many jobs",
    "LIBRARY_INSTALLATION_ERROR": "its packages could not be installed",
    "UNAUTHORIZED_ERROR": "its identity may not do that",
    "STORAGE_ACCESS_ERROR": "its storage could not be reached",
    "DRIVER_ERROR": "its driver did not answer",
    "INTERNAL_ERROR": "Databricks failed by itself",
}

Progress = Callable[[StepEvent], None]


class DatabricksJobs:
    """Implements `mlops.targets.base.Jobs`. A job's name is the id of its MLflow run."""

    def __init__(self, connection: Connection, data: DataAssets) -> None:
        self._connection = connection
        self._data = data
        self._tracker = WorkspaceTracker(connection)

    def run(
        self,
        pipeline: Path,
        inputs: Mapping[str, str],
        tags: Mapping[str, str],
        progress: Progress,
        selection: Selection = WHOLE,
    ) -> JobResult:
        """See `mlops.targets.base.Jobs.run`; an interruption cancels the job."""
        if not selection.whole:
            raise InvalidInput(
                "--only, --from, --here, --environment and --stand-in run steps on this machine; on "
                "Databricks "
                "a pipeline runs whole. Use --target local, or leave them out"
            )
        name = self.submit(pipeline, inputs, tags)
        try:
            result = self.wait(name, progress)
        except KeyboardInterrupt:
            self._cancel(name)
            raise
        assert result is not None, "without a limit the wait ends with the job"  # noqa: S101
        return result

    def again(self, pipeline: Path, inputs: Mapping[str, str], tags: Mapping[str, str]) -> JobResult | None:
        """None: every run there runs every step."""
        return None

    def submit(self, pipeline: Path, inputs: Mapping[str, str], tags: Mapping[str, str]) -> str:
        """See `mlops.targets.base.Jobs.submit`."""
        if problems := lint(pipeline):
            raise InvalidInput(problems)
        read, problems = read_pipeline(pipeline)
        if read is None or problems:
            raise InvalidInput(problems)
        volume = self._volume
        schema = f"{volume.place.catalog}.{volume.place.schema}"
        given = pipeline_inputs(read, inputs, self._data.resolve, here=False)
        job = job_of(read, given, self._data.resolve, volume.place.files)
        name, content = wheel(self._connection.root)
        experiment = read.job.experiment_name or pipeline.parent.name
        run = self._tracker.create_parent(experiment, read.job.display_name or experiment, tags)
        try:
            for path, body in {**job.files, f"wheels/{name}": content}.items():
                volume.create(path, body)  # named by their content: those that are there are the same
            for folder, source in job.uploads.items():
                upload(volume, source, f"runs/{run}/{_folder_of(folder, source)}")
            volume.replace(f"runs/{run}/{PLAN}", json.dumps(planned(job, run, schema)).encode())
            volume.replace(f"runs/{run}/{OUTPUTS}", json.dumps(_outputs_of(read)).encode())
            settings = self._connection.settings.databricks
            asked = submitted(job, run, volume.place.files, volume.path(f"wheels/{name}"), settings)
            with databricks_sentences(f"submit {pipeline.name}"):
                # The token makes a request that the client repeats the same run.
                made = self._jobs.submit(run_name=f"{experiment} {run[:8]}", idempotency_token=run, **asked)
            self._tracker.set_tags(run, {JOB: str(made.run_id)})
        except MlopsError:
            self._tracker.finish(run, "FAILED")
            raise
        return run

    def wait(self, name: str, progress: Progress, patience: float = math.inf) -> JobResult | None:
        """See `mlops.targets.base.Jobs.wait`."""
        number = self._number(name)
        until = time.monotonic() + patience
        told: dict[str, StepEvent] = {}
        pause, failures = _FIRST_WAIT, 0
        while True:
            ended = False
            try:
                with databricks_sentences(f"ask for the job {name}"):
                    job = self._jobs.get_run(number)
                self._tell(job, told, progress)
                ended = enum(job.state.life_cycle_state) in _ENDED
                failures = 0
            except Unavailable as error:
                failures += 1
                if failures > _PATIENT:
                    raise TargetError(_goes_on(name, error)) from error
            except NotFound:
                raise
            except TargetError as error:
                raise TargetError(_goes_on(name, error)) from error
            if ended:
                return self._ended(name, job, told)
            if time.monotonic() + pause > until:
                return None
            time.sleep(pause)
            pause = min(pause * 1.3, _LONGEST_WAIT)

    def output(self, name: str, output: str) -> Path:
        """See `mlops.targets.base.Jobs.output`."""
        volume, known = self._volume, self._known(name)
        made = known["outputs"].get(output) or (output if output in known["steps"] else "")
        if not made:
            raise NotFound(f"the run {name} has no output {output!r}; it has: {', '.join(known['outputs'])}")
        place = f"runs/{name}/{made.replace('.', '/', 1)}"
        to = self._connection.state / "runs" / name / output
        if known["steps"][made] == "uri_file":
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(volume.read(place))
        else:
            download(volume, place, to)
        return to

    @property
    def _jobs(self) -> Any:
        return self._connection.client().jobs

    @property
    def _volume(self) -> Volume:
        return Volume(self._connection, self._connection.training)

    def _number(self, name: str) -> int:
        """The job's run; raises `NotFound`."""
        try:
            number = self._tracker.get(name).tags.get(JOB, "")
        except NotFound:
            number = ""
        if not number.isdecimal():
            raise NotFound(f"the workspace {self._connection.place().host} has no job {name!r}")
        return int(number)

    def _known(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._volume.read(f"runs/{name}/{OUTPUTS}"))
        except NotFound:
            raise NotFound(f"there is no run {name!r} in {self._volume.place.files}/runs") from None
        return found

    def _tell(self, job: Any, told: dict[str, StepEvent], progress: Progress) -> None:
        """Pass on what has changed since the last look."""
        for task in job.tasks or []:
            state = _state(task)
            before = told.get(task.task_key)
            if task.task_key == END or state is None or (before is not None and before.state == state):
                continue
            seconds = (task.execution_duration or 0) / 1000 if state not in ("running", "skipped") else None
            told[task.task_key] = StepEvent(task.task_key, state, seconds, str(task.run_page_url or ""))
            progress(told[task.task_key])

    def _ended(self, name: str, job: Any, told: dict[str, StepEvent]) -> JobResult:
        url, state = str(job.run_page_url or ""), job.state
        result = enum(state.result_state)
        if result == "CANCELED" or state.user_cancelled_or_timedout:
            self._tracker.finish(name, "KILLED")
            raise TargetError(f"the job {name} was cancelled; {url} says by whom")
        if result != "SUCCESS":
            self._tracker.finish(name, "FAILED")
            raise self._failure(name, job)
        order = [task.task_key for task in job.tasks if task.task_key in told]
        steps = tuple(told[key] for key in order)
        return JobResult(name, steps, self._outputs(name), url, dict(self._tracker.get(name).tags))

    def _failure(self, name: str, job: Any) -> MlopsError:
        """What the failed steps said last, or what was in the way of their start."""
        failed = [t for t in job.tasks or [] if t.task_key != END and _state(t) == "failed"]
        said = []
        for task in failed:
            details = task.status.termination_details if task.status else None
            code = enum(details.code if details else None)
            message = str((details.message if details else "") or task.state.state_message or "")
            if code in _COMPUTE:
                hint = (
                    "; the quota of the subscription is used up: ask for more, or set another node_type"
                    if "quota" in message.lower()
                    else ""
                )
                return TargetError(
                    f"step {task.task_key!r} could not run: {_COMPUTE[code]} ({code}: "
                    f"{message[:400]}){hint}; "
                    f"see {task.run_page_url}"
                )
            last = "\n".join(f"    {line}" for line in self._log(name, task)[-_LAST_LINES:])
            words = f"; the last lines of its log:\n{last}" if last else "; it wrote nothing to its log"
            said.append(f"step {task.task_key!r} failed{words}\n  log: {task.run_page_url}")
        if not said:
            message = str(job.state.state_message or "")
            return StepFailed(
                f"the job {name} failed before a step could start ({message}); {job.run_page_url}"
            )
        return StepFailed("\n".join(said))

    def _log(self, name: str, task: Any) -> list[str]:
        """Lines of a step's log that say something; none when it wrote none or it cannot be read."""
        try:
            text = self._volume.read(f"runs/{name}/{task.task_key}/{LOG}").decode("utf-8", "replace")
        except NotFound:
            try:
                with databricks_sentences(f"read the log of {task.task_key}"):
                    found = self._jobs.get_run_output(task.run_id)
            except TargetError as error:
                return [f"(the log cannot be read: {error})"]
            text = f"{found.logs or ''}\n{found.error or ''}"
        return [line for line in text.splitlines() if line.strip()]

    def _outputs(self, name: str) -> dict[str, Path]:
        """Outputs of the pipeline that are files. Folders stay there: models and data are large."""
        known, found = self._known(name), {}
        for output, made in known["outputs"].items():
            if known["steps"][made] == "uri_file":
                found[output] = found[made] = self.output(name, output)
        return found

    def _cancel(self, name: str) -> None:
        """Ask for the end of a job and wait a moment for it; a second interruption leaves it to
        Databricks."""
        number = self._number(name)
        try:
            with databricks_sentences(f"cancel the job {name}"):
                self._jobs.cancel_run(number)
                until = time.monotonic() + _CANCEL_SECONDS
                while time.monotonic() < until:
                    if enum(self._jobs.get_run(number).state.life_cycle_state) in _ENDED:
                        break
                    time.sleep(_FIRST_WAIT)
        except MlopsError as error:
            raise TargetError(f"{error}; the job {name} goes on") from error
        self._tracker.finish(name, "KILLED")


def _state(task: Any) -> StepState | None:
    """What a person wants to hear of; None for the kinds of waiting."""
    life, result = enum(task.state.life_cycle_state), enum(task.state.result_state)
    if life in ("RUNNING", "TERMINATING"):
        return "running"
    if life == "TERMINATED":
        if result == "SUCCESS":
            return "finished"
        return (
            "skipped"
            if result in ("CANCELED", "EXCLUDED", "UPSTREAM_FAILED", "UPSTREAM_CANCELED")
            else "failed"
        )
    if life == "INTERNAL_ERROR":
        return "skipped" if result in ("UPSTREAM_FAILED", "UPSTREAM_CANCELED") else "failed"
    return "skipped" if life == "SKIPPED" else None


def _outputs_of(pipeline: Pipeline) -> dict[str, dict[str, str]]:
    """The types of `<step>.<output>`, and what outputs of the pipeline are bound to."""
    steps = {
        f"{step.name}.{name}": pipeline.output_type(step, name) or "uri_folder"
        for step in pipeline.steps.values()
        for name in step.component.outputs
    }
    outputs = {}
    for step in pipeline.steps.values():
        for name, given in step.node.outputs.items():
            bound = parse_parent(given.binding)
            if bound is not None and bound.kind == "output":
                outputs[bound.name] = f"{step.name}.{name}"
    return {"steps": steps, "outputs": outputs}


def _folder_of(folder: str, source: Path) -> str:
    return folder if source.is_dir() else folder.rpartition("/")[0]


def _goes_on(name: str, error: TargetError) -> str:
    said = str(error).rstrip(".")
    return f"{said}. The job goes on without this command; follow it with: mlops train --resume {name}"

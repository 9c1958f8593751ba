"""Jobs of Databricks: the pipeline file of the repository as one run of several tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, MlopsError, NotFound, StepFailed, TargetError
from mlops.pipeline import JobResult, StepEvent, StepState, lint
from mlops.pipeline.binding import parse_parent
from mlops.pipeline.parts import Pipeline
from mlops.pipeline.read import read_pipeline
from mlops.pipeline.run.values import AssetResolver, pipeline_inputs
from mlops.steps.on_databricks import END, LOG, PLAN
from mlops.targets._remote_jobs import RemoteJobs, StepEvents, step_failure
from mlops.targets.databricks._tasks import Job, job_of, planned, submitted
from mlops.targets.databricks._wheel import wheel
from mlops.targets.databricks.connect import Connection, enum
from mlops.targets.databricks.data import download, upload
from mlops.targets.databricks.registry import WorkspaceTracker
from mlops.targets.databricks.store import Volume
from mlops.tracking.databricks_errors import databricks_sentences

JOB = "mlops.databricks.run"
"""Tag of an MLflow run: the job's run that it is."""
OUTPUTS = "outputs.json"
"""In the folder of a run: what its outputs are called, for a process that has no checkout."""
_ENDED = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
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
"""Codes of a task that ended before its step could run, as the sentence says them."""


class DatabricksJobs(RemoteJobs):
    """Implements `mlops.targets.base.Jobs`. A job's name is the id of its MLflow run."""

    _runs_whole = "on Databricks a pipeline runs whole. Use --target local, or leave them out"

    def __init__(self, connection: Connection, resolve: AssetResolver, environment: str = "") -> None:
        """`resolve`: the address of a data asset. `environment`: whose volume and workspace; empty: those
        of training."""
        self._connection = connection
        self._resolve = resolve
        self._environment = environment or connection.training
        self._tracker = WorkspaceTracker(connection)
        self._numbers: dict[str, int] = {}

    def submit(self, pipeline: Path, inputs: Mapping[str, str], tags: Mapping[str, str]) -> str:
        """See `mlops.targets.base.Jobs.submit`."""
        if problems := lint(pipeline):
            raise InvalidInput(problems)
        read, problems = read_pipeline(pipeline)
        if read is None or problems:
            raise InvalidInput(problems)
        given = pipeline_inputs(read, inputs, self._resolve, here=False)
        job = job_of(read, given, self._resolve, self._volume.place.files)
        experiment = read.job.experiment_name or pipeline.parent.name
        run = self._tracker.create_parent(experiment, read.job.display_name or experiment, tags)
        try:
            wheel_path = self._upload(run, read, job)
            settings = self._connection.settings.databricks
            request = submitted(job, run, self._volume.place.files, wheel_path, settings)
            with databricks_sentences(f"submit {pipeline.name}"):
                # The token makes a request that the client repeats the same run.
                submission = self._jobs.submit(
                    run_name=f"{experiment} {run[:8]}", idempotency_token=run, **request
                )
            self._tracker.set_tags(run, {JOB: str(submission.run_id)})
        except MlopsError:
            self._tracker.finish(run, "FAILED")
            raise
        return run

    def _upload(self, run: str, pipeline: Pipeline, job: Job) -> str:
        """Put into the volume what the tasks read; the path of the engine's wheel there."""
        volume = self._volume
        wheel_name, content = wheel(self._connection.root)
        for path, body in {**job.files, f"wheels/{wheel_name}": content}.items():
            volume.create(path, body)  # named by their content: those that are there are the same
        for folder, source in job.uploads.items():
            upload(volume, source, f"runs/{run}/{_folder_of(folder, source)}")
        schema = f"{volume.place.catalog}.{volume.place.schema}"
        volume.replace(f"runs/{run}/{PLAN}", json.dumps(planned(job, run, schema)).encode())
        volume.replace(f"runs/{run}/{OUTPUTS}", json.dumps(_outputs_of(pipeline)).encode())
        return volume.path(f"wheels/{wheel_name}")

    def output(self, name: str, output: str) -> Path:
        """See `mlops.targets.base.Jobs.output`."""
        volume, ports = self._volume, self._ports(name)
        port = ports["outputs"].get(output) or (output if output in ports["steps"] else "")
        if not port:
            raise NotFound(f"the run {name} has no output {output!r}; it has: {', '.join(ports['outputs'])}")
        place = f"runs/{name}/{port.replace('.', '/', 1)}"
        to = self._connection.state / "runs" / name / output
        if ports["steps"][port] == "uri_file":
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(volume.read(place))
        else:
            download(volume, place, to)
        return to

    @property
    def _jobs(self) -> Any:
        return self._connection.client(self._environment).jobs

    @property
    def _volume(self) -> Volume:
        return Volume(self._connection, self._environment)

    def _number(self, name: str) -> int:
        """The job's run in Databricks, which never changes; raises `NotFound`."""
        if name not in self._numbers:
            try:
                number = self._tracker.get(name).tags.get(JOB, "")
            except NotFound:
                number = ""
            if not number.isdecimal():
                raise NotFound(f"the workspace {self._connection.place().host} has no job {name!r}")
            self._numbers[name] = int(number)
        return self._numbers[name]

    def _ports(self, name: str) -> dict[str, Any]:
        """What `_outputs_of` said of the pipeline when it was submitted; raises `NotFound`."""
        try:
            ports: dict[str, Any] = json.loads(self._volume.read(f"runs/{name}/{OUTPUTS}"))
        except NotFound:
            raise NotFound(f"there is no run {name!r} in {self._volume.place.files}/runs") from None
        return ports

    def _job(self, name: str) -> Any:
        number = self._number(name)
        with databricks_sentences(f"ask for the job {name}"):
            return self._jobs.get_run(number)

    def _has_ended(self, job: Any) -> bool:
        return enum(job.state.life_cycle_state) in _ENDED

    def _tell(self, job: Any, events: StepEvents) -> None:
        for task in job.tasks or []:
            state = _state(task)
            if task.task_key == END or state is None:
                continue
            seconds = (task.execution_duration or 0) / 1000 if state not in ("running", "skipped") else None
            events.tell(StepEvent(task.task_key, state, seconds, str(task.run_page_url or "")))

    def _result(self, name: str, job: Any, events: StepEvents) -> JobResult:
        url, state = str(job.run_page_url or ""), job.state
        result = enum(state.result_state)
        if result == "CANCELED" or state.user_cancelled_or_timedout:
            self._tracker.finish(name, "KILLED")
            raise TargetError(f"the job {name} was cancelled; {url} says by whom")
        if result != "SUCCESS":
            self._tracker.finish(name, "FAILED")
            raise self._failure(name, job)
        steps = tuple(events.newest[task.task_key] for task in job.tasks if task.task_key in events.newest)
        return JobResult(name, steps, self._outputs(name), url, dict(self._tracker.get(name).tags))

    def _failure(self, name: str, job: Any) -> MlopsError:
        """What the failed steps said last, or what was in the way of their start."""
        failed = [task for task in job.tasks or [] if task.task_key != END and _state(task) == "failed"]
        for task in failed:
            if refusal := _compute_refusal(task):
                return TargetError(refusal)
        if not failed:
            message = str(job.state.state_message or "")
            return StepFailed(
                f"the job {name} failed before a step could start ({message}); {job.run_page_url}"
            )
        return StepFailed(
            "\n".join(
                step_failure(task.task_key, self._log(name, task), str(task.run_page_url)) for task in failed
            )
        )

    def _log(self, name: str, task: Any) -> str:
        """A step's log; empty when it wrote none, and why when it cannot be read."""
        try:
            return self._volume.read(f"runs/{name}/{task.task_key}/{LOG}").decode("utf-8", "replace")
        except NotFound:
            # It failed before our runtime could keep one: Databricks has its own.
            try:
                with databricks_sentences(f"read the log of {task.task_key}"):
                    output = self._jobs.get_run_output(task.run_id)
            except TargetError as error:
                return f"(the log cannot be read: {error})"
            return f"{output.logs or ''}\n{output.error or ''}"

    def _outputs(self, name: str) -> dict[str, Path]:
        """Outputs of the pipeline that are files. Folders stay there: models and data are large."""
        ports, paths = self._ports(name), {}
        for output, port in ports["outputs"].items():
            if ports["steps"][port] == "uri_file":
                paths[output] = paths[port] = self.output(name, output)
        return paths

    def _cancel(self, name: str) -> None:
        super()._cancel(name)
        # Only now: a task that still runs would set the state of the run again.
        self._tracker.finish(name, "KILLED")

    def _request_end(self, name: str) -> None:
        number = self._number(name)
        with databricks_sentences(f"cancel the job {name}"):
            self._jobs.cancel_run(number)


def _compute_refusal(task: Any) -> str:
    """Why a task got nothing to run on; empty when it ran."""
    details = task.status.termination_details if task.status else None
    code = enum(details.code if details else None)
    if code not in _COMPUTE:
        return ""
    message = str((details.message if details else "") or task.state.state_message or "")
    hint = (
        "; the quota of the subscription is used up: ask for more, or set another node_type"
        if "quota" in message.lower()
        else ""
    )
    return (
        f"step {task.task_key!r} could not run: {_COMPUTE[code]} ({code}: {message[:400]}){hint}; "
        f"see {task.run_page_url}"
    )


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

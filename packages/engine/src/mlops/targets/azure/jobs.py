"""Pipeline jobs in the training workspace: the YAML of the repository goes there as it is."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, NotFound, StepFailed, TargetError
from mlops.pipeline import JobResult, StepEvent, StepState, lint
from mlops.pipeline.documents import open_document
from mlops.pipeline.models import DATA_TYPES
from mlops.pipeline.parts import Pipeline
from mlops.pipeline.read import read_pipeline
from mlops.pipeline.run.values import pipeline_inputs
from mlops.targets._remote_jobs import RemoteJobs, StepEvents, step_failure
from mlops.targets.azure._outputs import download
from mlops.targets.azure.connect import Connection, silent
from mlops.targets.base import DataAssets
from mlops.tracking import PipelineTracker
from mlops.tracking.azure_errors import azure_sentences

ENDED = {"Completed", "Failed", "Canceled", "NotResponding"}
_STATES: Mapping[str, StepState] = {
    "Completed": "finished",
    "Failed": "failed",
    "Canceled": "skipped",
    "NotResponding": "failed",
    "Running": "running",
    "Finalizing": "running",
}
"""Azure ML's states that a person wants to hear of; the others are kinds of waiting."""
_LOG = "user_logs/std_log.txt"
_DEEPEST = 8
"""Pipelines inside of pipelines that are looked into for what failed."""


class AzureJobs(RemoteJobs):
    """Implements `mlops.targets.base.Jobs`. A job's name is the id of its MLflow run."""

    _runs_whole = (
        "on Azure ML a pipeline runs whole, in its own environments. Use --target local, or leave them out: "
        "unchanged steps are reused there too"
    )

    def __init__(self, connection: Connection, data: DataAssets) -> None:
        self._connection = connection
        self._data = data

    def submit(self, pipeline: Path, inputs: Mapping[str, str], tags: Mapping[str, str]) -> str:
        """See `mlops.targets.base.Jobs.submit`."""
        if problems := lint(pipeline):
            raise InvalidInput(problems)
        # Azure ML would find a wrong input only when the step that reads it starts.
        read, problems = read_pipeline(pipeline)
        if read is None:
            raise InvalidInput(problems)
        pipeline_inputs(read, inputs, self._data.resolve, here=False)
        client = self._connection.client()
        with azure_sentences(f"submit {pipeline.name} to {client.workspace_name}"), silent():
            job = described(pipeline, inputs, tags, _kinds(read))
            submitted = client.jobs.create_or_update(job)
        return str(submitted.name)

    def _job(self, name: str) -> Any:
        return job_of(self._connection, name)

    def _has_ended(self, job: Any) -> bool:
        return job.status in ENDED

    def _tell(self, job: Any, events: StepEvents) -> None:
        for step in steps_of(self._connection, str(job.name)) or ([] if _jobs(job) else [job]):
            state = _STATES.get(step.status)
            if state == "finished" and step.properties.get("azureml.isreused", "").lower() == "true":
                state = "reused"
            if state is None:
                continue
            seconds = _seconds(step) if state != "running" else None
            label = str(step.display_name or step.name)
            events.tell(StepEvent(label, state, seconds, url_of(self._connection, step.name)))

    def _result(self, name: str, job: Any, events: StepEvents) -> JobResult:
        labels = list(_jobs(job))
        # Where the studio shows steps under other names, nobody can say which one did not run.
        if set(events.newest) <= set(labels):
            for label in labels:
                if label not in events.newest:
                    events.tell(StepEvent(label, "skipped"))
        url = url_of(self._connection, job.name)
        if job.status == "Canceled":
            raise TargetError(f"the job {job.name} was cancelled; {url} says by whom")
        if job.status != "Completed":
            raise StepFailed(self._failure(job))
        order = sorted(
            events.newest, key=lambda label: labels.index(label) if label in labels else len(labels)
        )
        steps = tuple(events.newest[label] for label in order)
        return JobResult(str(job.name), steps, self._outputs(job), url, dict(job.tags or {}))

    def output(self, name: str, output: str) -> Path:
        """See `mlops.targets.base.Jobs.output`."""
        folder = self._connection.state / "runs" / name / output
        with azure_sentences(f"download the output {output} of {name}"):
            return download(self._connection.client(), name, output, folder)

    def _failure(self, job: Any) -> str:
        """What the failed steps said last."""
        failed = self._failed(str(job.name))
        if not failed and not _jobs(job):
            failed = [(str(job.display_name or job.name), job)]
        if not failed:
            url = url_of(self._connection, job.name)
            return f"the job {job.name} failed before a step could start; {url} says why"
        return "\n".join(
            step_failure(label, self._log(step.name), url_of(self._connection, step.name))
            for label, step in failed
        )

    def _failed(self, name: str, above: str = "", depth: int = 0) -> list[tuple[str, Any]]:
        """The jobs below `name` that failed by themselves, with their names as a run here gives them.

        A pipeline inside of a pipeline writes no log: what failed inside of it says why.
        """
        found: list[tuple[str, Any]] = []
        for step in steps_of(self._connection, name):
            if _STATES.get(step.status) != "failed":
                continue
            label = f"{above}{step.display_name or step.name}"
            inner = self._failed(str(step.name), f"{label}.", depth + 1) if depth < _DEEPEST else []
            found += inner or [(label, step)]
        return found

    def _log(self, name: str) -> str:
        """A step's log; empty when it wrote none, and why when it cannot be read."""
        tracker = PipelineTracker(self._connection.tracking_uri())
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = tracker.download(name, _LOG, Path(folder))
            except TargetError as error:
                return "" if isinstance(error, NotFound) else f"(the log cannot be read: {error})"
            return path.read_text(encoding="utf-8", errors="replace")

    def _outputs(self, job: Any) -> dict[str, Path]:
        """The pipeline's own outputs that are files. Folders stay there: models and data are large."""
        paths: dict[str, Path] = {}
        bound = {
            _binding(output): f"{label}.{key}"
            for label, step in _jobs(job).items()
            for key, output in (step.outputs or {}).items()
        }
        for key, output in (job.outputs or {}).items():
            if getattr(output, "type", "") != "uri_file":
                continue
            folder = self._connection.state / "runs" / str(job.name) / key
            with azure_sentences(f"download the output {key} of {job.name}"):
                download(self._connection.client(), str(job.name), key, folder)
            files = sorted(p for p in folder.rglob("*") if p.is_file())
            if not files:
                raise TargetError(f"the job {job.name} has ended, but its output {key} has no file")
            paths[key] = files[0]
            if step := bound.get(f"${{{{parent.outputs.{key}}}}}"):
                paths[step] = files[0]
        return paths

    def _request_end(self, name: str) -> None:
        with azure_sentences(f"cancel the job {name}"):
            self._connection.client().jobs.begin_cancel(name)


def job_of(connection: Connection, name: str) -> Any:
    """The job as it is now; raises `NotFound`."""
    client = connection.client()
    try:
        with azure_sentences(f"ask for the job {name}"):
            return client.jobs.get(name)
    except NotFound:
        raise NotFound(
            f"the workspace {client.workspace_name} has no job {name!r}; "
            f"see what it has with: az ml job list --workspace-name {client.workspace_name} -o table"
        ) from None


def steps_of(connection: Connection, name: str) -> list[Any]:
    """The steps of a pipeline or the trials of a sweep that exist by now, oldest first."""
    with azure_sentences(f"ask for the steps of {name}"):
        steps = [s for s in connection.client().jobs.list(parent_job_name=name) if s is not None]
    return sorted(steps, key=lambda step: str(step.creation_context.created_at or ""))


def url_of(connection: Connection, name: str) -> str:
    """The page of a job in Azure ML's studio."""
    client, place = connection.client(), connection.place(connection.training)
    group = f"/subscriptions/{client.subscription_id}/resourcegroups/{place.resource_group}"
    return f"https://ml.azure.com/runs/{name}?wsid={group}/workspaces/{place.workspace}"


def _kinds(read: Pipeline) -> dict[str, str]:
    """The types of the inputs of jobs, by the names that somebody gives them."""
    return {
        f"{step.name}.{name}": port.type
        for step in read.steps.values()
        for name, port in step.component.inputs.items()
    }


def described(
    pipeline: Path, inputs: Mapping[str, str], tags: Mapping[str, str], kinds: Mapping[str, str] | None = None
) -> Any:
    """The job of the file, with other values for some inputs and with `tags`.

    `kinds`: types of inputs of its jobs, where a value for one of those is among `inputs`.
    """
    from azure.ai.ml import load_job

    value = open_document(pipeline).value
    # Inputs of a command that are set on the loaded job are lost when it is sent (azure-ai-ml 1.35.2).
    changes = [_override(k, v, _declared(value, k, (kinds or {}).get(k))) for k, v in inputs.items()]
    job = load_job(pipeline, params_override=[*changes, *_tables(pipeline, value)])
    job.tags = {**(job.tags or {}), **tags}
    return job


def _declared(value: Mapping[str, Any], name: str, kind: str | None) -> Any:
    """What the file says of an input: its own, or `JOB.NAME` of one of its jobs, whose type is `kind`."""
    job, _, key = name.rpartition(".")
    if not job:
        return value["inputs"][name]
    jobs = value.get("jobs") or {}
    if job not in jobs:
        raise InvalidInput(
            f"{name}: the job is inside of a pipeline in the pipeline, and Azure ML takes values for jobs "
            "of the file alone; give the value to an input of the outer one"
        )
    given = (jobs[job].get("inputs") or {}).get(key)
    return {"type": kind} if kind in DATA_TYPES and not isinstance(given, dict) else given


_TABLES = ("training_data", "validation_data", "test_data")


def _tables(pipeline: Path, value: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What AutoML learns from, beside the file: azure-ai-ml 1.35.2 would look in the working folder."""
    tables = []
    for name in _TABLES if str(value.get("type")).lower() == "automl" else ():
        given = value.get(name)
        path = given.get("path") if isinstance(given, dict) else None
        if isinstance(path, str) and not path.startswith("azureml:") and "://" not in path:
            tables.append({f"{name}.path": str((pipeline.parent / path).resolve())})
    return tables


def _override(name: str, text: str, declared: Any) -> dict[str, Any]:
    """An input of the file with another value, of the kind that stands there."""
    job, _, key = name.rpartition(".")
    place = f"jobs.{job}.inputs.{key}" if job else f"inputs.{key}"
    if isinstance(declared, dict):
        if "path" not in declared and declared.get("type") not in DATA_TYPES:
            return {place: text}
        local = Path(text)
        path = str(local.resolve()) if local.exists() else text
        # What was bound to something else becomes data of its own.
        return (
            {f"{place}.path": path} if "path" in declared or not job else {place: {**declared, "path": path}}
        )
    if isinstance(declared, bool):
        return {place: text.lower() == "true"}
    return {place: type(declared)(text) if isinstance(declared, int | float) else text}


def _jobs(job: Any) -> Mapping[str, Any]:
    """The steps of a pipeline; none of a job of another kind."""
    return getattr(job, "jobs", None) or {}


def _binding(output: Any) -> str:
    """The pipeline's output that a step's output is, in the words of the YAML."""
    given = output._data
    return given if isinstance(given, str) else str(getattr(given, "path", "") or "")


def _seconds(step: Any) -> float | None:
    """How long a step took, as far as run history says."""
    context = step.creation_context
    if context is None or context.created_at is None or context.last_modified_at is None:
        return None
    return float((context.last_modified_at - context.created_at).total_seconds())

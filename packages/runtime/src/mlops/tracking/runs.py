"""Runs of a pipeline: one parent, one child a step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from mlops.errors import NotFound
from mlops.tracking import _local, _local_runs
from mlops.tracking._connection import ENVIRONMENT, artifacts_of, client, room_in, translated
from mlops.tracking._run import PARENT as PARENT  # noqa: PLC0414 (told by this module)
from mlops.tracking._run import Run as Run  # noqa: PLC0414
from mlops.tracking.step import Dataset, StepRun, log_batch, log_input, upload

_NAME = "mlflow.runName"
_SHOWN = {
    "mlops.actor": "mlflow.user",
    "mlops.pipeline": "mlflow.source.name",
    "mlops.commit": "mlflow.source.git.commit",
}
"""Our tags, and those of MLflow that its page has columns for."""
_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""MLflow's page opens with runs and metrics; without it, with traces of language models."""
_PAGE = 200

RunStatus = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


class PipelineTracker:
    """Makes and closes runs in the store at `uri`. Every method raises `TargetError` when that fails.

    `artifact_root`: folder for the files of new experiments; None leaves the place to the server.
    """

    def __init__(self, tracking_uri: str, artifact_root: Path | None = None) -> None:
        self.uri = tracking_uri
        self._root = artifact_root
        self._experiments: dict[str, str] = {}
        self._started: dict[str, str] = {}

    def create_parent(self, experiment: str, name: str, tags: Mapping[str, str]) -> str:
        """A new running run of `experiment`; returns its id. MLflow's page shows who, what and from where."""
        shown = {theirs: tags[ours] for ours, theirs in _SHOWN.items() if tags.get(ours)}
        return self._create(self._experiment(experiment), name, {**shown, **tags})

    def create_child(self, parent: str, name: str, tags: Mapping[str, str]) -> str:
        """A new running run below `parent`, in its experiment; returns its id."""
        experiment = self._started.get(parent) or self.get(parent).experiment_id
        return self._create(experiment, name, {**tags, PARENT: parent})

    def finish(self, run_id: str, status: RunStatus) -> None:
        """End the run; ending it again replaces the status."""
        with translated(self.uri, f"end run {run_id}"):
            client(self.uri).set_terminated(run_id, status)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set or replace tags."""
        if _local.plain(tags) and (local := _local.opened(self.uri)) is not None:
            local.tag_run(run_id, tags)
            return
        log_batch(StepRun(self.uri, run_id), tags=tags)

    def log(
        self,
        run_id: str,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Log parameters and metrics to any run."""
        log_batch(StepRun(self.uri, run_id), params=params, metrics=metrics)

    def log_artifacts(self, run_id: str, folder: Path, path: str) -> None:
        """Copy `folder` below `path` of the run's artifacts; raises `InvalidInput` when it is none."""
        upload(StepRun(self.uri, run_id), folder, path)

    def download(self, run_id: str, path: str, to: Path) -> Path:
        """Copy the artifact `path` (a file or a folder) below the existing folder `to`; raises `NotFound`."""
        if (local := _local.opened(self.uri)) is not None:
            root = _local.folder(local.artifact_uri(run_id))
            if root is not None:
                if not (root / path).exists():
                    raise NotFound(f"run {run_id} has no artifact {path}")
                _local.copy(root / path, to / path, f"download {path} of run {run_id}")
                return to / path
        with translated(self.uri, f"download {path} of run {run_id}"):
            files = artifacts_of(self.uri, run_id)
            parent = path.rpartition("/")[0] or None
            if path not in {entry.path for entry in files.list_artifacts(parent)}:
                raise NotFound(f"run {run_id} has no artifact {path}")
            with room_in(to):
                return Path(files.download_artifacts(path, str(to)))

    def log_input(self, run_id: str, dataset: Dataset) -> bool:
        """Attach a data set where the server can; False where it cannot."""
        return log_input(StepRun(self.uri, run_id), dataset)

    def env(self) -> dict[str, str]:
        """Environment for child processes, beside MLFLOW_RUN_ID and MLFLOW_EXPERIMENT_ID of their run."""
        return {**ENVIRONMENT, "MLFLOW_TRACKING_URI": self.uri, "MLFLOW_REGISTRY_URI": self.uri}

    def copy_results(self, from_run: str, to_run: str) -> None:
        """Copy parameters and last metrics, for a step whose outputs are used again."""
        source = self.get(from_run)
        self.log(to_run, source.params, source.metrics)

    def get(self, run_id: str) -> Run:
        """Raises `NotFound`."""
        if (local := _local.opened(self.uri)) is not None:
            return _local_runs.get(local, run_id)
        with translated(self.uri, f"read run {run_id}"):
            return _run(client(self.uri).get_run(run_id))

    def history(self, run_id: str, metric: str) -> list[float]:
        """Every value that the run has logged for `metric`, by step and time; none when it logged none."""
        with translated(self.uri, f"read {metric} of run {run_id}"):
            logged = client(self.uri).get_metric_history(run_id, metric)
        return [float(m.value) for m in sorted(logged, key=lambda m: (m.step, m.timestamp))]

    def find_runs(
        self,
        experiment: str,
        tags: Mapping[str, str] | None = None,
        status: RunStatus | None = None,
        limit: int | None = None,
    ) -> list[Run]:
        """Runs of `experiment`, newest first, that carry all of `tags`; none when there is no experiment."""
        if (local := _local.opened(self.uri)) is not None:
            return _local_runs.find(local, experiment=experiment, tags=tags or {}, status=status, limit=limit)
        terms = [f"tags.`{key}` = '{value}'" for key, value in (tags or {}).items()]
        if status:
            terms.append(f"attributes.status = '{status}'")
        with translated(self.uri, f"search the runs of {experiment}"):
            known = client(self.uri).get_experiment_by_name(experiment)
            return self._search(known.experiment_id, terms, limit) if known is not None else []

    def children(self, parent: str) -> list[Run]:
        """The runs right below `parent`, newest first."""
        experiment = self.get(parent).experiment_id
        if (local := _local.opened(self.uri)) is not None:
            return _local_runs.find(local, experiment_id=experiment, tags={PARENT: parent})
        with translated(self.uri, f"search the steps of run {parent}"):
            return self._search(experiment, [f"tags.`{PARENT}` = '{parent}'"])

    def left_open(self, parent: str = "") -> dict[str, Mapping[str, str]]:
        """The tags of each run that is RUNNING: those right below `parent`, or those below none."""
        if (local := _local.opened(self.uri)) is not None:
            unended = _local_runs.find(
                local,
                experiment_id=self.get(parent).experiment_id if parent else None,
                tags={PARENT: parent} if parent else {},
                status="RUNNING",
            )
            return {run.run_id: run.tags for run in unended if parent or run.parent is None}
        terms = ["attributes.status = 'RUNNING'"]
        if parent:
            experiments = [self.get(parent).experiment_id]
            terms.append(f"tags.`{PARENT}` = '{parent}'")
        else:
            with translated(self.uri, "list the experiments"):
                experiments = [e.experiment_id for e in client(self.uri).search_experiments()]
        with translated(self.uri, "search for runs that were left open"):
            unended = [run for one in experiments for run in self._search(one, terms)]
        return {run.run_id: run.tags for run in unended if parent or run.parent is None}

    def _search(self, experiment_id: str, terms: list[str], limit: int | None = None) -> list[Run]:
        api = client(self.uri)
        runs: list[Run] = []
        token: str | None = ""
        while token is not None and (limit is None or len(runs) < limit):
            page = api.search_runs(
                [experiment_id],
                " and ".join(terms),
                max_results=_PAGE if limit is None else min(_PAGE, limit - len(runs)),
                order_by=["attributes.start_time DESC"],
                page_token=token or None,
            )
            runs += [_run(run) for run in page]
            token = page.token or None
        return runs

    def _create(self, experiment_id: str, name: str, tags: Mapping[str, str]) -> str:
        with translated(self.uri, f"start the run {name!r}"):
            run = client(self.uri).create_run(
                experiment_id, start_time=int(time.time() * 1000), tags={**tags, _NAME: name}, run_name=name
            )
        run_id = str(run.info.run_id)
        self._started[run_id] = experiment_id
        return run_id

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            self._experiments[name] = self._find_or_create(name)
        return self._experiments[name]

    def _find_or_create(self, name: str) -> str:
        with translated(self.uri, f"open the experiment {name!r}"):
            api = client(self.uri)
            from mlflow.exceptions import MlflowException

            if (known := api.get_experiment_by_name(name)) is not None:
                if known.lifecycle_stage == "deleted":
                    raise NotFound(
                        f"the experiment {name!r} is in MLflow's bin; restore it: "
                        f"mlflow experiments restore --experiment-id {known.experiment_id}"
                    )
                return str(known.experiment_id)
            try:
                place = (self._root / name).resolve().as_uri() if self._root else None
                kind = None if self.uri.startswith("azureml:") else _KIND
                return str(api.create_experiment(name, artifact_location=place, tags=kind))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was faster
                    raise
                return str(api.get_experiment_by_name(name).experiment_id)


def _run(entity: Any) -> Run:
    info, data = entity.info, entity.data
    return Run(
        run_id=info.run_id,
        experiment_id=info.experiment_id,
        name=info.run_name or "",
        status=info.status,
        started=info.start_time or 0,
        ended=info.end_time or 0,
        artifact_uri=info.artifact_uri,
        params=dict(data.params),
        metrics=dict(data.metrics),
        tags=dict(data.tags),
    )

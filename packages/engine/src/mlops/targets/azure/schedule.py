"""Schedules of Azure ML from the files of a repository: model monitors, and pipelines that run by the clock.

`pipelines/<model>/monitor.yml` is Azure ML's own monitor. It may need a datastore with a credential, which
storage without keys forbids; our own drift job, a pipeline under `create_job`, needs none.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, NotFound
from mlops.pipeline import lint
from mlops.targets.azure.connect import Connection
from mlops.tracking.azure_errors import azure_sentences

ENV = "env"
"""Input of a scheduled job that is told its environment: our own drift job has one."""
_COLLECTED = re.compile(r"-(model_inputs|model_outputs):\d+$")
"""The name of what a data collector writes; the client has taken `azureml:` off when it read the file."""


class AzureSchedules:
    """Schedules of an environment's workspace. Methods raise `InvalidInput` and `TargetError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def apply(self, environment: str, model: str, path: Path, deployment: str = "") -> str:
        """Make what `path` describes, or bring it up to date; the schedule's name. Idempotent.

        The job's input `env`, where it has one, becomes the environment. `deployment` is the colour that a
        monitor watches: the names in the file are those of a file, and the
        names of endpoints and of what they collect belong to the environment.
        """
        if problems := lint(path):
            raise InvalidInput(problems)
        entity = self._read(path)
        entity.name = f"{entity.name}-{environment}"
        if deployment and hasattr(entity, "create_monitor"):
            self._point(entity, environment, model, deployment)
        job: Any = getattr(entity, "create_job", None)
        if ENV in (getattr(job, "inputs", None) or {}):
            setattr(job.inputs, ENV, environment)
        client = self._connection.client(environment)
        with azure_sentences(f"make the schedule {entity.name}"), contextlib.redirect_stdout(io.StringIO()):
            client.schedules.begin_create_or_update(entity).result()
        return str(entity.name)

    def remove(self, environment: str, name: str) -> None:
        """Disable and delete a schedule; none of that name is no error."""
        schedules = self._connection.client(environment).schedules
        try:
            with azure_sentences(f"delete the schedule {name}"), contextlib.redirect_stdout(io.StringIO()):
                schedules.begin_disable(name).result()
                schedules.begin_delete(name).result()
        except NotFound:
            return

    def names(self, environment: str) -> Mapping[str, bool]:
        """Schedules by name, and whether they are enabled."""
        with azure_sentences(f"list the schedules of {environment}"):
            schedules = self._connection.client(environment).schedules.list()
            return {str(s.name): bool(s.is_enabled) for s in schedules}

    def _read(self, path: Path) -> Any:
        from azure.ai.ml.entities._load_functions import load_schedule

        with azure_sentences(f"read {path.name}"):
            return load_schedule(path)

    def _point(self, entity: Any, environment: str, model: str, deployment: str) -> None:
        """The deployment and the data of this environment in place of those that the file names."""
        endpoint = self._connection.place(environment).endpoint("online_endpoint", model)
        monitor = entity.create_monitor
        monitor.monitoring_target.endpoint_deployment_id = f"azureml:{endpoint}:{deployment}"
        for signal in (monitor.monitoring_signals or {}).values():
            production = getattr(signal, "production_data", None)
            for data in production if isinstance(production, list) else [production]:
                given: Any = getattr(data, "input_data", None)
                if kind := _COLLECTED.search(str(getattr(given, "path", ""))):
                    given.path = f"{endpoint}-{deployment}-{kind[1]}:1"

"""Azure ML's parallel jobs, as the command that does their work on one machine (`run/mini_batches.py`)."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from mlops.pipeline import run
from mlops.pipeline.models import (
    Component,
    ComponentFile,
    EnvironmentField,
    EnvVars,
    Resources,
    Yaml,
    lower_case,
)

DRIVER = Path(run.__file__).with_name("mini_batches.py")


class RetrySettings(Yaml):
    """How often a mini-batch is tried again."""

    max_retries: int | str = 2
    timeout: int | str = 60
    """Seconds of one `run()`."""


class ParallelTask(Yaml):
    """The entry script and what it is given."""

    type: Annotated[Literal["run_function", "function", "model"], BeforeValidator(lower_case)] = (
        "run_function"
    )
    code: str | None = None
    entry_script: str
    program_arguments: str | None = None
    append_row_to: str | None = None
    environment: EnvironmentField | None = None


class ParallelComponent(ComponentFile):
    """A parallel component, or a job that is written in place. Numbers may be bindings."""

    input_data: str
    mini_batch_size: str | int | None = None
    mini_batch_error_threshold: int | str = -1
    error_threshold: int | str | None = None
    max_concurrency_per_instance: int | str = 1
    partition_keys: tuple[str, ...] = ()
    retry_settings: RetrySettings = RetrySettings()
    resources: Resources | None = None
    environment_variables: EnvVars = Field(default_factory=dict)
    task: ParallelTask

    @field_validator("partition_keys", "retry_settings", mode="before")
    @classmethod
    def _none(cls, raw: Any, info: Any) -> Any:
        empty: Any = () if info.field_name == "partition_keys" else {}
        return empty if raw is None else raw

    @property
    def data(self) -> str:
        """The name of the input that is cut into mini-batches."""
        return self.input_data.strip().removeprefix("${{").removesuffix("}}").strip().removeprefix("inputs.")

    def not_here(self) -> str:
        """Why this machine cannot run it; empty when it can."""
        return f"runs a task of type {self.task.type}" if self.task.type == "model" else ""

    def as_command(self) -> Component:
        """What does the same on one machine."""
        task, retry = self.task, self.retry_settings
        port = self.inputs.get(self.data)
        words = ["python", shlex.quote(str(DRIVER)), "--entry", shlex.quote(task.entry_script)]
        words += ["--data", f"${{{{inputs.{self.data}}}}}"]
        words += ["--files"] if port is not None and port.type in ("uri_file", "uri_folder") else []
        words += ["--keys", shlex.quote(",".join(self.partition_keys))] if self.partition_keys else []
        words += ["--size", str(self.mini_batch_size or "")] if self.mini_batch_size else []
        words += ["--failed-batches", str(self.mini_batch_error_threshold)]
        words += ["--failed-items", str(self.error_threshold)] if self.error_threshold is not None else []
        words += ["--workers", str(self.max_concurrency_per_instance)]
        words += ["--retries", str(retry.max_retries), "--timeout", str(retry.timeout)]
        words += ["--append", task.append_row_to] if task.append_row_to else []
        words += ["--", task.program_arguments or ""]
        same = {name: getattr(self, name) for name in ComponentFile.model_fields if name != "environment"}
        return Component.model_construct(
            **same,
            type="command",
            environment=task.environment or self.environment,
            code=task.code,
            command=" ".join(words).strip(),
            resources=self.resources,
            environment_variables=self.environment_variables,
        )

"""Typed models of a pipeline of parallel jobs: Azure ML's way to score a folder on several machines.

They are submitted to Azure ML and linted here; on a laptop `mlops batch` does their work.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mlops.pipeline.models import (
    EnvironmentField,
    EnvVars,
    Outputs,
    PipelineJob,
    Resources,
    Values,
    Yaml,
)


class RetrySettings(Yaml):
    """How often a mini-batch is tried again."""

    max_retries: int = Field(2, ge=0)
    timeout: int = Field(60, ge=1)
    """Seconds of one `run()`."""


class ParallelTask(Yaml):
    """The entry script and what it is given."""

    type: Literal["run_function"]
    code: str
    entry_script: str
    program_arguments: str = ""
    append_row_to: str | None = None
    environment: EnvironmentField


class ParallelNode(Yaml):
    """One parallel job, written in place."""

    type: Literal["parallel"]
    display_name: str = ""
    description: str = ""
    tags: dict[str, str] = Field(default_factory=dict)
    inputs: Values = Field(min_length=1)
    outputs: Outputs = Field(default_factory=dict)
    compute: str | None = None
    resources: Resources | None = None
    input_data: str
    mini_batch_size: str | int = "1"
    mini_batch_error_threshold: int = Field(-1, ge=-1)
    max_concurrency_per_instance: int = Field(1, ge=1)
    retry_settings: RetrySettings = RetrySettings()
    logging_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    environment_variables: EnvVars = Field(default_factory=dict)
    identity: dict[str, Any] | None = None
    task: ParallelTask


class ParallelPipeline(PipelineJob):
    """A pipeline job whose jobs are all parallel."""

    jobs: dict[str, ParallelNode] = Field(min_length=1)  # type: ignore[assignment]

"""Typed models of what a job's file means to a run. Unknown keys are the lint's to judge.

The fields are those of `azure.ai.ml._schema` (1.35.2), read here without its 3 to 4 s of import.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationInfo, field_validator

from mlops.spec._base import Spec

DATA_TYPES = ("uri_folder", "uri_file", "mltable", "mlflow_model", "custom_model", "triton_model")
NUMERIC = ("integer", "number")
DataType = Literal["uri_folder", "uri_file", "mltable", "mlflow_model", "custom_model", "triton_model"]
PortType = Literal[
    "uri_folder",
    "uri_file",
    "mltable",
    "mlflow_model",
    "custom_model",
    "triton_model",
    "integer",
    "number",
    "string",
    "boolean",
]
InputMode = Literal["ro_mount", "rw_mount", "download", "direct", "eval_mount", "eval_download"]
OutputMode = Literal["rw_mount", "upload", "direct"]
Literal_ = str | int | float | bool
Labels = dict[str, Any]
"""Tags and properties: Azure ML turns what is no text into text."""


class Yaml(Spec):
    """Base of all objects here: keys are those of Azure ML, `$schema` included."""

    model_config = ConfigDict(protected_namespaces=(), extra="ignore")


def lower_case(raw: Any) -> Any:
    """Azure ML takes these words in any case."""
    return raw.lower() if isinstance(raw, str) else raw


class Value(Yaml):
    """What a job gives to an input: a literal or binding (YAML scalar), or a mapping."""

    type: Annotated[PortType | None, BeforeValidator(lower_case)] = None
    path: str | None = None
    mode: InputMode | None = None
    value: Literal_ | None = None
    default: Literal_ | None = None

    _scalar: Literal_ | None = PrivateAttr(default=None)

    @property
    def given(self) -> Literal_ | None:
        """The literal, binding or path; None when only a type is declared."""
        for candidate in (self._scalar, self.path, self.value, self.default):
            if candidate is not None:
                return candidate
        return None

    @property
    def is_path(self) -> bool:
        """Given as `path:`, so relative to the file."""
        return self._scalar is None and self.path is not None

    @property
    def is_data(self) -> bool:
        """Given as a path, or declared to be one."""
        return self.is_path or self.type in DATA_TYPES

    @classmethod
    def of(cls, scalar: Literal_) -> Value:
        """A literal or a binding."""
        value = cls()
        value._scalar = scalar
        return value


def _value(raw: Any) -> Any:
    if isinstance(raw, Value | dict):
        return raw
    if raw is None:
        return Value()
    if isinstance(raw, date):
        return Value.of(str(raw))
    if not isinstance(raw, str | int | float | bool):
        raise ValueError(f"must be text, a number, true/false or a mapping, not {type(raw).__name__}")  # noqa: TRY004 (pydantic)
    return Value.of(raw)


class Port(Yaml):
    """A declared input of a component."""

    type: Annotated[PortType, BeforeValidator(lower_case)] = "uri_folder"
    default: Literal_ | None = None
    optional: bool = False
    min: float | None = None
    max: float | None = None
    enum: tuple[Literal_, ...] | None = None
    mode: InputMode | None = None
    description: str = ""


class Output(Yaml):
    """A declared output, or what a job does with one (a binding as YAML scalar, or a mapping)."""

    type: Annotated[PortType | None, BeforeValidator(lower_case)] = None
    """Of a control output, which conditions read, a literal's."""
    mode: OutputMode | None = None
    path: str | None = None
    name: str | None = None
    version: str | int | float | None = None
    description: str = ""

    _binding: str | None = PrivateAttr(default=None)

    @property
    def binding(self) -> str | None:
        return self._binding or self.path


def _output(raw: Any) -> Any:
    if raw is None:
        return Output()
    if not isinstance(raw, str):
        return raw
    output = Output()
    output._binding = raw
    return output


class Build(Yaml):
    """Docker build context of an environment."""

    path: str
    dockerfile_path: str = "Dockerfile"


class Environment(Yaml):
    """An environment file, or the reference to one (a YAML string)."""

    schema_url: str = Field("", alias="$schema")
    name: str | None = None
    version: str | int | None = None
    image: str | None = None
    conda_file: str | dict[str, Any] | None = None
    build: Build | None = None
    description: str = ""
    tags: Labels = Field(default_factory=dict)
    properties: Labels = Field(default_factory=dict)
    os_type: Literal["linux", "windows"] | None = None
    inference_config: dict[str, Any] | None = None

    _reference: str | None = PrivateAttr(default=None)

    @property
    def reference(self) -> str | None:
        return self._reference


def _environment(raw: Any) -> Any:
    if not isinstance(raw, str):
        return raw
    environment = Environment.model_construct()
    environment._reference = raw
    return environment


class Resources(Yaml):
    """What a step runs on."""

    instance_count: int | None = Field(None, ge=1)
    max_instance_count: int | None = Field(None, ge=1)
    instance_type: str | None = None
    runtime_version: str | float | None = None
    """Of Spark; see `mlops.pipeline.spark`."""
    shm_size: str | None = None
    docker_args: str | list[str] | None = None
    locations: tuple[str, ...] | None = None
    properties: dict[str, Any] = Field(default_factory=dict)


class Distribution(Yaml):
    """How processes of one step are spread; `DISTRIBUTION_FIELDS` says what belongs to which type."""

    type: Annotated[Literal["pytorch", "mpi", "tensorflow", "ray"], BeforeValidator(lower_case)]
    process_count_per_instance: int | None = Field(None, ge=1)
    worker_count: int | None = Field(None, ge=1)
    parameter_server_count: int | None = Field(None, ge=0)
    port: int | None = Field(None, ge=1, le=65535)
    address: str | None = None
    include_dashboard: bool | None = None
    dashboard_port: int | None = Field(None, ge=1, le=65535)
    head_node_additional_args: str | None = None
    worker_node_additional_args: str | None = None


DISTRIBUTION_FIELDS: dict[str, tuple[str, ...]] = {
    "pytorch": ("process_count_per_instance",),
    "mpi": ("process_count_per_instance",),
    "tensorflow": ("worker_count", "parameter_server_count"),
    "ray": (
        "port",
        "address",
        "include_dashboard",
        "dashboard_port",
        "head_node_additional_args",
        "worker_node_additional_args",
    ),
}


class CommandLimits(Yaml):
    """Limits of one step."""

    timeout: int = Field(ge=1)


Values = dict[str, Annotated[Value, BeforeValidator(_value)]]
Outputs = dict[str, Annotated[Output, BeforeValidator(_output)]]
EnvironmentField = Annotated[Environment, BeforeValidator(_environment)]
EnvVars = dict[str, Literal_]


class ComponentFile(Yaml):
    """What every component may say, whatever it runs."""

    schema_url: str = Field("", alias="$schema")
    name: str = ""
    version: str | int | float | None = None
    display_name: str = ""
    description: str = ""
    tags: Labels = Field(default_factory=dict)
    properties: Labels = Field(default_factory=dict)
    is_deterministic: bool = True
    inputs: dict[str, Port] = Field(default_factory=dict)
    outputs: Outputs = Field(default_factory=dict)
    additional_includes: tuple[str, ...] = ()
    environment: EnvironmentField | None = None

    @field_validator("inputs", "outputs", "additional_includes", mode="before")
    @classmethod
    def _nothing(cls, raw: Any, info: ValidationInfo) -> Any:
        return ({} if info.field_name != "additional_includes" else ()) if raw is None else raw


class Component(ComponentFile):
    """A command component."""

    type: Annotated[Literal["command"], BeforeValidator(lower_case)] = "command"
    code: str | None = None
    command: str
    resources: Resources | None = None
    distribution: Distribution | None = None
    limits: CommandLimits | None = None
    environment_variables: EnvVars = Field(default_factory=dict)


class Node(Yaml):
    """What every job of a pipeline says beside what it runs (`mlops.pipeline.lower` reads that)."""

    type: Annotated[str, BeforeValidator(lower_case)] = "command"
    display_name: str = ""
    inputs: Values = Field(default_factory=dict)
    outputs: Outputs = Field(default_factory=dict)
    environment: EnvironmentField | None = None
    environment_variables: EnvVars = Field(default_factory=dict)
    compute: str | None = None
    resources: Resources | None = None
    distribution: Distribution | None = None
    limits: CommandLimits | None = None


class Settings(Yaml):
    """Settings of a pipeline."""

    default_compute: str | None = None
    default_datastore: str | None = None
    continue_on_step_failure: bool = False
    force_rerun: bool = False
    on_init: str | None = None
    """The job that runs before all others."""
    on_finalize: str | None = None
    """The job that runs after all others, whatever became of them."""


class JobFile(Yaml):
    """What every job that has a file of its own may say, whatever it runs."""

    schema_url: str = Field("", alias="$schema")
    name: str | None = None
    display_name: str | None = ""
    experiment_name: str | None = ""
    description: str | None = ""
    tags: Labels | None = Field(default_factory=dict)
    properties: Labels | None = Field(default_factory=dict)
    compute: str | None = None
    identity: dict[str, Any] | None = None
    inputs: Values = Field(default_factory=dict)
    outputs: Outputs = Field(default_factory=dict)

    @field_validator("inputs", "outputs", mode="before")
    @classmethod
    def _nothing(cls, raw: Any) -> Any:
        return {} if raw is None else raw


class PipelineJob(JobFile):
    """A pipeline job, or a job of another kind as the pipeline of one job that it amounts to."""

    settings: Settings = Field(default_factory=Settings)

    @field_validator("settings", mode="before")
    @classmethod
    def _default(cls, raw: Any) -> Any:
        return {} if raw is None else raw

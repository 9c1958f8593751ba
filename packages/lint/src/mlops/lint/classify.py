"""What a file is: told by its `$schema`, then its `type`, then its fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlops.lint.kinds import KINDS

Raw = Mapping[Any, Any]

_SCHEMAS = {
    "commandjob": "job.command",
    "pipelinejob": "job.pipeline",
    "sweepjob": "job.sweep",
    "sparkjob": "job.spark",
    "importjob": "job.import",
    "automljob": "job.automl",
    "commandcomponent": "component.command",
    "parallelcomponent": "component.parallel",
    "sparkcomponent": "component.spark",
    "pipelinecomponent": "component.pipeline",
    "importcomponent": "component.import",
    "datatransfercomponent": "component.data_transfer",
    "datatransfercopycomponent": "component.data_transfer.copy_data",
    "datatransferimportcomponent": "component.data_transfer.import_data",
    "datatransferexportcomponent": "component.data_transfer.export_data",
    "managedonlinedeployment": "deployment.managed",
    "onlinedeployment": "deployment.managed",
    "kubernetesonlinedeployment": "deployment.kubernetes",
    "batchdeployment": "deployment.batch",
    "modelbatchdeployment": "deployment.batch.model",
    "pipelinecomponentbatchdeployment": "deployment.batch.pipeline",
    "managedonlineendpoint": "endpoint.managed",
    "onlineendpoint": "endpoint.managed",
    "kubernetesonlineendpoint": "endpoint.kubernetes",
    "batchendpoint": "endpoint.batch",
    "data": "data",
    "asset": "data",
    "dataset": "data",
    "dataimport": "data.import",
    "model": "model",
    "environment": "environment",
    "amlcompute": "compute.amlcompute",
    "compute": "compute.amlcompute",
    "computeinstance": "compute.computeinstance",
    "kubernetescompute": "compute.kubernetes",
    "virtualmachinecompute": "compute.virtualmachine",
    "vmcompute": "compute.virtualmachine",
    "synapsesparkcompute": "compute.synapsespark",
    "azureblob": "datastore.azure_blob",
    "azurefile": "datastore.azure_file",
    "azuredatalakegen1": "datastore.azure_data_lake_gen1",
    "azuredatalakegen2": "datastore.azure_data_lake_gen2",
    "onelake": "datastore.one_lake",
    "workspace": "workspace",
    "hub": "workspace.hub",
    "project": "workspace.project",
    "connection": "connection",
    "workspaceconnection": "connection",
    "registry": "registry",
    "schedule": "schedule.job",
    "monitorschedule": "schedule.monitor",
    "monitoringschedule": "schedule.monitor",
    "featurestore": "feature_store",
    "featureset": "feature_set",
    "featurestoreentity": "feature_store_entity",
}
_HOSTS = ("azureml", "machinelearning", "machine-learning", "azure/ml", "azure-ml")
_TYPES: dict[str, tuple[str, ...]] = {
    "job": ("command", "pipeline", "sweep", "spark", "import", "automl"),
    "component": ("command", "parallel", "spark", "pipeline", "import"),
    "compute": ("amlcompute", "computeinstance", "kubernetes", "virtualmachine", "synapsespark"),
    "datastore": ("azure_blob", "azure_file", "azure_data_lake_gen1", "azure_data_lake_gen2", "one_lake"),
}
_UNREAD_TYPES = ("finetuning", "distillation")
_DECLARED = {"default", "optional", "min", "max", "enum"}
_DATA = ("uri_file", "uri_folder", "mltable")
_MODELS = ("mlflow_model", "custom_model", "triton_model")
_OF_JOBS = ("compute", "experiment_name", "services", "limits", "queue_settings", "identity", "settings")
_OF_COMPONENTS = ("version", "is_deterministic")
_OF_DEPLOYMENTS = {"model", "environment", "code_configuration", "component", "job_definition"}
_OF_BATCHES = {"mini_batch_size", "output_action", "max_concurrency_per_instance", "retry_settings"}
_SIGNS: dict[str, set[str]] = {
    "command": {"command"},
    "spark": {"entry"},
    "sweep": {"search_space", "trial"},
    "automl": {"task"},
    "parallel": {"task"},
    "import": {"source"},
    "data_transfer": {"task"},
    "pipeline": {"jobs", "component", "settings"},
}
"""What a file of a type has, when it is Azure ML's."""


def kind_of(raw: Raw) -> str:
    """The kind of a file; empty: no Azure ML file; `?name`: of a kind that is not read."""
    word, url = type_of(raw), raw.get("$schema")
    if isinstance(url, str) and "promptflow" in url.lower():
        return "?flow"
    name = _schema_name(url) if isinstance(url, str) else ""
    if name.startswith("automl") and name.endswith("component"):
        return f"?{name}"
    known = _SCHEMAS.get(name) or ("job.automl" if name.startswith("automl") else "")
    if known:
        return _narrowed(known, word, raw)
    if "@" in word:
        return f"?{word}"
    return next(_by_fields(raw, word), f"?{name}" if name else "")


def type_of(raw: Raw) -> str:
    """`type` in small letters; Azure takes it in any case."""
    return _small(raw.get("type"))


def _small(value: object) -> str:
    return value.strip().lower() if isinstance(value, str) else ""


def _schema_name(url: str) -> str:
    """`commandjob` of `…/latest/commandJob.schema.json` and of older forms."""
    lowered = url.lower()
    if not any(host in lowered for host in _HOSTS):
        return ""
    last = lowered.split("#")[0].split("?")[0].rstrip("/").rsplit("/", 1)[-1]
    return last.removesuffix(".json").removesuffix(".schema")


def _narrowed(kind: str, word: str, raw: Raw) -> str:
    """`$schema` gives the family, `type` (and `task`) the kind: `az ml` reads only the latter."""
    family = kind.split(".", maxsplit=1)[0]
    narrower = kind
    if family == "component" and (
        word == "data_transfer" or (kind == "component.data_transfer" and not word)
    ):
        narrower = _with_task("component.data_transfer", "copy_data", raw)
    elif word in _TYPES.get(family, ()):
        narrower = f"{family}.{word}"
    elif family == "deployment":
        words = ("model", "pipeline") if "batch" in kind else ("managed", "kubernetes")
        base = "deployment.batch" if "batch" in kind else "deployment"
        narrower = f"{base}.{word}" if word in words else kind
    elif family == "schedule":
        narrower = _schedule(raw)
    elif kind == "model" and word in _DATA:
        narrower = "data"
    return _with_task(narrower, "", raw) if narrower == "job.automl" else narrower


def _with_task(kind: str, default: str, raw: Raw) -> str:
    """The kind of a `task`, where it is one that is known."""
    task = _small(raw.get("task")) or default
    if f"{kind}.{task}" in KINDS:
        return f"{kind}.{task}"
    return f"{kind}.{default}" if default else kind


def _schedule(raw: Raw) -> str:
    if "create_monitor" in raw:
        return "schedule.monitor"
    return "schedule.import" if "import_data" in raw else "schedule.job"


def _by_fields(raw: Raw, word: str) -> Iterator[str]:
    """Without `$schema` only what no other program writes is taken for Azure ML's."""
    keys = set(raw)
    named = "name" in keys
    if keys & {"create_job", "create_monitor"} or (keys >= {"import_data", "trigger"}):
        yield _schedule(raw)
    if word in ("schedule", "monitor") and "trigger" in keys:
        yield "schedule.monitor" if word == "monitor" else "schedule.job"
    if ("endpoint_name" in keys and keys & _OF_DEPLOYMENTS) or (named and "code_configuration" in keys):
        yield _deployment(word, keys)
    if named and keys & {"traffic", "mirror_traffic", "auth_mode"}:
        yield "endpoint.kubernetes" if "compute" in keys else "endpoint.managed"
    for family in ("compute", "datastore"):
        if named and word in _TYPES[family]:
            yield f"{family}.{word}"
    if "path" in keys and word in (*_DATA, *_MODELS):
        yield "data" if word in _DATA else "model"
    if keys & _SIGNS.get(word, set()):
        yield _work(raw, word)
    if not word and keys >= {"command", "environment"} and not keys & {"services", "steps", "runs"}:
        yield "component.command" if looks_component(raw) else "job.command"
    yield from _older(keys, word)
    if word in _UNREAD_TYPES:
        yield f"?{word}job"
    if named:
        yield from _named(raw, keys, word)


def _named(raw: Raw, keys: set[Any], word: str) -> Iterator[str]:
    if "replication_locations" in keys:
        yield "registry"
    if _small(raw.get("model_id")).startswith("azureml://"):
        yield "?serverlessendpoint"
    if not word and ("conda_file" in keys or keys >= {"image", "version"}):
        yield "environment"


def _older(keys: set[Any], word: str) -> Iterator[str]:
    """`command_component`, `pipeline_job`: words of the first preview, which Azure ML refuses by now."""
    old, _, family = word.rpartition("_")
    if family in ("component", "job") and keys & _SIGNS.get(old, set()) and old in _TYPES[family]:
        yield f"{family}.{old}"


def _work(raw: Raw, word: str) -> str:
    if word == "data_transfer":
        return _with_task("component.data_transfer", "copy_data", raw)
    if word == "automl":
        return _with_task("job.automl", "", raw)
    if word != "sweep" and (word == "parallel" or looks_component(raw)):
        return f"component.{word}"
    return f"job.{word}"


def _deployment(word: str, keys: set[Any]) -> str:
    if word == "pipeline" or keys & {"component", "job_definition"}:
        return "deployment.batch.pipeline"
    if word == "model":
        return "deployment.batch.model"
    if keys & _OF_BATCHES:
        return "deployment.batch"
    return "deployment.kubernetes" if word == "kubernetes" else "deployment.managed"


def looks_component(raw: Raw) -> bool:
    """Whether a file of a type that jobs and components share is a component: it declares, a job gives."""
    if any(key in raw for key in _OF_JOBS):
        return False
    if any(key in raw for key in _OF_COMPONENTS):
        return True
    inputs = raw.get("inputs")
    values = list(inputs.values()) if isinstance(inputs, Mapping) else []
    if any(not isinstance(value, Mapping) or "path" in value or "value" in value for value in values):
        return False
    return "name" in raw or any(
        {"default", "optional", "min", "max", "enum"} & set(value) for value in values
    )

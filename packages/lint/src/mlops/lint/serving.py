"""Online and batch endpoints and deployments: traffic, instances, probes, quantities, model, code."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlops.lint import asset
from mlops.lint.command import check_code, check_variables, code_folder
from mlops.lint.environment import check_environment
from mlops.lint.files import Files
from mlops.lint.finding import Finding
from mlops.lint.identity import check_identity
from mlops.lint.machine import at_least, between, check_size
from mlops.lint.node import At
from mlops.lint.parallel import check_entry
from mlops.lint.references import check_asset, check_compute_name, check_path, is_remote, lacks
from mlops.lint.shape import unknown

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]")
_QUANTITY = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>m|[kKMGTPE]i?)?")
_UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60}
_TIMEOUT_MS = 180_000
_INSTANCES = 50
_MIRROR = 50
_BATCHES = (("mini_batch_size", 1), ("max_concurrency_per_instance", 1), ("error_threshold", -1))
_OF_PIPELINES = ("continue_on_step_failure", "default_compute", "default_datastore", "force_rerun")
_LEVELS = ("debug", "info", "warning")
_PROBES = (
    ("initial_delay", 0),
    ("period", 1),
    ("timeout", 1),
    ("success_threshold", 1),
    ("failure_threshold", 1),
)


def check_name(place: At) -> Iterator[Finding]:
    """Names of endpoints and deployments."""
    if place.text is not None and not _NAME.fullmatch(place.text) and not is_remote(place.text):
        message = f"must be 3 to 32 letters, digits or '-', starting with a letter; got {place.value!r}"
        yield place.says("bad-name", message)


def check_online_endpoint(endpoint: At, kind: str) -> Iterator[Finding]:
    """Traffic is whole percents that sum to 100 (or 0); mirror is at most 50 to one that is not live."""
    yield from check_name(endpoint["name"])
    if kind == "endpoint.kubernetes" and "compute" not in endpoint:
        message = "a Kubernetes endpoint needs `compute`, azureml:<cluster>"
        yield from lacks(endpoint, "compute", "no-compute", message)
    yield from check_compute_name(endpoint["compute"])
    yield from check_identity(endpoint["identity"])
    yield from _shares(endpoint["traffic"])
    yield from _shares(endpoint["mirror_traffic"])
    live = {name: place.number or 0 for name, place in endpoint["traffic"].fields()}
    if sum(live.values()) not in (0, 100):
        message = f"must sum to 100 (or 0, for nobody); it sums to {sum(live.values()):g}"
        yield endpoint["traffic"].says("traffic", message)
    mirror = list(endpoint["mirror_traffic"].fields())
    if len(mirror) > 1:
        yield endpoint["mirror_traffic"].says("traffic", "can go to one deployment only")
    for name, place in mirror:
        if (place.number or 0) > _MIRROR:
            yield place.says("traffic", f"must be at most {_MIRROR}; got {place.value!r}")
        if live.get(name, 0) > 0:
            yield place.says("traffic", "has live traffic; a deployment is live or mirrored")
        if kind == "endpoint.kubernetes":
            yield place.says("traffic", "a Kubernetes endpoint mirrors no traffic")


def _shares(traffic: At) -> Iterator[Finding]:
    for _, share in traffic.fields():
        if share.number is None or share.whole is None or not 0 <= share.whole <= 100:
            yield share.says("traffic", f"must be a whole percent from 0 to 100; got {share.value!r}")


def check_batch_endpoint(endpoint: At) -> Iterator[Finding]:
    """The name; the rest is the shape's."""
    yield from check_name(endpoint["name"])
    yield from check_identity(endpoint["identity"])
    if endpoint["auth_mode"].word == "key":
        yield endpoint["auth_mode"].says("wrong-value", "a batch endpoint takes aad_token only; got 'key'")


def check_online_deployment(deployment: At, kind: str, files: Files) -> Iterator[Finding]:
    """A deployment's names, instances, probes, paths of model and code, environment."""
    yield from check_name(deployment["name"])
    yield from check_name(deployment["endpoint_name"])
    yield from between(deployment["instance_count"], 1, _INSTANCES, "instances")
    if kind == "deployment.managed":
        yield from check_size(deployment["instance_type"], files)
    timeout = deployment.at("request_settings", "request_timeout_ms")
    yield from between(timeout, 1, _TIMEOUT_MS, "probe")
    concurrent = deployment.at("request_settings", "max_concurrent_requests_per_instance")
    yield from at_least(concurrent, 1, "probe")
    yield from at_least(deployment.at("request_settings", "max_queue_wait_ms"), 0, "probe")
    yield from check_variables(deployment["environment_variables"])
    for probe in ("liveness_probe", "readiness_probe"):
        for field, least in _PROBES:
            yield from at_least(deployment[probe][field], least, "probe")
    yield from _scale(deployment["scale_settings"])
    kind_of_scale = deployment.at("scale_settings", "type")
    if kind == "deployment.managed" and kind_of_scale.word not in ("", "default"):
        message = (
            f"a managed deployment takes `default` only; got {kind_of_scale.value!r}. Scaling rules belong "
            "to Azure Monitor (az monitor autoscale)"
        )
        yield kind_of_scale.says("scale", message)
    yield from _quantities(deployment["resources"])
    yield from between(deployment.at("data_collector", "sampling_rate"), 0, 1, "probe")
    for _, collection in deployment.at("data_collector", "collections").fields():
        yield from asset.check_output(collection["data"])
    yield from check_model(deployment["model"])
    yield from _code(deployment, files)


def _scale(scale: At) -> Iterator[Finding]:
    least, most = scale["min_instances"].number, scale["max_instances"].number
    yield from at_least(scale["min_instances"], 0, "scale")
    yield from at_least(scale["max_instances"], 1, "scale")
    if least is not None and most is not None and least > most:
        yield scale["min_instances"].says("scale", f"is more than max_instances ({most:g})")
    yield from between(scale["target_utilization_percentage"], 1, 100, "scale")
    yield from at_least(scale["polling_interval"], 1, "scale")


def _quantities(resources: At) -> Iterator[Finding]:
    for part in ("requests", "limits"):
        for field in ("cpu", "memory"):
            place = resources[part][field]
            if isinstance(place.value, str) and quantity(place.value, field) is None:
                example = "0.5 or 500m" if field == "cpu" else "0.5Gi or 512Mi"
                yield place.says("quantity", f"must be a quantity such as {example}; got {place.value!r}")
        for field in ("gpu", "nvidia.com/gpu"):
            place = resources[part][field]
            if isinstance(place.value, str) and not place.value.strip().isdecimal():
                yield place.says("quantity", f"must be a whole number of GPUs; got {place.value!r}")
    for field in ("cpu", "memory"):
        asked, most = (quantity(resources[part][field].value, field) for part in ("requests", "limits"))
        if asked is not None and most is not None and asked > most:
            message = f"asks for more than its limit ({resources['limits'][field].value})"
            yield resources["requests"][field].says("quantity", message)


def quantity(value: object, field: str) -> float | None:
    """A quantity of Kubernetes as a number; None when it is none."""
    match = _QUANTITY.fullmatch(str(value).strip()) if isinstance(value, str | int | float) else None
    if match is None or isinstance(value, bool):
        return None
    unit = match["unit"] or ""
    if (field == "cpu" and unit not in ("", "m")) or (field == "memory" and unit == "m"):
        return None
    number = float(match["number"]) * (_UNITS | _BINARY).get(unit, 0)
    return number if number > 0 else None


def check_model(model: At) -> Iterator[Finding]:
    """A registered model, or a path that exists."""
    if model.text is not None and model.text.lower().startswith("azureml:"):
        yield from check_asset(model)
    elif model.text is not None:
        yield from check_path(model, what="model")
    if isinstance(model.value, dict):
        if "path" not in model:
            yield model.says("missing-field", "needs `path`; a registered model is azureml:<name>:<version>")
        yield from asset.check_model(model)


def _code(deployment: At, files: Files) -> Iterator[Finding]:
    code = deployment["code_configuration"]
    if isinstance(code.value, dict):
        yield from check_code(code)
        if "scoring_script" not in code:
            yield code.says("missing-field", "needs `scoring_script`")
        script, folder = code["scoring_script"], code_folder(code)
        if folder is not None and script.text is not None and not is_remote(script.text):
            yield from check_entry(script, folder / script.text)
        if "environment" not in deployment:
            yield code.says("no-environment", "code needs `environment`, which it runs in")
    yield from check_environment(deployment["environment"], files)


def check_batch_deployment(deployment: At, files: Files) -> Iterator[Finding]:
    """A batch deployment of a model: where it runs, how it is cut into mini-batches."""
    yield from check_name(deployment["name"])
    yield from check_name(deployment["endpoint_name"])
    yield from check_model(deployment["model"])
    yield from _code(deployment, files)
    yield from between(deployment.at("resources", "instance_count"), 1, 1000, "instances")
    for place in (deployment, deployment["settings"]):
        for field, least in _BATCHES:
            yield from at_least(place[field], least, "mini-batch")
        yield from at_least(place["instance_count"], 1, "instances")
        yield from at_least(place.at("retry_settings", "max_retries"), 0, "mini-batch")
        yield from at_least(place.at("retry_settings", "timeout"), 1, "mini-batch")
        action, name = place["output_action"].word, place["output_file_name"]
        if action.replace("_", "") == "summaryonly" and "output_file_name" in place:
            yield name.says("task", "output_action summary_only writes no file")
        if name.text is not None and not name.text.strip():
            yield name.says("wrong-value", "names no file")
    yield from check_variables(deployment["environment_variables"])
    yield from check_compute_name(deployment["compute"])
    for place in (deployment["logging_level"], deployment.at("settings", "logging_level")):
        if place.text is not None and place.word not in _LEVELS:
            yield place.says("wrong-value", f"must be one of {', '.join(_LEVELS)}; got {place.value!r}")
    if not {"component", "job_definition"} & set(deployment.names()):
        if "compute" not in deployment:
            message = "needs `compute`: the cluster that the batches run on"
            yield from lacks(deployment, "compute", "no-compute", message)
        if "model" not in deployment:
            yield from lacks(deployment, "model", "missing-field", "needs `model`: what scores the batches")


def check_pipeline_deployment(deployment: At, files: Files) -> Iterator[Finding]:
    """A batch deployment of a pipeline: its component, or the job that it repeats."""
    yield from check_name(deployment["name"])
    yield from check_name(deployment["endpoint_name"])
    if "component" not in deployment and "job_definition" not in deployment:
        yield deployment.says("task", "needs `component` or `job_definition`")
    yield from _settings(deployment["settings"])
    component = deployment["component"]
    if component.text is not None:
        if is_remote(component.text):
            yield from check_asset(component)
        else:
            yield from check_path(component, what="component")
            top = files.top(component.beside(component.text.removeprefix("file:")))
            there = "" if top is None else top["type"].word
            if there and there != "pipeline":
                message = f"{component.value!r} is of type {there}; it must be a pipeline component"
                yield component.says("type-mismatch", message)


def _settings(settings: At) -> Iterator[Finding]:
    """What the pipeline runs with; the service drops what it does not know."""
    yield from check_compute_name(settings["default_compute"])
    yield from check_compute_name(settings["default_datastore"], "datastore")
    for name, place in settings.fields():
        if name not in _OF_PIPELINES:
            yield place.says("dropped-field", unknown(name, "setting", _OF_PIPELINES))
    for name in ("continue_on_step_failure", "force_rerun"):
        place = settings[name]
        if place.there and str(place.value).lower() not in ("true", "false"):
            yield place.says("wrong-type", f"must be true or false; got {place.value!r}")

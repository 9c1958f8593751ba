"""Online endpoints and deployments: traffic, mirror, instances, probes, code, environment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, Problem
from mlops.pipeline.lint.environment import environment_problems, unpinned_reference
from mlops.pipeline.lint.graph import unknown
from mlops.pipeline.models import EnvironmentField, Yaml
from mlops.pipeline.read import resolve_environment
from mlops.spec._yaml import Document

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]")
_COMMON = {"$schema", "type", "name", "description", "tags", "properties"}
_ENDPOINT = _COMMON | {
    "auth_mode", "identity", "location", "mirror_traffic", "traffic", "public_network_access", "compute",
}  # fmt: skip
_DEPLOYMENT = _COMMON | {
    "endpoint_name", "model", "model_mount_path", "code_configuration", "environment",
    "environment_variables",
    "instance_type", "instance_count", "scale_settings", "request_settings", "liveness_probe",
    "readiness_probe",
    "app_insights_enabled", "data_collector", "egress_public_network_access", "resources",
}  # fmt: skip
_TIMEOUT_MS = 180_000
_INSTANCES = 50
_MIRROR = 50


class _Environment(Yaml):
    environment: EnvironmentField


def check_endpoint(document: Document) -> Iterator[Problem]:
    """Traffic is whole percents that sum to 100 (or 0); mirror is at most 50 to one that is not live."""
    raw = document.value
    yield from _names_and_keys(document, raw, "name", _ENDPOINT)
    traffic, mirror = raw.get("traffic") or {}, raw.get("mirror_traffic") or {}
    for field, shares in (("traffic", traffic), ("mirror_traffic", mirror)):
        if not isinstance(shares, dict):
            yield document.problem((field,), "must map deployments to percents")
            return
        for name, share in shares.items():
            if isinstance(share, bool) or not isinstance(share, int) or not 0 <= share <= 100:
                yield document.problem(
                    (field, str(name)), f"must be a whole percent from 0 to 100; got {share!r}"
                )
                return
    total = sum(traffic.values())
    if total not in (0, 100):
        yield document.problem(("traffic",), f"must sum to 100 (or 0, for nobody); it sums to {total}")
    if len(mirror) > 1:
        yield document.problem(("mirror_traffic",), "can go to one deployment only")
    if sum(mirror.values()) > _MIRROR:
        yield document.problem(("mirror_traffic",), f"must be at most {_MIRROR}; got {sum(mirror.values())}")
    for name in mirror:
        if traffic.get(name, 0) > 0:
            yield document.problem(
                ("mirror_traffic", str(name)), "has live traffic; a deployment is live or mirrored"
            )


def check_deployment(document: Document, path: Path) -> Iterator[Problem]:
    """A deployment's names, instances, timeout, paths of model and code, environment."""
    raw = document.value
    yield from _names_and_keys(document, raw, "name", _DEPLOYMENT)
    yield from _names_and_keys(document, raw, "endpoint_name", None)
    count = raw.get("instance_count", 1)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= _INSTANCES:
        yield document.problem(("instance_count",), f"must be from 1 to {_INSTANCES}; got {count!r}")
    timeout = (raw.get("request_settings") or {}).get("request_timeout_ms", 5000)
    if not isinstance(timeout, int) or not 1 <= timeout <= _TIMEOUT_MS:
        message = f"must be from 1 to {_TIMEOUT_MS}; got {timeout!r}"
        yield document.problem(("request_settings", "request_timeout_ms"), message)
    yield from _paths(document, raw, path)
    environment = raw.get("environment")
    if environment is not None:
        yield from _environment(document, environment, path)


def _names_and_keys(
    document: Document, raw: dict[str, Any], field: str, allowed: set[str] | None
) -> Iterator[Problem]:
    name = raw.get(field)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        message = f"must be 3 to 32 letters, digits or '-', starting with a letter; got {name!r}"
        yield document.problem((field,), message)
    for key in raw if allowed is not None else ():
        if allowed is not None and key not in allowed:
            yield document.problem((str(key),), unknown(str(key), "field", allowed))


def _paths(document: Document, raw: dict[str, Any], path: Path) -> Iterator[Problem]:
    model = raw.get("model")
    local = model.get("path") if isinstance(model, dict) else model
    if isinstance(local, str) and "://" not in local:
        if local.startswith("azureml:"):
            if why := unpinned_reference(local):
                yield document.problem(("model",), why)
        elif not (path.parent / local).exists():
            yield document.problem(("model",), f"the model {local!r} does not exist beside the file")
    code = raw.get("code_configuration") or {}
    if not isinstance(code, dict) or not isinstance(code.get("code"), str):
        return
    folder = path.parent / code["code"]
    if not folder.is_dir():
        yield document.problem(("code_configuration", "code"), f"the folder {code['code']!r} does not exist")
    elif not (folder / str(code.get("scoring_script"))).is_file():
        message = f"the script {code.get('scoring_script')!r} is not in {code['code']!r}"
        yield document.problem(("code_configuration", "scoring_script"), message)


def _environment(document: Document, raw: Any, path: Path) -> Iterator[Problem]:
    part = Document("", document.name)
    part.value = {"environment": raw}
    try:
        given = part.parse(_Environment).environment
        environment, where, loc, file = resolve_environment(given, document, ("environment",), path)
    except InvalidInput as error:
        yield from (document.problem(tuple(p.field.split(".")), p.message) for p in error.problems)
        return
    if environment is not None:
        yield from environment_problems(environment, where, loc, file)
    elif why := unpinned_reference(given.reference or ""):
        yield document.problem(loc, why)

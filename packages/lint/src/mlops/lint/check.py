"""One file: what it is, and every check that its kind has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mlops.lint import asset, cluster, features, monitor, schedule, serving
from mlops.lint.classify import kind_of
from mlops.lint.environment import environment_fields
from mlops.lint.files import Files
from mlops.lint.finding import Finding
from mlops.lint.job import check_component, check_job
from mlops.lint.kinds import KINDS
from mlops.lint.node import At
from mlops.lint.references import check_asset
from mlops.lint.shape import check_shape


def check_file(top: At, kind: str, files: Files) -> Iterator[Finding]:
    """Everything that is wrong with one file of a kind that is read."""
    check = _CHECKS.get(kind) or _CHECKS.get(kind.split(".", maxsplit=1)[0])
    findings = list(check(top, kind, files)) if check is not None else []
    yield from (finding for finding in check_shape(top, kind) if not _said(finding, findings))
    yield from findings


def _said(finding: Finding, better: list[Finding]) -> bool:
    """Whether a check that knows what a field means has told the same mistake in better words."""
    for other in better:
        same = (other.file, other.line, other.field) == (finding.file, finding.line, finding.field)
        if same and other.level == "error":
            if finding.id == "missing-field":
                if other.message.startswith(finding.message):
                    return True
            elif finding.field:
                return True
    return False


def _job(top: At, kind: str, files: Files) -> Iterator[Finding]:
    if kind == "job.automl":
        yield top["task"].says("wrong-value", f"must name a task of AutoML; got {top['task'].value!r}")
    yield from check_job(top, kind, files)


def _deployment(top: At, kind: str, files: Files) -> Iterator[Finding]:
    if kind == "deployment.batch.pipeline":
        yield from serving.check_pipeline_deployment(top, files)
    elif kind.startswith("deployment.batch"):
        yield from serving.check_batch_deployment(top, files)
    else:
        yield from serving.check_online_deployment(top, kind, files)


def _schedule(top: At, kind: str, files: Files) -> Iterator[Finding]:
    yield from schedule.check_schedule(top)
    if kind == "schedule.monitor":
        yield from monitor.check_monitor(top["create_monitor"])
    job = top["create_job"]
    yield from schedule.check_started(job, files)
    if isinstance(job.value, dict) and kind_of(job.value).startswith("job.") and "job" not in job:
        yield from check_job(job, kind_of(job.value), files)
    if kind == "schedule.import":
        yield from check_asset(top["import_data"])
        yield from asset.check_import(top["import_data"])


_CHECKS: dict[str, Callable[[At, str, Files], Iterable[Finding]]] = {
    "job": _job,
    "component": lambda top, kind, files: check_component(top, kind.removeprefix("component."), files),
    "deployment": _deployment,
    "endpoint.batch": lambda top, kind, files: serving.check_batch_endpoint(top),
    "endpoint": lambda top, kind, files: serving.check_online_endpoint(top, kind),
    "compute": cluster.check_compute,
    "datastore": lambda top, kind, files: cluster.check_datastore(top),
    "schedule": _schedule,
    "data.import": lambda top, kind, files: [
        *asset.check_names(top),
        *asset.check_data(top),
        *asset.check_import(top),
    ],
    "data": lambda top, kind, files: [*asset.check_names(top), *asset.check_data_asset(top)],
    "model": lambda top, kind, files: [*asset.check_names(top), *asset.check_registered(top)],
    "environment": lambda top, kind, files: [*asset.check_names(top), *environment_fields(top)],
    "feature_set": lambda top, kind, files: features.check_feature_set(top, files),
    "feature_store": lambda top, kind, files: features.check_feature_store(top),
    "feature_store_entity": lambda top, kind, files: features.check_entity(top),
    "registry": lambda top, kind, files: cluster.check_registry(top),
    "connection": lambda top, kind, files: cluster.check_connection(top),
    "workspace": lambda top, kind, files: cluster.check_workspace(top),
}
"""By kind, else by family. Kinds without an entry have their shape, and `azure-ai-ml`."""


def label_of(kind: str) -> str:
    """How a sentence calls a kind."""
    return KINDS[kind].label if kind in KINDS else kind.lstrip("?")

"""Jobs, jobs of pipelines and components: which checks a kind of work needs, and where it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlops.lint.asset import check_input, check_names, check_output
from mlops.lint.automl import check_automl
from mlops.lint.command import check_placeholders, check_run, check_used, check_work
from mlops.lint.files import Files
from mlops.lint.finding import Finding
from mlops.lint.interface import FLOW, interface_of, kind_of_node, ports, reference_of
from mlops.lint.machine import check_resources
from mlops.lint.node import At
from mlops.lint.parallel import check_batches, check_parallel
from mlops.lint.pipeline import Scope, check_given, check_wiring, scope_of
from mlops.lint.references import check_compute_name, lacks
from mlops.lint.spark import check_conf, check_place, check_spark, check_whole_conf
from mlops.lint.sweep import check_sweep
from mlops.lint.values import check_ports

_COMPONENT_NAME = re.compile(r"[a-z][a-z0-9_]*")
_OF_COMPONENTS = "small letters, digits and '_', beginning with a letter"
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,254}")
_NEEDS_COMPUTE = ("command", "parallel", "sweep")


def check_component(component: At, kind: str, files: Files) -> Iterator[Finding]:
    """A component, in a file of its own or inside of a pipeline."""
    yield from check_ports(component)
    if not component.loc:
        yield from check_names(component, _COMPONENT_NAME, _OF_COMPONENTS)
    if kind == "command":
        yield from check_work(component, files, declared=True)
        inputs, outputs = ports(component["inputs"]), ports(component["outputs"])
        yield from check_placeholders(component["command"], inputs, outputs)
        if component["command"].text is not None:
            yield from check_used(component, component["command"].text)
    elif kind == "parallel":
        yield from check_parallel(component, files, declared=True)
    elif kind == "spark":
        yield from check_spark(component, files)
        if component["args"].text is not None:
            yield from check_used(component, component["args"].text)
    elif kind == "pipeline":
        yield from check_jobs(component, files, compute=True)


def check_pipeline(top: At, files: Files) -> Iterator[Finding]:
    """A pipeline job: its jobs, or the pipeline component that it runs."""
    for _, value in top["inputs"].fields():
        yield from check_input(value)
    for _, value in top["outputs"].fields():
        yield from check_output(value)
    if "component" in top and "jobs" not in top:
        face = interface_of(top, files)
        yield from face.findings
        if face.component is not None and (there := face.component["type"].word) not in ("", "pipeline"):
            message = (
                f"{top['component'].value!r} is a {there} component; a pipeline job runs a pipeline component"
            )
            yield top["component"].says("type-mismatch", message)
            return
        yield from check_given(top, face, None)
        return
    if isinstance(top["jobs"].value, dict) and not top["jobs"].value:
        yield top["jobs"].says("missing-field", "needs at least one job")
    elif "jobs" not in top:
        yield top.says("missing-field", "needs `jobs` or `component`")
    settings = top["settings"]
    compute = "compute" in top or "default_compute" in settings
    yield from check_jobs(top, files, compute=compute)


def check_jobs(top: At, files: Files, *, compute: bool) -> Iterator[Finding]:
    """The jobs of a pipeline and how they are wired."""
    scope = scope_of(top, files)
    yield from check_wiring(scope)
    for name, node in scope.jobs.items():
        yield from _node(node, scope.faces[name].own, scope, files, compute=compute)
    settings = top["settings"]
    yield from check_compute_name(settings["default_compute"])
    yield from check_compute_name(settings["default_datastore"], "datastore")
    for field in ("on_init", "on_finalize"):
        place = settings[field]
        if place.text is not None and place.text not in scope.jobs:
            yield place.says("unknown-job", f"there is no job {place.text!r}")


def _node(node: At, own: bool, scope: Scope, files: Files, *, compute: bool) -> Iterator[Finding]:
    kind = kind_of_node(node)
    if kind in FLOW:
        return
    yield from check_compute_name(node["compute"])
    for _, value in node["outputs"].fields():
        yield from check_output(value)
    if kind in _NEEDS_COMPUTE and not compute and not _runs(node):
        message = "has no `compute`, and settings.default_compute is unset"
        yield node.says("no-compute", message)
    component = scope.faces[str(node.loc[-1])].component
    if component is not None:
        yield from _type_fits(node, component, kind)
    if component is not None and component.document is node.document:
        yield from check_component(component, component["type"].word or kind, files)
    if kind == "sweep":
        yield from check_sweep(node)
        yield from _trial(node, files)
    elif kind == "automl":
        yield from check_automl(node)
    elif kind == "spark":
        yield from check_place(node)
        if own or component is not None:
            yield from check_whole_conf(node, component)
        yield from check_spark(node, files) if own else check_conf(node)
    elif kind == "parallel":
        yield from check_parallel(node, files) if own else _given_batches(node, files)
    elif kind == "command" and own:
        yield from _command(node, files)
    elif kind == "command":
        yield from check_run(node, files)


def _given_batches(node: At, files: Files) -> Iterator[Finding]:
    yield from check_batches(node)
    yield from check_resources(node, files)


def _type_fits(node: At, component: At, kind: str) -> Iterator[Finding]:
    """A job's type is that of its component; a job without one is taken for what its component is."""
    there = component["type"].word or kind
    wanted = "command" if kind == "sweep" else kind
    if there != wanted and node["type"].text is not None:
        message = f"is {node['type'].value!r}, but {reference_of(node).value!r} is a {there} component"
        yield node["type"].says("type-mismatch", message)


def _runs(job: At) -> bool:
    """Whether a job says where it runs: a compute, or a size or tier of serverless compute."""
    if "compute" in job or "queue_settings" in job:
        return True
    return "instance_type" in job["resources"]


def _command(work: At, files: Files) -> Iterator[Finding]:
    yield from check_work(work, files)
    inputs, outputs = ports(work["inputs"]), ports(work["outputs"])
    yield from check_placeholders(work["command"], inputs, outputs, declared=False)


def _trial(sweep: At, files: Files) -> Iterator[Finding]:
    """The trial of a sweep: written in place, or a component whose inputs the search space fills."""
    trial, space = sweep["trial"], sweep["search_space"].names()
    command = trial["command"]
    if isinstance(trial.value, dict):
        yield from check_work(trial, files)
        inputs = ports(sweep["inputs"]) | ports(trial["inputs"])
        outputs = ports(sweep["outputs"]) | ports(trial["outputs"])
        yield from check_placeholders(command, inputs, outputs, space, declared=False)
        for name, place in sweep["search_space"].fields():
            used = f"search_space.{name}" in (command.text or "") or name in trial["inputs"]
            if command.text is not None and not used:
                message = "the trial's command does not use it, so all trials are alike"
                yield place.says("unused-search-space", message)
        return
    face = interface_of(sweep, files)
    for name, place in sweep["search_space"].fields():
        if face.inputs is not None and name not in face.inputs:
            message = "the trial's component has no such input, so all trials are alike"
            yield place.says("unused-search-space", message)


def check_job(job: At, kind: str, files: Files) -> Iterator[Finding]:
    """A job with a file of its own."""
    yield from check_names(job, _JOB_NAME, "letters, digits, '-', '_' and '.'")
    yield from check_compute_name(job["compute"])
    if kind == "job.pipeline":
        yield from check_pipeline(job, files)
        return
    for _, value in job["inputs"].fields():
        yield from check_input(value)
    for _, value in job["outputs"].fields():
        yield from check_output(value)
    if kind == "job.command":
        yield from _command(job, files)
    elif kind == "job.spark":
        yield from check_place(job)
        yield from check_whole_conf(job, None)
        yield from check_spark(job, files)
    elif kind.startswith("job.automl"):
        yield from check_automl(job)
    elif kind == "job.sweep":
        yield from check_sweep(job)
        yield from _trial(job, files)
        if not _runs(job):
            message = "has no `compute`; without one it needs resources.instance_type (serverless)"
            yield from lacks(job, "compute", "no-compute", message)

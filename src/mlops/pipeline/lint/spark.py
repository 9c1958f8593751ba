"""Spark components and the jobs that use them: what Azure ML refuses, or drops without a word."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlops.errors import Problem
from mlops.pipeline.lint.graph import unknown
from mlops.pipeline.models import DATA_TYPES, Node
from mlops.pipeline.read import Step
from mlops.pipeline.spark import INSTANCE_TYPES, RUNTIMES, SparkComponent

_SIZES = (
    "spark.driver.cores",
    "spark.driver.memory",
    "spark.executor.cores",
    "spark.executor.memory",
)
_FIXED = "spark.executor.instances"
_DYNAMIC = "spark.dynamicAllocation.enabled"
_LEAST, _MOST = "spark.dynamicAllocation.minExecutors", "spark.dynamicAllocation.maxExecutors"
_MEMORY = re.compile(r"\d+[kKmMgGtTpP]")
_OF_COMMANDS = (
    "command",
    "code",
    "environment",
    "environment_variables",
    "distribution",
    "limits",
    "services",
)
"""Fields of a job of commands that a Spark job does not have."""


def check_spark(step: Step) -> Iterator[Problem]:
    """Problems of a component that runs on Spark."""
    if step.spark is None:
        return
    if step.code is not None and step.code.is_dir() and not (step.code / step.spark.entry.file).is_file():
        yield step.problem(
            ("entry", "file"), f"the script {step.spark.entry.file!r} is not in {step.spark.code!r}"
        )
    yield from _modes(step, step.spark)
    yield from _conf(step, step.spark)


def check_spark_job(step: Step) -> Iterator[Problem]:
    """Problems of a pipeline's job: its type is that of its component, its fields are those of its type."""
    document, node = step.owner[1], step.node
    loc = ("jobs", step.name)
    there = "spark" if step.spark is not None else "command"
    if node.type != there:
        message = f"is {node.type!r}, but {node.component!r} is a {there} component"
        yield document.problem((*loc, "type"), message)
        return
    if step.spark is None:
        if node.resources is not None and node.resources.runtime_version is not None:
            message = "is for jobs of type spark; a command runs in the image of its environment"
            yield document.problem((*loc, "resources", "runtime_version"), message)
        return
    for field in _OF_COMMANDS:
        if field in node.model_fields_set:
            yield document.problem((*loc, field), "a job of type spark has no such field; see its component")
    yield from _resources(step, node)


def _resources(step: Step, node: Node) -> Iterator[Problem]:
    document, loc = step.owner[1], ("jobs", step.name)
    if (node.resources is None) == (node.compute is None):
        message = "needs `resources` (serverless Spark) or `compute` (an attached pool), one of them"
        yield document.problem(loc, message)
    if node.resources is None:
        return
    given = node.resources
    for field in sorted(given.model_fields_set - {"instance_type", "runtime_version"}):
        message = f"is not for Spark, whose executors `conf` counts; allowed: {', '.join(_SPARK)}"
        yield document.problem((*loc, "resources", field), message)
    for field, value, allowed in (
        ("instance_type", (given.instance_type or "").lower(), INSTANCE_TYPES),
        ("runtime_version", str(given.runtime_version or ""), RUNTIMES),
    ):
        if value not in allowed:
            message = f"must be one of {', '.join(allowed)}; got {value!r}"
            yield document.problem((*loc, "resources", field), message)


_SPARK = ("instance_type", "runtime_version")


def _modes(step: Step, component: SparkComponent) -> Iterator[Problem]:
    ports: dict[tuple[str, str], tuple[str | None, str | None]] = {}
    ports |= {("inputs", name): (port.type, port.mode) for name, port in component.inputs.items()}
    ports |= {("outputs", name): (output.type, output.mode) for name, output in component.outputs.items()}
    for loc, (kind, mode) in ports.items():
        if kind in DATA_TYPES and mode != "direct":
            message = f"must be direct, Spark opens addresses itself; got {mode!r}"
            yield step.problem((*loc, "mode"), message)


def _conf(step: Step, component: SparkComponent) -> Iterator[Problem]:
    conf = component.conf
    dynamic = str(conf.get(_DYNAMIC, "false")).lower() == "true"
    for key in (*_SIZES, *((_LEAST, _MOST) if dynamic else (_FIXED,))):
        value = conf.get(key)
        if value is None:
            yield step.problem(("conf",), f"needs {key}")
        elif key.endswith("memory"):
            if not _MEMORY.fullmatch(str(value)):
                yield step.problem(("conf", key), f"must be a size such as 28g; got {value!r}")
        elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
            yield step.problem(("conf", key), f"must be a whole number of at least 1; got {value!r}")
    if not dynamic:
        for key in sorted({_LEAST, _MOST} & conf.keys()):
            yield step.problem(("conf", key), f"counts only when {_DYNAMIC} is true")
    else:
        least, most = conf.get(_LEAST), conf.get(_MOST)
        if isinstance(least, int) and isinstance(most, int) and least > most:
            yield step.problem(("conf", _LEAST), f"is more than {_MOST} ({most})")
    for key in conf:
        if not key.startswith("spark."):
            known = (*_SIZES, _FIXED, _DYNAMIC, _LEAST, _MOST)
            yield step.problem(("conf", key), unknown(key, "setting of Spark", known))

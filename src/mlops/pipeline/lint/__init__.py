"""What is wrong with Azure ML YAML and `azure-ai-ml` lets pass, with file, line and field."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from mlops.errors import InvalidInput, Problem
from mlops.pipeline.lint.command import check_command
from mlops.pipeline.lint.distribution import check_distribution
from mlops.pipeline.lint.environment import check_environment, environment_problems
from mlops.pipeline.lint.graph import check_graph
from mlops.pipeline.lint.monitor import check_monitor
from mlops.pipeline.lint.parallel import check_parallel, is_parallel
from mlops.pipeline.lint.schedule import check_schedule
from mlops.pipeline.lint.serving import check_deployment, check_endpoint
from mlops.pipeline.lint.spark import check_spark, check_spark_job
from mlops.pipeline.lint.sweep import check_sweep
from mlops.pipeline.models import Environment, Node
from mlops.pipeline.read import Step, open_document, read_component, read_pipeline, shown
from mlops.spec._yaml import Document

# What `type` must say in a file of these schemas: with another one the file would be left alone, unread.
_TYPES = {
    "pipelinejob.schema.json": "pipeline",
    "sweepjob.schema.json": "sweep",
    "commandcomponent.schema.json": "command",
    "sparkcomponent.schema.json": "spark",
}
KINDS = (
    "pipeline, sweep, command component, spark component, schedule, monitor, environment, online endpoint, "
    "online deployment"
)


def lint(path: Path) -> list[Problem]:
    """All problems of a file, or of all YAML below a folder; empty when there are none.

    Raises `InvalidInput` when `path` does not exist or a folder has no YAML.
    """
    if not path.exists():
        raise InvalidInput(Problem(shown(path), "does not exist; give an Azure ML YAML file or a folder"))
    if path.is_file():
        return _unique(_lint_file(path, strict=True))
    files = sorted(p for p in path.rglob("*") if p.suffix in (".yml", ".yaml") and p.is_file())
    if not files:
        raise InvalidInput(Problem(shown(path), "has no YAML file below it"))
    return _unique([problem for file in files for problem in _lint_file(file, strict=False)])


def lint_pipeline(path: Path) -> list[Problem]:
    """All problems of a pipeline file and of the components and environments that it names."""
    pipeline, problems = read_pipeline(path)
    if pipeline is None:
        return problems
    problems += check_graph(pipeline)
    for step in pipeline.steps.values():
        problems += check_spark_job(step)
        problems += _of_component(step)
    return _unique(problems)


def _lint_file(path: Path, *, strict: bool) -> list[Problem]:
    """In a folder (not `strict`), files of no known kind are left alone: gates, conda files and the like."""
    try:
        document = open_document(path)
        return _dispatch(path, document, strict=strict)
    except InvalidInput as error:
        return list(error.problems)


def _dispatch(path: Path, document: Document, *, strict: bool) -> list[Problem]:
    checks: dict[str, Callable[[], Iterable[Problem]]] = {
        "parallel": lambda: check_parallel(document, path),
        "pipeline": lambda: lint_pipeline(path),
        "command": lambda: _lint_component(path, document),
        "spark": lambda: _lint_component(path, document),
        "sweep": lambda: check_sweep(document, path),
        "schedule": lambda: [*check_schedule(document, False), *_scheduled(path, document)],
        "monitor": lambda: [*check_schedule(document, True), *check_monitor(document)],
        "environment": lambda: environment_problems(document.parse(Environment), document, (), path),
        "endpoint": lambda: check_endpoint(document),
        "deployment": lambda: check_deployment(document, path),
    }
    check = checks.get(kind_of(document.value))
    if check is not None:
        return list(check())
    if strict:
        return [document.problem(("type",), f"is no kind of Azure ML YAML that can be checked: {KINDS}")]
    return []


def kind_of(raw: dict[str, object]) -> str:
    """What a file is, told by its fields (and its `$schema` where `type` does not); empty when unknown."""
    schema = str(raw.get("$schema", "")).rsplit("/", 1)[-1].lower()
    kind = str(raw["type"]) if raw.get("type") in _TYPES.values() else _TYPES.get(schema, "")
    signs = {
        "parallel": kind == "pipeline" and is_parallel(raw),
        kind: kind != "",
        "monitor": "create_monitor" in raw,
        # Azure Pipelines' own files have a `trigger` too.
        "schedule": ("trigger" in raw and "stages" not in raw)
        or "create_job" in raw
        or raw.get("type") == "schedule",
        "deployment": "endpoint_name" in raw and "batch" not in schema,
        "endpoint": "traffic" in raw or "onlineendpoint" in schema,
        "environment": "environment.schema" in schema or ("image" in raw and "name" in raw),
    }
    return next((kind for kind, sign in signs.items() if sign), "")


def _lint_component(path: Path, document: Document) -> list[Problem]:
    component, spark = read_component(document)
    node = Node(component=path.name)
    return _of_component(Step(component.name, node, component, path, document, (path, document), spark=spark))


def _of_component(step: Step) -> list[Problem]:
    """Problems of a step's own file."""
    return [
        *check_command(step),
        *check_spark(step),
        *check_distribution(step),
        *check_environment(step),
    ]


def _scheduled(path: Path, document: Document) -> list[Problem]:
    """The job that a schedule starts must exist and be right too."""
    job = document.value.get("create_job")
    if isinstance(job, dict):
        job = job.get("job")
    if not isinstance(job, str) or job.startswith("azureml:"):
        return []
    file = path.parent / job.removeprefix("file:")
    if not file.is_file():
        return [document.problem(("create_job",), f"the file {job!r} does not exist")]
    return _lint_file(file, strict=True)


def _unique(problems: list[Problem]) -> list[Problem]:
    """Without repetition: components are used by several jobs, and a folder holds both."""
    return list(dict.fromkeys(problems))

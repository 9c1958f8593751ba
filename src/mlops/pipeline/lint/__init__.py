"""Everything that is wrong with Azure ML YAML and that `azure-ai-ml` lets pass; file, line and field of each."""

from __future__ import annotations

from pathlib import Path

from mlops.errors import InvalidInput, Problem
from mlops.pipeline.lint.command import check_command
from mlops.pipeline.lint.environment import check_environment, environment_problems
from mlops.pipeline.lint.graph import check_graph
from mlops.pipeline.lint.monitor import check_monitor
from mlops.pipeline.lint.schedule import check_schedule
from mlops.pipeline.lint.serving import check_deployment, check_endpoint
from mlops.pipeline.lint.sweep import check_sweep
from mlops.pipeline.models import Component, Environment, Node
from mlops.pipeline.read import Step, open_document, read_pipeline, shown
from mlops.spec._yaml import Document

KINDS = "pipeline, sweep or command component (`type:`), schedule, monitor, environment, online endpoint or deployment"


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
        problems += check_command(step)
        problems += check_environment(step)
    return _unique(problems)


def _lint_file(path: Path, *, strict: bool) -> list[Problem]:
    """In a folder (not `strict`), files of no known kind are left alone: gates, conda files and the like."""
    try:
        document = open_document(path)
        return _dispatch(path, document, strict=strict)
    except InvalidInput as error:
        return list(error.problems)


def _dispatch(path: Path, document: Document, *, strict: bool) -> list[Problem]:
    kind = kind_of(document.value)
    if kind == "pipeline":
        return lint_pipeline(path)
    if kind == "command":
        return _lint_component(path, document)
    if kind == "sweep":
        return list(check_sweep(document, path))
    if kind in ("schedule", "monitor"):
        problems = list(check_schedule(document, kind == "monitor"))
        return problems + (list(check_monitor(document)) if kind == "monitor" else _scheduled(path, document))
    if kind == "environment":
        return list(environment_problems(document.parse(Environment), document, (), path))
    if kind == "endpoint":
        return list(check_endpoint(document))
    if kind == "deployment":
        return list(check_deployment(document, path))
    if strict:
        return [document.problem(("type",), f"is no kind of Azure ML YAML that can be checked: {KINDS}")]
    return []


def kind_of(raw: dict[str, object]) -> str:
    """What a file is, told by its fields (and its `$schema` for what has no `type`); empty when unknown."""
    if raw.get("type") in ("pipeline", "sweep", "command"):
        return str(raw["type"])
    if "create_monitor" in raw:
        return "monitor"
    schema = str(raw.get("$schema", "")).rsplit("/", 1)[-1].lower()
    if "trigger" in raw or "create_job" in raw or raw.get("type") == "schedule":
        return "schedule"
    if "endpoint_name" in raw and "batch" not in schema:
        return "deployment"
    if "traffic" in raw or "onlineendpoint" in schema:
        return "endpoint"
    if "environment.schema" in schema or ("image" in raw and "name" in raw):
        return "environment"
    return ""


def _lint_component(path: Path, document: Document) -> list[Problem]:
    component = document.parse(Component)
    node = Node(component=path.name)
    step = Step(component.name, node, component, path, document, (path, document))
    return [*check_command(step), *check_environment(step)]


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

"""A pipeline's file as typed stages, jobs and steps; a key that the interpreter does not know is refused."""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from azure_pipelines import source
from azure_pipelines.source import Mapping, Node, Place, Text, known, refuse
from azure_pipelines.templates import Scope, bind, expand

SUCCEEDED = "succeeded()"
Kind = Literal["bash", "checkout", "publish", "task"]
_STEPS: dict[str, tuple[str, ...]] = {
    "bash": ("name", "displayName", "condition", "env"),
    "checkout": ("fetchDepth", "persistCredentials"),
    "publish": ("artifact", "condition"),
    "task": ("name", "displayName", "condition", "env", "inputs"),
}
"""What a step may have beside the key that says its kind."""
TASKS: dict[str, tuple[str, ...]] = {
    "UsePythonVersion@0": ("versionSpec",),
    "AzureCLI@2": ("azureSubscription", "scriptType", "scriptLocation", "inlineScript"),
    "DownloadPipelineArtifact@2": ("artifactName", "targetPath"),
}
"""Tasks and the inputs that each needs; there are no others."""


@dataclass(frozen=True)
class Step:
    kind: Kind
    what: Text
    """The script, the repository, the path or the task."""
    name: str
    display: str
    condition: Text
    env: Map[Text, Text]
    inputs: Map[str, Text]
    place: Place


@dataclass(frozen=True)
class Job:
    name: Text
    environment: str
    """Of a deployment job; empty for others."""
    minutes: int
    variables: Map[Text, Text]
    steps: tuple[Step, ...]

    @property
    def prefix(self) -> str:
        """Before the names of its outputs: a deployment job that runs once repeats its own name."""
        return f"{self.name}." if self.environment else ""


@dataclass(frozen=True)
class Stage:
    name: Text
    needs: tuple[Text, ...]
    condition: Text
    locked: bool
    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class Pipeline:
    """One file, expanded for one run."""

    file: str
    variables: Map[Text, Text]
    stages: tuple[Stage, ...]
    webhooks: Map[str, Map[str, str]] = field(default_factory=dict)
    """Alias to what an event must have to start it: values by path."""


_PIPELINE = ("name", "trigger", "pr", "pool", "stages")
_MORE = ("schedules", "resources", "parameters", "variables")


def raw(root: Path, file: str) -> Mapping:
    """The file, nothing expanded, its keys checked."""
    return known(source.read(root, file), "a pipeline", _PIPELINE, _MORE)


def load(
    root: Path,
    file: str,
    predefined: Map[str, str],
    given: Map[str, str],
    payload: Map[str, Any] | None = None,
) -> Pipeline:
    """`root/file` for a run with these predefined variables, parameters and webhook event."""
    document = raw(root, file)
    hooks = webhooks(document)
    start = Scope(root, {}, predefined, {})
    asked = {Text(k, document.place): Text(v, document.place) for k, v in given.items()}
    parameters = bind(document.get("parameters", source.Items(document.place)), asked, document, start)
    # The event of a webhook is a parameter with its alias; in any other run it is null.
    parameters |= {alias: dict(payload or {}) for alias in hooks}
    scope = Scope(root, parameters, predefined, {})
    variables = _variables(document.get("variables"), scope)
    texts = {str(name): str(value) for name, value in variables.items()}
    whole = Scope(root, parameters, {**texts, **predefined}, {})
    stages: list[Stage] = []
    for node in source.items(expand(document["stages"], whole, "stages")):
        stages.append(_stage(source.mapping(node), stages))
    return Pipeline(file, variables, tuple(stages), hooks)


def webhooks(document: Mapping) -> dict[str, dict[str, str]]:
    if "resources" not in document:
        return {}
    resources = known(source.mapping(document["resources"]), "resources", ("webhooks",))
    found = {}
    for entry in source.items(resources["webhooks"]):
        hook = known(source.mapping(entry), "a webhook", ("webhook", "connection", "filters"))
        filters = [
            known(source.mapping(f), "a filter", ("path", "value")) for f in source.items(hook["filters"])
        ]
        wanted = {str(f["path"]): str(f["value"]) for f in filters}
        if "type" not in wanted:
            refuse(hook, "a webhook without a filter on `type` would start on every event")
        found[str(hook["webhook"])] = wanted
    return found


def _variables(node: Node | None, scope: Scope) -> dict[Text, Text]:
    """Either a mapping, or a sequence of templates and of `name`, `value`."""
    if node is None:
        return {}
    expanded = expand(node, scope, "variables")
    entries = [expanded] if isinstance(expanded, Mapping) else source.items(expanded)
    found: dict[Text, Text] = {}
    for entry in entries:
        mapping = source.mapping(entry)
        if "name" in mapping and "value" in mapping:
            known(mapping, "a variable", ("name", "value"))
            found[source.text(mapping["name"])] = source.text(mapping["value"])
        else:
            found |= {name: source.text(value) for name, value in mapping.items()}
    return found


def _stage(node: Mapping, before: list[Stage]) -> Stage:
    known(node, "a stage", ("stage", "jobs"), ("dependsOn", "condition", "lockBehavior"))
    name = source.text(node["stage"])
    if any(stage.name == name for stage in before):
        refuse(name, f"there are two stages {str(name)!r}")
    needs = tuple(source.texts(node["dependsOn"])) if "dependsOn" in node else ()
    if "dependsOn" not in node and before:
        needs = (before[-1].name,)
    for need in needs:
        if all(stage.name != need for stage in before):
            refuse(need, f"stage {str(name)!r} depends on {str(need)!r}, which is no stage before it")
    return Stage(
        name=name,
        needs=needs,
        condition=node.get("condition", Text(SUCCEEDED, name.place)),
        locked="lockBehavior" in node,
        jobs=tuple(_job(source.mapping(job)) for job in source.items(node["jobs"])),
    )


def _job(node: Mapping) -> Job:
    if "deployment" in node:
        known(
            node,
            "a deployment job",
            ("deployment", "environment", "timeoutInMinutes", "strategy"),
            ("variables",),
        )
        strategy = known(source.mapping(node["strategy"]), "a strategy", ("runOnce",))
        once = known(source.mapping(strategy["runOnce"]), "runOnce", ("deploy",))
        steps = known(source.mapping(once["deploy"]), "deploy", ("steps",))["steps"]
    else:
        known(node, "a job", ("job", "timeoutInMinutes", "steps"), ("variables",))
        steps = node["steps"]
    variables = source.mapping(node.get("variables", Mapping(node.place)))
    return Job(
        name=source.text(node["deployment" if "deployment" in node else "job"]),
        environment=str(node.get("environment", "")),
        minutes=source.number(node["timeoutInMinutes"]),
        variables={name: source.text(value) for name, value in variables.items()},
        steps=tuple(_step(source.mapping(step)) for step in source.items(steps)),
    )


def _step(node: Mapping) -> Step:
    kind = next((key for key in node if key in _STEPS), None)
    if kind is None:
        refuse(node, f"the interpreter knows steps with {', '.join(_STEPS)}; this one has {', '.join(node)}")
    known(node, f"a step `{kind}`", (kind,), _STEPS[kind])
    what = source.text(node[kind])
    inputs = source.mapping(node.get("inputs", Mapping(node.place)))
    if kind == "task":
        if what not in TASKS:
            refuse(what, f"the interpreter knows no task {str(what)!r}; it knows {', '.join(TASKS)}")
        known(inputs, f"the task {what}", TASKS[what])
    if kind == "checkout":
        if what != "self":
            refuse(what, "the interpreter checks out `self` only")
        inputs = node
    if kind == "publish":
        known(node, "a step `publish`", ("publish", "artifact"), _STEPS["publish"])
        inputs = node
    env = source.mapping(node.get("env", Mapping(node.place)))
    return Step(
        kind=kind,
        what=what,
        name=str(node.get("name", "")),
        display=str(node.get("displayName", what)),
        condition=node.get("condition", Text(SUCCEEDED, node.place)),
        env={name: source.text(value) for name, value in env.items()},
        inputs={str(name): value for name, value in inputs.items() if isinstance(value, Text)},
        place=node.place,
    )

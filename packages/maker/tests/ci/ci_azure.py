"""Azure Pipelines' files as `Pipeline`s. Understands the subset that these files use and refuses the rest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ci_model import ROOT, RUN, Pipeline, Unit, canonical, command_of, read, reduced

FOLDER = ROOT / "pipelines" / "azure-devops"
_IF = re.compile(r"\$\{\{ if eq\(parameters\.(\w+), '(.*)'\) \}\}")
_BY_HAND = "${{ if eq(variables['Build.Reason'], 'Manual') }}"
"""Where a run by hand is written differently, that is what is compared: only there GitHub has inputs too."""
_PASTED = re.compile(r"'\$\{\{ (parameters\.\w+) \}\}'")


def path_of(name: str) -> Path:
    return ROOT / "azure-pipelines.yml" if name == "ci" else FOLDER / f"{name}.yml"


def load(name: str, document: dict[str, Any] | None = None) -> Pipeline:
    """The pipeline `name`, or a changed copy of it."""
    pipeline = document or read(path_of(name))
    trigger = pipeline["trigger"] if pipeline["trigger"] != "none" else {}
    paths = trigger.get("paths", {})
    pull = pipeline.get("pr", {})
    inputs = {p["name"]: p.get("values", []) for p in pipeline.get("parameters", [])}
    units: dict[str, Unit] = {}
    for stage in _stages(pipeline["stages"], path_of(name).parent):
        before = list(units)[-1:]
        units[stage["stage"]] = _unit(stage, before, inputs)
    reduced(units)
    return Pipeline(
        branches=trigger.get("branches", {}).get("include", []),
        paths=paths.get("include", []) + [f"!{p}" for p in paths.get("exclude", [])],
        pull_requests=pull != "none",
        inputs=inputs,
        events=_filters(pipeline, "type"),
        about="".join(_filters(pipeline, "data.model")),
        schedule=[entry["cron"] for entry in pipeline.get("schedules", [])],
        cancels=isinstance(pull, dict) and pull.get("autoCancel") == "true",
        units=units,
    )


def _filters(pipeline: dict[str, Any], path: str) -> list[str]:
    hooks = pipeline.get("resources", {}).get("webhooks", [])
    return [f["value"] for hook in hooks for f in hook["filters"] if f["path"] == path]


def _stages(entries: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for entry in entries:
        if "template" not in entry:
            found.append(entry)
            continue
        template = read(folder / entry["template"])
        given = {p["name"]: p.get("default", "") for p in template["parameters"]}
        given |= _filled(entry["parameters"], {})
        found += [_filled(stage, given) for stage in template["stages"]]
    return found


def _filled(value: Any, given: dict[str, str]) -> Any:
    """`value` with the template's parameters put in and its conditions on them decided."""
    if isinstance(value, str):
        return re.sub(r"\$\{\{ parameters\.(\w+) \}\}", lambda m: given.get(m[1], m[0]), value)
    if isinstance(value, list):
        return [_filled(v, given) for v in value]
    made: dict[str, Any] = {}
    taken = False
    for key, inner in value.items():
        if key == _BY_HAND:
            taken = True
            made |= _filled(inner, given)
        elif found := _IF.fullmatch(key):
            taken = given[found[1]] == found[2]
            made |= _filled(inner, given) if taken else {}
        elif key == "${{ else }}":
            made |= {} if taken else _filled(inner, given)
        else:
            assert "${{" not in key, f"cannot read {key!r}"
            made[key] = _filled(inner, given)
    return made


def _unit(stage: dict[str, Any], before: list[str], inputs: dict[str, list[str]]) -> Unit:
    (job,) = stage["jobs"]
    deployment = "deployment" in job
    steps = job["strategy"]["runOnce"]["deploy"]["steps"] if deployment else job["steps"]
    needs = stage.get("dependsOn", before)
    set_up = [_parameters(s) for s in steps if s.get("template", "").endswith("setup.yml")]
    verbs = [_parameters(s) for s in steps if s.get("template", "").endswith("verb.yml")]
    unknown = [s for s in steps if not {"template", "bash", "checkout", "publish", "task"} & s.keys()]
    assert not unknown, f"cannot read {unknown[0]}"
    environments = _environments(job["environment"], inputs) if deployment else []
    clouds = [v for v in verbs if "cloud" in v]
    assert len({v["cloud"] for v in clouds}) <= 1, "a job logs in under one condition"
    for verb in clouds:
        assert _environments(verb["connection"], inputs) == environments, (
            f"{verb['run']}: a service connection has the name of its job's environment"
        )
    push = any(s.get("push") == "true" for s in set_up)
    token = any("$(System.AccessToken)" in v.get("env", {}).values() for v in verbs if not _reads(v))
    assert push == token, (
        f"stage {stage['stage']}: git and the verb may write to the repository together, or not"
    )
    scripts = [
        (s["bash"], s.get("condition", "")) for s in steps if s.get("bash", "").startswith(".github/scripts/")
    ]
    return Unit(
        needs={needs} if isinstance(needs, str) else set(needs),
        condition=canonical(_PASTED.sub(r"\1", stage.get("condition", ""))),
        environments=environments,
        locked="lockBehavior" in stage,
        minutes=int(job["timeoutInMinutes"]),
        head=any(s.get("head") == "true" for s in set_up),
        pulumi=any(s.get("pulumi") == "true" for s in set_up),
        login=canonical("" if clouds[0]["cloud"] == "true" else clouds[0]["cloud"]) if clouds else None,
        writes=push,
        model=job.get("variables", {}).get("MLOPS_MODEL", ""),
        commands=[(command_of(c), canonical(x)) for c, x in scripts]
        + [(command_of(RUN + v["run"]), canonical(v.get("condition", ""))) for v in verbs],
    )


def _reads(verb: dict[str, Any]) -> bool:
    """Whether a verb has the token to ask who approved, and nothing to push."""
    return str(verb["run"]).startswith("mlops apply ")


def _parameters(step: dict[str, Any]) -> dict[str, Any]:
    return dict(step.get("parameters") or {})


def _environments(text: str, inputs: dict[str, list[str]]) -> list[str]:
    found = re.search(r"\$\{\{ parameters\.(\w+) \}\}", text)
    if not found:
        return [text]
    return sorted(text.replace(found[0], value) for value in inputs[found[1]])

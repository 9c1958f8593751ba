"""The tasks that a pipeline file amounts to: what runs, after what, in which environment."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput, Problem
from mlops.pipeline.binding import expand
from mlops.pipeline.parts import Pipeline, Step
from mlops.pipeline.read import read_environment
from mlops.pipeline.run.snapshot import take_snapshot
from mlops.pipeline.run.values import AssetResolver, Given, step_inputs
from mlops.spec._yaml import Document
from mlops.spec.digest import data_digest
from mlops.spec.settings import DatabricksNotify, DatabricksSettings
from mlops.steps.on_databricks import END, LOCAL, VOLUME
from mlops.targets.databricks._wheel import ENTRY, PACKAGE, packed
from mlops.targets.databricks.data import SCHEME

_AZURE_ONLY = re.compile(r"^azureml[-_]mlflow\b", re.I)
"""MLflow's plugin for Azure ML: nothing imports it where the tracking is Databricks'."""
_PYTHON = re.compile(r"^(python|pip)\b\s*([=<>!~ ].*)?$")


@dataclass(frozen=True)
class Job:
    """A pipeline as Databricks runs it. `files`: contents to be uploaded, by their path in the volume."""

    plan: dict[str, Any]
    files: Mapping[str, bytes]
    before: Mapping[str, tuple[str, ...]]
    requirements: Mapping[str, tuple[str, ...]]
    """By step."""
    uploads: Mapping[str, Path] = field(default_factory=dict)
    """Inputs that lie on this machine, by their folder below the run's."""


def job_of(pipeline: Pipeline, inputs: Mapping[str, Given], resolve: AssetResolver, volume: str) -> Job:
    """Raises `InvalidInput` for what Databricks cannot run."""
    if problems := [p for step in pipeline.steps.values() for p in _refused(pipeline, step)]:
        raise InvalidInput(problems)
    outputs: dict[tuple[str, str], Given] = {}
    for step in pipeline.steps.values():
        for name in step.component.outputs:
            place = f"{VOLUME}/runs/{_RUN}/{step.name}/{name}"
            outputs[step.name, name] = Given(place, place, is_path=True)
    uploads: dict[str, Path] = {}
    files: dict[str, bytes] = {}
    steps: dict[str, Any] = {}
    for step in pipeline.steps.values():
        given = step_inputs(pipeline, step, inputs=inputs, outputs=outputs, resolve=resolve, here=False)
        texts = {name: _text(value, volume, uploads) for name, value in given.items()}
        outputs_here = {name: f"{LOCAL}/outputs/{name}" for name in step.component.outputs}
        paths = [name for name, value in given.items() if value.is_path or value.text.startswith(SCHEME)]
        code, content = _snapshot(step)
        files[code] = content
        steps[step.name] = {
            "code": code,
            "command": expand(step.component.command, texts, outputs_here, {}, paths=paths),
            "outputs": {n: pipeline.output_type(step, n) or "uri_folder" for n in step.component.outputs},
            "variables": {name: str(value) for name, value in step.variables.items()},
        }
    return Job(
        {"steps": steps},
        files,
        {name: tuple(sorted(pipeline.before(name))) for name in pipeline.steps},
        {name: requirements_of(step) for name, step in pipeline.steps.items()},
        uploads,
    )


_RUN = "@@run@@"
"""The id of the run, which is there only when all else is known."""


def planned(job: Job, run: str, schema: str) -> dict[str, Any]:
    """The plan of one run, whose models go to `schema`."""
    steps = {
        name: {**step, "command": step["command"].replace(_RUN, run)}
        for name, step in job.plan["steps"].items()
    }
    return {"schema": schema, "steps": steps}


def submitted(job: Job, run: str, volume: str, wheel: str, settings: DatabricksSettings) -> dict[str, Any]:
    """What `jobs.submit` is given: tasks, environments of serverless compute, and who hears of the end."""
    from databricks.sdk.service import jobs as j

    keys: dict[tuple[str, ...], str] = {}
    tasks = []
    for name in [*job.before, END]:
        needs = job.requirements.get(name, ())
        # The last task only ends the run; it needs what the first one does.
        needs = needs or next(iter(job.requirements.values()), ())
        key = keys.setdefault(needs, f"env{len(keys)}")
        parameters = ["--volume", volume, "--run", run, "--step", name]
        tasks.append(
            j.SubmitTask(
                task_key=name,
                depends_on=[
                    j.TaskDependency(task_key=one) for one in job.before.get(name, tuple(job.before))
                ],
                run_if=j.RunIf.ALL_DONE if name == END else None,
                python_wheel_task=j.PythonWheelTask(
                    package_name=PACKAGE, entry_point=ENTRY, parameters=parameters
                ),
                **(_cluster(settings, wheel, needs) if settings.node_type else {"environment_key": key}),
            )
        )
    environments = (
        None if settings.node_type else [_environment(k, wheel, n, settings) for n, k in keys.items()]
    )
    return {"tasks": tasks, "environments": environments, **_notified(settings.notify)}


def _notified(notify: DatabricksNotify) -> dict[str, Any]:
    """Who hears of the run's end. The last task fails where a step did, and so the run."""
    from databricks.sdk.service import jobs as j

    if not (notify.failure or notify.success):
        return {}
    return {
        "webhook_notifications": j.WebhookNotifications(
            on_failure=[j.Webhook(id=one) for one in notify.failure] or None,
            on_success=[j.Webhook(id=one) for one in notify.success] or None,
        ),
        # Who cancels knows it: Control-C is no alarm.
        "notification_settings": j.JobNotificationSettings(no_alert_for_canceled_runs=True),
    }


def _environment(key: str, wheel: str, needs: tuple[str, ...], settings: DatabricksSettings) -> Any:
    from databricks.sdk.service import compute as c
    from databricks.sdk.service import jobs as j

    spec = c.Environment(environment_version=settings.environment_version, dependencies=[wheel, *needs])
    return j.JobEnvironment(environment_key=key, spec=spec)


def _cluster(settings: DatabricksSettings, wheel: str, needs: tuple[str, ...]) -> dict[str, Any]:
    from databricks.sdk.service import compute as c

    libraries = [c.Library(pypi=c.PythonPyPiLibrary(package=package)) for package in needs]
    return {
        "new_cluster": c.ClusterSpec(
            spark_version=settings.runtime,
            node_type_id=settings.node_type,
            num_workers=0,
            data_security_mode=c.DataSecurityMode.SINGLE_USER,
            spark_conf={"spark.databricks.cluster.profile": "singleNode", "spark.master": "local[*]"},
            custom_tags={"ResourceClass": "SingleNode"},
        ),
        "libraries": [c.Library(whl=wheel), *libraries],
    }


def requirements_of(step: Step) -> tuple[str, ...]:
    """What pip installs for a step, as its environment's conda file says. Raises `InvalidInput`."""
    environment, document, loc, path = read_environment(step)
    if environment is None:
        if step.component.environment is None and step.node.environment is None:
            return ()
        why = "lies in a workspace of Azure ML; name a file (file:...) with a conda_file"
        raise InvalidInput(document.problem(loc, why))
    conda: Any = environment.conda_file
    where = document.name
    if isinstance(conda, str):
        file = path.parent / conda
        read = Document.read(file, file.name)
        conda, where = read.value, str(file.name)
    packages: list[str] = []
    for entry in (conda or {}).get("dependencies") or []:
        if isinstance(entry, dict):
            packages += [str(one) for one in entry.get("pip") or []]
        elif not _PYTHON.match(str(entry)):
            why = f"the conda package {entry!r} cannot be had on Databricks; name it under pip"
            raise InvalidInput(Problem(where, why, "dependencies"))
    return tuple(one for one in packages if not _AZURE_ONLY.match(one))


def _refused(pipeline: Pipeline, step: Step) -> list[Problem]:
    """What only Azure ML or this machine runs, each by its name."""
    reasons = []
    if step.sweep is not None:
        reasons.append("is a sweep")
    if step.part.kind in ("spark", "parallel"):
        reasons.append(f"is a {step.part.kind} step")
    if step.distribution is not None:
        reasons.append(f"is spread over processes ({step.distribution.type})")
    if ((step.resources and step.resources.instance_count) or 1) > 1:
        reasons.append("asks for several instances")
    if step.name == END or not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", step.name):
        reasons.append("has a name that no task can have")
    if step.name in (pipeline.job.settings.on_init, pipeline.job.settings.on_finalize):
        reasons.append("runs before or after all others (on_init, on_finalize)")
    return [
        Problem(
            pipeline.document.name,
            f"step {step.name!r} {why}, which this project does not run on Databricks; run the pipeline on "
            "another target (--target local, --target azure), or leave the step out",
            f"jobs.{step.name}",
        )
        for why in reasons
    ]


def _text(value: Given, volume: str, uploads: dict[str, Path]) -> str:
    """An input as the command of a task has it."""
    if value.text.startswith(SCHEME):
        place = value.text.removeprefix(SCHEME)
        # Of the same volume, by the folder as the task sees it.
        return place.replace(volume, VOLUME, 1) if place.startswith(f"{volume}/") else place
    if not value.is_path or value.text.startswith(VOLUME):
        return value.text
    source = Path(value.text)
    folder = f"_inputs/{data_digest([value.identity]).removeprefix('sha256:')[:16]}"
    uploads[folder if source.is_dir() else f"{folder}/{source.name}"] = source
    return f"{VOLUME}/runs/{_RUN}/{folder}" + ("" if source.is_dir() else f"/{source.name}")


def _snapshot(step: Step) -> tuple[str, bytes]:
    """The step's code with what it includes, named by its digest: equal code is uploaded once."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "code"
        take_snapshot(step.code, target, step.includes)
        files = {
            p.relative_to(target).as_posix(): p.read_bytes() for p in sorted(target.rglob("*")) if p.is_file()
        }
    content = packed(files)
    digest = data_digest([(name, data_digest([body.hex()])) for name, body in files.items()])
    return f"snapshots/{digest.removeprefix('sha256:')[:32]}.zip", content

"""One pipeline job: its steps in order, each from what the client registered, reused as Azure ML does."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import random
import re
import shutil
import threading
import traceback
import uuid
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.pipeline.run.executor import plan_invocation

if TYPE_CHECKING:
    from .jobs import Job, Jobs

_PARENT = re.compile(r"\$\{\{parent\.(inputs|outputs)\.(\w+)\}\}")
_STEP = re.compile(r"\$\{\{parent\.jobs\.(\w+)\.outputs\.(\w+)\}\}")
_ANY = re.compile(r"\$\{\{(inputs|outputs)\.(\w+)\}\}")
_OPTIONAL = re.compile(r"\$\[\[(.*?)\]\]")
_ASSET = re.compile(r"(azureml:)?(?P<id>/subscriptions/.+/data/.+/versions/.+)", re.I)


@dataclasses.dataclass
class _Scope:
    """One pipeline: the job itself, or a pipeline inside of it. `given` is what it gives to the outside."""

    job: Job
    inputs: dict[str, Any]
    given: dict[str, tuple[str, str]]
    made: dict[tuple[str, str], tuple[str, str]] = dataclasses.field(default_factory=dict)

    def lacks(self, value: Any) -> bool:
        """Whether a binding names an optional input that nobody gave."""
        found = _PARENT.fullmatch(str(value.get("value") if isinstance(value, dict) else value))
        return found is not None and found[2] not in self.inputs


class PipelineRun(threading.Thread):
    """Runs to the end or until `stop`; what goes wrong in here is the emulator's bug."""

    def __init__(self, jobs: Jobs, job: Job, properties: dict[str, Any]) -> None:
        super().__init__(name=f"job-{job.name}", daemon=True)
        self._jobs, self._job, self._properties = jobs, job, properties
        self._emulator = jobs.emulator
        self._stopped = threading.Event()
        self._folder = jobs.emulator.folder / "jobs" / job.name

    def stop(self) -> None:
        """Cancel the job."""
        if not self._stopped.is_set():
            self._stopped.set()
            if self.is_alive() and self._job.status == "Running":
                self._jobs.server().stop_steps()

    def run(self) -> None:
        tags = {**self._job.tags, "mlflow.rootRunId": self._job.name}
        try:
            self._experiment = self._emulator.tracking.create_run(
                self._job.workspace, self._job.experiment, self._job.name, self._job.display, tags
            )
            self._jobs.began(self._job)
            failed = self._steps()
            if self._stopped.is_set():
                self._jobs.finish(self._job, "Canceled")
            elif self._job.ended is not None:
                pass  # it has no steps, and has ended as its process did
            elif failed:
                self._jobs.finish(self._job, "Failed", f"Pipeline has failed child jobs: {', '.join(failed)}")
            else:
                self._jobs.finish(self._job, "Completed")
        except Exception:  # noqa: BLE001  a thread has nobody to raise to; the test's end looks here
            self._emulator.errors.append(traceback.format_exc())
            self._jobs.give_up(self._job)

    def _steps(self) -> list[str]:
        top = _Scope(self._job, self._properties.get("inputs") or {}, self._job.outputs)
        return self._graph(self._properties["jobs"], top)

    def _graph(self, nodes: dict[str, Any], scope: _Scope) -> list[str]:
        """The jobs of one pipeline, in order; the names of those that failed."""
        order = TopologicalSorter(
            {
                name: {m[1] for m in _STEP.finditer(json.dumps(node.get("inputs") or {}))}
                for name, node in nodes.items()
            }
        )
        failed: list[str] = []
        for name in order.static_order():
            if failed or not self._jobs.passed(self._stopped):
                break
            if not self._step(name, nodes[name], scope):
                failed.append(name)
        return failed

    def _step(self, name: str, node: dict[str, Any], scope: _Scope) -> bool:
        if node.get("type") == "automl":
            child = self._child(name, scope.job)
            data, column = node["training_data"], node["target_column_name"]
            if not self._learn(child, self._given(data, scope), column, node.get("outputs") or {}):
                return False
            scope.made |= {(name, output): place for output, place in child.outputs.items()}
            return True
        component = self._resource(node["componentId"])["properties"]["componentSpec"]
        given = {
            key: self._given(value, scope)
            for key, value in (node.get("inputs") or {}).items()
            if not scope.lacks(value)
        }
        for key, declared in (component.get("inputs") or {}).items():
            if key not in given and declared.get("default") is not None:
                given[key] = str(declared["default"])
        child = self._child(name, scope.job)
        child.properties = {"azureml.moduleName": str(component.get("name", "")), "azureml.isreused": "false"}
        if component.get("type") == "pipeline":
            child.status = "Running"
            if failed := self._graph(component["jobs"], _Scope(child, given, child.outputs)):
                said = f"Pipeline has failed child jobs: {', '.join(failed)}"
                self._jobs.finish(child, "Canceled" if self._stopped.is_set() else "Failed", said)
                return False
            self._jobs.finish(child, "Completed")
        elif not self._once(child, component, node, given):
            return False
        for output, place in child.outputs.items():
            scope.made[name, output] = place
            bound = _PARENT.fullmatch(str(((node.get("outputs") or {}).get(output) or {}).get("value", "")))
            if bound:
                scope.given[bound[2]] = place
        return True

    def _learn(self, child: Job, data: str, column: str, outputs: dict[str, Any]) -> bool:
        """What AutoML leaves: trials that are runs of their own, and a model."""
        child.status = "Running"
        table = self._emulator.history.files(child.workspace, data)
        rows = b"".join(content for name, content in table.items() if name.endswith(".csv")).decode()
        trial = self._child(f"{child.display}_0", child)
        if column not in rows.partition("\n")[0].split(","):
            said = f"The target column {column} was not found in the training data."
            self._emulator.history.log(trial.workspace, trial.name, "user_logs/std_log.txt", said.encode())
            self._jobs.finish(trial, "Failed", said)
            self._jobs.finish(child, "Failed", said)
            return False
        self._jobs.finish(trial, "Completed")
        made = self._folder / child.name / "model"
        made.mkdir(parents=True, exist_ok=True)
        (made / "MLmodel").write_text("flavors: {}\n")
        for output in outputs:
            child.outputs[output] = ("mlflow_model", self._keep(child, output, made))
        self._jobs.finish(child, "Completed")
        return True

    def _once(
        self, child: Job, component: dict[str, Any], node: dict[str, Any], given: dict[str, str]
    ) -> bool:
        """One step, or what it made before."""
        key = _key(component, given, self._resource(component["code"]) if component.get("code") else None)
        deterministic = str(component.get("is_deterministic", True)).lower() != "false"
        forced = str((self._properties.get("settings") or {}).get("force_rerun", False)).lower() == "true"
        if deterministic and not forced and key in self._jobs.reusable:
            before = self._jobs.reusable[key]
            child.properties |= {"azureml.isreused": "true", "azureml.reusedrunid": before.name}
            child.outputs = before.outputs
            self._jobs.finish(child, "Completed")
        elif not self._execute(child, component, node, given):
            return False
        if deterministic:
            self._jobs.reusable.setdefault(key, child)
        return True

    def _child(self, name: str, above: Job | None = None) -> Job:
        """A step or a trial with a run below the job's, or below that of the pipeline `above`."""
        parent = (above or self._job).name
        child = dataclasses.replace(
            self._job, name=str(uuid.uuid4()), display=name, parent=parent, status="NotStarted"
        )
        child.tags, child.properties, child.outputs = {}, {}, {}
        child.started, child.error = datetime.now(UTC), ""
        tags = {"mlflow.parentRunId": parent, "mlflow.rootRunId": self._job.name}
        self._emulator.tracking.create_run(child.workspace, child.experiment, child.name, name, tags)
        self._jobs.jobs[child.name] = child
        # Azure knows such a job by its name, and leaves it to run history to say more.
        self._emulator.arm.put(f"{child.workspace.id}/jobs/{child.name}", {"properties": None})
        return child

    def _given(self, value: Any, scope: _Scope | None = None) -> str:
        """The text of a literal, or the datastore URI of data."""
        raw = str(value.get("value", value.get("uri")) if isinstance(value, dict) else value)
        if scope is not None:
            if found := _STEP.fullmatch(raw):
                return scope.made[found[1], found[2]][1]
            if found := _PARENT.fullmatch(raw):
                return self._given(scope.inputs[found[2]])
            raw = _PARENT.sub(lambda m: self._given(scope.inputs[m[2]]), raw)
        if found := _ASSET.fullmatch(raw):
            return str(self._resource(found["id"])["properties"]["dataUri"])
        return raw

    def _execute(
        self, child: Job, component: dict[str, Any], node: dict[str, Any], given: dict[str, str]
    ) -> bool:
        folder = self._folder / child.name
        folder.mkdir(parents=True)
        code = folder / "code"
        if component.get("code"):
            self._mount(self._resource(component["code"])["properties"]["codeUri"], code)
        code.mkdir(exist_ok=True)
        texts = {
            k: self._local(component["inputs"][k]["type"], v, folder / "in" / k) for k, v in given.items()
        }
        outputs: dict[str, Path] = {}
        for key, declared in (component.get("outputs") or {}).items():
            outputs[key] = folder / "out" / key
            (outputs[key].parent if declared["type"] == "uri_file" else outputs[key]).mkdir(
                parents=True, exist_ok=True
            )
        command = _command(component["command"], texts, outputs)
        log = folder / "std_log.txt"
        log.write_text("")
        variables = {k: str(v) for k, v in (node.get("environment_variables") or {}).items()}
        env = self._jobs.environment(child, self._experiment) | variables
        child.status = "Running"
        status = self._jobs.server().run(plan_invocation(command, variables), code, env, log)
        self._emulator.history.log(child.workspace, child.name, "user_logs/std_log.txt", log.read_bytes())
        if self._stopped.is_set():
            self._jobs.finish(child, "Canceled")
            return False
        if status != 0:
            said = f"Execution failed. User process 'python' exited with status code {status}."
            self._jobs.finish(child, "Failed", said)
            return False
        for key, path in outputs.items():
            child.outputs[key] = (component["outputs"][key]["type"], self._keep(child, key, path))
        self._jobs.finish(child, "Completed")
        shutil.rmtree(folder)
        return True

    def _local(self, kind: str, value: str, to: Path) -> str:
        """A literal as it is; data as files of this machine, as a mount shows them."""
        if not value.startswith(("azureml://", "https://")):
            return value
        self._mount(value, to)
        return str(next(to.iterdir())) if kind == "uri_file" else str(to)

    def _mount(self, uri: str, to: Path) -> None:
        files = self._emulator.history.files(self._job.workspace, uri)
        if not files:
            raise FileNotFoundError(f"{uri} names no files")
        for relative, data in files.items():
            (to / relative).parent.mkdir(parents=True, exist_ok=True)
            (to / relative).write_bytes(data)

    def _keep(self, child: Job, output: str, path: Path) -> str:
        """Copy an output into the default datastore; returns its URI."""
        place, workspace = f"azureml/{child.name}/{output}", child.workspace
        files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
        for file in files:
            name = place if path.is_file() else f"{place}/{file.relative_to(path).as_posix()}"
            self._emulator.blobs.write(workspace.account, workspace.container, name, file.read_bytes())
        return workspace.datastore(place if path.is_file() else f"{place}/")

    def _resource(self, path: str) -> dict[str, Any]:
        found = self._emulator.arm.get(path.removeprefix("azureml:"))
        if found is None:
            raise LookupError(f"the job names {path}, which is not there")
        return found


class SweepRun(PipelineRun):
    """A sweep job: trials one after another, their values drawn at random by the seed of the file."""

    def _steps(self) -> list[str]:
        inputs = self._properties.get("inputs") or {}
        given = {key: self._given(value) for key, value in inputs.items()}
        declared = {key: {"type": value.get("jobInputType", "literal")} for key, value in inputs.items()}
        trial = self._properties["trial"]
        drawn = random.Random(self._properties["samplingAlgorithm"].get("seed"))  # noqa: S311  no secret
        for number in range(int(self._properties["limits"]["maxTotalTrials"])):
            if not self._jobs.passed(self._stopped):
                break
            command = trial["command"]
            for key, shape in self._properties["searchSpace"].items():
                command = command.replace(f"${{{{search_space.{key}}}}}", str(_draw(drawn, *shape)))
            component = {"command": command, "code": trial.get("codeId"), "outputs": {}, "inputs": declared}
            self._execute(self._child(f"trial_{number}"), component, {}, given)
        return []


class AutoMLRun(PipelineRun):
    """An AutoML job: trials below it, and the best model as its output."""

    def _steps(self) -> list[str]:
        asked = self._properties["taskDetails"]
        data, outputs = asked["trainingData"]["uri"], self._properties.get("outputs") or {}
        self._learn(self._job, self._given(data), asked["targetColumnName"], outputs)
        return []


class CommandRun(PipelineRun):
    """A command job: the job is the process."""

    def _steps(self) -> list[str]:
        asked = self._properties
        inputs, outputs = asked.get("inputs") or {}, asked.get("outputs") or {}
        component = {
            "command": asked["command"],
            "code": asked.get("codeId"),
            "inputs": {key: {"type": value.get("jobInputType", "literal")} for key, value in inputs.items()},
            "outputs": {key: {"type": value["jobOutputType"]} for key, value in outputs.items()},
        }
        given = {key: self._given(value) for key, value in inputs.items()}
        node = {"environment_variables": asked.get("environmentVariables")}
        self._execute(self._job, component, node, given)
        return []


def _draw(drawn: random.Random, kind: str, limits: list[Any]) -> object:
    """One value of a distribution as Azure ML writes it."""
    match kind:
        case "choice":
            return drawn.choice(limits[0])
        case "uniform":
            return drawn.uniform(*limits)
        case "loguniform":
            return math.exp(drawn.uniform(*limits))
        case "quniform":
            low, high, step = limits
            return round(drawn.uniform(low, high) / step) * step
    raise LookupError(f"the emulator does not draw {kind}")


def _command(text: str, inputs: dict[str, str], outputs: dict[str, Path]) -> str:
    values = {("inputs", k): v for k, v in inputs.items()} | {
        ("outputs", k): str(v) for k, v in outputs.items()
    }

    def optional(found: re.Match[str]) -> str:
        return found[1] if all((m[1], m[2]) in values for m in _ANY.finditer(found[1])) else ""

    # As text: Azure quotes nothing, so that quotes of the command count and several words are several words.
    return _ANY.sub(lambda m: values[m[1], m[2]], _OPTIONAL.sub(optional, text))


def _key(component: dict[str, Any], given: dict[str, str], code: dict[str, Any] | None) -> str:
    """What decides whether a step's outputs can stand for a new run of it."""
    facts = [
        component["command"],
        component.get("environment"),
        code and code["properties"].get("codeUri"),
        given,
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

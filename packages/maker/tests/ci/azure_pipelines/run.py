"""A run: stages in their order, conditions with the results before them, jobs on an agent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from azure_pipelines import pipeline as model
from azure_pipelines.agent import Agent, JobRun, Log, Tools
from azure_pipelines.expressions import Context, evaluate, truth
from azure_pipelines.pipeline import Job, Pipeline, Stage
from azure_pipelines.source import Text

Outcome = Literal["Succeeded", "Failed", "Skipped", "Canceled"]
Reason = Literal["IndividualCI", "Manual", "PullRequest", "ResourceTrigger", "Schedule"]
_GOOD = ("Succeeded", "SucceededWithIssues")


@dataclass(frozen=True)
class Event:
    """Why a pipeline runs. `payload` is the event that came to its webhook."""

    reason: Reason
    commit: str
    branch: str = "main"
    parameters: Mapping[str, str] = field(default_factory=dict)
    payload: Mapping[str, Any] | None = None
    cancelled_after: str = ""
    """A stage after which somebody cancels the run."""

    @property
    def variables(self) -> dict[str, str]:
        """Predefined variables that are known before anything runs."""
        return {
            "Build.Reason": self.reason,
            "Build.SourceBranch": f"refs/heads/{self.branch}",
            "Build.SourceVersion": self.commit,
        }


@dataclass
class Result:
    """What a run left behind."""

    stages: dict[str, Outcome] = field(default_factory=dict)
    deployments: list[str] = field(default_factory=list)
    """Environments in the order in which their approvals would be asked for."""
    log: Log = field(default_factory=Log)

    @property
    def outcome(self) -> Outcome:
        found = set(self.stages.values())
        for worst in ("Failed", "Canceled"):
            if worst in found:
                return worst
        return "Succeeded" if "Succeeded" in found else "Skipped"


def execute(root: Path, file: str, event: Event, origin: Path, tools: Tools) -> Result:
    """Run `root/file` for `event`. Jobs check the commit out of the repository `origin`.

    Raises `Refused` for what the interpreter does not know.
    """
    loaded = model.load(root, file, event.variables, event.parameters, event.payload)
    return _Run(loaded, event, Agent(origin, tools)).go()


class _Run:
    def __init__(self, pipeline: Pipeline, event: Event, agent: Agent) -> None:
        self.pipeline = pipeline
        self.event = event
        self.agent = agent
        self.result = Result()
        self.by_name: dict[str, Stage] = {str(s.name): s for s in pipeline.stages}
        self.outputs: dict[str, dict[str, str]] = {}
        """Stage to `<job>.<what a job in the same stage would ask for>`."""
        self.cancelled = False

    def go(self) -> Result:
        for stage in self.pipeline.stages:
            self.result.stages[stage.name] = self._stage(stage)
            self.cancelled = self.cancelled or stage.name == self.event.cancelled_after
        return self.result

    def _stage(self, stage: Stage) -> Outcome:
        if not truth(evaluate(stage.condition, self._stage_context(stage), stage.condition.place)):
            return "Canceled" if self.cancelled else "Skipped"
        done: list[bool] = []
        for job in stage.jobs:
            done.append(self._job(stage, job))
        return "Succeeded" if all(done) else "Failed"

    def _job(self, stage: Stage, job: Job) -> bool:
        if job.environment:
            self.result.deployments.append(job.environment)
        variables: dict[str, str] = {str(k): str(v) for k, v in self.pipeline.variables.items()}
        for name, value in job.variables.items():
            variables[name] = self._runtime(value, stage, variables)
        run = JobRun(job, variables, self.event.variables, self.cancelled)
        self.agent.run(run, self.result.log)
        kept = self.outputs.setdefault(stage.name, {})
        kept |= {f"{job.name}.{job.prefix}{name}": value for name, value in run.outputs.items()}
        return run.good

    def _runtime(self, value: Text, stage: Stage, variables: Mapping[str, str]) -> str:
        """A variable's text; `$[ … ]` is decided when the job starts."""
        if not value.startswith("$["):
            return str(value)
        values = {
            "variables": self._variables(variables),
            "stageDependencies": lambda name: self._job_outputs(stage, name),
        }
        found = evaluate(value[2:].removesuffix("]"), Context(values), value.place)
        return "" if found is None else str(found)

    def _stage_context(self, stage: Stage) -> Context:
        above = list(self._above(stage))
        results = [self.result.stages[name] for name in above]
        status = {
            "succeeded": lambda: not self.cancelled and all(result in _GOOD for result in results),
            "failed": lambda: "Failed" in results,
            "canceled": lambda: self.cancelled,
            "always": lambda: True,
        }
        texts = {str(k): str(v) for k, v in self.pipeline.variables.items()}
        values = {
            "variables": self._variables(texts),
            "dependencies": lambda name: self._dependency(stage, name),
        }
        return Context(values, status)

    def _variables(self, own: Mapping[str, str]) -> Any:
        lowered = {name.lower(): value for name, value in {**own, **self.event.variables}.items()}
        return lambda name: lowered.get(name.lower())

    def _above(self, stage: Stage) -> Iterator[str]:
        for need in stage.needs:
            yield str(need)
            yield from self._above(self.by_name[need])

    def _needed(self, stage: Stage, name: str) -> Stage:
        if name not in stage.needs:
            needs = ", ".join(stage.needs) or "nothing"
            raise KeyError(f"stage {str(stage.name)!r} depends on {needs} and cannot ask for {name!r}")
        return self.by_name[name]

    def _dependency(self, stage: Stage, name: str) -> Any:
        """`dependencies.<stage>`: `result`, and `outputs['<job>.<step>.<variable>']`."""
        needed = self._needed(stage, name)

        def member(key: str) -> Any:
            if key == "result":
                return self.result.stages[name]
            if key != "outputs":
                raise KeyError(f"a stage has `result` and `outputs`, and no {key!r}")
            return lambda path: self._output(needed, path)

        return member

    def _job_outputs(self, stage: Stage, name: str) -> Any:
        """`stageDependencies.<stage>.<job>.outputs['<step>.<variable>']`."""
        needed = self._needed(stage, name)

        def member(job: str) -> Any:
            return lambda key: (
                (lambda path: self._output(needed, f"{job}.{path}")) if key == "outputs" else None
            )

        return member

    def _output(self, stage: Stage, path: str) -> str | None:
        for job in stage.jobs:
            for step in job.steps:
                if step.name and path.startswith(f"{job.name}.{job.prefix}{step.name}."):
                    return self.outputs.get(stage.name, {}).get(path)
        known = [f"{j.name}.{j.prefix}{s.name}.…" for j in stage.jobs for s in j.steps if s.name]
        raise KeyError(f"stage {str(stage.name)!r} has no output {path!r}, only {', '.join(known) or 'none'}")

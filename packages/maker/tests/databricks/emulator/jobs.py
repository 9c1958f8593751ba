"""Jobs 2.2: one-time runs of several tasks, each of which is really run, as a process of its own.

A wheel is what a task takes along: it is unpacked, and its entry point called. A volume is a folder of this
machine, so `/Volumes/` in a task's parameters is where that lies; a cluster has it mounted there.
"""

from __future__ import annotations

import configparser
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .http import Answer, Refused, Request
from .typed import of_sdk, only

if TYPE_CHECKING:
    from .server import Emulator

_CALL = """\
import importlib, sys
module, function = sys.argv[1:3]
del sys.argv[1:3]
getattr(importlib.import_module(module), function)()
"""


@dataclass
class Task:
    given: Any
    number: int
    life: str = "BLOCKED"
    result: str = ""
    code: str = ""
    message: str = ""
    log: str = ""
    began: float = 0.0
    ended: float = 0.0
    process: subprocess.Popen[str] | None = None

    @property
    def over(self) -> bool:
        return bool(self.result)

    def end(self, result: str, code: str, message: str = "") -> None:
        self.life = "TERMINATED" if result != "UPSTREAM_FAILED" else "INTERNAL_ERROR"
        self.result, self.code, self.message, self.ended = result, code, message, time.time()


@dataclass
class Run:
    number: int
    name: str
    environments: dict[str, Any]
    tasks: dict[str, Task]
    notified: Any = None
    quiet: bool = False
    cancelled: bool = False
    ended: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Jobs:
    """`refused`: code and words by which clusters do not start from now on. `apart`: each task is a
    process of its own, by the code of its wheel; else it is called in this one, whose imports are made, by
    the code of here. `destinations`: ids of notification destinations; `told`: what they were told, of
    which run."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.runs: dict[int, Run] = {}
        self._tokens: dict[str, int] = {}
        self.refused: tuple[str, str] | None = None
        self.apart = False
        self.destinations: set[str] = set()
        self.told: list[tuple[str, str, int]] = []
        self._go = threading.Event()
        self._go.set()
        self._last = 100

    def hold(self) -> None:
        """Let tasks wait for their compute, until `release`."""
        self._go.clear()

    def release(self) -> None:
        self._go.set()

    def close(self) -> None:
        for run in self.runs.values():
            self._stop(run)

    def submit(self, request: Request) -> Answer:
        from databricks.sdk.service import jobs as j

        body = request.json
        only(
            body,
            "run_name",
            "tasks",
            "environments",
            "idempotency_token",
            "webhook_notifications",
            "notification_settings",
        )
        if len(token := body.get("idempotency_token", "")) > 64:
            raise Refused(400, "INVALID_PARAMETER_VALUE", "the idempotency token is too long")
        if token in self._tokens:
            return Answer(200, {"run_id": self._tokens[token]})
        tasks = [of_sdk(j.SubmitTask, task) for task in body["tasks"]]
        environments = {
            e["environment_key"]: of_sdk(j.JobEnvironment, e).spec for e in body.get("environments", [])
        }
        keys = {task.task_key for task in tasks}
        for task in tasks:
            for needed in task.depends_on or []:
                if needed.task_key not in keys:
                    raise Refused(400, "INVALID_PARAMETER_VALUE", f"no task {needed.task_key}")
            if (task.environment_key is None) == (task.new_cluster is None):
                raise Refused(400, "INVALID_PARAMETER_VALUE", f"{task.task_key} has no compute, or two")
            if task.environment_key is not None and task.environment_key not in environments:
                raise Refused(400, "INVALID_PARAMETER_VALUE", f"no environment {task.environment_key}")
            if task.environment_key is not None and task.libraries:
                raise Refused(400, "INVALID_PARAMETER_VALUE", "libraries belong into the environment")
            self._wheels(task, environments)
        notified = of_sdk(j.WebhookNotifications, body.get("webhook_notifications", {}))
        quiet = of_sdk(j.JobNotificationSettings, body.get("notification_settings", {}))
        for listed in (notified.on_failure or [], notified.on_success or []):
            if len(listed) > 3:
                raise Refused(400, "INVALID_PARAMETER_VALUE", "at most 3 destinations")
            for one in listed:
                if one.id not in self.destinations:
                    raise Refused(400, "INVALID_PARAMETER_VALUE", f"no notification destination {one.id}")
        made = Run(
            self._next(),
            body.get("run_name", ""),
            environments,
            {task.task_key: Task(task, self._next()) for task in tasks},
            notified,
            bool(quiet.no_alert_for_canceled_runs),
        )
        self.runs[made.number] = made
        self._tokens[token or str(made.number)] = made.number
        threading.Thread(target=self._perform, args=(made,), daemon=True).start()
        return Answer(200, {"run_id": made.number})

    def get(self, request: Request) -> Answer:
        from databricks.sdk.service import jobs as j

        return Answer(200, of_sdk(j.Run, self._row(self._find(request))).as_dict())

    def output(self, request: Request) -> Answer:
        number = int(request.query["run_id"])
        for run in self.runs.values():
            for task in run.tasks.values():
                if task.number == number:
                    return Answer(200, {"logs": task.log, "error": task.message, "metadata": {}})
        raise Refused(400, "INVALID_PARAMETER_VALUE", f"Run {number} does not exist.")

    def cancel(self, request: Request) -> Answer:
        run = self.runs[int(request.json["run_id"])]
        run.cancelled = True
        self._go.set()
        self._stop(run)
        return Answer(200, {})

    # --- running

    def _perform(self, run: Run) -> None:
        waiting = dict(run.tasks)
        threads: list[threading.Thread] = []
        while waiting:
            for key, task in list(waiting.items()):
                needed = [run.tasks[d.task_key] for d in task.given.depends_on or []]
                if not all(n.over for n in needed):
                    continue
                del waiting[key]
                always = task.given.run_if is not None and task.given.run_if.value == "ALL_DONE"
                if run.cancelled:
                    task.end("CANCELED", "USER_CANCELED")
                elif not always and any(n.result != "SUCCESS" for n in needed):
                    task.end("UPSTREAM_FAILED", "SKIPPED", "an upstream task failed")
                else:
                    threads.append(threading.Thread(target=self._task, args=(run, task), daemon=True))
                    threads[-1].start()
            time.sleep(0.02)
        for thread in threads:
            thread.join()
        self._tell(run)
        run.ended = True

    def _tell(self, run: Run) -> None:
        """Tell the run's destinations how it ended."""
        if run.cancelled and run.quiet:
            return
        failed = run.cancelled or any(task.result != "SUCCESS" for task in run.tasks.values())
        listed = run.notified.on_failure if failed else run.notified.on_success
        kind = "jobs.on_failure" if failed else "jobs.on_success"
        self.told += [(one.id, kind, run.number) for one in listed or []]

    def _task(self, run: Run, task: Task) -> None:
        task.life = "PENDING"
        self._go.wait()
        if run.cancelled:
            task.end("CANCELED", "USER_CANCELED")
            return
        if self.refused is not None:
            task.end("FAILED", *self.refused)
            return
        task.life, task.began = "RUNNING", time.time()
        with run.lock:
            folder, module, function = self._installed(run, task)
        wheel = task.given.python_wheel_task
        volumes = str(self._emulator.files.root / "Volumes")
        parameters = [p.replace("/Volumes", volumes) for p in wheel.parameters or []]
        if not self.apart:
            from mlops.steps.on_databricks import main

            try:
                status = main(parameters)
            except Exception:  # noqa: BLE001  whatever ends an entry point, the task has failed by it
                task.log = traceback.format_exc()
                task.end("FAILED", "RUN_EXECUTION_ERROR", task.log[-1000:])
                return
            if status:
                task.end("FAILED", "RUN_EXECUTION_ERROR", "SystemExit: the entry point failed")
            else:
                task.end("SUCCESS", "SUCCESS")
            return
        env = {k: v for k, v in os.environ.items() if not k.startswith(("DATABRICKS_", "MLFLOW_"))}
        env |= {**self._emulator.env, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        task.process = subprocess.Popen(
            [sys.executable, "-c", _CALL, module, function, *parameters],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self._emulator.folder,
            start_new_session=True,
        )
        task.log = task.process.communicate()[0]
        if run.cancelled:
            task.end("CANCELED", "USER_CANCELED")
        elif task.process.returncode:
            task.end("FAILED", "RUN_EXECUTION_ERROR", "SystemExit: the entry point failed")
        else:
            task.end("SUCCESS", "SUCCESS")

    def _installed(self, run: Run, task: Task) -> tuple[str, str, str]:
        """Folder of the wheel that has the task's entry point, its module and its function."""
        wheel = task.given.python_wheel_task
        for path in self._wheels(task.given, run.environments):
            source = self._emulator.files.at(path)
            folder = self._emulator.folder / "installed" / source.stem
            if not folder.is_dir():
                with zipfile.ZipFile(source) as archive:
                    archive.extractall(folder)
            (info,) = folder.glob("*.dist-info")
            told = (info / "METADATA").read_text()
            if f"Name: {wheel.package_name}\n" in told:
                entries = configparser.ConfigParser()
                entries.read(info / "entry_points.txt")
                module, _, function = entries["console_scripts"][wheel.entry_point].partition(":")
                return str(folder), module, function
        raise AssertionError(f"no wheel has {wheel.package_name}")

    def _wheels(self, task: Any, environments: dict[str, Any]) -> list[str]:
        """Wheels of a task; a requirement that pip would not take, or a file that is not there, is
        refused."""
        from packaging.requirements import InvalidRequirement, Requirement

        if task.environment_key is not None:
            told = environments[task.environment_key]
            if not told.environment_version:
                raise Refused(400, "INVALID_PARAMETER_VALUE", "environment_version is required")
            listed = list(told.dependencies or [])
        else:
            listed = [one.whl or one.pypi.package for one in task.libraries or []]
        wheels = [one for one in listed if one.endswith(".whl")]
        for one in wheels:
            if not self._emulator.files.at(one).is_file():
                raise Refused(400, "INVALID_PARAMETER_VALUE", f"no file {one}")
        for one in (one for one in listed if one not in wheels):
            try:
                Requirement(one)
            except InvalidRequirement:
                raise Refused(400, "INVALID_PARAMETER_VALUE", f"no requirement: {one}") from None
        return wheels

    def _stop(self, run: Run) -> None:
        for task in run.tasks.values():
            if task.process is not None and task.process.poll() is None:
                os.killpg(task.process.pid, signal.SIGKILL)

    def _find(self, request: Request) -> Run:
        number = int(request.query["run_id"])
        if number not in self.runs:
            raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"Run {number} does not exist.")
        return self.runs[number]

    def _row(self, run: Run) -> dict[str, Any]:
        tasks = list(run.tasks.values())
        over = run.ended
        life = "TERMINATED" if over else "RUNNING"
        result = ""
        if over:
            bad = any(t.result != "SUCCESS" for t in tasks)
            result = "CANCELED" if run.cancelled else "FAILED" if bad else "SUCCESS"
        url = f"{self._emulator.url}/jobs/runs/{run.number}"
        rows = [self._task_row(t, url) for t in tasks]
        state = {"life_cycle_state": life, **({"result_state": result} if result else {})}
        return {
            "run_id": run.number,
            "run_name": run.name,
            "run_page_url": url,
            "state": state,
            "tasks": rows,
        }

    def _task_row(self, task: Task, url: str) -> dict[str, Any]:
        state: dict[str, Any] = {"life_cycle_state": task.life}
        status: dict[str, Any] = {"state": "TERMINATED" if task.over else "RUNNING"}
        if task.result:
            state["result_state"] = task.result
            status["termination_details"] = {"code": task.code}
        if task.message:
            state["state_message"] = task.message
            status["termination_details"]["message"] = task.message
        took = int(1000 * ((task.ended or time.time()) - task.began)) if task.began else 0
        return {
            "task_key": task.given.task_key,
            "run_id": task.number,
            "run_page_url": f"{url}/task/{task.number}",
            "execution_duration": took,
            "state": state,
            "status": status,
        }

    def _next(self) -> int:
        self._last += 1
        return self._last


def install(emulator: Emulator) -> Jobs:
    jobs = Jobs(emulator)
    add = emulator.router.add
    add("POST", r"/api/2\.2/jobs/runs/submit", jobs.submit)
    add("GET", r"/api/2\.2/jobs/runs/get", jobs.get)
    add("GET", r"/api/2\.2/jobs/runs/get-output", jobs.output)
    add("POST", r"/api/2\.2/jobs/runs/cancel", jobs.cancel)
    return jobs

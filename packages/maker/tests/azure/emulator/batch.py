"""Batch endpoints whose jobs really score: the entry script that was uploaded runs over the files."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import threading
import traceback
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arm import Kind, Resource
from .http import Answer, Refused, Request

if TYPE_CHECKING:
    from .server import Emulator

ENDPOINT, DEPLOYMENT = "workspaces/batchEndpoints", "workspaces/batchEndpoints/deployments"
_RUNNER = """
import importlib.util, json, sys
script, limit, paths, sys.argv[1:] = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4:]
spec = importlib.util.spec_from_file_location("entry", script)
entry = importlib.util.module_from_spec(spec)
spec.loader.exec_module(entry)
entry.init()
lines = [entry.run([path]) for path in paths]
failed = sum(not found for found in lines)
print("\\n".join(line for found in lines for line in found))
sys.exit(1 if failed > limit else 0)
"""
_HOLE = re.compile(r"\$\{\{(?:inputs|outputs)\.(\w+)\}\}")


class Batch:
    """`results[job]` is where a job's files are; `logs[job]` what its process said."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._folder = emulator.folder / "batch"
        self._threads: list[threading.Thread] = []
        self.results: dict[str, Path] = {}
        self.logs: dict[str, str] = {}
        emulator.arm.kind(ENDPOINT, Kind(self._endpoint, long=True))
        emulator.arm.kind(DEPLOYMENT, Kind(self._deployment, long=True))

    def add(self, workspace: str, name: str) -> Resource:
        """An endpoint as Pulumi makes it."""
        resource: Resource = {"location": "westeurope", "properties": {"authMode": "AADToken"}}
        path = f"{workspace}/batchEndpoints/{name}"
        resource.update(id=path, name=name)
        self._endpoint(resource, None, None)
        return self._emulator.arm.put(path, resource)

    def close(self) -> None:
        for thread in self._threads:
            thread.join()

    def _endpoint(self, resource: Resource, before: Resource | None, request: Request | None) -> None:
        properties = resource["properties"]
        properties["scoringUri"] = f"https://{resource['name']}.westeurope.inference.ml.azure.com/jobs"
        properties["provisioningState"] = "Succeeded"
        properties["properties"] = properties.get("properties") or {}
        default = (properties.get("defaults") or {}).get("deploymentName")
        if default and self._emulator.arm.get(f"{resource['id']}/deployments/{default}") is None:
            raise Refused(400, "UserError", f"the default deployment {default} does not exist")

    def _deployment(self, resource: Resource, before: Resource | None, request: Request) -> None:
        resource["properties"].setdefault("properties", {})

    def invoke(self, request: Request) -> Answer:
        """`POST https://<endpoint>…/jobs`."""
        self._emulator.entra.check(request)
        name = request.host.split(".")[0]
        found = (
            (w, e)
            for w in self._emulator.workspaces.workspaces.values()
            if (e := self._emulator.arm.get(f"{w.id}/batchEndpoints/{name}"))
        )
        workspace, endpoint = next(found, (None, None))
        if workspace is None or endpoint is None:
            raise Refused(404, "NotFound", f"There is no endpoint {name}.")
        chosen = request.headers.get("azureml-model-deployment")
        chosen = chosen or (endpoint["properties"].get("defaults") or {}).get("deploymentName")
        deployment = self._emulator.arm.get(f"{endpoint['id']}/deployments/{chosen}")
        if deployment is None:
            raise Refused(404, "NotFound", f"The deployment {chosen} does not exist.")
        given = request.json["properties"]["inputData"]
        job = f"batchjob-{uuid.uuid4()}"
        studio = {"endpoint": f"https://ml.azure.com/runs/{job}", "jobServiceType": "Studio"}
        resource: Resource = {
            "properties": {
                "jobType": "Pipeline", "status": "Running", "displayName": job, "experimentName": name,
                "jobs": {}, "inputs": {}, "outputs": {}, "settings": {}, "tags": {}, "properties": {},
                "services": {"Studio": studio},
            }
        }  # fmt: skip
        made = self._emulator.arm.put(f"{workspace.id}/jobs/{job}", resource)
        thread = threading.Thread(target=self._run, args=(workspace, deployment, given, made))
        self._threads.append(thread)
        thread.start()
        return Answer(201, made)

    def _run(self, workspace: Any, deployment: Resource, given: dict[str, Any], job: Resource) -> None:
        folder, properties = self._folder / job["name"], deployment["properties"]
        for part in ("model", "data", "output"):
            (folder / part).mkdir(parents=True)
        try:
            if "deploymentConfiguration" in properties:
                entry = self._step(properties["deploymentConfiguration"], given, folder)
            else:
                (data,) = given.values()
                entry = self._entry(properties, data["uri"], folder)
            done = self._call(workspace, folder, *entry)
        except Exception:  # noqa: BLE001  a thread has nobody to raise to; the test's end looks here
            self._emulator.errors.append(traceback.format_exc())
            job["properties"]["status"] = "Failed"
            return
        self.logs[job["name"]] = done.stdout + done.stderr
        self.results[job["name"]] = folder / "output"
        job["properties"]["status"] = "Completed" if done.returncode == 0 else "Failed"

    def _entry(self, properties: dict[str, Any], uri: str, folder: Path) -> tuple[Any, ...]:
        """A deployment of a model: its entry script, told by variables."""
        code = properties["codeConfiguration"]
        self._emulator.online.mount(properties["model"], folder / "model")
        script = self._emulator.online.code(code["codeId"], folder / "code") / code["scoringScript"]
        variables = properties.get("environmentVariables") or {}
        return script, properties.get("errorThreshold", -1), uri, [], variables

    def _step(self, config: dict[str, Any], given: dict[str, Any], folder: Path) -> tuple[Any, ...]:
        """A deployment of a pipeline whose one step is parallel: its entry script, told by arguments."""
        pipeline = self._spec(config["componentId"]["assetId"])
        (node,) = pipeline["jobs"].values()
        component = self._spec(node["componentId"])
        task = component["task"]
        bound = node["inputs"]
        self._emulator.online.mount(bound["model"]["uri"], folder / "model")
        script = self._emulator.online.code(task["code"], folder / "code") / task["entry_script"]
        values = {
            "digest": str(bound["digest"]["value"] if isinstance(bound["digest"], dict) else bound["digest"])
        }
        values |= {"model": str(folder / "model"), "data": str(folder / "data")}
        values |= {"predictions": str(folder / "output")}
        words = shlex.split(_HOLE.sub(lambda m: values[m[1]], task["program_arguments"]))
        limit = int(node.get("mini_batch_error_threshold", component.get("mini_batch_error_threshold", -1)))
        return script, limit, given["data"]["uri"], words, node.get("environment_variables") or {}

    def _spec(self, component: str) -> dict[str, Any]:
        found = self._emulator.arm.get(component.removeprefix("azureml:"))
        if found is None:
            raise LookupError(f"the component {component} was not found")
        spec: dict[str, Any] = found["properties"]["componentSpec"]
        return spec

    def _call(self, workspace: Any, folder: Path, *entry: Any) -> subprocess.CompletedProcess[str]:
        """`entry` as `_entry` and `_step` tell it."""
        script, limit, uri, words, variables = entry
        paths = []
        asset = self._emulator.arm.get(uri) if uri.startswith("/subscriptions/") else None
        place = asset["properties"]["dataUri"] if asset else uri
        for name, content in self._emulator.history.files(workspace, place).items():
            path = folder / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            paths.append(str(path))
        env = {k: v for k, v in os.environ.items() if "proxy" not in k.lower() and not k.startswith("AZURE")}
        env |= {k: str(v) for k, v in variables.items()}
        env |= {"PYTHONDONTWRITEBYTECODE": "1"}
        if not words:
            env |= {
                "AZUREML_MODEL_DIR": str(folder / "model"),
                "AZUREML_BI_OUTPUT_PATH": str(folder / "output"),
            }
        return subprocess.run(
            [sys.executable, "-c", _RUNNER, str(script), str(limit), json.dumps(sorted(paths)), *words],
            env=env, capture_output=True, text=True, check=False, cwd=folder,
        )  # fmt: skip


def install(emulator: Emulator) -> Batch:
    """Behaviour of batch endpoints, and the route of their scoring hosts."""
    batch = Batch(emulator)
    host = r"[a-z0-9-]+\.westeurope\.inference\.ml\.azure\.com"
    emulator.router.add("POST", host, "/jobs", batch.invoke)
    return batch

"""Batch endpoints whose jobs really score: the entry script that was uploaded runs over the files."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
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
spec = importlib.util.spec_from_file_location("entry", sys.argv[1])
entry = importlib.util.module_from_spec(spec)
spec.loader.exec_module(entry)
entry.init()
lines = [entry.run([path]) for path in sys.argv[3:]]
failed = sum(not found for found in lines)
print("\\n".join(line for found in lines for line in found))
sys.exit(1 if failed > int(sys.argv[2]) else 0)
"""


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
        (data,) = request.json["properties"]["inputData"].values()
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
        thread = threading.Thread(target=self._run, args=(workspace, deployment, data["uri"], made))
        self._threads.append(thread)
        thread.start()
        return Answer(201, made)

    def _run(self, workspace: Any, deployment: Resource, uri: str, job: Resource) -> None:
        folder = self._folder / job["name"]
        code = deployment["properties"]["codeConfiguration"]
        online = self._emulator.online
        for part in ("model", "data", "output"):
            (folder / part).mkdir(parents=True)
        online.mount(deployment["properties"]["model"], folder / "model")
        source = online.code(code["codeId"], folder / "code")
        paths = []
        for name, content in self._emulator.history.files(workspace, uri).items():
            path = folder / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            paths.append(str(path))
        env = {k: v for k, v in os.environ.items() if "proxy" not in k.lower() and not k.startswith("AZURE")}
        env |= deployment["properties"].get("environmentVariables") or {}
        env |= {
            "AZUREML_MODEL_DIR": str(folder / "model"),
            "AZUREML_BI_OUTPUT_PATH": str(folder / "output"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        limit = str(deployment["properties"].get("errorThreshold", -1))
        script = str(source / code["scoringScript"])
        done = subprocess.run(
            [sys.executable, "-c", _RUNNER, script, limit, *sorted(paths)],
            env=env, capture_output=True, text=True, check=False, cwd=folder,
        )  # fmt: skip
        self.logs[job["name"]] = done.stdout + done.stderr
        self.results[job["name"]] = folder / "output"
        job["properties"]["status"] = "Completed" if done.returncode == 0 else "Failed"


def install(emulator: Emulator) -> Batch:
    """Behaviour of batch endpoints, and the route of their scoring hosts."""
    batch = Batch(emulator)
    host = r"[a-z0-9-]+\.westeurope\.inference\.ml\.azure\.com"
    emulator.router.add("POST", host, "/jobs", batch.invoke)
    return batch

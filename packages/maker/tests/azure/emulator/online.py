"""Online endpoints that really serve: a deployment is a process, the endpoint routes to it as Azure does."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.spec.sources import python_path

from .arm import Kind, Operation, Resource
from .collector import Agent
from .http import Answer, Refused, Request

if TYPE_CHECKING:
    from .server import Emulator

ROOT = Path(__file__).parents[5]
ENDPOINT, DEPLOYMENT = "workspaces/onlineEndpoints", "workspaces/onlineEndpoints/deployments"
_START_SECONDS = 60.0
_FORWARDED = ("content-type", "accept", "x-request-id")
_VERSION = re.compile(
    r"azureml://registries/(?P<registry>[^/]+)/models/(?P<name>[^/]+)/versions/(?P<version>[^/]+)"
)


@dataclass
class Serving:
    """The process of a deployment."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    agent: Agent | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Online:
    """`images`: commands of container images, by a part of their name. By release, for what a model may do:
    `slow`, seconds added to every answer, and `broken`, whose container answers 500.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._folder = emulator.folder / "online"
        self._serving: dict[str, Serving] = {}
        self._keys: dict[str, list[str]] = {}
        self.images = {"": [sys.executable, "-m", "mlops.serving.http.container"]}
        self.slow: dict[str, float] = {}
        self.broken: set[str] = set()
        endpoint = {"listKeys": self._list_keys, "regenerateKeys": self._regenerate, "token": self._token}
        emulator.arm.kind(ENDPOINT, Kind(self._endpoint, self._no_delete, long=True, actions=endpoint))
        deployment = {"getLogs": self._logs}
        emulator.arm.kind(DEPLOYMENT, Kind(self._deployment, self._delete, long=True, actions=deployment))

    def add(self, workspace: str, name: str, auth: str = "Key", kind: str = "Managed") -> Resource:
        """An endpoint as Pulumi makes it."""
        resource: Resource = {
            "location": "westeurope",
            "kind": kind,
            "identity": {"type": "SystemAssigned", "principalId": str(uuid.uuid4())},
            "properties": {"authMode": auth, "publicNetworkAccess": "Enabled", "traffic": {}},
        }
        path = f"{workspace}/onlineEndpoints/{name}"
        resource.update(id=path, name=name)
        self._complete(resource)
        return self._emulator.arm.put(path, resource)

    def running(self) -> list[str]:
        """Ids of the deployments whose process lives."""
        return sorted(key for key, s in self._serving.items() if s.process.poll() is None)

    def close(self) -> None:
        for key in list(self._serving):
            self._end(key)

    # --- the endpoint

    def _complete(self, resource: Resource) -> None:
        properties, host = resource["properties"], f"{resource['name']}.westeurope.inference.ml.azure.com"
        properties["scoringUri"] = f"https://{host}/score"
        properties["swaggerUri"] = f"https://{host}/swagger.json"
        properties["provisioningState"] = "Succeeded"
        properties["properties"] = properties.get("properties") or {}
        properties["traffic"] = properties.get("traffic") or {}
        properties["mirrorTraffic"] = properties.get("mirrorTraffic") or {}

    def _endpoint(self, resource: Resource, before: Resource | None, request: Request) -> None:
        self._complete(resource)
        properties = resource["properties"]
        traffic, mirror = properties["traffic"], properties["mirrorTraffic"]
        known = {d["name"] for d in self._emulator.arm.below(f"{resource['id']}/deployments")}
        if unknown := {*traffic, *mirror} - known:
            raise _user_error(f"traffic names deployments that do not exist: {sorted(unknown)}")
        if sum(traffic.values()) not in (0, 100):
            raise _user_error("the sum of the traffic must be 0 or 100")
        if mirror and (
            len(mirror) > 1
            or max(mirror.values()) > 50
            or any(traffic.get(name) for name in mirror)
            or resource.get("kind") == "Kubernetes"
        ):
            raise _user_error(f"mirror traffic {mirror} is not supported")

    def _no_delete(self, resource: Resource) -> None:
        raise _user_error("endpoints belong to the infrastructure; nothing here may delete one")

    def _list_keys(self, request: Request, path: str) -> Answer:
        endpoint = self._emulator.arm.get(path)
        if endpoint is None or endpoint["properties"]["authMode"] != "Key":
            raise _user_error("this endpoint knows no keys")
        primary, secondary = self._keys_of(path)
        return Answer(200, {"primaryKey": primary, "secondaryKey": secondary})

    def _regenerate(self, request: Request, path: str) -> Answer:
        body = request.json
        which = ("Primary", "Secondary").index(body["keyType"])
        self._keys_of(path)[which] = body.get("keyValue") or uuid.uuid4().hex
        return Answer(202, None, self._emulator.arm.operation(request, Operation()))

    def _token(self, request: Request, path: str) -> Answer:
        raise _user_error("AMLToken is not emulated")

    def _keys_of(self, path: str) -> list[str]:
        return self._keys.setdefault(path.lower(), [uuid.uuid4().hex, uuid.uuid4().hex])

    # --- deployments

    def _deployment(self, resource: Resource, before: Resource | None, request: Request) -> None:
        properties = resource["properties"]
        properties.setdefault("scaleSettings", {"scaleType": "Default"})
        for collection in (properties.get("dataCollector") or {}).get("collections", {}).values():
            mode = collection.get("dataCollectionMode", "Disabled")
            collection["dataCollectionMode"] = str(mode).capitalize()
        key = resource["id"].lower()
        self._end(key)
        try:
            self._start(key, resource)
        except _Dead as dead:
            properties["provisioningState"] = "Failed"
            words = f"User container has crashed or terminated: {dead}. Please see troubleshooting guide"
            self._emulator.arm.next_operation = Operation(
                error={"code": "ResourceNotReady", "message": words}
            )

    def _start(self, key: str, resource: Resource) -> None:
        folder = self._folder / uuid.uuid4().hex[:12]
        mounted = folder / "model"
        mounted.mkdir(parents=True)
        self.mount(resource["properties"]["model"], mounted)
        port = _free_port()
        env = {k: v for k, v in os.environ.items() if "proxy" not in k.lower() and not k.startswith("AZURE")}
        env |= resource["properties"].get("environmentVariables") or {}
        env |= {
            "AZUREML_MODEL_DIR": str(mounted),
            "MLOPS_PORT": str(port),
            "MLOPS_HOST": "127.0.0.1",
            "MLOPS_CAPTURE_DIR": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        env["PYTHONPATH"] = python_path(ROOT)
        agent = None
        if (resource["properties"].get("dataCollector") or {}).get("collections"):
            agent = Agent(self._emulator, resource)
            env |= agent.environment(folder)
        if code := resource["properties"].get("codeConfiguration"):
            source = self.code(code["codeId"], folder / "code")
            script = source / code["scoringScript"]
            env["PYTHONPATH"] = str(source)
            command = [
                str(Path(sys.executable).parent / "azmlinfsrv"),
                *("--entry_script", str(script), "--port", str(port), "--worker_count", "1"),
            ]
        else:
            image = self._image(resource["properties"]["environmentId"])
            command = next(c for part, c in self.images.items() if part in image)
        log = folder / "log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=env, cwd=folder,
                start_new_session=True,
            )  # fmt: skip
        self._serving[key] = Serving(process, port, log, agent)
        probe = "/" if code else "/readyz"
        until = time.monotonic() + _START_SECONDS
        while True:
            if process.poll() is not None:
                raise _Dead(f"exit code {process.returncode}")
            if time.monotonic() > until:
                raise _Dead("liveness probe failed")
            try:
                status, _, _ = _ask(port, "GET", probe, {}, b"")
            except OSError:
                status = 0
            if status == 200:
                return
            time.sleep(0.05)

    def mount(self, reference: Any, to: Path) -> None:
        """The files of a model, as Azure puts them below AZUREML_MODEL_DIR."""
        uri = (
            reference if isinstance(reference, str) else reference.get("assetId") or reference.get("path", "")
        )
        shared = _VERSION.search(uri)
        if shared:
            registry = self._emulator.workspaces.registries[shared["registry"].lower()]
            path, home = f"{registry.id}/models/{shared['name']}/versions/{shared['version']}", None
        else:
            path, home = uri.removeprefix("azureml:"), self._emulator.workspaces.of(uri)
        model = self._emulator.arm.get(path)
        if model is None:
            raise _user_error(f"the model {uri} was not found")
        workspace = home or next(iter(self._emulator.workspaces.workspaces.values()))
        files = self._emulator.history.files(workspace, model["properties"]["modelUri"])
        for name, data in files.items():
            target = to / "model" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

    def code(self, code_id: str, to: Path) -> Path:
        """The files of a code asset below `to`."""
        path = code_id.removeprefix("azureml:")
        code = self._emulator.arm.get(path)
        if code is None:
            raise _user_error(f"the code {code_id} was not found")
        workspace = self._emulator.workspaces.of(path)
        for name, data in self._emulator.history.files(workspace, code["properties"]["codeUri"]).items():
            target = to / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return to

    def _image(self, environment: str) -> str:
        found = self._emulator.arm.get(environment.removeprefix("azureml:"))
        if found is None:
            raise _user_error(f"the environment {environment} was not found")
        config = found["properties"].get("inferenceConfig") or {}
        if not {"livenessRoute", "readinessRoute", "scoringRoute"} <= config.keys():
            raise _user_error("a container needs its three routes in inferenceConfig")
        return str(found["properties"].get("image") or "")

    def _delete(self, resource: Resource) -> None:
        endpoint = self._emulator.arm.get(resource["id"].rsplit("/", 2)[0]) or {}
        properties = endpoint.get("properties", {})
        if any(resource["name"] in (properties.get(t) or {}) for t in ("traffic", "mirrorTraffic")):
            raise _user_error(f"the traffic of the endpoint still names {resource['name']}")
        self._end(resource["id"].lower())

    def _end(self, key: str) -> None:
        found = self._serving.pop(key, None)
        if found is None:
            return
        if found.process.poll() is None:
            found.process.terminate()
            try:
                found.process.wait(15)
            except subprocess.TimeoutExpired:
                found.process.kill()
                found.process.wait()
        if found.agent is not None:
            found.agent.close()
        shutil.rmtree(found.log.parent, ignore_errors=True)

    def _logs(self, request: Request, path: str) -> Answer:
        found = self._serving.get(path.lower())
        lines = found.log.read_text(errors="replace").splitlines() if found else []
        return Answer(200, {"content": "\n".join(lines[-int((request.json or {}).get("tail") or 50) :])})

    # --- scoring

    def score(self, request: Request, name: str) -> Answer:
        """A request to `<endpoint>.<region>.inference.ml.azure.com`."""
        endpoint = next(
            (
                e
                for w in self._emulator.workspaces.workspaces.values()
                if (e := self._emulator.arm.get(f"{w.id}/onlineEndpoints/{name}"))
            ),
            None,
        )
        if endpoint is None:
            raise Refused(404, "NotFound", f"There is no endpoint {name}.")
        self._authorize(request, endpoint)
        traffic = {k: v for k, v in endpoint["properties"]["traffic"].items() if v}
        deployment = request.headers.get("azureml-model-deployment")
        if deployment is None:
            if not traffic:
                raise Refused(404, "NotFound", "No deployment has traffic.")
            deployment = random.choices(list(traffic), list(traffic.values()))[0]  # noqa: S311
        elif self._emulator.arm.get(f"{endpoint['id']}/deployments/{deployment}") is None:
            raise Refused(404, "NotFound", f"The deployment {deployment} does not exist.")
        for other, share in endpoint["properties"]["mirrorTraffic"].items():
            if random.random() * 100 < share:  # noqa: S311
                threading.Thread(target=self._forward, args=(request, endpoint, other), daemon=True).start()
        return self._forward(request, endpoint, deployment)

    def _authorize(self, request: Request, endpoint: Resource) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if endpoint["properties"]["authMode"] == "Key":
            if given not in self._keys_of(endpoint["id"]):
                raise Refused(401, "Unauthorized", "the key is wrong")
            return
        self._emulator.entra.check(request)

    def _forward(self, request: Request, endpoint: Resource, deployment: str) -> Answer:
        key = f"{endpoint['id']}/deployments/{deployment}".lower()
        resource, serving = self._emulator.arm.get(key) or {}, self._serving.get(key)
        version = str((resource.get("tags") or {}).get("mlops.release", ""))
        began = time.perf_counter()
        headers = {k: v for k, v in request.headers.items() if k in _FORWARDED}
        if version in self.broken:
            status, answered, body = 500, {}, b'{"error": {"message": "the model failed"}}'
        else:
            try:
                port = serving.port if serving else 0
                status, answered, body = _ask(port, request.method, request.path, headers, request.body)
            except OSError:
                status, answered, body = 0, {}, b"upstream connect error"
        time.sleep(self.slow.get(version, 0.0))
        code = {0: 502, 200: 200}.get(status, 424)
        seconds = time.perf_counter() - began
        self._emulator.monitor.record(endpoint["id"], deployment, code, status, seconds)
        back = {"azureml-model-deployment": deployment}
        if code == 424:
            back["ms-azureml-model-error-statuscode"] = str(status)
            back["ms-azureml-model-error-reason"] = "model_error"
        back["content-type"] = answered.get("content-type", "application/json")
        back |= {k: answered[k] for k in ("x-model-version", "x-request-id") if k in answered}
        return Answer(code, body, back)


class _Dead(Exception):
    """The container did not become ready."""


def _user_error(message: str) -> Refused:
    return Refused(400, "UserError", message)


def _ask(
    port: int, method: str, path: str, headers: dict[str, str], body: bytes
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


def _free_port() -> int:
    """One that no client's socket gets by chance before the container has it: those begin at 32768."""
    for port in random.sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port between 20000 and 32000 is free")


def install(emulator: Emulator) -> Online:
    """Behaviour of endpoints and deployments, and the route of the scoring hosts."""
    online = Online(emulator)
    host = r"(?P<name>[a-z0-9-]+)\.westeurope\.inference\.ml\.azure\.com"

    def score(request: Request) -> Answer:
        return online.score(request, request.host.split(".")[0])

    emulator.router.add("*", host, r"/(score|swagger\.json)", score)
    return online

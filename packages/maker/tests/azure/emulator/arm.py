"""Azure Resource Manager: resources by id, long operations, and a place to say how each type behaves."""

from __future__ import annotations

import copy
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import documented, types
from .entra import CLIENT
from .http import Answer, Refused, Request

if TYPE_CHECKING:
    from .server import Emulator

HOST = r"management\.azure\.com"
ML = "Microsoft.MachineLearningServices"
_DATA_PLANE = re.compile(r"^/mferp/managementfrontend(?=/subscriptions/)", re.I)
"""Some clients reach the same resources through the workspace's own host."""
_STAMP = {"createdBy": "emulator", "createdByType": "Application", "lastModifiedByType": "Application"}

Resource = dict[str, Any]
OnPut = Callable[[Resource, "Resource | None", Request], None]
"""Complete or refuse a resource that is about to be stored; the second argument is what was there."""
OnDelete = Callable[[Resource], None]
Action = Callable[[Request, str], Answer]
"""`action(request, id)`, for `POST <id>/<name>`; the name `*` stands for any."""

OnList = Callable[[Request, str], "list[Resource] | None"]
"""What a list with this query has; None for everything below the collection."""


@dataclass
class Kind:
    """How a type of resources behaves. `long`: changes are operations that a client must poll."""

    on_put: OnPut | None = None
    on_delete: OnDelete | None = None
    long: bool = False
    actions: Mapping[str, Action] = field(default_factory=dict)
    on_list: OnList | None = None


@dataclass
class Operation:
    """A long operation: `polls` more answers say InProgress; `error` is how it ends then, None for well."""

    polls: int = 1
    error: Mapping[str, str] | None = None
    then: Callable[[], None] | None = None


class Arm:
    """Resources of all subscriptions; ids and types compare without case, as in Azure.

    `kind(type)` says how a type behaves, for instance `workspaces/onlineEndpoints/deployments`.
    `next_operation`: what the next long operation does instead of ending well.
    `denied(part)` takes the right to change or read ids that contain `part`.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._resources: dict[str, Resource] = {}
        self._kinds: dict[str, Kind] = {}
        self._operations: dict[str, Operation] = {}
        self._denied: list[tuple[str, str]] = []
        self.next_operation: Operation | None = None
        self.lock = threading.RLock()

    # --- for tests and other modules

    def kind(self, name: str, behaviour: Kind) -> None:
        """`name` is the type below `Microsoft.MachineLearningServices/`, or one with its namespace."""
        whole = name if name.startswith("Microsoft.") else f"{ML}/{name}"
        self._kinds[whole.lower()] = behaviour

    def get(self, path: str) -> Resource | None:
        """The resource of this id."""
        with self.lock:
            return self._resources.get(path.lower().rstrip("/"))

    def below(self, path: str) -> list[Resource]:
        """The direct children of a collection's path, such as `<endpoint>/deployments`, oldest first."""
        start = path.lower().rstrip("/") + "/"
        with self.lock:
            return [
                r
                for key, r in self._resources.items()
                if key.startswith(start) and "/" not in key[len(start) :]
            ]

    def of_type(self, kind: str) -> list[Resource]:
        """All resources of a type, oldest first."""
        with self.lock:
            return [r for r in self._resources.values() if str(r["type"]).lower() == kind.lower()]

    def in_group(self, path: str) -> list[Resource]:
        """What lies directly in a resource group; what extends or is part of something else does not."""
        start = f"{path.lower()}/providers/"
        with self.lock:
            found = [(key[len(start) :], r) for key, r in self._resources.items() if key.startswith(start)]
        return [r for rest, r in found if rest.count("/") == 2]

    def put(self, path: str, resource: Resource) -> Resource:
        """Store a resource as if it had always been there."""
        path = path.rstrip("/")
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        resource.update(id=_shown(path), name=path.rsplit("/", 1)[-1], type=type_of(path))
        before = self.get(path) or {}
        created = before.get("systemData", {}).get("createdAt", now)
        resource["systemData"] = {
            **_STAMP,
            "createdAt": created,
            "lastModifiedAt": now,
            "lastModifiedBy": "emulator",
        }
        with self.lock:
            self._resources[path.lower()] = resource
        return resource

    def remove(self, path: str) -> None:
        """Forget a resource and all below it."""
        start = path.lower().rstrip("/")
        with self.lock:
            for key in [k for k in self._resources if k == start or k.startswith(f"{start}/")]:
                del self._resources[key]

    def deny(self, part: str, methods: str = "GET PUT PATCH POST DELETE") -> None:
        """Answer 403 to `methods` on ids that contain `part`."""
        self._denied.append((part.lower(), methods))

    def allow(self) -> None:
        """Give all rights back."""
        self._denied.clear()

    def operation(self, request: Request, what: Operation) -> dict[str, str]:
        """The headers of an answer that starts a long operation."""
        home = f"/subscriptions/{request.path.split('/')[2]}/providers/{ML}/locations/x"
        path = f"{home}/mfeOperationsStatus/{uuid.uuid4()}"
        with self.lock:
            self._operations[path.lower()] = what
        version = request.query.get("api-version", "")
        url = f"https://management.azure.com{path}?api-version={version}"
        return {"azure-asyncoperation": url, "location": url, "retry-after-ms": "50"}

    def problems(self, request: Request) -> list[str]:
        """What the official types say about a PUT of one of our resources."""
        path = _DATA_PLANE.sub("", request.path)
        if request.method != "PUT" or not path.lower().startswith("/subscriptions/"):
            return []
        kind, version, body = type_of(path), request.query.get("api-version", ""), request.json or {}
        if documented.judge(kind):
            return documented.problems(kind, body)
        if kind.split("/")[0].lower() != ML.lower():
            return types.platform_problems(kind, version, path, body)
        return types.problems(kind, version, body)

    # --- requests

    def admit(self, request: Request) -> None:
        """Refuse who is not logged in, and who lacks the right (see `deny`)."""
        self._emulator.entra.check(request)
        path = _DATA_PLANE.sub("", request.path).rstrip("/")
        for part, methods in self._denied:
            if part in path.lower() and request.method in methods.split():
                action = f"{type_of(path)}/{'read' if request.method == 'GET' else 'write'}"
                raise Refused(
                    403,
                    "AuthorizationFailed",
                    f"The client '{CLIENT}' with object id '{CLIENT}' does not have authorization "
                    f"to perform action '{action}' over scope '{path}' or the scope is invalid.",
                )

    def handle(self, request: Request) -> Answer:
        """Any request below /subscriptions."""
        self.admit(request)
        path = _DATA_PLANE.sub("", request.path).rstrip("/")
        if "/mfeoperationsstatus/" in path.lower():
            return self._poll(path)
        with self.lock:
            match request.method:
                case "GET":
                    return self._get(path, request)
                case "PUT" | "PATCH":
                    return self._change(path, request)
                case "DELETE":
                    return self._delete(path, request)
                case "POST":
                    return self._act(path, request)
        raise Refused(405, "MethodNotAllowed", request.method)

    def _get(self, path: str, request: Request) -> Answer:
        if (found := self.get(path)) is not None:
            return Answer(200, found)
        provider = path.rsplit("/providers/", maxsplit=1)[-1]
        if provider.count("/") % 2 == 1:
            kind = self._kinds.get(type_of(path).lower(), Kind())
            chosen = kind.on_list(request, path) if kind.on_list is not None else None
            return Answer(200, {"value": self.below(path) if chosen is None else chosen})
        raise not_found(path)

    def _change(self, path: str, request: Request) -> Answer:
        kind = self._kinds.get(type_of(path).lower(), Kind())
        before, given = self.get(path), request.json or {}
        self._parent(path)
        if request.method == "PATCH":
            if before is None:
                raise not_found(path)
            resource = copy.deepcopy(before)
            inner = given.pop("properties", None) or {}
            resource.update(given)
            resource.setdefault("properties", {}).update(inner)
        else:
            resource = copy.deepcopy(given)
        resource.setdefault("properties", {})["provisioningState"] = "Succeeded"
        resource.update(id=path, name=path.rsplit("/", 1)[-1], type=type_of(path))
        if kind.on_put is not None:
            kind.on_put(resource, before, request)
        self.put(path, resource)
        status = 200 if before is not None else 201
        if not kind.long:
            return Answer(status, resource)
        what, self.next_operation = self.next_operation or Operation(), None
        headers = self.operation(request, what)
        if request.method == "PUT":
            del headers["location"]
        return Answer(202 if request.method == "PATCH" else status, resource, headers)

    def _delete(self, path: str, request: Request) -> Answer:
        found = self.get(path)
        if found is None:
            return Answer(204)
        kind = self._kinds.get(type_of(path).lower(), Kind())
        if kind.on_delete is not None:
            kind.on_delete(found)
        self.remove(path)
        return Answer(202, None, self.operation(request, Operation())) if kind.long else Answer(200)

    def _act(self, path: str, request: Request) -> Answer:
        target, _, name = path.rpartition("/")
        kind = self._kinds.get(type_of(target).lower(), Kind())
        action = next((a for n, a in kind.actions.items() if n.lower() in (name.lower(), "*")), None)
        if action is None:
            raise Refused(404, "NoAction", f"POST {path} ({type_of(target)})")
        return action(request, target)

    def _poll(self, path: str) -> Answer:
        with self.lock:
            found = self._operations.get(path.lower())
            if found is None:
                raise not_found(path)
            found.polls -= 1
            if found.polls >= 0:
                return Answer(200, {"status": "InProgress"}, {"retry-after-ms": "50"})
            then, found.then = found.then, None
        if then is not None:
            then()
        if found.error is not None:
            return Answer(200, {"status": "Failed", "error": dict(found.error)})
        return Answer(200, {"status": "Succeeded"})

    def _parent(self, path: str) -> None:
        """A workspace, registry or endpoint comes before what lies in it; assets make their container."""
        parts = path.rsplit("/providers/", maxsplit=1)[-1].split("/")
        if len(parts) <= 3 or "/providers/" not in path:
            return
        home = "/".join(path.split("/")[: path.split("/").index("providers") + 4])
        if self.get(home) is None:
            raise not_found(home)
        if "endpoints" in parts[3].lower() and len(parts) > 5:
            endpoint = path.rsplit("/", 2)[0]
            if self.get(endpoint) is None:
                raise not_found(endpoint)


def _shown(path: str) -> str:
    """The id that Azure answers: versions in a registry have one of their own."""
    _, registries, rest = path.partition("/registries/")
    return f"azureml://registries/{rest}" if registries and "/versions/" in rest else path


def type_of(path: str) -> str:
    """`Microsoft.MachineLearningServices/workspaces/models/versions` from an id."""
    parts = _DATA_PLANE.sub("", path).rstrip("/").split("/providers/")[-1].split("/")
    return "/".join([parts[0], *parts[1::2]])


def not_found(path: str) -> Refused:
    """What Azure says of a resource that is not there."""
    code = "ResourceNotFound" if path.count("/") <= 8 else "UserError"
    return Refused(404, code, f"The Resource '{path.rsplit('/providers/', maxsplit=1)[-1]}' was not found.")


def install(emulator: Emulator) -> Arm:
    """Routes of management.azure.com and of the same resources behind the data plane's front end."""
    arm = Arm(emulator)
    emulator.router.add("GET", HOST, "/metadata/endpoints", _clouds)
    emulator.router.add("*", HOST, r"/subscriptions/.*", arm.handle)
    emulator.router.add(
        "*", r".+\.(api\.azureml\.ms|experiments\.azureml\.net)", r"/mferp/managementfrontend/.*", arm.handle
    )
    return arm


def _clouds(_: Request) -> Answer:
    cloud = {
        "name": "AzureCloud",
        "portal": "https://portal.azure.com",
        "authentication": {
            "loginEndpoint": "https://login.microsoftonline.com/",
            "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "graph": "https://graph.windows.net/",
        "graphAudience": "https://graph.windows.net/",
        "resourceManager": "https://management.azure.com/",
        "suffixes": {
            "storage": "core.windows.net",
            "keyVaultDns": "vault.azure.net",
            "acrLoginServer": "azurecr.io",
        },
    }
    return Answer(200, [cloud])

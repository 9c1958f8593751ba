"""A workspace's data plane: run history, artifacts of runs, and where outputs of jobs are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .arm import ML
from .http import Answer, Refused, Request
from .workspaces import Workspace

if TYPE_CHECKING:
    from .server import Emulator

_MODELS = {"mlflow_model": "MLFlowModel", "custom_model": "CustomModel", "triton_model": "TritonModel"}
"""How run history names the type of an output that is a model; those are asked of the model registry."""
_ARTIFACTS = "azureml"
"""Container of run artifacts."""
_STORE = re.compile(r"azureml://(?:subscriptions/.+?/)?datastores/(?P<store>[^/]+)/paths/(?P<path>.*)", re.I)
_BLOB = re.compile(
    r"https://(?P<account>[^.]+)\.blob\.core\.windows\.net/(?P<container>[^/]+)/?(?P<path>.*)", re.I
)


class History:
    """Reads and writes through `blobs.py`; the runs are those of `jobs.py`."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    # --- for other modules

    def locate(self, workspace: Workspace | None, uri: str) -> tuple[str, str, str]:
        """Account, container and path of a datastore's or a blob's URI."""
        if workspace is not None and (found := _STORE.fullmatch(uri)):
            store = self._emulator.arm.get(f"{workspace.id}/datastores/{found['store']}")
            if store is None:
                raise Refused(404, "UserError", f"the workspace has no datastore {found['store']}")
            told = store["properties"]
            return told["accountName"], told["containerName"], found["path"]
        if found := _BLOB.fullmatch(uri):
            return found["account"], found["container"], found["path"]
        raise Refused(400, "UserError", f"{uri} is in no datastore")

    def files(self, workspace: Workspace, uri: str) -> dict[str, bytes]:
        """Every file below a folder's URI by its relative path; a file's own under its name."""
        account, container, path = self.locate(workspace, uri)
        path = path.rstrip("/")
        found: dict[str, bytes] = {}
        for name in self._emulator.blobs.names(account, container, path):
            if not path or name == path or name.startswith(f"{path}/"):
                data = self._emulator.blobs.read(account, container, name)
                found[name[len(path) :].lstrip("/") or name.rsplit("/", 1)[-1]] = data or b""
        return found

    def log(self, workspace: Workspace, run_id: str, path: str, data: bytes) -> None:
        """Write one artifact of a run."""
        self._emulator.blobs.write(workspace.account, _ARTIFACTS, f"ExperimentRun/dcid.{run_id}/{path}", data)

    # --- requests

    def discovery(self, request: Request) -> Answer:
        url = f"https://{request.host}"
        return Answer(200, dict.fromkeys(("api", "experimentation", "history", "hyperdrive"), url))

    def children(self, request: Request, scope: str, run: str) -> Answer:
        self._emulator.entra.check(request)
        self._emulator.workspaces.of(scope)
        return Answer(200, {"value": [child.record() for child in self._emulator.jobs.children(run)]})

    def run(self, request: Request, scope: str, run: str) -> Answer:
        self._emulator.entra.check(request)
        self._emulator.workspaces.of(scope)
        return Answer(200, self._emulator.jobs.find(run).record())

    def details(self, request: Request, scope: str, run: str) -> Answer:
        self._emulator.entra.check(request)
        workspace = self._emulator.workspaces.of(scope)
        job = self._emulator.jobs.find(run)
        prefix = f"ExperimentRun/dcid.{run}/"
        names = self._emulator.blobs.names(workspace.account, _ARTIFACTS, prefix)
        logs = {
            name.removeprefix(prefix): self._emulator.blobs.url(workspace.account, _ARTIFACTS, name)
            for name in names
            if "logs/" in name
        }
        return Answer(200, {**job.record(), "logFiles": logs})

    def run_data(self, request: Request, scope: str) -> Answer:
        self._emulator.entra.check(request)
        self._emulator.workspaces.of(scope)
        job = self._emulator.jobs.find((request.json or {})["runId"])
        outputs = {
            name: {"assetId": f"azureml://{job.name}/{name}", "type": _MODELS.get(kind, kind)}
            for name, (kind, _) in job.outputs.items()
        }
        return Answer(200, {"runMetadata": {**job.record(), "outputs": outputs}})

    def resolve(self, request: Request, scope: str) -> Answer:
        """Where data-set outputs are."""
        return Answer(
            200, {"values": {a: {"uri": uri, "type": k} for a, k, uri in self._given(request, scope)}}
        )

    def resolve_models(self, request: Request, scope: str) -> Answer:
        """Where outputs that are models are."""
        return Answer(
            200, {"values": {a: {"path": uri, "type": k} for a, k, uri in self._given(request, scope)}}
        )

    def _given(self, request: Request, scope: str) -> list[tuple[str, str, str]]:
        """Asset, type and URI of the outputs that are asked for, each of the side that it is asked of."""
        self._emulator.entra.check(request)
        self._emulator.workspaces.of(scope)
        found = []
        for asset in (request.json or {})["values"]:
            run, _, name = asset.removeprefix("azureml://").partition("/")
            kind, uri = self._emulator.jobs.find(run).outputs[name]
            if (kind in _MODELS) == request.path.endswith("/models/batchGetResolvedUris"):
                found.append((asset, kind, uri))
        return found

    def artifacts(self, request: Request, scope: str, run: str, tail: str) -> Answer:
        """Artifacts of a run: list, make place for, find."""
        self._emulator.entra.check(request)
        workspace = self._emulator.workspaces.of(scope)
        container = f"dcid.{run}"
        prefix = f"ExperimentRun/{container}/"
        blobs = self._emulator.blobs
        there = [n.removeprefix(prefix) for n in blobs.names(workspace.account, _ARTIFACTS, prefix)]

        def described(path: str) -> dict[str, str]:
            return {
                "artifactId": prefix + path,
                "origin": "ExperimentRun",
                "container": container,
                "path": path,
            }

        def content(path: str) -> dict[str, str]:
            return {
                **described(path),
                "contentUri": blobs.url(workspace.account, _ARTIFACTS, prefix + path),
            }

        wanted = request.query.get("path", "")
        match tail:
            case "/batch/metadata":
                paths = [p["path"] for p in request.json["paths"]]
                return Answer(
                    200,
                    {
                        "artifacts": {p: described(p) for p in paths},
                        "artifactContentInformation": {p: content(p) for p in paths},
                        "errors": {},
                    },
                )
            case "":
                return Answer(200, {"value": [described(p) for p in there]})
            case "/path":
                return Answer(200, {"value": [described(p) for p in there if p.startswith(wanted)]})
            case "/prefix/contentinfo":
                return Answer(200, {"value": [content(p) for p in there if p.startswith(wanted)]})
            case "/contentinfo" | "/artifacturi" if wanted in there:
                return Answer(200, content(wanted))
        raise Refused(404, "UserError", f"the run {run} has no artifact {wanted}")


def install(emulator: Emulator) -> History:
    """Routes of a workspace's own host."""
    history = History(emulator)
    host = r".+\.api\.azureml\.ms"
    scope = (
        rf"(?P<scope>/subscriptions/[^/]+/resourceGroups/[^/]+/providers/{re.escape(ML)}/workspaces/[^/]+)"
    )
    run = "(?P<run>[^/]+)"
    add = emulator.router.add
    add("GET", host, "/discovery", history.discovery)
    add("GET", host, rf"/history/v1\.0{scope}/runs/{run}", history.run)
    add("GET", host, rf"/history/v1\.0{scope}/runs/{run}/children", history.children)
    add("GET", host, rf"/history/v1\.0{scope}/runs/{run}/details", history.details)
    add("POST", host, rf"/history/v1\.0{scope}/rundata", history.run_data)
    add("POST", host, rf"/data/v1\.0{scope}/dataversion/batchGetResolvedUris", history.resolve)
    add("POST", host, rf"/modelregistry/v1\.0{scope}/models/batchGetResolvedUris", history.resolve_models)
    add(
        "*",
        host,
        rf"/history/v1\.0{scope}/experiment(s|ids)/[^/]+/runs/{run}/artifacts(?P<tail>.*)",
        history.artifacts,
    )
    return history

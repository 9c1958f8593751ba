"""The data collector's agent beside each deployment: payloads come over HTTP, events go to blob storage.

As Azure ML documents it: `<path of the data asset>/yyyy/MM/dd/HH/<instance>.jsonl`, a CloudEvent a line, and
payloads that come close together in one event, under the correlation id of the first.
"""

from __future__ import annotations

import json
import threading
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arm import Resource

if TYPE_CHECKING:
    from .server import Emulator

_TOGETHER = 0.1
"""Seconds in which payloads are close together."""
_MANY = 20
"""Payloads of one event."""


class Agent(ThreadingHTTPServer):
    """The agent of one deployment. `close` writes what it still holds."""

    daemon_threads = True

    def __init__(self, emulator: Emulator, deployment: Resource) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._emulator, self._deployment = emulator, deployment
        self._instance = uuid.uuid4().hex
        self._held: dict[str, list[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._workers = [
            threading.Thread(target=self.serve_forever, daemon=True),
            threading.Thread(target=self._write_often, daemon=True),
        ]
        for thread in self._workers:
            thread.start()

    def environment(self, folder: Path) -> dict[str, str]:
        """What Azure ML sets in the deployment's container."""
        collections = self._deployment["properties"]["dataCollector"]["collections"]
        config = folder / "collector.json"
        told = {
            name: {
                "enabled": c["dataCollectionMode"] == "Enabled",
                "sampleRatePercentage": round(100 * float(c.get("samplingRate") or 1.0)),
            }
            for name, c in collections.items()
        }
        config.write_text(json.dumps({"runMode": "cloud", "collections": told}))
        return {
            "AZUREML_MDC_CONFIG_PATH": str(config),
            "AZUREML_MDC_HOST": "127.0.0.1",
            "AZUREML_MDC_PORT": str(self.server_address[1]),
        }

    def take(self, headers: dict[str, str], rows: Any) -> None:
        with self._lock:
            collection = headers["ce-type"].removeprefix("azureml.inference.")
            self._held.setdefault(collection, []).append({"headers": headers, "rows": rows})

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._ended.set()
        for thread in self._workers:
            thread.join()
        self._write()

    def _write_often(self) -> None:
        while not self._ended.wait(_TOGETHER):
            self._write()

    def _write(self) -> None:
        with self._lock:
            held, self._held = self._held, {}
        for collection, payloads in held.items():
            for start in range(0, len(payloads), _MANY):
                self._event(collection, payloads[start : start + _MANY])

    def _event(self, collection: str, payloads: list[dict[str, Any]]) -> None:
        first = payloads[0]["headers"]
        at = datetime.fromtimestamp(int(first["ce-time"]), UTC)
        event = {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "source": self._deployment["id"],
            "type": first["ce-type"],
            "datacontenttype": "application/json",
            "time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "data": [row for payload in payloads for row in payload["rows"]],
            "correlationid": first["ce-x-request-id"],
            "xrequestid": first["ce-x-request-id"],
            "modelversion": first.get("ce-model-version", "default"),
            "collectdatatype": first["ce-collect-data-type"],
            "agent": first["ce-agent"],
        }
        account, container, path = self.place(collection)
        name = f"{path.rstrip('/')}/{at:%Y/%m/%d/%H}/{self._instance}.jsonl"
        self._emulator.blobs.append(account, container, name, json.dumps(event).encode() + b"\n")

    def place(self, collection: str) -> tuple[str, str, str]:
        """Account, container and folder of a collection, as its data asset says."""
        given = self._deployment["properties"]["dataCollector"]["collections"][collection]["dataId"]
        asset = self._emulator.arm.get(given)
        if asset is None:
            raise LookupError(f"the collector's data asset {given} does not exist")
        workspace = self._emulator.workspaces.of(given)
        return self._emulator.history.locate(workspace, asset["properties"]["dataUri"])


class _Handler(BaseHTTPRequestHandler):
    server: Agent

    def do_POST(self) -> None:
        rows = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.take({k.lower(): v for k, v in self.headers.items()}, rows)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""

"""The proxy: ends TLS for Azure's hosts, answers by routes, refuses every other host, records everything."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.emulated import server
from tests.emulated.server import Exchange

from . import (
    arm,
    assets,
    batch,
    blobs,
    entra,
    history,
    identity,
    jobs,
    monitor,
    online,
    schedules,
    subscription,
    tracking,
    vaults,
    workspaces,
)
from .certs import Authority
from .http import Answer, Refused, Request, Router


class Emulator(server.Emulator):
    """`env` is what makes this machine's clients talk to it.

    `refused`: hosts that were asked for and are not Azure's.
    """

    name = "azure"
    headers: ClassVar[Mapping[str, str]] = {"x-ms-request-id": "00000000-0000-0000-0000-000000000000"}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, _Proxy)
        self.refused: list[str] = []
        self.router = Router()
        self.authority = Authority(_made(folder / "tls"))
        self.entra = entra.install(self)
        self.blobs = blobs.install(self)
        self.monitor = monitor.install(self)
        self.arm = arm.install(self)
        self.subscription = subscription.install(self)
        self.identity, self.vaults = identity.install(self), vaults.install(self)
        self.workspaces = workspaces.install(self)
        self.assets = assets.install(self)
        self.tracking = tracking.install(self)
        self.history = history.install(self)
        self.jobs = jobs.install(self)
        self.online = online.install(self)
        self.batch = batch.install(self)
        schedules.install(self)

    def close(self) -> None:
        """End jobs, deployments and what checks logins."""
        self.jobs.close()
        self.online.close()
        self.batch.close()
        self.entra.close()

    @property
    def env(self) -> dict[str, str]:
        """Variables for a client: the proxy, the CA, and a federated login as a workload has it."""
        proxy, bundle = self.url, str(self.authority.bundle)
        return {
            "HTTPS_PROXY": proxy,
            "https_proxy": proxy,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": bundle,
            "CURL_CA_BUNDLE": bundle,
            "SSL_CERT_FILE": bundle,
            "AZURE_AI_ML_DISABLE_TELEMETRY": "1",
            **self.entra.login,
        }

    def route(self, request: Request, exchange: Exchange) -> Answer:
        """The route's answer; Azure's official types judge the body on its way."""
        exchange.problems = self.arm.problems(request)
        return self.router(request)

    def bug(self, text: str) -> Refused:
        """As a 500 of ARM."""
        return Refused(500, "EmulatorBug", text)


class _Proxy(server.Handler[Emulator]):
    def do_CONNECT(self) -> None:  # noqa: N802  http.server's name
        host = self.path.partition(":")[0].lower()
        if not self.owner.router.knows(host):
            self.owner.refused.append(host)
            self.send_error(403, "not a host of Azure")
            return
        self.send_response(200)
        self.end_headers()
        try:
            self.connection = self.owner.authority.context(host).wrap_socket(
                self.connection, server_side=True
            )
        except (ssl.SSLError, OSError):
            self.close_connection = True
            return
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)  # type: ignore[assignment]
        self.host = host
        self.close_connection = False

    def handle_any(self) -> None:
        if not self.host:
            self.owner.refused.append(self.path)
            self.send_error(403, "only https goes through this proxy")
            return
        super().handle_any()

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815  http.server's names


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder

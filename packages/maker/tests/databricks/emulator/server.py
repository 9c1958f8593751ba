"""The server: answers by routes, refuses what none is for, records everything."""

from __future__ import annotations

from pathlib import Path

from tests.emulated import server
from tests.emulated.server import Exchange

from . import files, jobs, login, serving, tracking, typed, unity, warehouse
from .http import Answer, Refused, Request, Router


class Emulator(server.Emulator):
    """`env` is what makes this machine's clients talk to it.

    `unknown`: what was asked for and has no route. `asked`: operations that a route has answered, each with
    the types to which its bodies were held.
    """

    name = "databricks"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, server.Handler)
        self.unknown: list[str] = []
        self.asked: dict[str, set[str]] = {}
        self.router = Router()
        self.login = login.install(self)
        self.files = files.install(self)
        self.unity = unity.install(self)
        self.tracking = tracking.install(self)
        self.warehouse = warehouse.install(self)
        self.serving = serving.install(self)
        self.jobs = jobs.install(self)

    def close(self) -> None:
        """End jobs."""
        self.jobs.close()

    @property
    def env(self) -> dict[str, str]:
        """Variables for a client: the workspace, and a federated login as a workload has it."""
        return {
            "DATABRICKS_HOST": self.url,
            "no_proxy": "127.0.0.1",
            "NO_PROXY": "127.0.0.1",
            **self.login.env,
        }

    def route(self, request: Request, exchange: Exchange) -> Answer:
        """The route's answer to who is logged in."""
        self.login.check(request)
        try:
            with typed.held() as kinds:
                answer = self.router(request)
            with self._lock:
                self.asked.setdefault(self.router.operation(request), set()).update(kinds)
        except Refused as refusal:
            if refusal.answer.body["error_code"] == "ENDPOINT_NOT_FOUND":
                self.unknown.append(f"{request.method} {request.path}")
            raise
        if answer.body is None:
            answer.body = {}  # as Databricks says nothing
        return answer

    def bug(self, text: str) -> Refused:
        """As a 500 of the REST API."""
        return Refused(500, "EMULATOR_BUG", text)

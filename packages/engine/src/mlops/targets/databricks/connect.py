"""Clients of the workspaces, made when they are needed, once each. Who works there, Databricks' SDK finds."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from mlops.errors import InvalidInput, Problem, TargetError, Unavailable
from mlops.spec.settings import FILE, DatabricksPlace, Settings
from mlops.tracking.databricks_errors import LOGIN, databricks_sentences

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

TRACKING, REGISTRY = "databricks", "databricks-uc"
"""What MLflow calls the workspace's tracking and Unity Catalog."""
HOST = "DATABRICKS_HOST"
_REFUSED = {"pat": "a personal access token", "basic": "a password"}
_CONNECT_SECONDS = 5.0
_PATIENCE = 60
"""Seconds for which the SDK repeats what was refused for the moment."""


@dataclass(frozen=True)
class Place:
    """Where one environment lies."""

    environment: str
    host: str
    catalog: str
    schema: str
    volume: str

    def model(self, model: str) -> str:
        """A model's name in Unity Catalog, which has no hyphens."""
        return f"{self.catalog}.{self.schema}.{model.replace('-', '_')}"

    @property
    def files(self) -> str:
        """Its volume, as the Files API and clusters know it."""
        return f"/Volumes/{self.catalog}/{self.schema}/{self.volume}"


class Connection:
    """What every part of the target shares. Nothing is asked of Databricks before a method needs it."""

    def __init__(self, root: Path, settings: Settings) -> None:
        self.root = root
        self.settings = settings
        self._clients: dict[str, WorkspaceClient] = {}
        self._binary: dict[str, bool] = {}
        self._lock = threading.RLock()

    @property
    def training(self) -> str:
        """The environment whose catalog numbers the versions."""
        return self.settings.databricks.train

    @property
    def state(self) -> Path:
        """A folder of this checkout for what is fetched; the local target's."""
        return (self.root / self.settings.local.state).resolve()

    def place(self, environment: str | None = None) -> Place:
        """Raises `InvalidInput` when nothing says which workspace it has."""
        settings = self.settings.databricks
        name = environment or self.training
        own = settings.environments.get(name, DatabricksPlace())
        host, catalog = self._host(own.host), settings.catalog(name)
        return Place(name, host, catalog, settings.schema_name, settings.volume)

    def client(self, environment: str | None = None) -> WorkspaceClient:
        """The client of an environment's workspace; the training one when it is None."""
        host = self.place(environment).host
        with self._lock:
            if host not in self._clients:
                self._clients[host] = _opened(host)
            return self._clients[host]

    def mlflow(self) -> str:
        """The tracking address, once MLflow's own clients will go to the workspace that trains."""
        host = self.place().host
        self.client()
        # MLflow reads the workspace from the environment alone. What mlops.toml says wins over what
        # the shell was left with, for other models would go there.
        os.environ[HOST] = host
        return TRACKING

    def experiment(self, name: str) -> str:
        """Experiments of a workspace have paths."""
        return name if name.startswith("/") else f"{self.settings.databricks.experiments}/{name}"

    def is_binary(self, model: str) -> bool:
        """Whether two values a row are the probabilities of no and yes; by the use case, read once."""
        if model not in self._binary:
            from mlops.usecase import load_usecase

            settings = self.settings.models.get(model)
            self._binary[model] = (
                settings is not None and load_usecase(settings.usecase, self.root / "src").task == "binary"
            )
        return self._binary[model]

    def endpoint(self, environment: str, model: str) -> str:
        """Of a model in an environment; names are unique in a workspace and have up to 63 characters."""
        name = f"{self.settings.project.name}-{model}-{environment}"
        if len(name) > 63:
            raise InvalidInput(
                Problem(
                    FILE,
                    f"the endpoint's name {name!r} has more than 63 characters; shorten it",
                    "project.name",
                )
            )
        return name

    def _host(self, own: str) -> str:
        host = (own or self.settings.databricks.host or os.environ.get(HOST, "")).rstrip("/")
        if not host:
            raise InvalidInput(
                Problem(
                    FILE,
                    "names no workspace; set it to https://adb-….azuredatabricks.net, or set DATABRICKS_HOST",
                    "databricks.host",
                )
            )
        parts = urlsplit(host if "://" in host else f"https://{host}")
        local = parts.hostname in ("127.0.0.1", "localhost")
        if parts.scheme != "https" and not local:
            raise InvalidInput(Problem(FILE, f"must begin with https://; got {host!r}", "databricks.host"))
        return f"{parts.scheme}://{parts.netloc}"


def _opened(host: str) -> WorkspaceClient:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.config import Config

    _reach(host)
    with databricks_sentences(f"log in to {host}"):
        config = Config(host=host, retry_timeout_seconds=_PATIENCE)
        kind = str(config.auth_type)
        if kind in _REFUSED:
            raise TargetError(
                f"the login to {host} is {_REFUSED[kind]}, which lives long and can be copied; "
                f"remove DATABRICKS_TOKEN and `token` in ~/.databrickscfg, then {LOGIN}"
            )
        return WorkspaceClient(config=config)


def _reach(host: str) -> None:
    """Find out in seconds what the SDK would find out in five minutes of asking again."""
    parts = urlsplit(host)
    if getproxies().get(parts.scheme) and not proxy_bypass(parts.hostname or ""):
        return
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), _CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"the workspace {host} cannot be reached ({error}); look at the network, or correct host in "
            "[databricks] of mlops.toml or DATABRICKS_HOST"
        ) from None


def enum(value: Any) -> str:
    """The text of an enumeration of the SDK; empty for None."""
    return str(getattr(value, "value", value) or "")

"""Clients of the workspaces and of the registry: made when they are needed, once, with one credential."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.spec.settings import Settings
from mlops.targets.azure import login
from mlops.targets.azure.place import Place, place, registry_name
from mlops.tracking.azure_errors import azure_sentences

if TYPE_CHECKING:
    from azure.ai.ml import MLClient


class Connection:
    """What every part of the Azure target shares. Nothing is asked of Azure before a method needs it.

    Methods raise `TargetError` (not logged in, no subscription, no permission, not reachable), `NotFound` and
    `InvalidInput` with a sentence.
    """

    def __init__(self, root: Path, settings: Settings) -> None:
        self.root = root
        self.settings = settings
        self._clients: dict[str, Any] = {}
        self._uris: dict[str, str] = {}
        self._lock = threading.RLock()

    @property
    def training(self) -> str:
        """The stack whose workspace trains and numbers the versions."""
        return self.settings.azure.train

    @property
    def state(self) -> Path:
        """A folder of this checkout for what is fetched; the local target's."""
        return (self.root / self.settings.local.state).resolve()

    @functools.cached_property
    def credential(self) -> Any:
        """Whom Azure sees; see `mlops.targets.azure.login`."""
        return login.credential()

    @functools.cached_property
    def registry(self) -> str | None:
        """Name of the Azure ML registry that all environments read, if there is one."""
        return registry_name(self.root, self.settings)

    def place(self, stack: str) -> Place:
        """Names of what a stack has."""
        return place(self.root, self.settings, stack)

    def subscription(self, stack: str) -> str:
        """The subscription of a stack."""
        return self.place(stack).subscription_id or login.subscription()

    def client(self, stack: str | None = None) -> MLClient:
        """The client of a stack's workspace; the training one when `stack` is None."""
        stack = stack or self.training
        with self._lock:
            if stack not in self._clients:
                there = self.place(stack)
                subscription = self.subscription(stack)
                from azure.ai.ml import MLClient

                _quiet()
                self._clients[stack] = MLClient(
                    self.credential,
                    subscription,
                    there.resource_group,
                    there.workspace,
                    show_progress=False,
                    enable_telemetry=False,
                )
            client: MLClient = self._clients[stack]
            return client

    def registry_client(self) -> MLClient | None:
        """The client of the shared registry; None when there is no registry."""
        if self.registry is None:
            return None
        with self._lock:
            if "registry:" not in self._clients:
                from azure.ai.ml import MLClient

                _quiet()
                with azure_sentences(f"find the registry {self.registry}"):
                    self._clients["registry:"] = MLClient(
                        self.credential,
                        registry_name=self.registry,
                        show_progress=False,
                        enable_telemetry=False,
                    )
            client: MLClient = self._clients["registry:"]
            return client

    def tracking_uri(self, stack: str | None = None) -> str:
        """Where MLflow finds a stack's workspace. Its plugin will use the credential of this connection."""
        stack = stack or self.training
        with self._lock:
            if stack not in self._uris:
                there = self.place(stack)
                with azure_sentences(f"find the workspace {there.workspace} in {there.resource_group}"):
                    workspace = self.client(stack).workspaces.get(there.workspace)
                self._uris[stack] = str(workspace.mlflow_tracking_uri)
                self._introduce(stack, self._uris[stack])
            return self._uris[stack]

    def _introduce(self, stack: str, uri: str) -> None:
        """Give the plugin our credential: its own cannot renew a federated login (see `login`)."""
        from urllib.parse import urlsplit

        from azureml.mlflow._internal.service_context_loader import _AzureMLServiceContextLoader
        from azureml.mlflow._internal.utils import ServiceContext

        there = self.place(stack)
        _AzureMLServiceContextLoader.add_service_context(
            uri,
            ServiceContext(
                host_url=f"https://{urlsplit(uri).netloc}",
                subscription_id=self.subscription(stack),
                workspace_name=there.workspace,
                resource_group_name=there.resource_group,
                auth=self.credential,
            ),
        )


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keep off the terminal what azure-ai-ml prints while it uploads, whatever `show_progress` says."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield


def _quiet() -> None:
    """Keep the clients' warnings off the terminal, after an import that sets levels of its own.

    What matters comes as an exception.
    """
    for name in ("azure", "azure.ai.ml", "azure.identity", "azureml", "msal", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)

"""Endpoints of the emulator with models in its registry, without training any."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from tests.azure.conftest import ROOT
from tests.azure.emulator import Emulator
from tests.contracts.endpoints import ENV, MODEL

from mlops.spec.online import OnlineSettings
from mlops.spec.settings import Settings, load_settings
from mlops.targets.azure.connect import Connection
from mlops.targets.azure.endpoints import AzureEndpoints

IMAGE = "crflights.azurecr.io/flights-serving:1"


def settings_with(online: OnlineSettings, registry: str = "") -> Settings:
    """This repository's settings, with another way to serve."""
    settings = load_settings(ROOT)
    model = settings.models[MODEL].model_copy(update={"online": online})
    azure = settings.azure.model_copy(update={"registry": registry})
    return settings.model_copy(update={"models": {MODEL: model}, "azure": azure})


@dataclasses.dataclass
class AzureBench:
    """`Bench` of the contract; `again` opens the endpoints as another process would."""

    emulator: Emulator
    artifacts: dict[str, Path]
    settings: Settings

    def __post_init__(self) -> None:
        self.connection = Connection(ROOT, self.settings)
        self.endpoints = AzureEndpoints(self.connection)
        place = self.connection.place(ENV)
        workspaces = self.emulator.workspaces.workspaces.values()
        self.workspace = next(w for w in workspaces if w.name == place.workspace)
        self.name = place.endpoint("online_endpoint", MODEL)

    def again(self) -> AzureEndpoints:
        return AzureEndpoints(Connection(ROOT, self.settings))

    def publish(self, version: int, artifact: Path, tags: Mapping[str, str] | None = None) -> None:
        """Put a version into the shared registry, as `models.share` does."""
        if self.connection.registry is None:
            return
        registry = self.emulator.workspaces.registries[self.connection.registry.lower()]
        container = f"model-{version}"
        for path in artifact.rglob("*"):
            if path.is_file():
                name = f"model/{path.relative_to(artifact).as_posix()}"
                self.emulator.blobs.write(registry.account, container, name, path.read_bytes())
        uri = f"https://{registry.account}.blob.core.windows.net/{container}/model"
        properties = {
            "modelUri": uri,
            "modelType": "mlflow_model",
            "flavors": {},
            "tags": dict(tags or {}),
            "properties": {},
        }
        path_ = f"{registry.id}/models/{MODEL}/versions/{version}"
        self.emulator.arm.put(path_, {"properties": properties})

"""Endpoints of the emulator with models in its registry, without training any."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from mlops.spec.capture import CaptureSettings
from mlops.spec.online import OnlineSettings
from mlops.spec.settings import Settings, load_settings
from mlops.spec.signing import SigningSettings
from mlops.targets.azure.connect import Connection
from mlops.targets.azure.endpoints import AzureEndpoints
from tests.azure.conftest import ROOT
from tests.azure.emulator import Emulator
from tests.contracts.endpoints import ENV, MODEL

IMAGE = "crflights.azurecr.io/flights-serving:1"


def settings_with(
    online: OnlineSettings,
    registry: str = "",
    *,
    capture: CaptureSettings | None = None,
    signing: SigningSettings | None = None,
    state: Path | None = None,
) -> Settings:
    """This repository's settings for the made-up model, with another way to serve; `state` is where fetched
    files are kept."""
    settings = load_settings(ROOT)
    (model,) = settings.models.values()
    model = model.model_copy(update={"online": online})
    if capture is not None:
        model = model.model_copy(update={"capture": capture})
    azure = settings.azure.model_copy(update={"registry": registry})
    local = settings.local.model_copy(update={"state": str(state or settings.local.state)})
    return settings.model_copy(
        update={
            "models": {MODEL: model},
            "azure": azure,
            "local": local,
            "signing": signing or settings.signing,
        }
    )


def fork(folder: Path) -> Path:
    """A repository in `folder` with this one's code and stack files, and a pipeline for the made-up model."""
    root = folder / "fork"
    if not root.is_dir():
        (root / "pipelines").mkdir(parents=True)
        for name in ("src", "container", "environments", "mlops.toml"):
            (root / name).symlink_to(ROOT / name)
        (example,) = load_settings(ROOT).models
        (root / "pipelines" / MODEL).symlink_to(ROOT / "pipelines" / example)
    return root


@dataclasses.dataclass
class AzureBench:
    """`Bench` of the contract; `again` opens the endpoints as another process would."""

    emulator: Emulator
    artifacts: dict[str, Path]
    settings: Settings

    def __post_init__(self) -> None:
        self.root = fork(self.emulator.folder)
        self.connection = Connection(self.root, self.settings)
        self.endpoints = AzureEndpoints(self.connection)
        place = self.connection.place(ENV)
        workspaces = self.emulator.workspaces.workspaces.values()
        self.workspace = next(w for w in workspaces if w.name == place.workspace)
        self.name = place.endpoint("online_endpoint", MODEL)

    def again(self) -> AzureEndpoints:
        return AzureEndpoints(Connection(self.root, self.settings))

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

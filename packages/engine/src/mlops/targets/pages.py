"""Pages that a target has about runs and versions, from the settings alone: the board asks no target."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from mlops.spec.settings import Settings


@dataclass(frozen=True)
class Pages:
    """Empty text: there is no such page. Every address begins with https:// or http://."""

    tracking: str = ""
    """Of an MLflow server with pages."""
    studio: str = ""
    """Query of an Azure ML workspace in the studio."""

    def run(self, run_id: str) -> str:
        # An MLflow server addresses a run by its experiment too, which a version does not name.
        return f"https://ml.azure.com/runs/{quote(run_id)}{self.studio}" if self.studio else ""

    def version(self, model: str, version: int) -> str:
        if self.studio:
            return f"https://ml.azure.com/model/{quote(model)}:{version}/details{self.studio}"
        return f"{self.tracking}/#/models/{quote(model)}/versions/{version}" if self.tracking else ""


def pages_of(target: str, settings: Settings) -> Pages:
    """Those of the target called `target`."""
    if target == "azure":
        return Pages(studio=_studio(settings))
    tracking = settings.local.server()
    return Pages(tracking.rstrip("/") if tracking.startswith(("http://", "https://")) else "")


def _studio(settings: Settings) -> str:
    azure = settings.azure
    path = (
        f"/subscriptions/{azure.subscription_id}/resourceGroups/{azure.resource_group}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{azure.workspace}"
    )
    return f"?wsid={quote(path, safe='/')}" if azure.workspace else ""

"""Addresses of commits, files, pull requests, runs and versions, where forge and target have pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote

from mlops.spec.forges import HOSTED
from mlops.spec.settings import Settings
from mlops.targets.pages import Pages, pages_of


@dataclass(frozen=True)
class Links:
    """Empty text: there is no such page. Every address begins with https:// or http://."""

    web: str = ""
    kind: str = "local"
    target: Pages = field(default_factory=Pages)

    @classmethod
    def of(cls, settings: Settings, target: str) -> Links:
        """Of the forge in `mlops.toml` and the target's tracking server."""
        forge = settings.forge
        hosted = HOSTED.get(forge.kind)
        web = hosted.page(forge.repository) if hosted else ""
        return cls(web, forge.kind, pages_of(target, settings))

    def commit(self, commit: str) -> str:
        return f"{self.web}/commit/{quote(commit)}" if self.web and commit else ""

    def file(self, path: str, commit: str) -> str:
        if not self.web:
            return ""
        return self.web + HOSTED[self.kind].file.format(commit=quote(commit), path=quote(path))

    def request(self, number: int | None) -> str:
        if not self.web or number is None:
            return ""
        return self.web + HOSTED[self.kind].request.format(number=number)

    def run(self, run_id: str) -> str:
        return self.target.run(run_id)

    def version(self, model: str, version: int) -> str:
        return self.target.version(model, version)

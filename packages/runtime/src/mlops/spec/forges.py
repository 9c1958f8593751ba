"""The forges that a repository may be on: what is known of each without asking it.

One more is an entry here and a module in each room that talks to it: docs/guides/contribute.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import quote

Hosted = Literal["github", "azure-devops"]
"""Forges with pages, reviews and workflows of their own."""
Kind = Literal["local", "github", "azure-devops"]
"""What `[forge] kind` of mlops.toml may be."""


@dataclass(frozen=True)
class HostedForge:
    """One forge. `{repository}` in an address is filled in with the parts in order, as `{0}`, `{1}`, …"""

    name: Hosted
    title: str
    parts: tuple[str, ...]
    """What `repository` consists of, between slashes."""
    allowed: Sequence[str]
    """A regular expression for each part."""
    remotes: Sequence[str]
    """Regular expressions that find the parts in the URL of a git remote."""
    web: str
    """The repository's page."""
    file: str
    """Behind `web`: a file at a commit, with `{commit}` and `{path}`."""
    request: str
    """Behind `web`: a pull request, with `{number}`."""

    @property
    def shape(self) -> str:
        return "/".join(self.parts)

    def split(self, repository: str) -> list[str] | None:
        """The parts; None where it is no repository of this forge."""
        words = repository.split("/")
        if len(words) != len(self.parts):
            return None
        return words if all(map(re.fullmatch, self.allowed, words)) else None

    def of_remote(self, url: str) -> str:
        """`repository` by the URL of a git remote; empty where that is not of this forge."""
        for pattern in self.remotes:
            if match := re.search(pattern, url):
                return "/".join(match.groups())
        return ""

    def page(self, repository: str) -> str:
        """Address of the repository; empty where there is none."""
        parts = self.split(repository)
        return self.web.format(*map(quote, parts)) if parts else ""


GITHUB: Final = HostedForge(
    name="github",
    title="GitHub",
    parts=("owner", "name"),
    allowed=(r"[A-Za-z0-9](-?[A-Za-z0-9]){0,38}", r"[A-Za-z0-9._-]{1,100}"),
    remotes=(r"github\.com[:/]([^/]+)/([^/]+?)(?:\.git)?/?$",),
    web="https://github.com/{0}/{1}",
    file="/blob/{commit}/{path}",
    request="/pull/{number}",
)
AZURE_DEVOPS: Final = HostedForge(
    name="azure-devops",
    title="Azure DevOps",
    parts=("organization", "project", "name"),
    allowed=(r"[^/\s]+", r"[^/]+", r"[^/]+"),
    remotes=(
        r"dev\.azure\.com/([^/]+)/([^/]+)/_git/([^/]+?)/?$",
        r"ssh\.dev\.azure\.com:v3/([^/]+)/([^/]+)/([^/]+?)/?$",
    ),
    web="https://dev.azure.com/{0}/{1}/_git/{2}",
    file="?path=/{path}&version=GC{commit}",
    request="/pullrequest/{number}",
)

HOSTED: Final[Mapping[str, HostedForge]] = MappingProxyType({f.name: f for f in (GITHUB, AZURE_DEVOPS)})
"""By `[forge] kind`; `local` is none of them."""

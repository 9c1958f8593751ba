"""Where the engine that runs is not the release that this fork's files ask for."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mlops.errors import InvalidInput
from mlops.template import manifest
from mlops.template.sources import PREFIX, overridden


@dataclass(frozen=True)
class Divergence:
    """A sentence, and what to do."""

    sentence: str
    fix: str


def divergences(root: Path) -> list[Divergence]:
    """All of them; none in the template itself, which always runs its own packages."""
    try:
        template = manifest.load(root)
    except InvalidInput:
        return []
    path = root / "pyproject.toml"
    if template.answers is None or not path.is_file():
        return []
    lines = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("uv", {}).get("sources", {})
    engine = {name: line for name, line in lines.items() if name.startswith(PREFIX)}
    return [*_patched(engine), *_installed(engine), *_ahead(engine, template.version)]


def _patched(engine: Mapping[str, Mapping[str, Any]]) -> Iterator[Divergence]:
    for name, line in sorted(engine.items()):
        if overridden(line):
            where = line.get("path") or f"the branch {line.get('branch')}"
            yield Divergence(
                f"{name} comes from {where} and from no release",
                "give it the source of the other packages in pyproject.toml; docs/engine.md says when not to",
            )


def _installed(engine: Mapping[str, Mapping[str, Any]]) -> Iterator[Divergence]:
    for name, line in sorted(engine.items()):
        if not overridden(line) and (folder := _edited(name)):
            yield Divergence(f"{name} runs from the folder {folder}, not as uv.lock has it", "make setup")


def _edited(name: str) -> str:
    """The folder that an installed package is edited in; empty for a release."""
    try:
        said = metadata.distribution(name).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return ""
    facts = json.loads(said) if said else {}
    return unquote(urlsplit(facts["url"]).path) if facts.get("dir_info", {}).get("editable") else ""


def _ahead(engine: Mapping[str, object], skeleton: str) -> Iterator[Divergence]:
    if not engine:
        return
    try:
        runs = metadata.version(f"{PREFIX}engine")
    except metadata.PackageNotFoundError:
        return
    if runs != skeleton:
        yield Divergence(
            f"the engine has version {runs}, and the skeleton (template.toml) {skeleton}", "mlops update"
        )

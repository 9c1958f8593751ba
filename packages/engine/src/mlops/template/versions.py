"""Which versions of the template there are: tags `v<major>.<minor>.<patch>` of its repository."""

from __future__ import annotations

import re
from pathlib import Path

from mlops.errors import InvalidInput, TargetError
from mlops.forge.git import Git
from mlops.template.manifest import Template
from mlops.template.sources import GitTag

REMOTES = ("template", "upstream")


def order(version: str) -> tuple[int, ...]:
    """A key that puts 0.10.0 after 0.9.0."""
    return tuple(int(part) for part in version.split("."))


def source(root: Path, template: Template, chosen: str | None) -> str:
    """The URL of the template; raises `InvalidInput` when nobody says it."""
    engine = template.answers.source() if template.answers else None
    if url := chosen or template.source or (engine.url if isinstance(engine, GitTag) else ""):
        return url
    for remote in REMOTES:
        code, url, _ = Git(root).answer("remote", "get-url", remote)
        if code == 0:
            return url.strip()
    raise InvalidInput(
        "nobody says where the template is: give --from URL once, "
        "or git remote add template URL, or set `source` in template.toml"
    )


def versions(root: Path, url: str) -> list[str]:
    """All released versions, oldest first; raises `TargetError` when the template cannot be asked."""
    code, out, said = Git(root).answer("ls-remote", "--tags", "--refs", "--", url, "v*")
    if code:
        raise TargetError(f"the template at {url} cannot be asked for its versions: {said}")
    released = re.findall(r"refs/tags/v(\d+\.\d+\.\d+)$", out, re.MULTILINE)
    return sorted(released, key=order)


def notes(changelog: str, after: str, until: str) -> str:
    """The sections of a changelog for versions above `after`, up to `until`."""
    sections = re.split(r"(?m)^(?=## \[)", changelog)
    kept = []
    for section in sections:
        named = re.match(r"## \[(\d+\.\d+\.\d+)\]", section)
        if named and order(after) < order(named.group(1)) <= order(until):
            kept.append(re.sub(r"(?m)^\[[^\]]+\]: .*\n?", "", section).rstrip())
    return "\n\n".join(kept)

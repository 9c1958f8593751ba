"""Which files of the repository the training of one model reads, as git is asked for them.

What other models have of their own is left out: a second model that is not committed yet makes no version of
the first one less certain. A file of theirs that this model names counts, as all files do that nobody owns.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops.forge.git import Git

CODE = ("src", "packages", "pipelines")
"""Folders in which a step could read any file, also one that git does not know."""
LOCKED = ("pyproject.toml", "uv.lock")
SETTINGS = "mlops.toml"


@dataclass(frozen=True)
class Scope:
    """`paths`: pathspecs. Of `mlops.toml`, which all models share, the table of the model counts."""

    model: str
    paths: tuple[str, ...]

    def of(self, settings: str | None) -> Any:
        """What a text of `mlops.toml` says of the model; None where it says nothing that can be read."""
        try:
            models = tomllib.loads(settings or "").get("models", {})
        except tomllib.TOMLDecodeError:
            return None
        return models.get(self.model) if isinstance(models, dict) else None


def scope(root: Path, model: str) -> Scope:
    """The scope of `model` by what `mlops.toml` says now; every model's files where it cannot be read."""
    own, others = _folders(root, model)
    named = _mentioned(root, own, others)
    left_out = (f":(exclude){folder}" for folder in sorted(others) if folder not in named)
    return Scope(model, (*CODE, *LOCKED, *left_out))


def uncommitted(root: Path, of: Scope) -> list[str]:
    """Files of the scope that differ from HEAD, or that git does not know."""
    git = Git(root)
    names = git.uncommitted(*of.paths)
    if git.uncommitted(SETTINGS):
        path = root / SETTINGS
        now = path.read_text(encoding="utf-8") if path.is_file() else ""
        if of.of(now) != of.of(git.show("HEAD", SETTINGS)):
            names.append(SETTINGS)
    return names


def differing(git: Git, of: Scope, one: str, other: str) -> list[str]:
    """Files of the scope that differ between two trees or commits, which git must have."""
    names = git.run("diff", "--name-only", "--no-renames", one, other, "--", *of.paths).splitlines()
    if of.of(git.show(one, SETTINGS)) != of.of(git.show(other, SETTINGS)):
        names.append(SETTINGS)
    return names


def _folders(root: Path, model: str) -> tuple[list[str], dict[str, str]]:
    """Folders of the model, and (folder, how code names it) of all others."""
    try:
        models: Any = tomllib.loads((root / SETTINGS).read_text(encoding="utf-8")).get("models")
    except (OSError, tomllib.TOMLDecodeError):
        return [], {}
    own: list[str] = []
    others: dict[str, str] = {}
    for name, settings in (models if isinstance(models, dict) else {}).items():
        module = settings.get("usecase") if isinstance(settings, dict) else None
        package = str(module or name.replace("-", "_")).partition(".")[0]
        for folder, word in ((f"src/{package}", package), (f"pipelines/{name}", name)):
            if name == model:
                own.append(folder)
            else:
                others[folder] = word
    return own, {folder: word for folder, word in others.items() if folder not in own}


def _mentioned(root: Path, own: list[str], others: Mapping[str, str]) -> set[str]:
    """Folders of other models whose name stands in a file that is read: code may be shared."""
    if not others:
        return set()
    files = [
        path
        for folder in ("src", "pipelines")
        for path in (root / folder).rglob("*")
        if path.suffix in (".py", ".yml", ".yaml")
        and not any(path.is_relative_to(root / other) for other in others)
        and (folder == "src" or any(path.is_relative_to(root / mine) for mine in own))
    ]
    text = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in files)
    return {folder for folder, word in others.items() if re.search(rf"\b{re.escape(word)}\b", text)}

"""Trials of what a target assumes of a real account: how each is told, and what they have in common."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlops.errors import MlopsError, TargetError
from mlops.targets.base import Registry

Verdict = Literal["as assumed", "better", "wrong"]


@dataclass(frozen=True)
class Checked:
    """One assumption. `wrong`: this project would not work there; `better`: it could do more than it does."""

    name: str
    verdict: Verdict
    found: str


def tried(name: str, action: Callable[[], str]) -> Checked:
    """What came of an action that returns what it saw; `wrong` with its sentence when it is refused."""
    try:
        return Checked(name, "as assumed", action())
    except MlopsError as error:
        return Checked(name, "wrong", str(error))


def new_artifact(folder: Path, mlmodel: str) -> Path:
    """Something new each time: a digest that is known would find its old version."""
    model = folder / "model"
    model.mkdir()
    (model / "MLmodel").write_text(mlmodel, encoding="utf-8")
    (model / "id").write_text(uuid.uuid4().hex, encoding="utf-8")
    return model


def tag_and_find(registry: Registry, model: str, version: int) -> str:
    """Raises `TargetError` when a version is not found by the tag that it was just given."""
    registry.tag(model, version, {"mlops.smoke": "seen"})
    if [v.version for v in registry.versions(model, {"mlops.smoke": "seen"})] != [version]:
        raise TargetError("the tag was set, but the version is not found by it")
    return "set and found"

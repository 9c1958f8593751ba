"""Where the files in git are, and one loader a kind. Errors name files relative to the repository."""

from __future__ import annotations

from pathlib import Path

from mlops.errors import InvalidInput, NotFound
from mlops.spec._yaml import Document
from mlops.spec.desired import DesiredState
from mlops.spec.policy import Freeze, Policy
from mlops.spec.release import Release

POLICY = "environments/policy.yaml"
FREEZE = "environments/freeze.yaml"


def desired_path(env: str, model: str) -> str:
    """What is served in `env`, relative to the repository."""
    return f"environments/{env}/{model}.yaml"


def release_path(model: str, version: int) -> str:
    """The record of one release, relative to the repository."""
    return f"releases/{model}/{version}.yaml"


def release_of(name: str) -> tuple[str, int] | None:
    """Model and version of `releases/<model>/<version>.yaml`; None for any other name."""
    _, model, file = name.split("/") if name.count("/") == 2 else ("", "", "")
    number = file.removesuffix(".yaml")
    right = number.isascii() and number.isdigit() and file == f"{int(number)}.yaml"
    return (model, int(number)) if right and name == release_path(model, int(number)) else None


def gates_path(model: str) -> str:
    """The gates of a model, relative to the repository."""
    return f"pipelines/{model}/model.yaml"


def training_path(model: str) -> str:
    """The training pipeline of a model, relative to the repository."""
    return f"pipelines/{model}/training.yml"


def sweep_path(model: str) -> str:
    """The sweep of a model, relative to the repository."""
    return f"pipelines/{model}/sweep.yml"


def load_policy(root: Path) -> Policy:
    """Raises `InvalidInput`."""
    return Document.read(root / POLICY, POLICY).parse(Policy)


def load_freeze(root: Path) -> Freeze:
    """No file means no freeze; raises `InvalidInput`."""
    if not (root / FREEZE).exists():
        return Freeze()
    return Document.read(root / FREEZE, FREEZE).parse(Freeze)


def load_desired(root: Path, env: str, model: str) -> DesiredState | None:
    """None when nothing is to be served there yet; raises `InvalidInput`."""
    name = desired_path(env, model)
    if not (root / name).exists():
        return None
    return Document.read(root / name, name).parse(DesiredState)


def load_release(root: Path, model: str, version: int) -> Release:
    """Raises `NotFound` when there is no such release, `InvalidInput` when the file is wrong or misnamed."""
    name = release_path(model, version)
    if not (root / name).exists():
        known = ", ".join(map(str, released_versions(root, model))) or "none"
        raise NotFound(f"there is no release {version} of {model} ({name}); released: {known}")
    return as_release(Document.read(root / name, name), model, version)


def as_release(document: Document, model: str, version: int) -> Release:
    """Raises `InvalidInput` when the file is wrong, or is about another release than its name says."""
    release = document.parse(Release)
    if (release.model, release.version) != (model, version):
        said, named = f"{release.model} {release.version}", f"{model} {version}"
        field = "version" if release.model == model else "model"
        raise InvalidInput(document.problem((field,), f"the file says {said}, its name says {named}"))
    return release


def released_versions(root: Path, model: str) -> list[int]:
    """Versions that have a release file, lowest first."""
    keys = (release_of(p.relative_to(root).as_posix()) for p in (root / "releases" / model).glob("*.yaml"))
    return sorted(key[1] for key in keys if key is not None)

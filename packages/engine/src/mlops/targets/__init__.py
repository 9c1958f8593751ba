"""Providers behind the protocols of `base.py`: one folder a target."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.errors import InvalidInput, Problem
from mlops.spec.settings import FILE

if TYPE_CHECKING:
    from mlops.spec.settings import Settings
    from mlops.targets.base import Target


KNOWN = ("azure", "databricks", "local")


def open_target(name: str, root: Path, settings: Settings) -> Target:
    """The target called `name` for the repository at `root`; raises `InvalidInput` for an unknown one.

    Where mlops.toml says that another one trains (`train_target`), jobs, data and versions are that one's.
    """
    serving = _opened(name, root, settings)
    trains = settings.train_target
    if trains is None or trains == name:
        return serving
    if name == "azure" and settings.azure.registry != "none":
        raise InvalidInput(
            Problem(
                FILE,
                f'must be "none" where {trains} trains: versions are in its registry, and a deployment takes '
                "them from the workspace, to which `mlops apply` copies them",
                "azure.registry",
            )
        )
    training = _opened(trains, root, settings)
    return replace(
        serving,
        jobs=training.jobs,
        registry=training.registry,
        data=training.data,
        sweeps=training.sweeps,
        # A batch deployment names a version of the workspace, which has only what is served there.
        batch=None,
    )


def _opened(name: str, root: Path, settings: Settings) -> Target:
    if name == "local":
        from mlops.targets.local import open_local

        return open_local(root, settings)
    if name == "azure":
        from mlops.targets.azure import open_azure

        return open_azure(root, settings)
    if name == "databricks":
        from mlops.targets.databricks import open_databricks

        return open_databricks(root, settings)
    raise InvalidInput(f"there is no target {name!r}; known: {', '.join(KNOWN)}")

"""The laptop: MLflow on SQLite, pipelines in child processes, endpoints over HTTP, all below one folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.spec import writing
from mlops.spec.settings import LocalSettings, Settings
from mlops.spec.signing import signed_release
from mlops.targets._record_seal import record_seal
from mlops.targets.base import Target

if TYPE_CHECKING:
    from mlops.targets.local.jobs import LocalJobs


def open_local(root: Path, settings: Settings) -> Target:
    """The local target of the repository at `root`; nothing is created or started by opening it."""
    from mlops.targets.local.data import LocalData
    from mlops.targets.local.endpoints import LocalEndpoints
    from mlops.targets.local.jobs import LocalJobs
    from mlops.targets.local.observations import LocalObservations
    from mlops.targets.local.registry import LocalRegistry, local_tracker
    from mlops.targets.local.store import LocalStore
    from mlops.targets.local.sweeps import LocalSweeps

    folder = (root / settings.local.state).resolve()
    uri = settings.local.server()
    data = LocalData.of(root, settings)
    return Target(
        name="local",
        jobs=LocalJobs(local_tracker(folder, uri), folder, data, root),
        registry=LocalRegistry(folder, uri, root, record_seal(root, settings)),
        endpoints=LocalEndpoints(
            folder / "endpoints",
            {name: model.capture for name, model in settings.models.items()},
            partial(signed_release, root, settings.signing),
        ),
        store=LocalStore(folder),
        data=data,
        sweeps=LocalSweeps(local_tracker(folder, uri), folder, data, root),
        observations=LocalObservations(folder),
    )


def local_jobs(folder: Path) -> LocalJobs:
    """Jobs of a folder that is no repository, with their state in `.mlops` there, which git passes by."""
    from mlops.targets.local.data import LocalData
    from mlops.targets.local.jobs import LocalJobs
    from mlops.targets.local.registry import local_tracker

    state = (folder / LocalSettings().state).resolve()
    if not (ignore := state / ".gitignore").exists():
        state.mkdir(parents=True, exist_ok=True)
        writing.write(ignore, "*\n", durable=False)
    return LocalJobs(local_tracker(state), state, LocalData(folder, state, {}), folder)

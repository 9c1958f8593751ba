"""Azure ML: jobs and versions in the workspace of one stack, served in the workspaces of the others."""

from __future__ import annotations

from pathlib import Path

from mlops.spec.settings import Settings
from mlops.targets.base import Target


def open_azure(root: Path, settings: Settings) -> Target:
    """The Azure target of the repository at `root`; opening it asks nothing and imports no client."""
    from mlops.targets.azure.batch import AzureBatch
    from mlops.targets.azure.connect import Connection
    from mlops.targets.azure.data import AzureData
    from mlops.targets.azure.endpoints import AzureEndpoints
    from mlops.targets.azure.jobs import AzureJobs
    from mlops.targets.azure.observations import AzureObservations
    from mlops.targets.azure.registry import AzureRegistry
    from mlops.targets.azure.schedule import AzureSchedules
    from mlops.targets.azure.store import AzureStore
    from mlops.targets.azure.sweeps import AzureSweeps

    connection = Connection(root, settings)
    data, store = AzureData(connection), AzureStore(connection)
    return Target(
        name="azure",
        jobs=AzureJobs(connection, data),
        registry=AzureRegistry(connection),
        endpoints=AzureEndpoints(connection),
        store=store,
        data=data,
        observations=AzureObservations(connection, store),
        sweeps=AzureSweeps(connection, data),
        batch=AzureBatch(connection),
        schedules=AzureSchedules(connection),
    )

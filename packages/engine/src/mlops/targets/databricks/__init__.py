"""Databricks: jobs and versions in one workspace and catalog, served from the catalogs of the
environments."""

from __future__ import annotations

from pathlib import Path

from mlops.spec.settings import Settings
from mlops.targets.base import Target


def open_databricks(root: Path, settings: Settings) -> Target:
    """The Databricks target of the repository at `root`; opening it asks nothing and imports no client."""
    from mlops.targets.databricks.batch import DatabricksBatch
    from mlops.targets.databricks.connect import Connection
    from mlops.targets.databricks.data import DatabricksData
    from mlops.targets.databricks.endpoints import DatabricksEndpoints
    from mlops.targets.databricks.jobs import DatabricksJobs
    from mlops.targets.databricks.observations import DatabricksObservations
    from mlops.targets.databricks.registry import DatabricksRegistry
    from mlops.targets.databricks.store import DatabricksStore

    connection = Connection(root, settings)
    data, store = DatabricksData(connection), DatabricksStore(connection)
    return Target(
        name="databricks",
        jobs=DatabricksJobs(connection, data.resolve),
        registry=DatabricksRegistry(connection),
        endpoints=DatabricksEndpoints(connection),
        store=store,
        data=data,
        observations=DatabricksObservations(connection),
        batch=DatabricksBatch(connection, data.resolve),
    )

"""Who gets what in Unity Catalog, read from the stack file and `[databricks]` of mlops.toml."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from mlops.infra.components.diagnostics import Watched
from mlops.infra.config import UnityCatalog as Wanted
from mlops.infra.environment import Environment
from mlops.infra.options.databricks import Databricks
from mlops.infra.options.unity_catalog import (
    CatalogStorage,
    CatalogStorageProps,
    Principal,
    UnityCatalog,
    UnityCatalogProps,
)
from mlops.infra.trust import federations
from mlops.spec.unity import CAPTURES, MONITORS, TAKES, WORKS


def add_unity_catalog(
    env: Environment, wanted: Wanted, made: Databricks, reachable: Sequence[pulumi.Resource]
) -> None:
    """Register the catalog of the environment, after what lets Databricks and Pulumi in."""
    files = CatalogStorage(
        "catalog-files",
        CatalogStorageProps(
            place=env.place,
            tenant_id=env.client.tenant_id,
            connector_id=made.connector.id,
            redundancy=env.config.storage.redundancy,
            private=env.private,
            encryption=env.encryption,
        ),
    )
    account = files.account.id
    env.scopes["catalog storage account"] = account
    env.watched["catalog-blobs"] = Watched(
        resource_id=pulumi.Output.concat(account, "/blobServices/default"), metrics="Transaction"
    )
    after = [*reachable, *env.allow("databricks", made.principal_id)]
    if env.network:
        after += env.network.reach_catalog(account, wanted.dfs_zone)
    settings = env.stack.settings.databricks
    catalog = UnityCatalog(
        "unity-catalog",
        UnityCatalogProps(
            place=env.place,
            workspace_id=made.workspace.id,
            workspace_number=made.workspace.workspace_id,
            host=made.host,
            connector_id=made.connector.id,
            url=files.url,
            catalog=settings.catalog(env.stack.name),
            schema=settings.schema_name,
            volume=settings.volume,
            principals=_principals(env, wanted),
            metastore=wanted.metastore,
            account=wanted.account,
            warehouse=wanted.warehouse,
            after=after,
        ),
    )
    if wanted.warehouse:
        env.databricks["warehouse"] = catalog.warehouse_id


def _principals(env: Environment, wanted: Wanted) -> dict[str, Principal]:
    """`promote` applies, `train` trains where versions are numbered and monitors, readers take versions."""
    settings = env.stack.settings
    captured = any(model.capture.enabled for model in settings.models.values())
    trains = env.stack.name == settings.databricks.train
    privileges = {
        "promote": {*WORKS, *(CAPTURES if captured else ())},
        "train": {*(WORKS if trains else ()), *(MONITORS if captured else ())},
    }
    trusted = federations(env.config)
    own = {
        duty: Principal(
            client_id=env.identities.by_duty[duty].client_id,
            privileges=sorted(wanted_here),
            federations=[f for f in trusted if f.duty == duty],
        )
        for duty, wanted_here in privileges.items()
        if wanted_here
    }
    readers = {f"reader-{r[:8]}": Principal(client_id=r, privileges=TAKES) for r in wanted.readers}
    return own | readers

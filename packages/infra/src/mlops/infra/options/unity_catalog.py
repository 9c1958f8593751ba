"""What Unity Catalog holds for an environment: storage, catalog, schema, volume, and who may use them.

Azure's resource manager knows none of these. Pulumi's provider for Databricks makes them; it logs in as
whoever runs Pulumi, to the workspace that the stack has just made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_databricks as databricks
from pulumi_azure_native import storage

from mlops.infra.components.base import Component, Place
from mlops.infra.components.encryption import Encryption
from mlops.infra.components.storage_account import AccountProps, LetIn, storage_account
from mlops.infra.trust import Federation

ACCOUNTS: Final = "https://accounts.azuredatabricks.net"
CONTAINER: Final = "catalog"
_IDLE_MINUTES: Final = 10


@dataclass(frozen=True, kw_only=True)
class CatalogStorageProps:
    place: Place
    tenant_id: pulumi.Input[str]
    connector_id: pulumi.Input[str]
    redundancy: str
    private: bool
    encryption: Encryption | None


class CatalogStorage(Component):
    """Attributes: `account` and `url`, the container that a catalog fills."""

    def __init__(
        self, name: str, props: CatalogStorageProps, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        place = props.place
        self.account = storage_account(
            self,
            "catalog-storage",
            AccountProps(
                place=place,
                account_name=place.names("unity_storage"),
                redundancy=props.redundancy,
                private=props.private,
                encryption=props.encryption,
                folders=True,
                let_in=LetIn(
                    resource_id=props.connector_id,
                    tenant_id=props.tenant_id,
                    why="Databricks checks a location from outside, by the connector that alone is let in",
                ),
            ),
        )
        container = storage.BlobContainer(
            "container-catalog",
            resource_group_name=place.resource_group,
            account_name=self.account.name,
            container_name=CONTAINER,
            public_access="None",
            opts=self.child(protect=place.protect),
        )
        self.url = pulumi.Output.concat(
            "abfss://", container.name, "@", self.account.name, ".dfs.core.windows.net/"
        )
        self.register_outputs({"account": self.account.id})


@dataclass(frozen=True, kw_only=True)
class Principal:
    """A service principal of Entra ID, and what it may do in the schema and in the catalog."""

    client_id: pulumi.Input[str]
    privileges: Sequence[str]
    federations: Sequence[Federation] = ()


@dataclass(frozen=True, kw_only=True)
class UnityCatalogProps:
    place: Place
    workspace_id: pulumi.Input[str]
    """In Azure."""
    workspace_number: pulumi.Input[str]
    """In Databricks."""
    host: pulumi.Input[str]
    connector_id: pulumi.Input[str]
    url: pulumi.Input[str]
    catalog: str
    schema: str
    volume: str
    principals: Mapping[str, Principal]
    metastore: str | None
    account: str | None
    warehouse: str | None
    after: Sequence[pulumi.Resource]
    """What lets the connector into the storage account, and whoever applies into the workspace."""


class UnityCatalog(Component):
    """Attribute `warehouse_id`: of the SQL warehouse, or an empty text without one."""

    def __init__(
        self, name: str, props: UnityCatalogProps, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self._props = props
        self._workspace = databricks.Provider(
            "databricks-workspace",
            host=props.host,
            azure_workspace_resource_id=props.workspace_id,
            opts=self.child(),
        )
        self._account = self._account_provider()
        ready = [*props.after, *self._assigned()]
        schema = self._catalog(ready)
        known = self._principals(schema)
        self.warehouse_id = self._warehouse(ready, known)
        self.register_outputs({"catalog": props.catalog})

    def _account_provider(self) -> databricks.Provider | None:
        if self._props.account is None:
            return None
        return databricks.Provider(
            "databricks-account", host=ACCOUNTS, account_id=self._props.account, opts=self.child()
        )

    def _in(
        self, *, after: Sequence[pulumi.Resource] = (), protect: bool | None = None
    ) -> pulumi.ResourceOptions:
        return self.child(after=after, protect=protect, provider=self._workspace)

    def _assigned(self) -> list[pulumi.Resource]:
        props = self._props
        if props.metastore is None:
            return []
        assignment = databricks.MetastoreAssignment(
            "metastore",
            metastore_id=props.metastore,
            workspace_id=props.workspace_number,
            opts=self.child(provider=self._account),
        )
        return [assignment]

    def _catalog(self, ready: Sequence[pulumi.Resource]) -> databricks.Schema:
        """Of a protected environment Databricks refuses to delete what holds something."""
        props, protect = self._props, self._props.place.protect
        name = props.place.names("databricks", props.catalog)
        credential = databricks.StorageCredential(
            "catalog-credential",
            name=name,
            azure_managed_identity=databricks.StorageCredentialAzureManagedIdentityArgs(
                access_connector_id=props.connector_id
            ),
            isolation_mode="ISOLATION_MODE_ISOLATED",
            opts=self._in(after=ready),
        )
        location = databricks.ExternalLocation(
            "catalog-location",
            name=name,
            url=props.url,
            credential_name=credential.name,
            isolation_mode="ISOLATION_MODE_ISOLATED",
            opts=self._in(),
        )
        catalog = databricks.Catalog(
            "catalog",
            name=props.catalog,
            storage_root=location.url,
            # MLflow copies a version from catalog to catalog in the workspace that trains.
            isolation_mode="OPEN",
            force_destroy=not protect,
            opts=self._in(protect=protect),
        )
        schema = databricks.Schema(
            "catalog-schema",
            catalog_name=catalog.name,
            name=props.schema,
            force_destroy=not protect,
            opts=self._in(protect=protect),
        )
        databricks.Volume(
            "catalog-volume",
            catalog_name=catalog.name,
            schema_name=schema.name,
            name=props.volume,
            volume_type="MANAGED",
            opts=self._in(protect=protect),
        )
        return schema

    def _principals(self, schema: databricks.Schema) -> list[databricks.ServicePrincipal]:
        made = []
        full = pulumi.Output.concat(schema.catalog_name, ".", schema.name)
        for label, principal in self._props.principals.items():
            known = databricks.ServicePrincipal(
                f"principal-{label}",
                application_id=principal.client_id,
                display_name=self._props.place.names("identity", label),
                workspace_access=True,
                opts=self._in(),
            )
            made.append(known)
            databricks.Grant(
                f"grant-catalog-{label}",
                catalog=schema.catalog_name,
                principal=known.application_id,
                privileges=["USE_CATALOG"],
                opts=self._in(),
            )
            databricks.Grant(
                f"grant-schema-{label}",
                schema=full,
                principal=known.application_id,
                privileges=sorted(principal.privileges),
                opts=self._in(),
            )
            if self._account:
                self._federate(label, known, principal.federations)
        return made

    def _federate(
        self, label: str, known: databricks.ServicePrincipal, trusted: Iterable[Federation]
    ) -> None:
        for federation in trusted:
            databricks.ServicePrincipalFederationPolicy(
                f"federation-{label}-{federation.name}",
                policy_id=federation.name,
                service_principal_id=known.id.apply(int),
                oidc_policy=databricks.ServicePrincipalFederationPolicyOidcPolicyArgs(
                    issuer=federation.issuer,
                    subject=federation.subject,
                    # What Databricks' SDK asks the workflow's forge for.
                    audiences=[pulumi.Output.concat(self._props.host, "/oidc/v1/token")],
                ),
                opts=self.child(provider=self._account),
            )

    def _warehouse(
        self, ready: Sequence[pulumi.Resource], users: Sequence[databricks.ServicePrincipal]
    ) -> pulumi.Input[str]:
        props = self._props
        if props.warehouse is None:
            return ""
        warehouse = databricks.SqlEndpoint(
            "warehouse",
            name=props.place.names("databricks", "sql"),
            cluster_size=props.warehouse,
            auto_stop_mins=_IDLE_MINUTES,
            max_num_clusters=1,
            enable_serverless_compute=True,
            warehouse_type="PRO",
            opts=self._in(after=ready),
        )
        databricks.Permissions(
            "warehouse-users",
            sql_endpoint_id=warehouse.id,
            access_controls=[
                databricks.PermissionsAccessControlArgs(
                    service_principal_name=user.application_id, permission_level="CAN_USE"
                )
                for user in users
            ],
            opts=self._in(),
        )
        made: pulumi.Output[str] = warehouse.id
        return made

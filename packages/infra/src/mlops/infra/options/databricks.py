"""Option `databricks`: a workspace without public node addresses and a connector that reads the data
container."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import databricks

from mlops.infra.components.base import Component, Place
from mlops.infra.suppress import skip


@dataclass(frozen=True, kw_only=True)
class Injection:
    """The network that the clusters are put into."""

    network_id: pulumi.Input[str]
    host_subnet: pulumi.Input[str]
    container_subnet: pulumi.Input[str]
    after: Sequence[pulumi.Resource]


@dataclass(frozen=True, kw_only=True)
class DatabricksProps:
    place: Place
    subscription_id: pulumi.Input[str]
    tier: str
    injection: Injection | None
    """None without private endpoints: Databricks makes a network of its own, and the front end is public."""


class Databricks(Component):
    """Attributes: `workspace`, its address `host`, `connector` and the connector's `principal_id`."""

    def __init__(self, name: str, props: DatabricksProps, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place, injection = props.place, props.injection
        connector = databricks.AccessConnector(
            "databricks-connector",
            resource_group_name=place.resource_group,
            connector_name=place.names("databricks", "connector"),
            location=place.location,
            identity=databricks.ManagedServiceIdentityArgs(type="SystemAssigned"),
            tags=place.tags,
            opts=self.child(),
        )
        self.connector = connector
        self.principal_id: pulumi.Output[str] = connector.identity.apply(
            lambda identity: identity.principal_id
        )
        managed = place.names("resource_group", "databricks")
        text = databricks.WorkspaceCustomStringParameterArgs
        self.workspace = databricks.Workspace(
            "databricks",
            resource_group_name=place.resource_group,
            workspace_name=place.names("databricks"),
            location=place.location,
            compute_mode="Hybrid",
            sku=databricks.SkuArgs(name=props.tier),
            # Databricks owns this group; it must not exist before.
            managed_resource_group_id=pulumi.Output.concat(
                "/subscriptions/", props.subscription_id, "/resourceGroups/", managed
            ),
            public_network_access="Disabled" if injection else "Enabled",
            required_nsg_rules="NoAzureDatabricksRules" if injection else "AllRules",
            default_storage_firewall="Enabled" if injection else None,
            access_connector=databricks.WorkspacePropertiesAccessConnectorArgs(
                id=connector.id, identity_type="SystemAssigned"
            ),
            parameters=databricks.WorkspaceCustomParametersArgs(
                enable_no_public_ip=databricks.WorkspaceNoPublicIPBooleanParameterArgs(value=True),
                require_infrastructure_encryption=databricks.WorkspaceCustomBooleanParameterArgs(value=True),
                custom_virtual_network_id=text(value=injection.network_id) if injection else None,
                custom_public_subnet_name=text(value=injection.host_subnet) if injection else None,
                custom_private_subnet_name=text(value=injection.container_subnet) if injection else None,
            ),
            tags=place.tags,
            opts=self.child(
                protect=place.protect,
                after=injection.after if injection else (),
                replace_on_changes=["parameters", "managedResourceGroupId"],
                custom_timeouts=pulumi.CustomTimeouts(create="60m", delete="60m"),
            ),
        )
        self.host = pulumi.Output.concat("https://", self.workspace.workspace_url)
        if not injection:
            skip(
                "databricks",
                "CKV_AZURE_158",
                "no private network in this environment; Entra ID guards the workspace",
            )
        self.register_outputs({"workspace": self.workspace.id})

"""The Azure ML workspace: managed network, identity-based datastores, no legacy mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import machinelearningservices as ml

from mlops.infra.components.base import Component, Place
from mlops.infra.components.encryption import Encryption
from mlops.infra.suppress import skip

ISOLATION = {
    "open": "Disabled",
    "internet_outbound": "AllowInternetOutbound",
    "approved_outbound": "AllowOnlyApprovedOutbound",
}


@dataclass(frozen=True)
class Reached:
    """A resource that the managed network reaches by a private endpoint: its id, and Azure's sub-resource."""

    resource_id: pulumi.Input[str]
    group: str


@dataclass(frozen=True, kw_only=True)
class WorkspaceProps:
    place: Place
    identity_id: pulumi.Input[str]
    storage_id: pulumi.Input[str]
    storage_name: pulumi.Input[str]
    vault_id: pulumi.Input[str]
    insights_id: pulumi.Input[str]
    images_id: pulumi.Input[str]
    containers: Mapping[str, pulumi.Input[str]]
    """Container name by datastore name."""
    isolation: str
    outbound: Mapping[str, pulumi.Input[str]]
    """Domain by the name of its rule."""
    reached: Mapping[str, Reached]
    """By the name of the rule."""
    private: bool
    image_builds: str | None
    """The cluster that builds images; it is made later, and Azure looks for it at the first build."""
    encryption: Encryption | None
    after: Sequence[pulumi.Resource]
    """Role assignments of the identity and private endpoints: the workspace checks them when it is made."""


class Workspace(Component):
    """Attributes: `workspace`, `rules` (outbound, in order), `datastores` by name."""

    def __init__(self, name: str, props: WorkspaceProps, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place, encryption = props.place, props.encryption
        identities = [props.identity_id, *([encryption.identity_id] if encryption else [])]
        managed = props.isolation != "open"
        self.workspace = ml.Workspace(
            "workspace",
            resource_group_name=place.resource_group,
            workspace_name=place.names("ml_workspace"),
            location=place.location,
            kind="Default",
            sku=ml.SkuArgs(name="Basic", tier="Basic"),
            friendly_name=f"{place.names.project} {place.environment}",
            storage_account=props.storage_id,
            key_vault=props.vault_id,
            application_insights=props.insights_id,
            container_registry=props.images_id,
            identity=ml.ManagedServiceIdentityArgs(type="UserAssigned", user_assigned_identities=identities),
            primary_user_assigned_identity=props.identity_id,
            system_datastores_auth_mode="Identity",
            image_build_compute=props.image_builds,
            public_network_access="Disabled" if props.private else "Enabled",
            managed_network=ml.ManagedNetworkSettingsArgs(isolation_mode=ISOLATION[props.isolation]),
            # Otherwise the first job waits half an hour for it.
            provision_network_now=managed,
            v1_legacy_mode=False,
            hbi_workspace=encryption is not None,
            encryption=ml.EncryptionPropertyArgs(
                status="Enabled",
                identity=ml.IdentityForCmkArgs(user_assigned_identity=encryption.identity_id),
                key_vault_properties=ml.KeyVaultPropertiesArgs(
                    key_vault_arm_id=encryption.vault_id, key_identifier=encryption.key_uri
                ),
            )
            if encryption
            else None,
            tags=place.tags,
            opts=self.child(
                protect=place.protect,
                waits=True,
                after=[*props.after, *(encryption.ready if encryption else ())],
                # Azure sets it once and refuses a change; a new workspace is a decision, not a diff.
                replace_on_changes=["hbiWorkspace"],
                # Rules are resources of their own; Azure lists them here as well, with a state and its own
                # ones.
                ignore_changes=["managedNetwork.outboundRules", "managedNetwork.status"] if managed else None,
                custom_timeouts=pulumi.CustomTimeouts(create="90m", update="90m", delete="60m"),
            ),
        )
        if not props.private:
            reason = (
                "no private network in this environment; Entra ID and role assignments guard the workspace"
            )
            skip("workspace", "CKV2_AZURE_49", reason)
        # The check wants an outbound rule of type PrivateEndpoint, which says nothing about who reaches in.
        reason = "the check reads outbound rules; private endpoints of the workspace are resources beside it"
        skip("workspace", "CKV_AZURE_243", reason)
        self.rules = self._outbound_rules(props)
        self.datastores = {
            datastore: ml.Datastore(
                f"datastore-{datastore}",
                resource_group_name=place.resource_group,
                workspace_name=self.workspace.name,
                name=datastore,
                properties=ml.AzureBlobDatastoreArgs(
                    datastore_type="AzureBlob",
                    account_name=props.storage_name,
                    container_name=container,
                    endpoint="core.windows.net",
                    protocol="https",
                    credentials=ml.NoneDatastoreCredentialsArgs(credentials_type="None"),
                    service_data_access_auth_identity="WorkspaceUserAssignedIdentity",
                ),
                opts=self.child(),
            )
            for datastore, container in props.containers.items()
        }
        self.register_outputs({"workspace": self.workspace.id})

    def _outbound_rules(self, props: WorkspaceProps) -> list[pulumi.Resource]:
        """One after another: the workspace refuses concurrent changes of its network."""
        rules: list[pulumi.Resource] = []
        ways: dict[str, ml.FqdnOutboundRuleArgs | ml.PrivateEndpointOutboundRuleArgs] = {
            label: ml.FqdnOutboundRuleArgs(type="FQDN", category="UserDefined", destination=domain)
            for label, domain in props.outbound.items()
        }
        for label, reached in props.reached.items():
            ways[label] = ml.PrivateEndpointOutboundRuleArgs(
                type="PrivateEndpoint",
                category="UserDefined",
                destination=ml.PrivateEndpointDestinationArgs(
                    service_resource_id=reached.resource_id,
                    subresource_target=reached.group,
                    spark_enabled=False,
                ),
            )
        for label, way in ways.items():
            rules.append(
                ml.ManagedNetworkSettingsRule(
                    f"outbound-{label}",
                    resource_group_name=props.place.resource_group,
                    workspace_name=self.workspace.name,
                    rule_name=label,
                    properties=way,
                    opts=self.child(
                        after=rules[-1:], custom_timeouts=pulumi.CustomTimeouts(create="30m", delete="30m")
                    ),
                )
            )
        return rules

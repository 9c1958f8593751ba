"""Container registry for the images of training and serving."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import containerregistry

from mlops.infra.components.base import Component, Place
from mlops.infra.components.encryption import Encryption
from mlops.infra.suppress import skip


@dataclass(frozen=True, kw_only=True)
class ContainerRegistryProps:
    place: Place
    private: bool
    encryption: Encryption | None


class ContainerRegistry(Component):
    """Attribute `registry`. Private access and customer-managed keys need the Premium tier."""

    def __init__(
        self, name: str, props: ContainerRegistryProps, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        place, encryption = props.place, props.encryption
        premium = props.private or encryption is not None
        self.registry = containerregistry.Registry(
            "images",
            resource_group_name=place.resource_group,
            registry_name=place.names("container_registry"),
            location=place.location,
            sku=containerregistry.SkuArgs(name="Premium" if premium else "Standard"),
            admin_user_enabled=False,
            anonymous_pull_enabled=False,
            data_endpoint_enabled=premium,
            public_network_access="Disabled" if props.private else "Enabled",
            network_rule_bypass_options="AzureServices",
            identity=containerregistry.IdentityPropertiesArgs(
                type="UserAssigned",
                # This type alone wants a map, and a key of a map must be known: the whole map is the output.
                user_assigned_identities=pulumi.Output.from_input(encryption.identity_id).apply(
                    lambda identity: {identity: containerregistry.UserIdentityPropertiesArgs()}
                ),
            )
            if encryption
            else None,
            encryption=containerregistry.EncryptionPropertyArgs(
                status="enabled",
                key_vault_properties=containerregistry.KeyVaultPropertiesArgs(
                    identity=encryption.client_id, key_identifier=encryption.key_uri
                ),
            )
            if encryption
            else None,
            tags=place.tags,
            opts=self.child(after=encryption.ready if encryption else (), waits=encryption is not None),
        )
        skip(
            "images",
            "CKV_AZURE_166",
            "quarantine needs a scanner that releases images; ours are pinned by digest",
        )
        skip("images", "CKV_AZURE_233", "images can be built again from their commit in another zone")
        if not props.private:
            skip("images", "CKV_AZURE_139", "no private network in this environment; the admin user is off")
        self.register_outputs({"registry": self.registry.id})

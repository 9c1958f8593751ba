"""Key vault with role-based access, and the customer-managed key where a stack wants one."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import keyvault

from mlops.infra.components.base import Component, Place
from mlops.infra.suppress import skip


@dataclass(frozen=True, kw_only=True)
class VaultProps:
    place: Place
    tenant_id: pulumi.Input[str]
    private: bool
    customer_managed_key: bool


class Vault(Component):
    """Attributes: `vault`, `key` (None without customer-managed keys)."""

    def __init__(self, name: str, props: VaultProps, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place = props.place
        keep = place.protect or props.customer_managed_key
        self.vault = keyvault.Vault(
            "vault",
            resource_group_name=place.resource_group,
            vault_name=place.names("key_vault"),
            location=place.location,
            tags=place.tags,
            properties=keyvault.VaultPropertiesArgs(
                tenant_id=props.tenant_id,
                sku=keyvault.SkuArgs(family="A", name="standard"),
                enable_rbac_authorization=True,
                enable_soft_delete=True,
                soft_delete_retention_in_days=90 if keep else 7,
                # Azure refuses `false` once it was `true`, and a customer-managed key needs `true`: leave it
                # out.
                enable_purge_protection=True if keep else None,
                public_network_access="Disabled" if props.private else "Enabled",
                network_acls=keyvault.NetworkRuleSetArgs(
                    bypass="AzureServices", default_action="Deny" if props.private else "Allow"
                ),
            ),
            # Azure keeps the days of the creation and refuses others: taking `protect` away would fail.
            opts=self.child(protect=place.protect, ignore_changes=["properties.softDeleteRetentionInDays"]),
        )
        if not keep:
            reason = "a vault that is destroyed with its environment must be purged, or its name stays taken"
            skip("vault", "CKV_AZURE_42", reason)
            skip("vault", "CKV_AZURE_110", reason)
        if not props.private:
            reason = "no private network in this environment; Entra ID and role assignments guard the vault"
            skip("vault", "CKV_AZURE_109", reason)
            skip("vault", "CKV_AZURE_189", reason)
        self.key: keyvault.Key | None = None
        if props.customer_managed_key:
            self.key = keyvault.Key(
                "key",
                resource_group_name=place.resource_group,
                vault_name=self.vault.name,
                key_name="data",
                properties=keyvault.KeyPropertiesArgs(
                    kty="RSA", key_size=3072, key_ops=["wrapKey", "unwrapKey"]
                ),
                # The provider deletes a key at the vault itself, where neither `apply` nor a person has a
                # right. The key goes with its vault.
                opts=self.child(protect=place.protect, keep=True),
            )
            skip(
                "key",
                "CKV_AZURE_112",
                "hardware protection costs the premium tier and is no requirement here",
            )
            skip("key", "CKV_AZURE_40", "an expired key would lock storage, registry and workspace at once")
        self.register_outputs({"vault": self.vault.id})

"""A storage account without keys: the workspace's own, and what Unity Catalog keeps its files in."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import storage

from mlops.infra.components.base import Component, Place
from mlops.infra.components.encryption import Encryption
from mlops.infra.suppress import skip


@dataclass(frozen=True, kw_only=True)
class LetIn:
    """One resource of Azure that an account lets in besides its private endpoints, by its id and tenant, and
    the reason as a sentence."""

    resource_id: pulumi.Input[str]
    tenant_id: pulumi.Input[str]
    why: str


@dataclass(frozen=True, kw_only=True)
class AccountProps:
    place: Place
    account_name: str
    redundancy: str
    private: bool
    encryption: Encryption | None
    folders: bool = False
    """Whether it has real folders (hierarchical namespace). Azure can't change it; the workspace's own
    account must have none, and Unity Catalog needs them."""
    let_in: LetIn | None = None
    """Who gets past the firewall of a private account; None for nobody."""


def storage_account(parent: Component, name: str, props: AccountProps) -> storage.StorageAccount:
    """Register the account as a child of `parent`; its logical name is `name`."""
    place, encryption = props.place, props.encryption
    let_in = props.let_in if props.private else None
    account = storage.StorageAccount(
        name,
        resource_group_name=place.resource_group,
        account_name=props.account_name,
        location=place.location,
        kind="StorageV2",
        sku=storage.SkuArgs(name=f"Standard_{props.redundancy}"),
        access_tier="Hot",
        is_hns_enabled=props.folders or None,
        allow_shared_key_access=False,
        allow_blob_public_access=False,
        allow_cross_tenant_replication=False,
        default_to_o_auth_authentication=True,
        is_local_user_enabled=False,
        minimum_tls_version="TLS1_2",
        enable_https_traffic_only=True,
        # A firewall that lets a resource in is one: with `Disabled` Azure reads no rule of it.
        public_network_access="Enabled" if let_in or not props.private else "Disabled",
        network_rule_set=storage.NetworkRuleSetArgs(
            default_action="Deny" if props.private else "Allow",
            bypass="AzureServices",
            resource_access_rules=[
                storage.ResourceAccessRuleArgs(resource_id=let_in.resource_id, tenant_id=let_in.tenant_id)
            ]
            if let_in
            else None,
        ),
        identity=storage.IdentityArgs(type="UserAssigned", user_assigned_identities=[encryption.identity_id])
        if encryption
        else None,
        encryption=storage.EncryptionArgs(
            key_source="Microsoft.Keyvault",
            encryption_identity=storage.EncryptionIdentityArgs(
                encryption_user_assigned_identity=encryption.identity_id
            ),
            key_vault_properties=storage.KeyVaultPropertiesArgs(
                key_name=encryption.key_name, key_vault_uri=encryption.vault_uri
            ),
            require_infrastructure_encryption=True,
        )
        if encryption
        else storage.EncryptionArgs(key_source="Microsoft.Storage", require_infrastructure_encryption=True),
        tags=place.tags,
        opts=parent.child(
            protect=place.protect,
            after=encryption.ready if encryption else (),
            waits=encryption is not None,
        ),
    )
    _accept(name, props)
    return account


def _accept(name: str, props: AccountProps) -> None:
    if not props.private:
        reason = "no private network in this environment; keys are off, Entra ID and roles guard the data"
        skip(name, "CKV_AZURE_35", reason)
        skip(name, "CKV_AZURE_59", reason)
    elif props.let_in:
        skip(name, "CKV_AZURE_59", props.let_in.why)
    if props.redundancy in {"LRS", "ZRS"}:
        reason = "data of this environment can be loaded again; one region is enough"
        skip(name, "CKV_AZURE_206", reason)

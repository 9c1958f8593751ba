"""The storage account of the workspace: no keys, no public blobs, versions kept, a life cycle for what
piles up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_azure_native import storage

from mlops.infra.components.base import Component, Place
from mlops.infra.components.encryption import Encryption
from mlops.infra.naming import JOURNAL
from mlops.infra.suppress import skip

CONTAINERS = {
    "data": "what training reads: raw and prepared data sets",
    "artifacts": "what runs write: models, reports",
    "captured": "inputs and predictions that endpoints and batch jobs captured",
}
_SHOWN = ["defaultEncryptionScope", "denyEncryptionScopeOverride"]
"""Azure fills these in; a container that is taken into the stack shows them."""
UNDELIVERED = "undelivered-events"
"""And `JOURNAL`, which no datastore of the workspace shows."""


@dataclass(frozen=True)
class Shared:
    """A model registry to which the workspace shares its models, and its tenant.

    Azure copies them itself, and cannot from an account without any public side: that one resource is let in
    there (learn.microsoft.com, Network isolation with Azure Machine Learning registries)."""

    registry_id: pulumi.Input[str]
    tenant_id: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class StorageProps:
    place: Place
    redundancy: str
    deleted_days: int
    captured_days: int
    versions_days: int
    queues: Sequence[str]
    private: bool
    encryption: Encryption | None
    read_by: Shared | None = None
    """Who may copy models from a private account; None for nobody."""
    adopted: Mapping[str, str] = field(default_factory=dict)
    """Ids of containers that are there already, by name: they are taken into the stack."""


class Storage(Component):
    """Attributes: `account`, `containers` by name, `queues` by name."""

    def __init__(self, name: str, props: StorageProps, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place, encryption = props.place, props.encryption
        let_in = props.read_by if props.private else None
        self.account = storage.StorageAccount(
            "storage",
            resource_group_name=place.resource_group,
            account_name=place.names("storage_account"),
            location=place.location,
            kind="StorageV2",
            sku=storage.SkuArgs(name=f"Standard_{props.redundancy}"),
            access_tier="Hot",
            allow_shared_key_access=False,
            allow_blob_public_access=False,
            allow_cross_tenant_replication=False,
            default_to_o_auth_authentication=True,
            is_local_user_enabled=False,
            minimum_tls_version="TLS1_2",
            enable_https_traffic_only=True,
            public_network_access="Enabled" if let_in or not props.private else "Disabled",
            network_rule_set=storage.NetworkRuleSetArgs(
                default_action="Deny" if props.private else "Allow",
                bypass="AzureServices",
                resource_access_rules=[
                    storage.ResourceAccessRuleArgs(resource_id=let_in.registry_id, tenant_id=let_in.tenant_id)
                ]
                if let_in
                else None,
            ),
            identity=storage.IdentityArgs(
                type="UserAssigned", user_assigned_identities=[encryption.identity_id]
            )
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
            else storage.EncryptionArgs(
                key_source="Microsoft.Storage", require_infrastructure_encryption=True
            ),
            tags=place.tags,
            opts=self.child(
                protect=place.protect,
                after=encryption.ready if encryption else (),
                waits=encryption is not None,
            ),
        )
        self._accept(props)
        blobs = storage.BlobServiceProperties(
            "blobs",
            resource_group_name=place.resource_group,
            account_name=self.account.name,
            blob_services_name="default",
            is_versioning_enabled=True,
            delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=props.deleted_days),
            container_delete_retention_policy=storage.DeleteRetentionPolicyArgs(
                enabled=True, days=props.deleted_days
            ),
            opts=self.child(),
        )
        self.containers = {
            container: storage.BlobContainer(
                f"container-{container}",
                resource_group_name=place.resource_group,
                account_name=self.account.name,
                container_name=container,
                public_access="None",
                opts=self.child(
                    after=[blobs],
                    protect=place.protect,
                    import_=props.adopted.get(container),
                    ignore_changes=_SHOWN if container == JOURNAL else None,
                ),
            )
            for container in (*CONTAINERS, JOURNAL, *([UNDELIVERED] if props.queues else []))
        }
        self.queues = {
            queue: storage.Queue(
                f"queue-{queue}",
                resource_group_name=place.resource_group,
                account_name=self.account.name,
                queue_name=queue,
                opts=self.child(),
            )
            for queue in props.queues
        }
        storage.ManagementPolicy(
            "lifecycle",
            resource_group_name=place.resource_group,
            account_name=self.account.name,
            management_policy_name="default",
            policy=storage.ManagementPolicySchemaArgs(
                rules=[_captured(props.captured_days), _old_versions(props.versions_days)]
            ),
            opts=self.child(after=[blobs]),
        )
        self.register_outputs({"account": self.account.id})

    def _accept(self, props: StorageProps) -> None:
        if not props.private:
            reason = "no private network in this environment; keys are off, Entra ID and roles guard the data"
            skip("storage", "CKV_AZURE_35", reason)
            skip("storage", "CKV_AZURE_59", reason)
        elif props.read_by:
            reason = "models are shared to the registry, which alone is let in beside the private endpoints"
            skip("storage", "CKV_AZURE_59", reason)
        if props.redundancy in {"LRS", "ZRS"}:
            reason = "data of this environment can be loaded again; one region is enough"
            skip("storage", "CKV_AZURE_206", reason)


def _captured(days: int) -> storage.ManagementPolicyRuleArgs:
    return storage.ManagementPolicyRuleArgs(
        name="captured",
        type="Lifecycle",
        enabled=True,
        definition=storage.ManagementPolicyDefinitionArgs(
            filters=storage.ManagementPolicyFilterArgs(blob_types=["blockBlob"], prefix_match=["captured/"]),
            actions=storage.ManagementPolicyActionArgs(
                base_blob=storage.ManagementPolicyBaseBlobArgs(
                    tier_to_cool=storage.DateAfterModificationArgs(
                        days_after_modification_greater_than=days // 3
                    ),
                    delete=storage.DateAfterModificationArgs(days_after_modification_greater_than=days),
                )
            ),
        ),
    )


def _old_versions(days: int) -> storage.ManagementPolicyRuleArgs:
    return storage.ManagementPolicyRuleArgs(
        name="old-versions",
        type="Lifecycle",
        enabled=True,
        definition=storage.ManagementPolicyDefinitionArgs(
            filters=storage.ManagementPolicyFilterArgs(blob_types=["blockBlob"]),
            actions=storage.ManagementPolicyActionArgs(
                version=storage.ManagementPolicyVersionArgs(
                    delete=storage.DateAfterCreationArgs(days_after_creation_greater_than=days)
                )
            ),
        ),
    )

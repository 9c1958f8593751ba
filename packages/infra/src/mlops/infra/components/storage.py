"""The storage account of the workspace: no keys, no public blobs, versions kept, a life cycle for what
piles up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_azure_native import storage

from mlops.infra.components.base import Component, Place
from mlops.infra.components.encryption import Encryption
from mlops.infra.components.storage_account import AccountProps, LetIn, storage_account
from mlops.infra.naming import JOURNAL

CONTAINERS = {
    "data": "what training reads: raw and prepared data sets",
    "artifacts": "what runs write: models, reports",
    "captured": "inputs and predictions that endpoints and batch jobs captured",
}
_SHOWN = ["defaultEncryptionScope", "denyEncryptionScopeOverride"]
"""Azure fills these in; a container that is taken into the stack shows them."""
UNDELIVERED = "undelivered-events"
"""And `JOURNAL`, which no datastore of the workspace shows."""


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
    read_by: LetIn | None = None
    """Who may copy models from a private account; None for nobody."""
    adopted: Mapping[str, str] = field(default_factory=dict)
    """Ids of containers that are there already, by name: they are taken into the stack."""


class Storage(Component):
    """Attributes: `account`, `containers` by name, `queues` by name."""

    def __init__(self, name: str, props: StorageProps, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place = props.place
        self.account = storage_account(
            self,
            "storage",
            AccountProps(
                place=place,
                account_name=place.names("storage_account"),
                redundancy=props.redundancy,
                private=props.private,
                encryption=props.encryption,
                let_in=props.read_by,
            ),
        )
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

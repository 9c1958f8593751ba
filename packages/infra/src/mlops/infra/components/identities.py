"""One user-assigned identity a duty, and the trust that lets workflows take on some of them without a
secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import managedidentity

from mlops.infra.components.base import Component, Place
from mlops.infra.trust import AUDIENCE, Federation


@dataclass(frozen=True, kw_only=True)
class IdentitiesProps:
    place: Place
    group: pulumi.Resource
    """Its deletion takes `apply` along, which deletes the environment."""
    duties: Sequence[str]
    federations: Sequence[Federation]


class Identities(Component):
    """Attribute `by_duty`: the identities."""

    def __init__(self, name: str, props: IdentitiesProps, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place = props.place
        self.by_duty = {
            duty: managedidentity.UserAssignedIdentity(
                f"identity-{duty}",
                resource_group_name=place.resource_group,
                resource_name_=place.names("identity", duty),
                location=place.location,
                tags=place.tags,
                opts=self.child(deleted_with=props.group if duty == "apply" else None),
            )
            for duty in props.duties
        }
        # Azure refuses concurrent writes of federated credentials under one identity: one after another.
        last: dict[str, pulumi.Resource] = {}
        for federation in props.federations:
            before = last.get(federation.duty)
            last[federation.duty] = managedidentity.FederatedIdentityCredential(
                f"trust-{federation.duty}-{federation.name}",
                resource_group_name=place.resource_group,
                resource_name_=self.by_duty[federation.duty].name,
                federated_identity_credential_resource_name=federation.name,
                issuer=federation.issuer,
                subject=federation.subject,
                audiences=[AUDIENCE],
                opts=self.child(
                    after=[before] if before else [],
                    deleted_with=props.group if federation.duty == "apply" else None,
                ),
            )
        self.register_outputs({duty: identity.client_id for duty, identity in self.by_duty.items()})

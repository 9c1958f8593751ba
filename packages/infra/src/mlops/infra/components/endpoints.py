"""Online and batch endpoint a model. What is deployed behind them belongs to `mlops apply`, not to Pulumi."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import machinelearningservices as ml

from mlops.infra.components.base import Component, Place

AUTH = {"entra": "AADToken", "key": "Key"}


@dataclass(frozen=True, kw_only=True)
class EndpointProps:
    online: bool
    batch: bool
    auth: str


@dataclass(frozen=True, kw_only=True)
class EndpointsProps:
    place: Place
    workspace: pulumi.Input[str]
    identity_id: pulumi.Input[str]
    models: Mapping[str, EndpointProps]
    private: bool
    after: Sequence[pulumi.Resource]


class Endpoints(Component):
    """Attributes: `online`, `batch`, by model."""

    def __init__(self, name: str, props: EndpointsProps, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place = props.place
        self.online = {
            model: ml.OnlineEndpoint(
                f"online-{model}",
                resource_group_name=place.resource_group,
                workspace_name=props.workspace,
                endpoint_name=place.names.endpoint("online_endpoint", model),
                location=place.location,
                kind="Managed",
                identity=ml.ManagedServiceIdentityArgs(
                    type="UserAssigned", user_assigned_identities=[props.identity_id]
                ),
                properties=ml.OnlineEndpointPropertiesArgs(
                    auth_mode=AUTH[settings.auth],
                    public_network_access="Disabled" if props.private else "Enabled",
                    description=f"{model}; deployments and traffic belong to `mlops apply`",
                ),
                tags={**place.tags, "model": model},
                opts=self.child(
                    after=props.after,
                    protect=place.protect,
                    ignore_changes=["properties.traffic", "properties.mirrorTraffic"],
                    replace_on_changes=["identity", "properties.authMode"],
                    delete_before_replace=True,
                ),
            )
            for model, settings in props.models.items()
            if settings.online
        }
        self.batch = {
            model: ml.BatchEndpoint(
                f"batch-{model}",
                resource_group_name=place.resource_group,
                workspace_name=props.workspace,
                endpoint_name=place.names.endpoint("batch_endpoint", model),
                location=place.location,
                properties=ml.BatchEndpointPropertiesArgs(
                    auth_mode="AADToken", description=f"{model}; deployments belong to `mlops apply`"
                ),
                tags={**place.tags, "model": model},
                opts=self.child(after=props.after, ignore_changes=["properties.defaults"]),
            )
            for model, settings in props.models.items()
            if settings.batch
        }
        self.register_outputs(
            {
                "online": {m: e.name for m, e in self.online.items()},
                "batch": {m: e.name for m, e in self.batch.items()},
            }
        )

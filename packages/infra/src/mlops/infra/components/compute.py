"""Compute clusters of the workspace: nothing runs, nothing is paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import machinelearningservices as ml

from mlops.infra.components.base import Component, Place

# Azure's own word is still the old one.
PRIORITY = {"dedicated": "Dedicated", "spot": "LowPriority", "low_priority": "LowPriority"}


@dataclass(frozen=True, kw_only=True)
class ClusterProps:
    vm_size: str
    min_nodes: int
    max_nodes: int
    priority: str
    idle_minutes: int


@dataclass(frozen=True, kw_only=True)
class ComputeProps:
    place: Place
    workspace: pulumi.Input[str]
    identity_id: pulumi.Input[str]
    clusters: Mapping[str, ClusterProps]
    public_ip: bool
    """Nodes without a managed network need one to reach the service; with one they must have none."""
    after: Sequence[pulumi.Resource]


class Compute(Component):
    """Attribute `clusters` by name; a cluster is called in Azure what it is called in the stack file."""

    def __init__(self, name: str, props: ComputeProps, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place = props.place
        self.clusters = {
            key: ml.Compute(
                f"compute-{key}",
                resource_group_name=place.resource_group,
                workspace_name=props.workspace,
                compute_name=key,
                location=place.location,
                identity=ml.ManagedServiceIdentityArgs(
                    type="UserAssigned", user_assigned_identities=[props.identity_id]
                ),
                properties=ml.AmlComputeArgs(
                    compute_type="AmlCompute",
                    compute_location=place.location,
                    disable_local_auth=True,
                    properties=ml.AmlComputePropertiesArgs(
                        vm_size=cluster.vm_size,
                        vm_priority=PRIORITY[cluster.priority],
                        os_type="Linux",
                        enable_node_public_ip=props.public_ip,
                        remote_login_port_public_access="Disabled",
                        scale_settings=ml.ScaleSettingsArgs(
                            min_node_count=cluster.min_nodes,
                            max_node_count=cluster.max_nodes,
                            node_idle_time_before_scale_down=f"PT{cluster.idle_minutes}M",
                        ),
                    ),
                ),
                tags=place.tags,
                opts=self.child(
                    after=props.after,
                    # Azure accepts a change of these and ignores it; the name is taken until the old one is
                    # gone.
                    replace_on_changes=[
                        "identity",
                        "properties.properties.vmSize",
                        "properties.properties.vmPriority",
                        "properties.properties.enableNodePublicIp",
                    ],
                    delete_before_replace=True,
                    custom_timeouts=pulumi.CustomTimeouts(create="30m", delete="30m"),
                ),
            )
            for key, cluster in props.clusters.items()
        }
        self.register_outputs({key: cluster.name for key, cluster in self.clusters.items()})

"""Option `container_instance`: one container that serves a model without an endpoint, for development."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import containerinstance

from mlops.infra.components.base import Component, Place
from mlops.infra.suppress import skip


@dataclass(frozen=True, kw_only=True)
class ContainerInstanceProps:
    place: Place
    identity_id: pulumi.Input[str]
    login_server: pulumi.Input[str]
    image: str
    """Repository and digest in that registry."""
    cpu: float
    memory_gb: float
    port: int
    subnet_id: pulumi.Input[str] | None
    """None: the container has a public address."""
    after: Sequence[pulumi.Resource]


class ContainerInstance(Component):
    """Attribute `container`."""

    def __init__(
        self, name: str, props: ContainerInstanceProps, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        place = props.place
        subnet = containerinstance.ContainerGroupSubnetIdArgs
        alive = containerinstance.ContainerHttpGetArgs(path="/", port=props.port, scheme="http")
        self.container = containerinstance.ContainerGroup(
            "container",
            resource_group_name=place.resource_group,
            container_group_name=place.names("container_group"),
            location=place.location,
            os_type="Linux",
            sku="Standard",
            restart_policy="OnFailure",
            identity=containerinstance.ContainerGroupIdentityArgs(
                type="UserAssigned", user_assigned_identities=[props.identity_id]
            ),
            image_registry_credentials=[
                containerinstance.ImageRegistryCredentialArgs(
                    server=props.login_server, identity=props.identity_id
                )
            ],
            ip_address=containerinstance.IpAddressArgs(
                type="Private" if props.subnet_id is not None else "Public",
                ports=[containerinstance.PortArgs(port=props.port, protocol="TCP")],
            ),
            subnet_ids=[subnet(id=props.subnet_id)] if props.subnet_id is not None else None,
            containers=[
                containerinstance.ContainerArgs(
                    name="score",
                    image=pulumi.Output.concat(props.login_server, "/", props.image),
                    ports=[containerinstance.ContainerPortArgs(port=props.port, protocol="TCP")],
                    resources=containerinstance.ResourceRequirementsArgs(
                        requests=containerinstance.ResourceRequestsArgs(
                            cpu=props.cpu, memory_in_gb=props.memory_gb
                        )
                    ),
                    liveness_probe=containerinstance.ContainerProbeArgs(
                        http_get=alive, initial_delay_seconds=30, period_seconds=15
                    ),
                )
            ],
            tags=place.tags,
            opts=self.child(
                after=props.after,
                delete_before_replace=True,
                # Refused in place (learn.microsoft.com, Update containers in Azure Container Instances).
                replace_on_changes=[
                    "osType",
                    "restartPolicy",
                    "ipAddress",
                    "subnetIds",
                    "containers[*].resources",
                ],
            ),
        )
        if props.subnet_id is None:
            skip(
                "container",
                "CKV_AZURE_245",
                "development serving without a private network; it holds no data",
            )
        self.register_outputs({"container": self.container.id})

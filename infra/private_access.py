"""Private endpoints of one environment; the type modules of the network are loaded only where it has some."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi

from infra.components.base import Place
from infra.config import Network as NetworkConfig

if TYPE_CHECKING:
    from infra.components.network import Network, Target


def open_private_access(place: Place, config: NetworkConfig) -> PrivateAccess | None:
    """The environment's virtual network, or None when the stack does not ask for private endpoints."""
    if not config.private_endpoints:
        return None
    from infra.components.network import Network, NetworkProps

    network = Network(
        "network",
        NetworkProps(
            place=place,
            address_space=config.address_space,
            create_zones=config.dns == "create",
            zone_ids={str(zone): resource_id for zone, resource_id in config.dns_zones.items()},
        ),
    )
    return PrivateAccess(place, network)


class PrivateAccess:
    """Makes private endpoints in the network; each method returns what must exist before clients connect."""

    def __init__(self, place: Place, network: Network) -> None:
        self._place, self._network = place, network
        self.security_group_id: pulumi.Output[str] = network.security_group.id
        self.workloads_subnet_id: pulumi.Output[str] = network.workloads_subnet.id

    def reach_data(
        self,
        *,
        storage_id: pulumi.Input[str],
        vault_id: pulumi.Input[str],
        images_id: pulumi.Input[str],
    ) -> list[pulumi.Resource]:
        from infra.components.network import Target

        storage = {g: Target(resource_id=storage_id, group=g, zones=[g]) for g in ("blob", "file", "queue")}
        vault = Target(resource_id=vault_id, group="vault", zones=["vault"])
        images = Target(resource_id=images_id, group="registry", zones=["registry"])
        return self._endpoints("private-endpoints", {**storage, "vault": vault, "images": images})

    def reach_workspace(self, workspace_id: pulumi.Input[str]) -> list[pulumi.Resource]:
        from infra.components.network import Target

        target = Target(resource_id=workspace_id, group="amlworkspace", zones=["workspace", "notebooks"])
        return self._endpoints("private-endpoint-workspace", {"workspace": target})

    def _endpoints(self, name: str, targets: dict[str, Target]) -> list[pulumi.Resource]:
        from infra.components.network import PrivateEndpoints, PrivateEndpointsProps

        props = PrivateEndpointsProps(
            place=self._place,
            # After the last subnet: Azure takes one change of a network at a time.
            subnet_id=self._network.endpoints_subnet.id,
            zones=self._network.zones,
            targets=targets,
        )
        return PrivateEndpoints(name, props, pulumi.ResourceOptions(depends_on=[self._network])).ready

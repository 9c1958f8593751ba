"""Private endpoints of one environment; the type modules of the network are loaded only where it has some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pulumi

from mlops.infra.components.base import Place
from mlops.infra.config import Network as NetworkConfig

if TYPE_CHECKING:
    from pulumi_azure_native.network import Subnet

    from mlops.infra.components.network import Network, Target


def open_private_access(place: Place, config: NetworkConfig, *, databricks: bool) -> PrivateAccess | None:
    """The environment's virtual network, or None when the stack does not ask for private endpoints."""
    if not config.private_endpoints:
        return None
    from mlops.infra.components.network import Network, NetworkProps
    from mlops.infra.limits import ZONES

    wanted = [zone for zone in ZONES if databricks or zone != "databricks"]

    network = Network(
        "network",
        NetworkProps(
            place=place,
            address_space=config.address_space,
            create_zones=wanted if config.dns == "create" else (),
            zone_ids={str(zone): resource_id for zone, resource_id in config.dns_zones.items()},
        ),
    )
    return PrivateAccess(place, network, config)


class PrivateAccess:
    """Makes private endpoints and subnets in the network; methods return what must exist before clients
    connect."""

    def __init__(self, place: Place, network: Network, config: NetworkConfig) -> None:
        self._place, self._network, self._config = place, network, config
        self.security_group = network.security_group
        self.workloads_subnet = network.workloads_subnet
        self.network_id: pulumi.Output[str] = network.network.id
        self._last: list[pulumi.Resource] = [network.workloads_subnet]
        """The network takes one change at a time: subnets and private endpoints, one after another."""

    def reach_data(
        self,
        *,
        storage_id: pulumi.Input[str],
        vault_id: pulumi.Input[str],
        images_id: pulumi.Input[str],
        after: Sequence[pulumi.Resource],
    ) -> list[pulumi.Resource]:
        """Private endpoints of storage, vault and container registry, after what else changes them."""
        from mlops.infra.components.network import Target

        storage = {g: Target(resource_id=storage_id, group=g, zones=[g]) for g in ("blob", "file", "queue")}
        vault = Target(resource_id=vault_id, group="vault", zones=["vault"])
        images = Target(resource_id=images_id, group="registry", zones=["registry"])
        return self._endpoints(
            "private-endpoints", {**storage, "vault": vault, "images": images}, after=after
        )

    def reach_workspace(
        self, workspace_id: pulumi.Input[str], after: Sequence[pulumi.Resource]
    ) -> list[pulumi.Resource]:
        """The private endpoint of the workspace, its endpoints and its notebooks."""
        from mlops.infra.components.network import Target

        target = Target(resource_id=workspace_id, group="amlworkspace", zones=["workspace", "notebooks"])
        return self._endpoints("private-endpoint-workspace", {"workspace": target}, after=after)

    def reach_databricks(self, workspace_id: pulumi.Input[str]) -> list[pulumi.Resource]:
        """The private endpoint of a Databricks workspace."""
        from mlops.infra.components.network import Target

        target = Target(resource_id=workspace_id, group="databricks_ui_api", zones=["databricks"])
        return self._endpoints("private-endpoint-databricks", {"databricks": target})

    def reach_catalog(self, storage_id: pulumi.Input[str], zone_id: str | None) -> list[pulumi.Resource]:
        """Private endpoints of the storage account behind Unity Catalog; `zone_id` as `reach` takes it."""
        from mlops.infra.components.network import Target

        zones = dict(self._network.zones)
        if self._config.dns == "create":
            zones["dfs"] = self._network.create_zone(self._place, "dfs", "privatelink.dfs.core.windows.net")
        elif zone_id:
            zones["dfs"] = zone_id
        targets = {
            f"catalog-{group}": Target(
                resource_id=storage_id, group=group, zones=[group] if group in zones else []
            )
            for group in ("dfs", "blob")
        }
        return self._endpoints("private-endpoints-catalog", targets, zones)

    def reach(
        self, label: str, resource_id: pulumi.Input[str], group: str, domain: str, zone_id: str | None = None
    ) -> list[pulumi.Resource]:
        """The private endpoint of a resource of the repository's own.

        `group` is Azure's sub-resource, `domain` the private DNS zone that answers for it, made here with
        `dns: create`; with `dns: existing` `zone_id` says which one it is.
        """
        from mlops.infra.components.network import Target

        zones: dict[str, pulumi.Input[str]] = {}
        if self._config.dns == "create":
            zones = {label: self._network.create_zone(self._place, label, domain)}
        elif zone_id:
            zones = {label: zone_id}
        target = Target(resource_id=resource_id, group=group, zones=list(zones))
        return self._endpoints(f"private-endpoint-{label}", {label: target}, zones)

    def delegate(self, name: str, service: str, subnets: Sequence[str]) -> dict[str, Subnet]:
        """Subnets that belong to one service, after every change of the network so far."""
        from mlops.infra.options.subnets import DelegatedSubnets, DelegatedSubnetsProps

        made = DelegatedSubnets(
            name,
            DelegatedSubnetsProps(
                place=self._place,
                network_name=self._network.network.name,
                address_space=self._config.address_space,
                security_group_id=self.security_group.id,
                service=service,
                subnets=subnets,
                after=self._last,
            ),
        ).subnets
        self._last = [made[subnets[-1]]]
        return made

    def _endpoints(
        self,
        name: str,
        targets: dict[str, Target],
        zones: dict[str, pulumi.Input[str]] | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> list[pulumi.Resource]:
        from mlops.infra.components.network import PrivateEndpoints, PrivateEndpointsProps

        props = PrivateEndpointsProps(
            place=self._place,
            subnet_id=self._network.endpoints_subnet.id,
            zones=self._network.zones if zones is None else zones,
            targets=targets,
            after=[*self._last, *after],
        )
        made = PrivateEndpoints(name, props)
        self._last = made.last
        return made.ready

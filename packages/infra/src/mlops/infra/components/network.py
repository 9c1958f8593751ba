"""Virtual network, private endpoints and private DNS: present only where a stack asks for
`private_endpoints`."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import network, privatedns

from mlops.infra.components.base import Component, Place
from mlops.infra.limits import ZONES


@dataclass(frozen=True, kw_only=True)
class NetworkProps:
    place: Place
    address_space: str
    create_zones: Sequence[str]
    """Keys of `ZONES`."""
    zone_ids: Mapping[str, str]
    """Zones that exist already, by the keys of `ZONES`."""


class Network(Component):
    """Attributes: `endpoints_subnet`, `workloads_subnet`, `security_group`, `zones` (ids, empty without
    DNS)."""

    def __init__(self, name: str, props: NetworkProps, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place = props.place
        endpoints, workloads, *_ = ipaddress.IPv4Network(props.address_space).subnets(prefixlen_diff=2)
        self.security_group = network.NetworkSecurityGroup(
            "security-group",
            resource_group_name=place.resource_group,
            network_security_group_name=place.names("security_group"),
            location=place.location,
            tags=place.tags,
            opts=self.child(),
        )
        self.network = network.VirtualNetwork(
            "network",
            resource_group_name=place.resource_group,
            virtual_network_name=place.names("network"),
            location=place.location,
            address_space=network.AddressSpaceArgs(address_prefixes=[props.address_space]),
            tags=place.tags,
            # Subnets are resources of their own; Azure lists them here as well.
            opts=self.child(ignore_changes=["subnets"]),
        )
        group = network.NetworkSecurityGroupArgs(id=self.security_group.id)
        self.endpoints_subnet = network.Subnet(
            "subnet-endpoints",
            resource_group_name=place.resource_group,
            virtual_network_name=self.network.name,
            subnet_name="endpoints",
            address_prefix=str(endpoints),
            private_endpoint_network_policies="Enabled",
            default_outbound_access=False,
            network_security_group=group,
            opts=self.child(),
        )
        # Azure takes one change of a network at a time.
        self.workloads_subnet = network.Subnet(
            "subnet-workloads",
            resource_group_name=place.resource_group,
            virtual_network_name=self.network.name,
            subnet_name="workloads",
            address_prefix=str(workloads),
            default_outbound_access=False,
            network_security_group=group,
            opts=self.child(after=[self.endpoints_subnet]),
        )
        self.zones: dict[str, pulumi.Input[str]] = {
            **props.zone_ids,
            **self._create_zones(place, props.create_zones),
        }
        self.register_outputs({"network": self.network.id})

    def _create_zones(self, place: Place, keys: Sequence[str]) -> dict[str, pulumi.Input[str]]:
        return {key: self.create_zone(place, key, ZONES[key]) for key in keys}

    def create_zone(self, place: Place, key: str, domain: str) -> pulumi.Output[str]:
        """A private DNS zone that this network asks; returns its id."""
        zone = privatedns.PrivateZone(
            f"zone-{key}",
            resource_group_name=place.resource_group,
            private_zone_name=domain,
            location="global",
            tags=place.tags,
            opts=self.child(),
        )
        privatedns.VirtualNetworkLink(
            f"zone-link-{key}",
            resource_group_name=place.resource_group,
            private_zone_name=zone.name,
            virtual_network_link_name="network",
            location="global",
            registration_enabled=False,
            virtual_network=privatedns.SubResourceArgs(id=self.network.id),
            tags=place.tags,
            opts=self.child(),
        )
        zone_id: pulumi.Output[str] = zone.id
        return zone_id


@dataclass(frozen=True, kw_only=True)
class Target:
    """A resource that is reached privately: its id, its sub-resource, and the DNS zones that answer for
    it."""

    resource_id: pulumi.Input[str]
    group: str
    zones: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class PrivateEndpointsProps:
    place: Place
    subnet_id: pulumi.Input[str]
    zones: Mapping[str, pulumi.Input[str]]
    targets: Mapping[str, Target]
    after: Sequence[pulumi.Resource]


class PrivateEndpoints(Component):
    """Attributes: `ready`, what must exist before a client can resolve and reach the targets, and `last`,
    what the next change of the network comes after.

    One after another: a subnet and a storage account take one change at a time, and an endpoint that is begun
    meanwhile ends badly, which the provider does not try again (terraform-provider-azurerm#28112,
    pulumi-azure-native#4509)."""

    def __init__(
        self, name: str, props: PrivateEndpointsProps, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        place = props.place
        self.ready: list[pulumi.Resource] = []
        before = list(props.after)
        for label, target in props.targets.items():
            endpoint = network.PrivateEndpoint(
                f"private-endpoint-{label}",
                resource_group_name=place.resource_group,
                private_endpoint_name=place.names("private_endpoint", label),
                location=place.location,
                subnet=network.SubnetArgs(id=props.subnet_id),
                private_link_service_connections=[
                    network.PrivateLinkServiceConnectionArgs(
                        name=label, private_link_service_id=target.resource_id, group_ids=[target.group]
                    )
                ],
                tags=place.tags,
                # A zone group writes its names here.
                opts=self.child(after=before, ignore_changes=["customDnsConfigs"]),
            )
            self.ready.append(endpoint)
            before = [endpoint]
            if props.zones:
                group = network.PrivateDnsZoneGroup(
                    f"private-dns-{label}",
                    resource_group_name=place.resource_group,
                    private_endpoint_name=endpoint.name,
                    private_dns_zone_group_name="default",
                    private_dns_zone_configs=[
                        network.PrivateDnsZoneConfigArgs(name=zone, private_dns_zone_id=props.zones[zone])
                        for zone in target.zones
                    ],
                    opts=self.child(),
                )
                self.ready.append(group)
                before = [endpoint, group]
        self.last = before
        self.register_outputs({})

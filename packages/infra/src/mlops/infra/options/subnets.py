"""Subnets that options need beside the two of the network: slices of its third quarter, delegated to one
service."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_azure_native import network

from mlops.infra.components.base import Component, Place

SLICES: Final = {"container-instance": 0, "databricks-host": 1, "databricks-container": 2}
"""Which sixteenth of the address space a subnet takes, counted from the third quarter on."""


@dataclass(frozen=True, kw_only=True)
class DelegatedSubnetsProps:
    place: Place
    network_name: pulumi.Input[str]
    address_space: str
    security_group_id: pulumi.Input[str]
    service: str
    subnets: Sequence[str]
    """Keys of `SLICES`."""
    after: Sequence[pulumi.Resource]


class DelegatedSubnets(Component):
    """Attribute `subnets` by name, made one after another: Azure takes one change of a network at a time."""

    def __init__(
        self, name: str, props: DelegatedSubnetsProps, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        third = list(ipaddress.IPv4Network(props.address_space).subnets(prefixlen_diff=2))[2]
        slices = list(third.subnets(prefixlen_diff=2))
        self.subnets: dict[str, network.Subnet] = {}
        before = list(props.after)
        for subnet in props.subnets:
            made = network.Subnet(
                f"subnet-{subnet}",
                resource_group_name=props.place.resource_group,
                virtual_network_name=props.network_name,
                subnet_name=subnet,
                address_prefix=str(slices[SLICES[subnet]]),
                network_security_group=network.NetworkSecurityGroupArgs(id=props.security_group_id),
                delegations=[network.DelegationArgs(name="delegated", service_name=props.service)],
                opts=self.child(after=before),
            )
            self.subnets[subnet] = made
            before = [made]
        self.register_outputs({})

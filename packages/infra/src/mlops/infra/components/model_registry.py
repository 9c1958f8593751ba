"""The Azure ML registry: models, environments and components that all environments read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import machinelearningservices as ml
from pulumi_azure_native import resources

from mlops.infra.components.base import Component
from mlops.infra.naming import Names


@dataclass(frozen=True, kw_only=True)
class ModelRegistryProps:
    names: Names
    location: str
    tags: Mapping[str, str]
    protect: bool
    replicas: Sequence[str]
    """Regions beside `location`."""


class ModelRegistry(Component):
    """Attributes: `group`, `registry`, `hosts` by region. Azure makes storage and container registry itself,
    one a region."""

    def __init__(
        self, name: str, props: ModelRegistryProps, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        self.group = resources.ResourceGroup(
            "group",
            resource_group_name=props.names("resource_group"),
            location=props.location,
            tags=props.tags,
            opts=self.child(protect=props.protect),
        )
        self.registry = ml.Registry(
            "model-registry",
            resource_group_name=self.group.name,
            registry_name=props.names("ml_registry"),
            location=props.location,
            identity=ml.ManagedServiceIdentityArgs(type="SystemAssigned"),
            public_network_access="Enabled",
            region_details=[_region(r) for r in dict.fromkeys((props.location, *props.replicas))],
            tags=props.tags,
            opts=self.child(
                protect=props.protect, custom_timeouts=pulumi.CustomTimeouts(create="60m", delete="60m")
            ),
        )
        self.hosts: pulumi.Output[dict[str, str]] = self.registry.region_details.apply(_hosts)
        self.register_outputs({"registry": self.registry.id})


def _hosts(regions: Sequence[ml.outputs.RegistryRegionArmDetailsResponse]) -> dict[str, str]:
    """The host of each region's storage, which Azure names; where it does not say, that of its service."""
    found = {}
    for region in regions:
        location = str(region.location)
        made = [d.system_created_storage_account for d in region.storage_account_details or ()]
        accounts = [m.storage_account_name for m in made if m and m.storage_account_name]
        found[location] = f"{accounts[0]}.blob.core.windows.net" if accounts else f"{location}.api.azureml.ms"
    return found


def _region(location: str) -> ml.RegistryRegionArmDetailsArgs:
    return ml.RegistryRegionArmDetailsArgs(
        location=location,
        acr_details=[
            ml.AcrDetailsArgs(
                system_created_acr_account=ml.SystemCreatedAcrAccountArgs(acr_account_sku="Premium")
            )
        ],
        storage_account_details=[
            ml.StorageAccountDetailsArgs(
                system_created_storage_account=ml.SystemCreatedStorageAccountArgs(
                    storage_account_type="Standard_LRS",
                    storage_account_hns_enabled=False,
                    allow_blob_public_access=False,
                )
            )
        ],
    )

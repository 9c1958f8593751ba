"""Option `aks`: a Kubernetes cluster with the Azure ML extension, attached to the workspace as a compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import containerservice, kubernetesconfiguration
from pulumi_azure_native import machinelearningservices as ml

from mlops.infra.components.base import Component, Place
from mlops.infra.suppress import skip


@dataclass(frozen=True, kw_only=True)
class AksProps:
    place: Place
    workspace: pulumi.Input[str]
    cluster_identity_id: pulumi.Input[str]
    compute_identity_id: pulumi.Input[str]
    """What jobs and endpoints on the cluster run as."""
    compute: str
    vm_size: str
    min_nodes: int
    max_nodes: int
    kubernetes_version: str | None
    namespace: str
    inference_secret: str | None
    """Kubernetes secret with the certificate of the inference router; None for training only."""
    subnet_id: pulumi.Input[str] | None
    """With a subnet the API server is private as well."""
    after: Sequence[pulumi.Resource]


class Aks(Component):
    """Attributes: `cluster`, `compute`."""

    def __init__(self, name: str, props: AksProps, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place = props.place
        private = props.subnet_id is not None
        self.cluster = containerservice.ManagedCluster(
            "kubernetes",
            resource_group_name=place.resource_group,
            resource_name_=place.names("kubernetes"),
            location=place.location,
            dns_prefix=place.names("kubernetes"),
            kubernetes_version=props.kubernetes_version,
            sku=containerservice.ManagedClusterSKUArgs(name="Base", tier="Standard"),
            identity=containerservice.ManagedClusterIdentityArgs(
                type="UserAssigned", user_assigned_identities=[props.cluster_identity_id]
            ),
            disable_local_accounts=True,
            enable_rbac=True,
            aad_profile=containerservice.ManagedClusterAADProfileArgs(managed=True, enable_azure_rbac=True),
            api_server_access_profile=containerservice.ManagedClusterAPIServerAccessProfileArgs(
                enable_private_cluster=private, disable_run_command=True
            ),
            oidc_issuer_profile=containerservice.ManagedClusterOIDCIssuerProfileArgs(enabled=True),
            auto_upgrade_profile=containerservice.ManagedClusterAutoUpgradeProfileArgs(
                upgrade_channel="patch", node_os_upgrade_channel="NodeImage"
            ),
            network_profile=containerservice.ContainerServiceNetworkProfileArgs(
                network_plugin="azure", network_plugin_mode="overlay", network_policy="azure"
            ),
            addon_profiles={
                "azurepolicy": containerservice.ManagedClusterAddonProfileArgs(enabled=True),
                "azureKeyvaultSecretsProvider": containerservice.ManagedClusterAddonProfileArgs(
                    enabled=True, config={"enableSecretRotation": "true"}
                ),
            },
            agent_pool_profiles=_pools(props),
            tags=place.tags,
            opts=self.child(
                after=props.after,
                protect=place.protect,
                waits=True,
                # The autoscaler owns the number of nodes, the patch channel their version, and that of the
                # cluster where nobody chose one.
                ignore_changes=[
                    "agentPoolProfiles[*].count",
                    "agentPoolProfiles[*].orchestratorVersion",
                    *([] if props.kubernetes_version else ["kubernetesVersion"]),
                ],
                custom_timeouts=pulumi.CustomTimeouts(create="60m", update="60m", delete="60m"),
            ),
        )
        if not private:
            reason = "no private network in this environment; Entra ID guards the API server"
            skip("kubernetes", "CKV_AZURE_115", reason)
            skip("kubernetes", "CKV_AZURE_6", reason)
        skip(
            "kubernetes",
            "CKV_AZURE_117",
            "disks hold no data that outlives a job; platform keys encrypt them",
        )
        extension = kubernetesconfiguration.Extension(
            "kubernetes-extension",
            resource_group_name=place.resource_group,
            cluster_rp="Microsoft.ContainerService",
            cluster_resource_name="managedClusters",
            cluster_name=self.cluster.name,
            extension_name="azureml",
            extension_type="microsoft.azureml.kubernetes",
            auto_upgrade_minor_version=True,
            release_train="stable",
            identity=kubernetesconfiguration.IdentityArgs(type="SystemAssigned"),
            scope=kubernetesconfiguration.ScopeArgs(
                cluster=kubernetesconfiguration.ScopeClusterArgs(release_namespace="azureml")
            ),
            configuration_settings=_extension_settings(props.inference_secret),
            opts=self.child(custom_timeouts=pulumi.CustomTimeouts(create="60m", delete="60m")),
        )
        self.compute = ml.Compute(
            "compute-kubernetes",
            resource_group_name=place.resource_group,
            workspace_name=props.workspace,
            compute_name=props.compute,
            location=place.location,
            identity=ml.ManagedServiceIdentityArgs(
                type="UserAssigned", user_assigned_identities=[props.compute_identity_id]
            ),
            properties=ml.KubernetesArgs(
                compute_type="Kubernetes",
                resource_id=self.cluster.id,
                disable_local_auth=True,
                properties=ml.KubernetesPropertiesArgs(namespace=props.namespace),
            ),
            tags=place.tags,
            opts=self.child(
                after=[extension],
                replace_on_changes=["identity", "properties.resourceId", "properties.properties.namespace"],
                delete_before_replace=True,
            ),
        )
        self.register_outputs({"compute": self.compute.name})


def _pools(props: AksProps) -> list[containerservice.ManagedClusterAgentPoolProfileArgs]:
    """One pool for Kubernetes itself, one for the work; the second scales."""

    def pool(
        name: str, mode: str, smallest: int, largest: int, taints: list[str]
    ) -> containerservice.ManagedClusterAgentPoolProfileArgs:
        return containerservice.ManagedClusterAgentPoolProfileArgs(
            name=name,
            mode=mode,
            type="VirtualMachineScaleSets",
            os_type="Linux",
            os_sku="AzureLinux",
            os_disk_type="Ephemeral",
            vm_size=props.vm_size,
            enable_auto_scaling=True,
            enable_encryption_at_host=True,
            enable_node_public_ip=False,
            count=smallest,
            min_count=smallest,
            max_count=largest,
            max_pods=50,
            node_taints=taints,
            vnet_subnet_id=props.subnet_id,
        )

    return [
        pool("system", "System", 1, 3, ["CriticalAddonsOnly=true:NoSchedule"]),
        pool("work", "User", props.min_nodes, props.max_nodes, []),
    ]


def _extension_settings(inference_secret: str | None) -> dict[str, str]:
    settings = {"enableTraining": "True", "enableInference": str(inference_secret is not None)}
    if inference_secret is not None:
        settings |= {
            "sslSecret": inference_secret,
            "allowInsecureConnections": "False",
            "inferenceRouterServiceType": "LoadBalancer",
            "internalLoadBalancerProvider": "azure",
        }
    return settings

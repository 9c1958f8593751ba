"""Connects the options that a stack names with the environment; imports only those."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi

from mlops.errors import InvalidInput
from mlops.infra.components.diagnostics import Watched
from mlops.infra.config import Aks, ContainerInstance, Databricks, DataFactory, UnityCatalog
from mlops.infra.environment import Environment
from mlops.infra.load import located

if TYPE_CHECKING:
    from mlops.infra.options.databricks import Databricks as MadeDatabricks
    from mlops.infra.options.databricks import Injection


def add_options(env: Environment) -> None:
    """Register every option of the stack; what each wants watched is added to `env.watched`."""
    options = env.config.options
    if options.aks is not None:
        _aks(env, options.aks)
    if options.databricks is not None:
        _databricks(env, options.databricks)
    if options.data_factory is not None:
        _data_factory(env, options.data_factory)
    if options.container_instance is not None:
        _container_instance(env, options.container_instance)


def _aks(env: Environment, wanted: Aks) -> None:
    from mlops.infra.options.aks import Aks as Component
    from mlops.infra.options.aks import AksProps

    after: list[pulumi.Resource] = []
    if env.network:
        env.scopes["workloads subnet"] = env.network.workloads_subnet.id
        after = env.allow("kubernetes", env.identities.by_duty["kubernetes"].principal_id)
    component = Component(
        "aks",
        AksProps(
            place=env.place,
            workspace=env.workspace.workspace.name,
            cluster_identity_id=env.identities.by_duty["kubernetes"].id,
            compute_identity_id=env.identities.by_duty["train"].id,
            compute=wanted.compute,
            vm_size=wanted.vm_size,
            min_nodes=wanted.min_nodes,
            max_nodes=wanted.max_nodes,
            kubernetes_version=wanted.kubernetes_version,
            namespace=wanted.namespace,
            inference_secret=wanted.inference_secret,
            subnet_id=env.network.workloads_subnet.id if env.network else None,
            after=after,
        ),
    )
    env.watched["kubernetes"] = Watched(resource_id=component.cluster.id)


def _databricks(env: Environment, wanted: Databricks) -> None:
    from mlops.infra.options.databricks import Databricks as Component
    from mlops.infra.options.databricks import DatabricksProps

    component = Component(
        "databricks",
        DatabricksProps(
            place=env.place,
            subscription_id=env.client.subscription_id,
            tier=wanted.tier,
            injection=_injection(env),
        ),
    )
    reachable: list[pulumi.Resource] = []
    if env.network:
        reachable = env.network.reach_databricks(component.workspace.id)
    env.watched["databricks"] = Watched(resource_id=component.workspace.id, metrics=None)
    env.databricks = {"host": component.host}
    if wanted.unity_catalog is None:
        env.allow("databricks", component.principal_id)
        return
    _unity_catalog(env, wanted.unity_catalog, component, reachable)


def _unity_catalog(
    env: Environment, wanted: UnityCatalog, made: MadeDatabricks, reachable: list[pulumi.Resource]
) -> None:
    try:
        import pulumi_databricks  # noqa: F401  heavy, and a group of its own
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"options.databricks.unity_catalog needs {error.name!r}; install the group with: "
            "uv sync --group unity-catalog"
        ) from None
    from mlops.infra.options.unity import add_unity_catalog

    add_unity_catalog(env, wanted, made, reachable)


def _injection(env: Environment) -> Injection | None:
    if not env.network:
        return None
    from mlops.infra.options.databricks import Injection

    names = ("databricks-host", "databricks-container")
    subnets = env.network.delegate("databricks-subnets", "Microsoft.Databricks/workspaces", names)
    host, container = (subnets[name] for name in names)
    return Injection(
        network_id=env.network.network_id,
        host_subnet=host.name,
        container_subnet=container.name,
        after=[host, container],
    )


def _data_factory(env: Environment, wanted: DataFactory) -> None:
    from mlops.infra.options.data_factory import DataFactory as Component
    from mlops.infra.options.data_factory import DataFactoryProps
    from mlops.infra.options.ingestion import read_ingestion

    with located(env.root):
        ingestion = read_ingestion(env.root, wanted.model, env.stack.name)
    component = Component(
        "data-factory",
        DataFactoryProps(
            place=env.place,
            blob_endpoint=env.storage.account.primary_endpoints.apply(lambda endpoints: endpoints.blob),
            container=env.storage.containers["data"].name,
            source=wanted.source,
            target=wanted.target,
            ingestion=ingestion,
            workspace_id=env.workspace.workspace.id,
            cluster=wanted.cluster,
            hour=wanted.hour,
            start=wanted.start,
        ),
        lambda principal: env.allow("data factory", principal),
    )
    env.watched["data-factory"] = Watched(resource_id=component.factory.id)


def _container_instance(env: Environment, wanted: ContainerInstance) -> None:
    from mlops.infra.options.container_instance import ContainerInstance as Component
    from mlops.infra.options.container_instance import ContainerInstanceProps

    subnet_id = None
    if env.network:
        service = "Microsoft.ContainerInstance/containerGroups"
        subnet_id = env.network.delegate("container-subnet", service, ["container-instance"])[
            "container-instance"
        ].id
    Component(
        "container-instance",
        ContainerInstanceProps(
            place=env.place,
            identity_id=env.identities.by_duty["serve"].id,
            login_server=env.images.registry.login_server,
            image=wanted.image,
            cpu=wanted.cpu,
            memory_gb=wanted.memory_gb,
            port=wanted.port,
            subnet_id=subnet_id,
            after=[*env.reachable, *env.assigned("serve")],
        ),
    )

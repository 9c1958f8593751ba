"""What a stack exports: the one list that workflows and `mlops` read (`pulumi stack output --json`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import pulumi


@dataclass(frozen=True, kw_only=True)
class SharedExports:
    resource_group: pulumi.Input[str]
    location: str
    registry: pulumi.Input[str]
    """Name of the Azure ML registry; `azureml://registries/<registry>/models/…`."""
    registry_id: pulumi.Input[str]
    registry_hosts: pulumi.Input[Mapping[str, str]]
    """Of each region, the host that keeps what is registered: a network that lets little out must know it."""
    reader_role_id: pulumi.Input[str]
    publisher_role_id: pulumi.Input[str]
    environment_role_ids: Mapping[str, pulumi.Input[str]]
    """By the role's name: those that environments assign in themselves."""


@dataclass(frozen=True, kw_only=True)
class EnvironmentExports:
    subscription_id: pulumi.Input[str]
    tenant_id: pulumi.Input[str]
    resource_group: pulumi.Input[str]
    location: str
    workspace: pulumi.Input[str]
    workspace_id: pulumi.Input[str]
    registry: pulumi.Input[str]
    storage_account: pulumi.Input[str]
    storage_account_id: pulumi.Input[str]
    journal_id: pulumi.Input[str]
    """Of the container of journal and lock; the environment after this one reads it."""
    container_registry: pulumi.Input[str]
    """Login server."""
    key_vault: pulumi.Input[str]
    log_analytics_id: pulumi.Input[str]
    clusters: Mapping[str, pulumi.Input[str]]
    online_endpoints: Mapping[str, pulumi.Input[str]]
    """Endpoint name by model."""
    scoring_uris: Mapping[str, pulumi.Input[str]]
    batch_endpoints: Mapping[str, pulumi.Input[str]]
    client_ids: Mapping[str, pulumi.Input[str]]
    """Client id by duty: what a workflow logs in as, and what a deployment runs as. No secret."""
    event_queues: Mapping[str, pulumi.Input[str]]
    databricks: Mapping[str, pulumi.Input[str]]
    """`host` of the workspace, and the id of its `warehouse` if it has one: fields of `[databricks]` in
    mlops.toml. Empty without the option."""
    ttl: str
    """Empty: the environment stays until a person destroys it."""


def export(values: SharedExports | EnvironmentExports) -> None:
    """Export every field under its own name."""
    for field in fields(values):
        pulumi.export(field.name, getattr(values, field.name))

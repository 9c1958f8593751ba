"""Stacks `dev`, `staging`, `prod`: what one environment is made of, in the order in which Azure needs it.

A resource of your own goes behind what it uses and before `add_governance`, which watches it; see
docs/guides/own-resource.md.
"""

from __future__ import annotations

from mlops.infra.config import EnvironmentStack
from mlops.infra.environment import Environment
from mlops.infra.options.wire import add_options
from mlops.infra.program import Stack


def environment(stack: Stack, config: EnvironmentStack) -> None:
    """Register everything of one environment. Raises `InvalidInput` when its file and mlops.toml disagree."""
    env = Environment(stack, config)
    env.add_foundation()  # resource group, logs, Application Insights
    env.add_identities()  # one a duty, and the workflows that may take it on
    env.add_vault()  # and the key of `customer_managed_keys`
    env.add_data()  # storage account, container registry
    env.add_network()  # private endpoints of what the workspace needs
    env.add_workspace()  # and what its managed network lets out
    env.add_access()  # role assignments of the duties
    env.add_compute()  # clusters
    env.add_endpoints()  # one online and one batch endpoint a model
    env.add_events()  # Event Grid topic and its subscriptions
    add_options(env)  # Kubernetes, Databricks, Data Factory, a container
    env.add_governance()  # diagnostics, alerts, budget
    env.export()  # what workflows and `mlops` read

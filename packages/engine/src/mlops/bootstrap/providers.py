"""Resource providers: a subscription knows a service only after somebody has registered it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mlops.bootstrap.steps import Look
from mlops.bootstrap.world import Stack
from mlops.errors import TargetError
from mlops.targets.azure.arm import Arm

ALWAYS: Final = (
    "Microsoft.Authorization",
    "Microsoft.Consumption",
    "Microsoft.ContainerRegistry",
    "Microsoft.EventGrid",
    "Microsoft.Insights",
    "Microsoft.KeyVault",
    "Microsoft.MachineLearningServices",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
    "Microsoft.OperationalInsights",
    "Microsoft.Resources",
    "Microsoft.Storage",
)
OPTIONS: Final = {
    "aks": ("Microsoft.Compute", "Microsoft.ContainerService", "Microsoft.KubernetesConfiguration"),
    "container_instance": ("Microsoft.ContainerInstance",),
    "data_factory": ("Microsoft.DataFactory",),
    "databricks": ("Microsoft.Databricks",),
}
"""By the option of a stack file that needs them."""
OWN_KEYS: Final = ("Microsoft.DocumentDB", "Microsoft.Search")
"""Azure makes both for a workspace with a key of its own (learn.microsoft.com, Customer-managed keys for
Azure Machine Learning, prerequisites)."""
_SECONDS: Final = 900.0


def needed(stacks: Iterable[Stack]) -> list[str]:
    """Namespaces of everything that these stacks make, sorted."""
    namespaces = set(ALWAYS)
    for stack in stacks:
        options = getattr(stack.config, "options", None)
        namespaces |= {n for name, names in OPTIONS.items() if getattr(options, name, None) for n in names}
        namespaces |= set(OWN_KEYS if getattr(stack.config, "customer_managed_keys", False) else ())
    return sorted(namespaces)


def unregistered(arm: Arm, namespaces: Iterable[str]) -> list[str]:
    """Those that the subscription does not know yet."""
    rows = arm.list(f"{arm.home}/providers", what="list the resource providers", version="2021-04-01")
    states = {str(row["namespace"]).lower(): row.get("registrationState") for row in rows}
    return [name for name in namespaces if states.get(name.lower()) != "Registered"]


@dataclass(frozen=True)
class Providers:
    """All that the stacks of one subscription need. Undo leaves them registered: that costs nothing."""

    arm: Arm
    namespaces: tuple[str, ...]
    between: float = 5.0
    needs: str = "the role Contributor on the subscription"

    @property
    def key(self) -> str:
        return f"providers:{self.arm.subscription}"

    @property
    def title(self) -> str:
        return f"resource providers of subscription {self.arm.subscription}"

    def look(self) -> Look:
        missing = unregistered(self.arm, self.namespaces)
        return Look("create", ", ".join(missing)) if missing else Look("keep")

    def make(self, look: Look) -> None:
        for name in unregistered(self.arm, self.namespaces):
            self.arm.post(
                f"{self.arm.home}/providers/{name}/register", what=f"register {name}", version="2021-04-01"
            )
        until = time.monotonic() + _SECONDS
        while missing := unregistered(self.arm, self.namespaces):
            if time.monotonic() > until:
                raise TargetError(
                    f"{', '.join(missing)} not registered after {_SECONDS:.0f} s; run the command again"
                )
            time.sleep(self.between)

    def ours(self) -> str:
        return ""

    def remove(self) -> None:
        """Registered providers stay."""

"""Names that stay taken after `pulumi destroy`, and the commands that free them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlops.errors import InvalidInput

from ..model import Captured, Resource


@dataclass(frozen=True)
class SoftDeleted:
    """A resource that Azure keeps after its deletion. `command` is empty when nothing can free the name
    early."""

    stack: str
    kind: str
    name: str
    days: int
    command: str
    why: str = ""


def names(captured: Captured) -> list[SoftDeleted]:
    """Every name of the stack that a deletion would leave taken, sorted by kind and name.

    Raises `InvalidInput` when a resource has no location to say.
    """
    taken = [s for r in captured.azure for s in _of(captured.stack, r)]
    return sorted(taken, key=lambda s: (s.kind, s.name))


def runbook(captured: Sequence[Captured]) -> str:
    """Sentences and commands, ready to be read before they are run."""
    lines: list[str] = []
    for one in captured:
        taken = names(one)
        lines.append(f"# stack {one.stack}: {len(taken)} names stay taken after `pulumi destroy`")
        for item in taken:
            lines.append(f"# {item.kind} {item.name}: for {item.days} days{item.why}")
            lines.append(item.command or "# no command: wait, or change `mlops:salt` in the stack file")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _of(stack: str, resource: Resource) -> Iterator[SoftDeleted]:
    inputs = resource.inputs
    group = str(inputs.get("resourceGroupName", ""))
    if resource.kind == "machinelearningservices:Workspace":
        name = str(inputs["workspaceName"])
        command = f"az ml workspace delete --name {name} --resource-group {group} --permanently-delete --yes"
        yield SoftDeleted(stack, "workspace", name, 14, command)
    elif resource.kind == "keyvault:Vault":
        name, days = str(inputs["vaultName"]), int(resource.get("properties.softDeleteRetentionInDays", 90))
        if resource.get("properties.enablePurgeProtection"):
            yield SoftDeleted(
                stack, "key vault", name, days, "", "; purge protection is on and cannot be undone"
            )
        else:
            command = f"az keyvault purge --name {name} --location {_location(resource)}"
            yield SoftDeleted(stack, "key vault", name, days, command)
    elif resource.kind == "operationalinsights:Workspace":
        name = str(inputs["workspaceName"])
        command = (
            f"az monitor log-analytics workspace delete --workspace-name {name} "
            f"--resource-group {group} --force --yes"
        )
        yield SoftDeleted(
            stack, "log analytics", name, 14, command, "; recover it first when it is deleted already"
        )


def _location(resource: Resource) -> str:
    location = resource.get("location")
    if not location:
        raise InvalidInput(f"{resource.name}: location is not set, so its purge command cannot be written")
    return str(location)

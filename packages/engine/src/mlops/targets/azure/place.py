"""Where a stack's resources are, by names that are typed only once.

`infra/` names everything by pure functions of the project's name (mlops.toml), the stack, its location and
its salt (`environments/Pulumi.<stack>.yaml`). The same functions tell here what Pulumi made, so no exports
are copied around. What somebody else made is named in `[azure]` of mlops.toml.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlops.errors import InvalidInput, Problem
from mlops.spec._yaml import Document
from mlops.spec.naming import REGIONS, Names
from mlops.spec.settings import AzurePlace, Settings

SHARED = "shared"
"""The stack of the registry."""
NONE = "none"


@dataclass(frozen=True)
class Place:
    """One stack's workspace and what lies in it."""

    stack: str
    resource_group: str
    workspace: str
    names: Names | None
    """None when the repository has no file of the stack."""
    subscription_id: str = ""
    """Empty: the login's."""

    @property
    def account(self) -> str:
        """The storage account of the workspace; empty where only the workspace knows it."""
        names = self.names
        ours = names and (self.resource_group, self.workspace) == (
            names("resource_group"),
            names("ml_workspace"),
        )
        return names("storage_account") if names and ours else ""

    def endpoint(self, kind: str, model: str) -> str:
        """The name of a model's endpoint; `kind` is `online_endpoint` or `batch_endpoint`."""
        if self.names is None:
            raise InvalidInput(
                f"the endpoint of {model} in {self.stack} has no name: {_file(self.stack)} does not exist"
            )
        return self.names.endpoint(kind, model)

    def name(self, kind: str) -> str:
        """The name of another resource, such as `storage_account`; see `mlops.spec.naming.RULES`."""
        if self.names is None:
            raise InvalidInput(f"{kind} of {self.stack} has no name: {_file(self.stack)} does not exist")
        return self.names(kind)


def place(root: Path, settings: Settings, stack: str) -> Place:
    """The workspace of `stack`; raises `InvalidInput` when neither its file nor mlops.toml names one."""
    azure = settings.azure
    own = azure.stacks.get(stack, AzurePlace())
    group = own.resource_group or azure.resource_group
    workspace = own.workspace or azure.workspace
    names = _names(root, settings, stack)
    if names is None and not (group and workspace):
        raise InvalidInput(
            f"nothing says which workspace the stack {stack!r} has: {_file(stack)} does not exist, and "
            f"mlops.toml has no resource_group and workspace in [azure.stacks.{stack}]"
        )
    return Place(
        stack=stack,
        resource_group=group or (names("resource_group") if names else ""),
        workspace=workspace or (names("ml_workspace") if names else ""),
        names=names,
        subscription_id=own.subscription_id or azure.subscription_id,
    )


def registry_name(root: Path, settings: Settings) -> str | None:
    """The Azure ML registry of all environments; None when there is none."""
    if settings.azure.registry:
        return None if settings.azure.registry == NONE else settings.azure.registry
    names = _names(root, settings, SHARED)
    return names("ml_registry") if names else None


def _names(root: Path, settings: Settings, stack: str) -> Names | None:
    path = _file(stack)
    if not (root / path).is_file():
        return None
    document = Document.read(root / path, path)
    config = document.value.get("config") if isinstance(document.value, dict) else None
    values = config if isinstance(config, dict) else {}
    location = values.get("mlops:location", values.get("location"))
    salt = values.get("mlops:salt", values.get("salt", ""))
    if location not in REGIONS:
        where = f"{path}:{document.line(['config', 'mlops:location'])}"
        raise InvalidInput(Problem(where, f"must be a region of Azure; got {location!r}", "mlops:location"))
    return Names(settings.project.name, stack, str(location), str(salt))


def _file(stack: str) -> str:
    return f"environments/Pulumi.{stack}.yaml"

"""Who may do what: the only list of role assignments that the program makes.

docs/security.md shows the tables that are generated from here, and a test compares every role assignment of
every stack with them. An entry is a promise with a reason; adding one is a change of the security model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from mlops.infra.naming import guid

BUILT_IN: Final = {
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "Azure AI Enterprise Network Connection Approver": "b556d68e-0be0-4f35-a333-ad7ee1ce17ea",
    "AzureML Data Scientist": "f6c7c914-8db3-469d-8ca1-694a8f32e121",
    "Contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "Key Vault Administrator": "00482a5a-887f-4fb3-b363-3b7fe8e74483",
    "Key Vault Crypto Service Encryption User": "e147488a-f6f5-4113-8e2d-b22465e65bf6",
    "Log Analytics Reader": "73c42c96-874c-492b-b04d-ab87d138a893",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "Monitoring Reader": "43d0d8ad-25c7-4714-9337-8ba259a9fe05",
    "Network Contributor": "4d97b98b-1d4f-4787-a291-c67834d212e7",
    "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "Role Based Access Control Administrator": "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Blob Data Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "Storage File Data Privileged Contributor": "69566ab7-960f-475b-8e7c-b3118f30c6bd",
    "Storage Queue Data Message Processor": "8a0f0c08-91a1-4084-bc3d-661d67233fed",
    "Storage Queue Data Message Sender": "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a",
}
"""Built-in roles and their ids, the same in every tenant (learn.microsoft.com, "Azure built-in roles")."""

PROMOTER: Final = "Model promoter"
SCALER: Final = "Endpoint scaler"
INGESTION_STARTER: Final = "Ingestion starter"
REGISTRY_READER: Final = "Model registry reader"
REGISTRY_PUBLISHER: Final = "Model registry publisher"

_ML = "Microsoft.MachineLearningServices"


@dataclass(frozen=True)
class CustomRole:
    """A role that Azure lacks. Stack `shared` defines it, because no workflow may: whoever writes a
    definition can give all its holders any right."""

    name: str
    description: str
    where: Literal["environments", "registry"]
    """In which resources it can be assigned."""
    actions: tuple[str, ...]


CUSTOM: Final = (
    CustomRole(
        PROMOTER,
        "Deploys registered models to existing endpoints and moves traffic; deletes no endpoint.",
        "environments",
        (
            f"{_ML}/workspaces/read",
            f"{_ML}/workspaces/*/read",
            f"{_ML}/workspaces/onlineEndpoints/write",
            f"{_ML}/workspaces/onlineEndpoints/deployments/write",
            f"{_ML}/workspaces/onlineEndpoints/deployments/delete",
            f"{_ML}/workspaces/onlineEndpoints/score/action",
            f"{_ML}/workspaces/onlineEndpoints/token/action",
            f"{_ML}/workspaces/onlineEndpoints/listKeys/action",  # the smoke test of an endpoint with keys
            f"{_ML}/workspaces/onlineEndpoints/deployments/getLogs/action",
            f"{_ML}/workspaces/batchEndpoints/write",
            f"{_ML}/workspaces/batchEndpoints/deployments/write",
            f"{_ML}/workspaces/batchEndpoints/deployments/delete",
            f"{_ML}/workspaces/batchEndpoints/score/action",
            f"{_ML}/workspaces/models/versions/write",
            f"{_ML}/workspaces/environments/versions/write",
            f"{_ML}/workspaces/codes/versions/write",
            f"{_ML}/workspaces/components/versions/write",  # of scheduled and batch pipelines
            f"{_ML}/workspaces/data/versions/write",  # what a deployment's data collector writes
            f"{_ML}/workspaces/schedules/write",
            f"{_ML}/workspaces/metadata/artifacts/write",
            f"{_ML}/workspaces/metadata/snapshots/write",
        ),
    ),
    CustomRole(
        SCALER,
        "Makes and removes scaling rules; Monitoring Contributor could also change alerts and diagnostics.",
        "environments",
        (
            "Microsoft.Insights/autoscaleSettings/read",
            "Microsoft.Insights/autoscaleSettings/write",
            "Microsoft.Insights/autoscaleSettings/delete",
        ),
    ),
    CustomRole(
        INGESTION_STARTER,
        "Starts jobs and publishes data versions; changes no code, model, environment or endpoint.",
        "environments",
        (
            f"{_ML}/workspaces/read",
            f"{_ML}/workspaces/*/read",
            f"{_ML}/workspaces/jobs/write",
            f"{_ML}/workspaces/data/versions/write",
            f"{_ML}/workspaces/metadata/artifacts/write",  # a job has outputs and logs
            f"{_ML}/workspaces/environments/build/action",  # the first job of an environment makes its image
        ),
    ),
    CustomRole(
        REGISTRY_READER,
        "Reads models, environments and components of the registry.",
        "registry",
        (f"{_ML}/registries/read", f"{_ML}/registries/assets/read"),
    ),
    CustomRole(
        REGISTRY_PUBLISHER,
        "Reads the registry and adds versions to it; deletes none.",
        "registry",
        (f"{_ML}/registries/read", f"{_ML}/registries/assets/read", f"{_ML}/registries/assets/write"),
    ),
)

Scope = Literal[
    "resource group", "storage account", "data container", "captured container",
    "undelivered container", "key vault", "catalog storage account",
    "journal of the environment before", "workspace of the environment before",
    "container registry", "application insights", "log analytics", "workspace", "model registry",
    "workloads subnet", "training workspace", "training storage account",
]  # fmt: skip
_TRAINING: Final[tuple[Scope, ...]] = ("training workspace", "training storage account")
_BEFORE: Final[tuple[Scope, ...]] = (
    "journal of the environment before",
    "workspace of the environment before",
)
Identity = Literal[
    "plan", "apply", "train", "promote", "serve", "workspace", "encryption", "events", "kubernetes",
    "databricks", "data factory",
]  # fmt: skip
When = Literal[
    "always",
    "customer-managed keys",
    "events",
    "kubernetes with private endpoints",
    "databricks",
    "unity catalog",
    "data factory",
    "another stack trains",
    "a private stack trains",
    "an environment is before",
    "an environment is before and does not train",
]


@dataclass(frozen=True)
class Grant:
    """One identity holds one role at one scope, because of `why`; `when` names the setting that it belongs
    to."""

    identity: Identity
    role: str
    scope: Scope
    why: str
    when: When = "always"

    @property
    def label(self) -> str:
        """Stable and unique: logical name and assignment id are made from it."""
        return "-".join((self.identity, self.role, self.scope)).lower().replace(" ", "-")


IDENTITIES: Final = {
    "plan": "Pull requests: shows what would change. Reads only.",
    "apply": "`pulumi up`: creates, changes and deletes resources of the environment.",
    "train": "Submits training and is what jobs run as on the clusters.",
    "promote": "`mlops apply`: deploys a released model and moves traffic.",
    "serve": "What endpoints run as. No workflow can become it.",
    "workspace": "The workspace itself, for the resources that it manages.",
    "encryption": "Unwraps the customer-managed key for storage, registry and workspace.",
    "events": "The Event Grid topic, to put events into queues.",
    "kubernetes": "The control plane of the Kubernetes cluster.",
    "databricks": "The access connector of the Databricks workspace.",
    "data factory": "The data factory: writes what arrives, starts the ingestion, publishes its version.",
}

GRANTS: Final = (
    Grant("plan", "Reader", "resource group", "refreshes the state for a preview"),
    Grant("plan", "Reader", "model registry", "refreshes the assignments there for a preview"),
    Grant(
        "plan",
        "Reader",
        "training workspace",
        "refreshes the assignments there for a preview",
        "another stack trains",
    ),
    Grant(
        "plan",
        "Reader",
        "training storage account",
        "refreshes the assignments there for a preview",
        "another stack trains",
    ),
    *(
        Grant(
            "plan",
            "Reader",
            scope,
            "refreshes the assignments there for a preview",
            "an environment is before and does not train",
        )
        for scope in _BEFORE
    ),
    Grant("apply", "Contributor", "resource group", "manages the environment's resources"),
    Grant(
        "apply",
        "Role Based Access Control Administrator",
        "resource group",
        "makes the assignments of this table; a condition refuses every role that is not in it",
    ),
    Grant("train", "AzureML Data Scientist", "workspace", "submits jobs, registers models"),
    Grant(
        "train",
        "Storage Blob Data Contributor",
        "storage account",
        "reads data and captured traffic, writes artifacts, labels and verdicts; no keys exist",
    ),
    Grant(
        "train",
        "Storage File Data Privileged Contributor",
        "storage account",
        "code and logs on the file share",
    ),
    Grant("train", "AcrPull", "container registry", "pulls the training image"),
    Grant(
        "train", "Monitoring Metrics Publisher", "application insights", "sends metrics; local auth is off"
    ),
    Grant(
        "train",
        REGISTRY_PUBLISHER,
        "model registry",
        "shares a version that passed its gates (mlops release)",
    ),
    Grant(
        "train",
        "Storage Queue Data Message Processor",
        "storage account",
        "takes the events that ask for training",
        "events",
    ),
    Grant(
        "train",
        "AzureML Data Scientist",
        "training workspace",
        "reads the run that a release came from (mlops monitor), trains anew (mlops retrain)",
        "another stack trains",
    ),
    Grant(
        "train",
        "Storage Blob Data Reader",
        "training storage account",
        "reads what live traffic is compared with",
        "another stack trains",
    ),
    Grant(
        "train",
        "Storage Blob Data Reader",
        _BEFORE[0],
        "shows what was served and judged there (mlops board)",
        "an environment is before and does not train",
    ),
    Grant(
        "train",
        "Reader",
        _BEFORE[1],
        "shows what its endpoints serve (mlops board)",
        "an environment is before and does not train",
    ),
    Grant("promote", PROMOTER, "workspace", "deploys and moves traffic"),
    Grant(
        "promote",
        "Storage Blob Data Contributor",
        "storage account",
        "uploads scoring code, reads the release, keeps journal and lock",
    ),
    Grant(
        "promote",
        "Storage Blob Data Reader",
        _BEFORE[0],
        "asks whether the release was verified there, for how long, or is held",
        "an environment is before",
    ),
    Grant("promote", "Monitoring Reader", "resource group", "judges a canary by the endpoint's metrics"),
    Grant("promote", SCALER, "resource group", "instances follow the load (max_instances of mlops.toml)"),
    Grant("promote", "Log Analytics Reader", "log analytics", "judges a canary by the endpoint's logs"),
    Grant("promote", REGISTRY_PUBLISHER, "model registry", "tags what is live where; reads the release"),
    Grant("serve", "AcrPull", "container registry", "pulls the serving image"),
    Grant("serve", "Storage Blob Data Reader", "storage account", "mounts the model"),
    Grant(
        "serve",
        "Storage Blob Data Contributor",
        "captured container",
        "writes captured inputs and predictions",
    ),
    Grant(
        "serve", "Monitoring Metrics Publisher", "application insights", "sends metrics; local auth is off"
    ),
    Grant("serve", REGISTRY_READER, "model registry", "mounts a model of the registry"),
    Grant("workspace", "Contributor", "workspace", "needed by a user-assigned workspace identity"),
    Grant("workspace", "Contributor", "storage account", "creates the default containers and shares"),
    Grant("workspace", "Contributor", "key vault", "needed by a user-assigned workspace identity"),
    Grant("workspace", "Contributor", "container registry", "builds and pushes images"),
    Grant("workspace", "Contributor", "application insights", "links the workspace's telemetry"),
    Grant("workspace", "Storage Blob Data Contributor", "storage account", "identity-based datastores"),
    Grant(
        "workspace",
        "Storage File Data Privileged Contributor",
        "storage account",
        "the workspace's file share",
    ),
    Grant("workspace", "Key Vault Administrator", "key vault", "keeps connection secrets of the workspace"),
    Grant(
        "workspace",
        "Azure AI Enterprise Network Connection Approver",
        "resource group",
        "approves the private endpoints of the managed network",
    ),
    *(
        Grant(
            "workspace",
            "Azure AI Enterprise Network Connection Approver",
            scope,
            "approves the private endpoint by which its managed network reaches what trains",
            "a private stack trains",
        )
        for scope in _TRAINING
    ),
    Grant(
        "encryption",
        "Key Vault Crypto Service Encryption User",
        "key vault",
        "wraps and unwraps data keys",
        "customer-managed keys",
    ),
    Grant(
        "events",
        "Storage Queue Data Message Sender",
        "storage account",
        "delivers events without keys",
        "events",
    ),
    Grant(
        "events",
        "Storage Blob Data Contributor",
        "undelivered container",
        "keeps events that could not be delivered",
        "events",
    ),
    Grant(
        "kubernetes",
        "Network Contributor",
        "workloads subnet",
        "joins nodes and load balancers to the subnet",
        "kubernetes with private endpoints",
    ),
    Grant(
        "databricks", "Storage Blob Data Contributor", "data container", "reads and writes data", "databricks"
    ),
    Grant(
        "databricks",
        "Storage Blob Data Contributor",
        "catalog storage account",
        "keeps what Unity Catalog manages: versions, the journal, tables",
        "unity catalog",
    ),
    Grant(
        "data factory",
        "Storage Blob Data Contributor",
        "data container",
        "writes what arrives",
        "data factory",
    ),
    Grant(
        "data factory",
        INGESTION_STARTER,
        "workspace",
        "starts the ingestion job, which runs as `train`, and publishes what it made",
        "data factory",
    ),
)


def grants(when: Iterable[When]) -> tuple[Grant, ...]:
    """The grants of a stack with these settings, in the order of the table."""
    wanted = {"always", *when}
    return tuple(g for g in GRANTS if g.when in wanted)


def held_at(scope: Scope) -> tuple[str, ...]:
    """The roles that the table gives at a scope: those that `apply` must be able to assign there."""
    return tuple(dict.fromkeys(g.role for g in GRANTS if g.scope == scope))


def custom(name: str) -> CustomRole | None:
    """The custom role of this name, or None for a built-in one."""
    return next((r for r in CUSTOM if r.name == name), None)


def custom_id(project: str, shared: str, role: str) -> str:
    """The id of the custom role `role` as the stack `shared` of `project` defines it."""
    return guid("role", project, shared, role.lower().replace(" ", "-"))


def only(role_ids: Iterable[str]) -> str:
    """An ABAC condition for who may assign roles: these only, given to and taken from service principals."""
    ids = ", ".join(role_ids)
    clauses = [
        f"((!(ActionMatches{{'Microsoft.Authorization/roleAssignments/{action}'}})) OR "
        f"(@{source}[Microsoft.Authorization/roleAssignments:RoleDefinitionId] "
        f"ForAnyOfAnyValues:GuidEquals {{{ids}}} AND "
        f"@{source}[Microsoft.Authorization/roleAssignments:PrincipalType] "
        "ForAnyOfAnyValues:StringEqualsIgnoreCase {'ServicePrincipal'}))"
        for action, source in (("write", "Request"), ("delete", "Resource"))
    ]
    return " AND ".join(clauses)

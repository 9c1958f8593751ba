"""Rules on who may do what: role assignments, custom roles, federated trust, accounts without Entra ID."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mlops.infra.model import UNKNOWN, Resource
from mlops.infra.policy.rule import Message, ResourceRule, StackRule, holds, must
from mlops.infra.roles import BUILT_IN, CUSTOM, custom_id

SHARED = "shared"
"""The stack that defines the custom roles."""
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
USER_ACCESS_ADMINISTRATOR = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"
ROLE_ADMINISTRATOR = "f58310d9-a9f6-439a-9e8d-f62e7b41a168"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
ABROAD = (
    "AzureML Data Scientist",
    "Azure AI Enterprise Network Connection Approver",
    "Reader",
    "Storage Blob Data Reader",
)
"""Built-in roles that an environment may hold on what another stack made: none changes that stack's data or
infrastructure. The approver lets its own private endpoints in, and no one else's address."""
_ROLE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
AUDIENCE = "api://AzureADTokenExchange"
# One GitHub environment, or one service connection; the first part may hold names or immutable numbers.
_SUBJECTS = (
    (r"https://token\.actions\.githubusercontent\.com(/\S+)?", r"[^*?]+:environment:[A-Za-z0-9._-]+"),
    (r"https://vstoken\.dev\.azure\.com/[0-9a-f-]{36}", r"sc://[^/*]+/[^/*]+/[^/*]+"),
    (
        r"https://login\.microsoftonline\.com/[0-9a-f-]{36}/v2\.0",
        r"/eid1/c/pub/t/[\w-]+/a/[\w-]+/sc/[\w-]+/[\w-]+",
    ),
)


def _assignment(resource: Resource) -> Iterator[Message]:
    role = str(resource.get("roleDefinitionId", "")).rsplit("/", 1)[-1].lower()
    if role in {OWNER, USER_ACCESS_ADMINISTRATOR}:
        yield "Owner and User Access Administrator are never assigned: they can give themselves every role"
    if role == ROLE_ADMINISTRATOR and not resource.get("condition"):
        yield "Role Based Access Control Administrator needs a condition that lists the roles it may assign"
    scope = str(resource.get("scope", ""))
    if role == CONTRIBUTOR and re.fullmatch(r"/subscriptions/[^/]+/?", scope):
        yield "Contributor on a whole subscription is too much; assign it on a resource or its group"
    yield from must(
        resource, "principalType", "ServicePrincipal",
        why="roles of people and groups belong to your directory, and Azure looks the principal up too early",
    )  # fmt: skip


def _abroad(resources: Sequence[Resource]) -> Iterator[tuple[Resource, Message]]:
    """A scope that was made of nothing in this stack belongs to another one."""
    own = {r.urn for r in resources}
    allowed = {BUILT_IN[name] for name in ABROAD}
    for project in {str(r.get("tags.project")) for r in resources if r.kind == "resources:ResourceGroup"}:
        allowed |= {custom_id(project, SHARED, r.name) for r in CUSTOM if r.where == "registry"}
    for resource in resources:
        if resource.kind != "authorization:RoleAssignment":
            continue
        scope = resource.property_dependencies.get("scope", ())
        role = str(resource.get("roleDefinitionId", "")).rsplit("/", 1)[-1]
        # What nobody knows before `shared` is up names no role.
        if own.isdisjoint(scope) and _ROLE.fullmatch(role) and role.lower() not in allowed:
            yield (
                resource,
                f"the scope belongs to another stack, where only {', '.join(ABROAD)} and the roles of the "
                "registry may be held: an environment must not be able to change another one",
            )


def _twice(resources: Sequence[Resource]) -> Iterator[tuple[Resource, Message]]:
    """Azure knows an assignment by who holds what where, and refuses a second one under another name."""
    seen: dict[tuple[str, ...], str] = {}
    for resource in resources:
        if resource.kind != "authorization:RoleAssignment":
            continue
        role = str(resource.get("roleDefinitionId", "")).rsplit("/", 1)[-1]
        key = tuple(str(part).lower() for part in (resource.get("principalId"), role, resource.get("scope")))
        if UNKNOWN.lower() in key:
            continue
        if other := seen.get(key):
            yield resource, f"is the same as {other}: this principal holds the role there already"
        seen.setdefault(key, resource.name)


def _wildcards(resource: Resource) -> Iterator[Message]:
    for permission in resource.get("permissions") or []:
        for field in ("actions", "dataActions"):
            for action in permission.get(field) or []:
                if "*" in action and not re.fullmatch(r"[\w.]+/[\w./]+/\*/read", action):
                    yield f"{field}: {action} grants more than reading below one type; list what is needed"
                elif action.lower().startswith("microsoft.authorization/") and not action.endswith("/read"):
                    yield f"{field}: {action} lets the holder give itself more roles"


def one_workflow(issuer: str, subject: str) -> Iterator[Message]:
    """A sentence unless the two name one environment of GitHub or one service connection of Azure DevOps."""
    if UNKNOWN in (issuer, subject):
        return
    patterns = [shape for host, shape in _SUBJECTS if re.fullmatch(host, issuer)]
    if not patterns:
        yield f"issuer {issuer} is neither GitHub nor Azure DevOps"
    elif not re.fullmatch(patterns[0], subject):
        yield f"subject {subject} must name one environment or one service connection, without wildcards"


def _trust(resource: Resource) -> Iterator[Message]:
    yield from one_workflow(str(resource.get("issuer", "")), str(resource.get("subject", "")))
    if not holds(resource, "audiences", [AUDIENCE]):
        yield f"audiences must be only {AUDIENCE}, got {resource.get('audiences')}"


def _no_local_auth(resource: Resource) -> Iterator[Message]:
    path = (
        "features.disableLocalAuth" if resource.kind.startswith("operationalinsights") else "disableLocalAuth"
    )
    yield from must(resource, path, True, why="a shared key could write telemetry in anybody's name")


def _images(resource: Resource) -> Iterator[Message]:
    yield from must(
        resource, "adminUserEnabled", False, None, why="its password is shared and does not expire"
    )
    yield from must(resource, "anonymousPullEnabled", False, None, why="images may hold code and models")


def _aks(resource: Resource) -> Iterator[Message]:
    yield from must(
        resource, "disableLocalAccounts", True, why="the cluster's admin certificate bypasses Entra ID"
    )


def _vault(resource: Resource) -> Iterator[Message]:
    yield from must(
        resource, "properties.enableRbacAuthorization", True, why="access policies bypass the table of roles"
    )
    yield from must(
        resource,
        "properties.enablePurgeProtection",
        True,
        None,
        why="Azure refuses false; leave it out instead",
    )


RULES = (
    ResourceRule(
        "MLOPS_ACCESS_1", "No role that can give itself more", ("authorization:RoleAssignment",), _assignment
    ),
    ResourceRule(
        "MLOPS_ACCESS_2", "Custom roles list their actions", ("authorization:RoleDefinition",), _wildcards
    ),
    ResourceRule(
        "MLOPS_ACCESS_3",
        "Federated trust names one environment",
        ("managedidentity:FederatedIdentityCredential",),
        _trust,
    ),
    ResourceRule(
        "MLOPS_ACCESS_4",
        "Telemetry needs Entra ID",
        ("applicationinsights:Component", "operationalinsights:Workspace"),
        _no_local_auth,
    ),
    ResourceRule(
        "MLOPS_ACCESS_5", "Container registries need Entra ID", ("containerregistry:Registry",), _images
    ),
    ResourceRule("MLOPS_ACCESS_6", "Kubernetes needs Entra ID", ("containerservice:ManagedCluster",), _aks),
    ResourceRule("MLOPS_ACCESS_7", "Vaults use roles", ("keyvault:Vault",), _vault),
    StackRule("MLOPS_ACCESS_8", "No environment changes another one", _abroad),
    StackRule("MLOPS_ACCESS_9", "No role is assigned twice", _twice),
)

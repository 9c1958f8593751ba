"""What each environment needs of Azure: quota, names, roles and trust."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from mlops.bootstrap import grants
from mlops.bootstrap.pulumi import trust_differences
from mlops.bootstrap.state import name_taken
from mlops.bootstrap.world import Stack, World, read_stack
from mlops.doctor.case import Case
from mlops.doctor.finding import Check, Finding, Severity
from mlops.infra import kubernetes_versions
from mlops.infra.config import EnvironmentStack
from mlops.infra.roles import BUILT_IN, Scope, custom, custom_id
from mlops.infra.sizes import fields_of
from mlops.infra.stack_names import SHARED
from mlops.infra.wanted import granted, stack_before
from mlops.spec.vm_sizes import sentence as size_sentence
from mlops.spec.vm_sizes import table, verdict

_ML: Final = "Microsoft.MachineLearningServices"
RESERVE: Final = 1.2
"""Azure ML keeps 20 % of an endpoint's instances free for its own updates, and counts them."""
_LOW: Final = "TotalLowPriorityCores"
CI_DUTIES: Final = ("plan", "apply", "train", "promote")
"""Identities that workflows take on; the others belong to resources, and Pulumi alone speaks of them."""


@dataclass
class Need:
    """Cores of one family: `all` at the same time, `one` for the smallest thing that must start."""

    all: int = 0
    one: int = 0
    what: tuple[str, ...] = ()

    def add(self, cores: int, count: int, what: str) -> None:
        self.all += cores * count
        self.one = max(self.one, cores)
        self.what = (*self.what, what)


def quota(case: Case) -> Iterator[Finding]:
    """Azure gives the cores that clusters and endpoints may use at most. No quota of its own is ever enough:
    others in the subscription use it too, so what is in use now only counts when nothing would start."""
    places: dict[tuple[str, str], list[Stack]] = defaultdict(list)
    for stack in case.environments:
        places[case.world.subscription(stack), stack.names.region].append(stack)
    for (number, location), stacks in places.items():
        home = f"/subscriptions/{number}/providers/{_ML}/locations/{location}"
        arm = case.world.arm.of(number)
        sizes = {str(r["name"]).lower(): r for r in arm.list(f"{home}/vmSizes", what="list VM sizes")}
        usages = arm.list(f"{home}/usages", what="look at the quota")
        needs, unknown = _needs(case, stacks, sizes)
        for size in unknown:
            fix = f"az ml compute list-sizes --location {location} --output table"
            yield Finding("quota", "error", f"{location} has no VM size {size}", fix)
        for (family, dedicated), need in sorted(needs.items()):
            yield from _short(usages, family, dedicated, need, home)


def _needs(
    case: Case, stacks: list[Stack], sizes: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[tuple[str, bool], Need], list[str]]:
    needs: dict[tuple[str, bool], Need] = defaultdict(Need)
    unknown: list[str] = []

    def add(size: str, dedicated: bool, count: int, what: str) -> None:
        row = sizes.get(size.lower())
        if row is None:
            unknown.append(size)
            return
        family = str(row["family"]) if dedicated else _LOW
        needs[family, dedicated].add(int(row["vCPUs"]), count, what)

    for stack in stacks:
        for name, cluster in getattr(stack.config, "clusters", {}).items():
            dedicated = cluster.priority == "dedicated"
            add(cluster.vm_size, dedicated, cluster.max_nodes, f"cluster {name} of {stack.name}")
        if stack.name not in case.world.policy.order:
            continue
        for name, model in case.settings.models.items():
            own = getattr(stack.config, "endpoints", {}).get(name)
            if (own is None or own.online) and model.online.kubernetes is None:
                most = max(model.online.instances, model.online.max_instances)
                # While a release rolls out, the old and the new deployment both run.
                count = 2 * math.ceil(most * RESERVE)
                add(model.online.instance_type, True, count, f"endpoint of {name} in {stack.name}")
    return needs, sorted(set(unknown))


def _short(
    usages: list[dict[str, Any]], family: str, dedicated: bool, need: Need, home: str
) -> Iterator[Finding]:
    kind = "dedicated" if dedicated else "low-priority"
    row = next((r for r in usages if _is(r, family, dedicated)), None)
    if row is None:
        sentence = f"not checked: Azure shows no quota of {kind} cores of {family}"
        yield Finding(
            "quota", "unknown", sentence, f"az ml compute list-usage --location {home.rsplit('/', 1)[-1]}"
        )
        return
    limit = int(row["limit"])
    if limit < 0 or limit >= need.all:
        return
    what = ", ".join(need.what)
    resource = "dedicated" if dedicated else "lowPriority"
    fix = (
        f"az quota update --resource-name {family!r} --resource-type {resource} "
        f"--scope {home} --limit-object value={need.all}"
    )
    if limit < need.one:
        sentence = (
            f"no {kind} node of {family} can start: the quota is {limit} cores, one needs {need.one} ({what})"
        )
        yield Finding("quota", "error", sentence, fix)
        return
    sentence = f"the quota of {kind} cores of {family} is {limit}, {need.all} may be needed at once ({what})"
    yield Finding("quota", "warning", sentence, fix)


def _is(row: Mapping[str, Any], family: str, dedicated: bool) -> bool:
    if _letters(row["name"]["value"]) != _letters(family):
        return False
    kind = str(row.get("type", "")).lower()
    return family == _LOW or ("dedicatedcores" in kind) == dedicated


def _letters(name: str) -> str:
    """Azure ML spells a family with and without spaces."""
    return "".join(c for c in name.lower() if c.isalnum())


def sizes(case: Case) -> Iterator[Finding]:
    """Azure still makes the machines that clusters and endpoints name, and will for a year."""
    today, known = datetime.now(UTC).date(), table(case.root)
    named = [
        (f"environments/Pulumi.{stack.name}.yaml", field, size)
        for stack in case.environments
        if isinstance(stack.config, EnvironmentStack)
        for field, size in fields_of(stack.config).items()
    ]
    named += [
        ("mlops.toml", f"models.{name}.online.instance_type", model.online.instance_type)
        for name, model in case.settings.models.items()
        if model.online.kubernetes is None
    ]
    for file, field, size in named:
        judged = verdict(size, today, known)
        if judged != "fine":
            severity: Severity = "error" if judged == "ended" else "warning"
            yield Finding(
                "sizes",
                severity,
                f"{file}: {field}: {size_sentence(size, today, known)}",
                f"${{EDITOR:-vi}} {file}",
                True,
            )


def kubernetes(case: Case) -> Iterator[Finding]:
    """Azure supports the Kubernetes versions that stack files name, and will for three months."""
    today = datetime.now(UTC).date()
    for stack in case.environments:
        aks = stack.config.options.aks if isinstance(stack.config, EnvironmentStack) else None
        version = aks.kubernetes_version if aks else None
        judged = kubernetes_versions.verdict(version, today) if version else "fine"
        if version and judged != "fine":
            file = f"environments/Pulumi.{stack.name}.yaml"
            sentence = kubernetes_versions.sentence(version, today)
            yield Finding(
                "kubernetes",
                "error" if judged == "ended" else "warning",
                f"{file}: options.aks.kubernetes_version: {sentence}",
                f"${{EDITOR:-vi}} {file}",
                True,
            )


def free_names(case: Case) -> Iterator[Finding]:
    """What is not there yet can have its name: nobody has it, and no deleted one holds it."""
    world = case.world
    vaults = {
        str(r["name"]): r
        for r in world.arm.list(f"{world.arm.home}/providers/Microsoft.KeyVault/deletedVaults")
    }
    logs = {str(r["name"]) for r in world.arm.list(_deleted_logs(world))}
    there = {"storage_account": "Microsoft.Storage/storageAccounts", "key_vault": "Microsoft.KeyVault/vaults",
             "container_registry": "Microsoft.ContainerRegistry/registries"}  # fmt: skip
    for stack in case.environments:
        arm, group = world.arm_of(stack), world.group_of(stack)
        for kind, resource in there.items():
            name = stack.names(kind)
            if arm.get(f"{group}/providers/{resource}/{name}") is not None:
                continue
            if kind == "key_vault" and name in vaults:
                location = vaults[name]["properties"]["location"]
                sentence = f"a deleted key vault holds the name {name}, which stack {stack.name} needs"
                yield Finding(
                    "free names", "error", sentence, f"az keyvault purge --name {name} --location {location}"
                )
            elif taken := name_taken(arm, kind, name):
                fix = world.pulumi(f"config set mlops:salt x{stack.names.digest} --stack {stack.name}")
                yield Finding("free names", "error", f"stack {stack.name}: {taken}", fix)
        name = stack.names("log_analytics")
        path = f"{group}/providers/Microsoft.OperationalInsights/workspaces/{name}"
        if name in logs and arm.get(path) is None:
            sentence = (
                f"a deleted Log Analytics workspace holds the name {name}, which stack {stack.name} needs"
            )
            fix = f"az monitor log-analytics workspace recover -g {stack.group} --workspace-name {name}"
            yield Finding("free names", "error", sentence, fix)
        path = f"{group}/providers/{_ML}/workspaces/{stack.names('ml_workspace')}"
        if arm.get(path) is None:
            sentence = (
                f"stack {stack.name} has no workspace yet, and Azure lists no deleted ones: if its name is "
                "held for 14 days, this shows how to free it"
            )
            yield Finding("free names", "note", sentence, f"mlops infra purge --stack {stack.name}")


def _deleted_logs(world: World) -> str:
    return f"{world.arm.home}/providers/Microsoft.OperationalInsights/deletedWorkspaces"


def roles(case: Case) -> Iterator[Finding]:
    """Identities of workflows hold the roles of docs/security.md and no others."""
    world = case.world
    shared = next((s for s in case.stacks if s.name == SHARED), None) or read_stack(
        case.root, case.settings, SHARED
    )
    extra = {
        (a.role[1], a.scope.lower())
        for a in grants.workflow_grants(world)
        if isinstance(a, grants.Assignment)
    }
    for stack in case.environments:
        if not isinstance(stack.config, EnvironmentStack):
            continue
        scopes = _scopes(world, stack, shared)
        for duty in CI_DUTIES:
            identity = world.identity(stack, duty)
            if identity is None:
                continue
            wanted = {
                (_role_id(g.role, shared), scopes[g.scope].lower()): g
                for g in granted(stack.config, before=stack_before(case.root, stack.name))
                if g.identity == duty
            }
            held = _held(world, scopes.values(), identity["principalId"])
            for key, grant in wanted.items():
                if key not in held:
                    sentence = f"{stack.name}/{duty} lacks {grant.role} on the {grant.scope}: {grant.why}"
                    fix = world.pulumi(f"up --stack {stack.name} --refresh")
                    yield Finding("roles", "error", sentence, fix)
            for key in sorted(set(held) - set(wanted) - extra):
                what = f"the role {key[0]} on {key[1]}"
                sentence = f"{stack.name}/{duty} also holds {what}, which docs/security.md does not list"
                yield Finding("roles", "warning", sentence, f"az role assignment delete --ids {held[key]}")


def _held(world: World, scopes: Iterable[str], principal: str) -> dict[tuple[str, str], str]:
    """(role id, scope) to the id of the assignment, anywhere in the subscriptions of `scopes`."""
    rows = [
        row
        for subscription in dict.fromkeys(scope.split("/")[2] for scope in scopes)
        for row in world.arm.of(subscription).list(
            f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleAssignments",
            what="list role assignments",
            **{"$filter": f"principalId eq '{principal}'"},
        )
    ]
    return {
        (str(p["roleDefinitionId"]).rsplit("/", 1)[-1].lower(), str(p["scope"]).lower()): str(row["id"])
        for row in rows
        for p in [row["properties"]]
    }


def _role_id(role: str, shared: Stack) -> str:
    if custom(role) is None:
        return BUILT_IN[role].lower()
    return custom_id(shared.names.project, shared.name, role).lower()


def _scopes(world: World, stack: Stack, shared: Stack) -> dict[Scope, str]:
    """Where the roles of workflows' identities are held, by the name of the table in `mlops.infra.roles`."""
    names = stack.names
    group = f"{world.group_of(stack)}/providers"
    registry = f"{world.group_of(shared)}/providers/{_ML}/registries/{shared.names('ml_registry')}"
    return {
        "resource group": world.group_of(stack),
        "storage account": f"{group}/Microsoft.Storage/storageAccounts/{names('storage_account')}",
        "container registry": f"{group}/Microsoft.ContainerRegistry/registries/{names('container_registry')}",
        "application insights": f"{group}/Microsoft.Insights/components/{names('app_insights')}",
        "log analytics": f"{group}/Microsoft.OperationalInsights/workspaces/{names('log_analytics')}",
        "workspace": f"{group}/{_ML}/workspaces/{names('ml_workspace')}",
        "key vault": f"{group}/Microsoft.KeyVault/vaults/{names('key_vault')}",
        "model registry": registry,
        **world.training_scopes(stack),
        **world.before_scopes(stack),
    }


def trust(case: Case) -> Iterator[Finding]:
    """Identities in Azure trust exactly the workflows of the stack files."""
    for stack in case.environments:
        if case.world.identity(stack, "apply") is None:
            sentence = f"stack {stack.name} has not been made, so nothing is trusted yet"
            yield Finding("trust", "error", sentence, f"{case.bootstrap} --stack {stack.name}")
            continue
        for sentence in trust_differences(case.world, stack.name):
            yield Finding("trust", "error", sentence, f"{case.bootstrap} --stack {stack.name}")


CHECKS: Final = (
    Check("sizes", "files", sizes, "all are made for another year"),
    Check("kubernetes", "files", kubernetes, "every version is supported for another three months"),
    Check("quota", "azure", quota, "clusters and endpoints fit"),
    Check("free names", "azure", free_names, "nothing holds a name that is needed"),
    Check("roles", "azure", roles, "as docs/security.md says"),
    Check("trust", "azure", trust, "Azure trusts what the stack files say"),
)

"""Who is logged in to Azure, and whether what bootstrap makes is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops.bootstrap import grants, records, state
from mlops.bootstrap.providers import needed, unregistered
from mlops.bootstrap.world import RECORDS
from mlops.doctor.case import Case
from mlops.doctor.finding import Check, Finding
from mlops.errors import TargetError


def login(case: Case) -> Iterator[Finding]:
    """A token can be had. Says whose it is."""
    try:
        world = case.world
    except TargetError as error:
        yield Finding("login", "error", str(error), "az login && az account set --subscription <id>")
        return
    try:
        claims = world.claims
    except TargetError as error:
        yield Finding("login", "error", " ".join(str(error).split()), "az login")
        return
    who = claims.get("upn") or claims.get("unique_name") or claims["oid"]
    yield Finding("login", "ok", f"{who} in tenant {claims['tid']}")


def subscription(case: Case) -> Iterator[Finding]:
    """Every subscription that a stack is in can be seen, and is enabled."""
    world = case.world
    for number in dict.fromkeys([world.arm.subscription, *(world.subscription(s) for s in case.stacks)]):
        answer = world.arm.get(f"/subscriptions/{number}", what=f"look at the subscription {number}")
        if answer is None:
            sentence = f"this login cannot see the subscription {number}"
            yield Finding("subscription", "error", sentence, "az account list --output table")
        elif answer.get("state") != "Enabled":
            fix = f"az account show --subscription {number}"
            yield Finding("subscription", "error", f"the subscription {number} is {answer.get('state')}", fix)


def providers(case: Case) -> Iterator[Finding]:
    """The subscription knows every service that the stacks use."""
    world = case.world
    by_subscription: dict[str, list[str]] = {}
    for stack in case.stacks:
        by_subscription.setdefault(world.subscription(stack), []).append(stack.name)
    for number, names in by_subscription.items():
        wanted = needed(s for s in case.stacks if s.name in names)
        for namespace in unregistered(world.arm.of(number), wanted):
            fix = f"az provider register --namespace {namespace} --subscription {number} --wait"
            sentence = f"{namespace} is not registered in the subscription {number}"
            yield Finding("providers", "error", sentence, fix)


def foundation(case: Case) -> Iterator[Finding]:
    """Pulumi's state and key are there and closed, and workflows may use them."""
    world = case.world
    steps = [*state.state_steps(world), *grants.workflow_grants(world)]
    for step in steps:
        look = step.look()
        if look.action != "keep":
            why = f": {look.why}" if look.why else ""
            word = {"create": "is missing", "change": "is not as it must be", "refuse": "is in the way"}[
                look.action
            ]
            fix = (
                case.bootstrap
                if look.action != "refuse"
                else f"az resource show --ids {getattr(step, 'path', '')}"
            )
            yield Finding("foundation", "error", f"{step.title} {word}{why}", fix)


def records_signed(case: Case) -> Iterator[Finding]:
    """What gates decide is signed by a key that only the identities that train may use."""
    world = case.world
    for step in records.record_steps(world):
        look = step.look()
        if look.action != "keep":
            why = f": {look.why}" if look.why else ""
            sentence = (
                f"{step.title} {'is missing' if look.action == 'create' else 'is not as it must be'}{why}; "
                "without it whoever may write the registry's tags says what training decided"
            )
            yield Finding("records", "error", sentence, case.bootstrap)
    yield from _other_signers(case)


def _other_signers(case: Case) -> Iterator[Finding]:
    """Who may use the key besides the identities that train and the person who asks."""
    world = case.world
    key = grants.key_path(world, RECORDS)
    if world.arm.get(key) is None:
        return
    trains = [world.identity(s, "train") for s in world.stacks if "train" in s.environments]
    known = {str(world.claims["oid"]), *(str(t["principalId"]) for t in trains if t)}
    for row in world.arm.list(f"{key}/providers/Microsoft.Authorization/roleAssignments"):
        there = row["properties"]
        role = _SIGN.get(str(there["roleDefinitionId"]).rsplit("/", 1)[-1].lower())
        above = key.lower().startswith(str(there["scope"]).lower())
        if role and above and there["principalId"] not in known:
            sentence = (
                f"{there['principalId']} holds {role} on the key of records or above it, so it may sign "
                "that a version passed its gates"
            )
            yield Finding("records", "warning", sentence, f"az role assignment delete --ids {row['id']}")


_SIGN: Final = {
    "12338af0-0e69-4776-bea7-57ae8d297424": "Key Vault Crypto User",
    "14b46e9e-c2b7-41b4-b07b-48a6ebf60603": "Key Vault Crypto Officer",
    "00482a5a-887f-4fb3-b363-3b7fe8e74483": "Key Vault Administrator",
}
"""Roles that may sign with a key."""


CHECKS: Final = (
    Check("login", "azure", login, "logged in"),
    Check("subscription", "azure", subscription, "it can be reached"),
    Check("providers", "azure", providers, "all registered"),
    Check("foundation", "azure", foundation, "Pulumi's state and key are there, and workflows may use them"),
    Check(
        "records", "azure", records_signed, "what gates decide is signed by who trains, and by nobody else"
    ),
)

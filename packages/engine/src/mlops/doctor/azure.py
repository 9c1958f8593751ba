"""Who is logged in to Azure, and whether what bootstrap makes is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops.bootstrap import grants, records, state
from mlops.bootstrap.providers import needed, unregistered
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
    world, signing = case.world, case.settings.signing
    for step in records.record_steps(world):
        look = step.look()
        if look.action != "keep":
            why = f": {look.why}" if look.why else ""
            sentence = (
                f"{step.title} {'is missing' if look.action == 'create' else 'is not as it must be'}{why}; "
                "without it whoever may write the registry's tags says what training decided"
            )
            own = signing.records and signing.records_key != world.records_url
            yield Finding("records", "note" if own else "error", sentence, case.bootstrap)


CHECKS: Final = (
    Check("login", "azure", login, "logged in"),
    Check("subscription", "azure", subscription, "it can be reached"),
    Check("providers", "azure", providers, "all registered"),
    Check("foundation", "azure", foundation, "Pulumi's state and key are there, and workflows may use them"),
    Check(
        "records", "azure", records_signed, "what gates decide is signed by who trains, and by nobody else"
    ),
)

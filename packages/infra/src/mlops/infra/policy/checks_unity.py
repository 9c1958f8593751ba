"""Rules on Unity Catalog: who may use it, what may delete it, when a warehouse stops."""

from __future__ import annotations

from collections.abc import Iterator

from mlops.infra.model import UNKNOWN, Resource
from mlops.infra.policy.checks_access import one_workflow
from mlops.infra.policy.rule import Message, ResourceRule, must
from mlops.spec.unity import EVERYBODY

CATALOG, SCHEMA, VOLUME = (
    "databricks:index/catalog:Catalog",
    "databricks:index/schema:Schema",
    "databricks:index/volume:Volume",
)
GRANT, GRANTS = "databricks:index/grant:Grant", "databricks:index/grants:Grants"
FEDERATION = "databricks:index/servicePrincipalFederationPolicy:ServicePrincipalFederationPolicy"
WAREHOUSE = "databricks:index/sqlEndpoint:SqlEndpoint"
_OWNERS = ("ALL_PRIVILEGES", "MANAGE")
_LONGEST_IDLE = 60


def _grant(resource: Resource) -> Iterator[Message]:
    if str(resource.get("principal", "")).lower() in EVERYBODY:
        yield f"everybody is in the group {resource.get('principal')!r}; grant to a principal of its own"
    for privilege in resource.get("privileges") or []:
        if str(privilege).upper().replace(" ", "_") in _OWNERS:
            yield f"{privilege} lets its holder change the grants themselves; list what is needed"


def _whole_list(resource: Resource) -> Iterator[Message]:
    yield (
        "Grants replaces whatever others granted there, also by hand, without a word in the plan; "
        "use a Grant for each principal"
    )


def _kept(resource: Resource) -> Iterator[Message]:
    if resource.stack == "prod":
        yield from must(
            resource, "forceDestroy", False, None, why="versions that are in use would go with it"
        )


def _trust(resource: Resource) -> Iterator[Message]:
    policy = resource.get("oidcPolicy")
    if policy in (None, UNKNOWN):
        if policy is None:
            yield "oidcPolicy must say whose token is trusted"
        return
    issuer, subject = str(policy.get("issuer", "")), str(policy.get("subject", ""))
    yield from one_workflow(issuer, subject)
    if not policy.get("audiences"):
        yield "oidcPolicy.audiences must name the workspace; a token for anything else would do too"


def _stops(resource: Resource) -> Iterator[Message]:
    minutes = resource.get("autoStopMins")
    if minutes == UNKNOWN:
        return
    if not isinstance(minutes, int) or not 1 <= minutes <= _LONGEST_IDLE:
        got = "nothing" if minutes is None else minutes
        yield (
            f"autoStopMins must be 1 to {_LONGEST_IDLE}, got {got}: a warehouse that nobody asks costs as "
            "much as one at work"
        )


RULES = (
    ResourceRule("MLOPS_UNITY_1", "Nothing is granted to everybody, or as a whole", (GRANT,), _grant),
    ResourceRule("MLOPS_UNITY_2", "A grant leaves those of others alone", (GRANTS,), _whole_list),
    ResourceRule("MLOPS_UNITY_3", "What holds something is not deleted", (CATALOG, SCHEMA), _kept),
    ResourceRule("MLOPS_UNITY_4", "Federated trust names one environment", (FEDERATION,), _trust),
    ResourceRule("MLOPS_UNITY_5", "Warehouses stop by themselves", (WAREHOUSE,), _stops),
)

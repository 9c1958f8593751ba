"""The rules on Unity Catalog: each blocks what it is for, and lets its neighbour pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mlops.infra.model import UNKNOWN, Resource
from mlops.infra.policy.judge import RULES, judge

GRANT, WAREHOUSE = "grant:Grant", "sqlEndpoint:SqlEndpoint"
FEDERATION = "servicePrincipalFederationPolicy:ServicePrincipalFederationPolicy"
GITHUB = "https://token.actions.githubusercontent.com"
POLICY = {"issuer": GITHUB, "subject": "repo:o/r:environment:prod", "audiences": ["https://x/oidc/v1/token"]}


def resource(kind: str, inputs: Mapping[str, Any], stack: str = "prod", **options: Any) -> Resource:
    urn = f"urn:pulumi:{stack}::p::databricks:index/{kind}::it"
    return Resource(urn=urn, type=f"databricks:index/{kind}", name="it", inputs=inputs, options=options)


def broken(one: Resource) -> set[str]:
    return {f.check for f in judge([one], RULES)}


SPARING = {"principal": "a", "privileges": ["USE_SCHEMA"]}
TRUSTS = {"oidcPolicy": POLICY}


@pytest.mark.parametrize(
    ("kind", "good", "bad", "check"),
    [
        (GRANT, SPARING, {"principal": "account users"}, "MLOPS_UNITY_1"),
        (GRANT, {"principal": "a", "privileges": []}, {"principal": "Users"}, "MLOPS_UNITY_1"),
        (GRANT, {"privileges": ["SELECT"]}, {"privileges": ["SELECT", "ALL PRIVILEGES"]}, "MLOPS_UNITY_1"),
        (GRANT, {"privileges": ["SELECT"]}, {"privileges": ["manage"]}, "MLOPS_UNITY_1"),
        (FEDERATION, TRUSTS, {"oidcPolicy": {**POLICY, "issuer": "https://evil"}}, "MLOPS_UNITY_4"),
        (FEDERATION, TRUSTS, {"oidcPolicy": {**POLICY, "subject": "repo:o/*"}}, "MLOPS_UNITY_4"),
        (FEDERATION, TRUSTS, {"oidcPolicy": {**POLICY, "audiences": []}}, "MLOPS_UNITY_4"),
        (FEDERATION, {"oidcPolicy": UNKNOWN}, {}, "MLOPS_UNITY_4"),
        (WAREHOUSE, {"autoStopMins": 60}, {"autoStopMins": 61}, "MLOPS_UNITY_5"),
        (WAREHOUSE, {"autoStopMins": 1}, {"autoStopMins": 0}, "MLOPS_UNITY_5"),
        (WAREHOUSE, {"autoStopMins": UNKNOWN}, {}, "MLOPS_UNITY_5"),
    ],
)  # fmt: skip
def test_a_rule_blocks(kind: str, good: dict[str, Any], bad: dict[str, Any], check: str) -> None:
    assert broken(resource(kind, good)) == set()

    assert broken(resource(kind, bad)) == {check}


def test_a_list_of_all_grants_is_refused() -> None:
    assert broken(resource("grants:Grants", {"grants": []})) == {"MLOPS_UNITY_2"}


@pytest.mark.parametrize("kind", ["catalog:Catalog", "schema:Schema"])
def test_production_is_never_deleted_with_what_it_holds(kind: str) -> None:
    assert broken(resource(kind, {"forceDestroy": True}, protect=True)) == {"MLOPS_UNITY_3"}
    assert broken(resource(kind, {"forceDestroy": True}, stack="dev")) == set()
    assert broken(resource(kind, {"forceDestroy": False}, protect=True)) == set()


@pytest.mark.parametrize("kind", ["catalog:Catalog", "schema:Schema", "volume:Volume"])
def test_production_is_protected(kind: str) -> None:
    assert broken(resource(kind, {})) == {"MLOPS_PROTECT_1"}

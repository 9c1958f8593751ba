"""`options.databricks.unity_catalog`: what Unity Catalog holds for an environment, and who may use it."""

from __future__ import annotations

from typing import Any

import pytest

from graphs import plan
from mlops.errors import InvalidInput
from mlops.infra.model import UNKNOWN, Captured, Resource
from mlops.infra.policy.judge import judge
from mlops.spec.unity import MONITORS, TAKES, WORKS

ACCOUNT = "00000000-0000-0000-0000-000000000009"
METASTORE = "00000000-0000-0000-0000-000000000008"
READER = "0badcafe-0000-0000-0000-000000000001"


def catalogued(stack: str, **settings: Any) -> Captured:
    """The plan of `stack` with a catalog."""
    return plan(stack, options={"databricks": {"unity_catalog": settings}})


def of(graph: Captured, kind: str) -> dict[str, Resource]:
    """Databricks' resources of a kind, such as `Grant`, by their logical names."""
    return {r.name: r for r in graph if r.type.startswith("databricks:") and r.type.endswith(f":{kind}")}


def granted(graph: Captured, label: str) -> set[str]:
    return set(graph.named(f"grant-schema-{label}").inputs["privileges"])


def test_no_rule_is_broken_whatever_is_asked_for() -> None:
    for stack in ("dev", "prod"):
        graph = catalogued(stack, warehouse="2X-Small", account=ACCOUNT, metastore=METASTORE)
        assert judge(graph.judged) == []


def test_names_are_those_that_the_target_asks_for() -> None:
    graph = catalogued("prod")
    assert graph.named("catalog").inputs["name"] == "prod"
    assert graph.named("catalog-schema").inputs == {
        "catalogName": "prod", "name": "ml", "forceDestroy": False,
    }  # fmt: skip
    assert graph.named("catalog-volume").inputs["name"] == "mlops"
    assert set(graph.exports["databricks"]) == {"host"}


def test_the_catalog_has_a_storage_account_of_its_own_with_folders() -> None:
    graph = catalogued("prod")
    account = graph.named("catalog-storage")
    assert account.get("isHnsEnabled") is True
    assert graph.named("storage").get("isHnsEnabled") is None
    rules = account.get("networkRuleSet.resourceAccessRules")
    assert [r["resourceId"] for r in rules] == [graph.named("databricks-connector").id]
    assert account.get("networkRuleSet.defaultAction") == "Deny"
    ends = {r.inputs["privateLinkServiceConnections"][0]["groupIds"][0] for r in reached(graph, account)}
    assert ends == {"dfs", "blob"}
    assert (
        graph.named("catalog")
        .inputs["storageRoot"]
        .endswith(f"@{account.inputs['accountName']}.dfs.core.windows.net/")
    )


def reached(graph: Captured, account: Resource) -> list[Resource]:
    return [
        r
        for r in graph.of("network:PrivateEndpoint")
        if r.inputs["privateLinkServiceConnections"][0]["privateLinkServiceId"] == account.id
    ]


def test_the_connector_may_use_the_account_before_databricks_tries() -> None:
    graph = catalogued("dev")
    grant = graph.named("grant-databricks-storage-blob-data-contributor-catalog-storage-account")
    assert grant.inputs["scope"] == graph.named("catalog-storage").id
    assert grant.urn in graph.named("catalog-credential").dependencies


def test_who_trains_makes_versions_only_where_they_are_numbered() -> None:
    assert set(WORKS) <= granted(catalogued("dev"), "train")
    prod = catalogued("prod")
    assert granted(prod, "train") == set(MONITORS)
    assert set(WORKS) <= granted(prod, "promote")
    assert {r.inputs["privileges"][0] for r in of(prod, "Grant").values() if "catalog" in r.inputs} == {
        "USE_CATALOG"
    }


def test_others_take_versions_from_where_they_are_numbered() -> None:
    graph = catalogued("dev", readers=[READER])
    assert granted(graph, "reader-0badcafe") == set(TAKES)
    assert graph.named("principal-reader-0badcafe").inputs["applicationId"] == READER


def test_readers_of_a_stack_that_numbers_no_version_are_refused() -> None:
    with pytest.raises(InvalidInput) as error:
        catalogued("prod", readers=[READER])
    (problem,) = error.value.problems
    assert problem.field == "options.databricks.unity_catalog.readers"
    assert problem.where.startswith("environments/Pulumi.prod.yaml")


def test_a_metastore_needs_the_account() -> None:
    with pytest.raises(InvalidInput) as error:
        catalogued("dev", metastore=METASTORE)
    assert error.value.problems[0].field == "options.databricks.unity_catalog.metastore"


def test_what_belongs_to_the_account_is_made_only_when_it_is_named() -> None:
    plain, whole = catalogued("dev"), catalogued("dev", account=ACCOUNT, metastore=METASTORE)
    kinds = ("MetastoreAssignment", "ServicePrincipalFederationPolicy")
    assert not any(of(plain, kind) for kind in kinds)
    assert all(of(whole, kind) for kind in kinds)
    assert of(whole, "MetastoreAssignment")["metastore"].urn in whole.named("catalog-credential").dependencies
    (policy,) = of(whole, kinds[1]).values()
    host = whole.exports["databricks"]["host"]
    assert policy.get("oidcPolicy.audiences") == [f"{host}/oidc/v1/token"]
    assert policy.get("oidcPolicy.subject") == whole.named("trust-train-github").inputs["subject"]


def test_a_warehouse_is_made_only_when_it_is_asked_for() -> None:
    assert not of(catalogued("dev"), "SqlEndpoint")
    graph = catalogued("dev", warehouse="2X-Small")
    assert graph.named("warehouse").inputs["autoStopMins"] == 10
    assert graph.exports["databricks"]["warehouse"]
    assert {a["permissionLevel"] for a in graph.named("warehouse-users").inputs["accessControls"]} == {
        "CAN_USE"
    }


def test_a_preview_goes_through_without_what_only_databricks_knows() -> None:
    settings = {"account": ACCOUNT, "warehouse": "2X-Small"}
    graph = plan("dev", preview=True, options={"databricks": {"unity_catalog": settings}})
    assert graph.named("warehouse-users").inputs.get("sqlEndpointId", UNKNOWN) == UNKNOWN


def test_what_holds_versions_is_protected_or_goes_as_a_whole() -> None:
    prod, dev = catalogued("prod"), catalogued("dev", readers=[])
    for name in ("catalog", "catalog-schema", "catalog-volume", "container-catalog", "catalog-storage"):
        assert prod.named(name).options.get("protect"), name
    assert prod.named("catalog").inputs["forceDestroy"] is False
    assert dev.named("catalog").inputs["forceDestroy"] is not bool(
        dev.named("catalog").options.get("protect")
    )


def test_nothing_of_databricks_is_imported_without_the_option() -> None:
    assert not any(r.type.startswith("databricks:") for r in plan("dev", options={"databricks": {}}))

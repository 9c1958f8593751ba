"""Names must be legal before Azure is asked: a refused name fails half an hour into an `up`, and a name that
changes by accident replaces the resource and loses what it holds."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infra.naming import ENVIRONMENTS, REGIONS, RULES, Names, check, check_compute, guid

from mlops.errors import InvalidInput

PROJECTS = st.from_regex(r"[a-z][a-z0-9-]{1,26}", fullmatch=True)
MODELS = PROJECTS


@given(
    PROJECTS,
    st.sampled_from(["dev", "staging", "prod", "shared", "sandbox1"]),
    st.sampled_from(sorted(REGIONS)),
)
def test_every_kind_of_name_is_legal_for_any_project(project: str, environment: str, region: str) -> None:
    names = Names(project, environment, region)
    for kind, rule in RULES.items():
        name = (
            names(kind)
            if not kind.endswith("_endpoint") or kind == "private_endpoint"
            else names.endpoint(kind, project)
        )
        assert rule.shortest <= len(name) <= rule.longest
        assert re.fullmatch(rule.pattern, name)
        assert "--" not in name or kind != "key_vault"


@given(PROJECTS, PROJECTS)
def test_names_that_are_global_differ_between_projects_even_when_they_are_cut(one: str, other: str) -> None:
    if one == other:
        return
    a, b = Names(one, "prod", "westeurope"), Names(other, "prod", "westeurope")
    if a.digest != b.digest:
        assert a("storage_account") != b("storage_account")


def test_names_are_what_they_were() -> None:
    """A changed name replaces the resource; whoever changes the grammar must mean to."""
    names = Names("freight-mlops", "prod", "westeurope")
    assert {
        kind: names(kind) for kind in ("resource_group", "storage_account", "key_vault", "ml_workspace")
    } == {
        "resource_group": "rg-freight-mlops-prd-we",
        "storage_account": "stfreightmlopsprdwee6a7",
        "key_vault": "kv-freight-m-prd-we-e6a7",
        "ml_workspace": "mlw-freight-mlops-prd-we",
    }
    assert names.endpoint("online_endpoint", "freight") == "freight-prd-e6a7"
    assert names.endpoint("batch_endpoint", "freight") == "freight-b-prd-e6a7"


@pytest.mark.parametrize(
    "change", [{"salt": "b"}, {"region": "northeurope"}, {"environment": "dev"}, {"project": "x1"}]
)
def test_salt_region_environment_and_project_all_change_global_names(change: dict[str, str]) -> None:
    facts = {"project": "freight", "environment": "prod", "region": "westeurope", "salt": ""}
    assert Names(**facts)("storage_account") != Names(**{**facts, **change})("storage_account")


def test_environments_and_regions_have_different_abbreviations() -> None:
    assert len(set(REGIONS.values())) == len(REGIONS)
    assert len(set(ENVIRONMENTS.values())) == len(ENVIRONMENTS)
    assert all(set(code) <= set(string.ascii_lowercase + string.digits) for code in REGIONS.values())


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("storage_account", "st-with-dash"),
        ("storage_account", "ab"),
        ("storage_account", "a" * 25),
        ("key_vault", "kv--double"),
        ("key_vault", "1kv"),
        ("container_registry", "cr-dash"),
        ("container_registry", "abcd"),
        ("ml_workspace", "w" * 34),
        ("ml_workspace", "_w1"),
        ("online_endpoint", "e" * 33),
        ("online_endpoint", "9endpoint"),
        ("log_analytics", "log-"),
        ("identity", "id with space"),
        ("data_factory", "adf-"),
        ("container_group", "Upper"),
    ],
)
def test_an_illegal_name_is_refused_with_its_rule(kind: str, name: str) -> None:
    with pytest.raises(InvalidInput, match="no legal name in Azure"):
        check(kind, name)


@pytest.mark.parametrize("name", ["cp", "cpu-1", "gpu-cluster-12", "1cpu", "cpu-", "c" * 25, "cpu_x"])
def test_a_compute_name_that_azure_refuses_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must be 3 to 24"):
        check_compute(name)


@pytest.mark.parametrize("name", ["cpu", "gpu1", "cpu-large", "c" * 24])
def test_a_legal_compute_name_is_taken_as_it_is(name: str) -> None:
    assert check_compute(name) == name


def test_ids_are_stable_and_tell_their_parts_apart() -> None:
    assert guid("grant", "freight", "prod", "train-acrpull") == guid(
        "grant", "freight", "prod", "train-acrpull"
    )
    assert guid("a", "b") != guid("b", "a")

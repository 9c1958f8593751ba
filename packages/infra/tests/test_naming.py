"""Names must be legal before Azure is asked: a refused name fails half an hour into an `up`, and a name that
changes by accident replaces the resource and loses what it holds."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.errors import InvalidInput
from mlops.infra.load import StackFile
from mlops.infra.naming import ENVIRONMENTS, REGIONS, RULES, Names, check, check_compute, check_stack, guid
from mlops.infra.stack_names import stack_names
from mlops.infra.wanted import check_endpoints

PROJECTS = st.from_regex(r"[a-z][a-z0-9-]{1,26}", fullmatch=True)
MODELS = PROJECTS


STACKS = st.one_of(
    st.sampled_from(
        ["dev", "staging", "prod", "shared", "sandbox", "sandy", "dev-alice", "prd", "stg", "stat"]
    ),
    st.from_regex(r"dev-[a-z0-9-]{0,20}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9._-]{1,100}", fullmatch=True),
).filter(lambda stack: stack != "state")


def _all(names: Names, model: str) -> dict[str, str]:
    return {
        kind: names.endpoint(kind, model) if kind in {"online_endpoint", "batch_endpoint"} else names(kind)
        for kind in RULES
    }


@settings(max_examples=1000)
@given(PROJECTS, STACKS, st.sampled_from(sorted(REGIONS)), MODELS)
def test_every_kind_of_name_is_legal_for_any_project_and_stack(
    project: str, environment: str, region: str, model: str
) -> None:
    for kind, name in _all(Names(project, environment, region), model).items():
        rule = RULES[kind]
        assert rule.shortest <= len(name) <= rule.longest
        assert re.fullmatch(rule.pattern, name)
        assert "--" not in name or kind != "key_vault"


ODD = (
    "Dev DEV dev dev- dev-- -dev dev_ dev. prd stg shr stat staging prod shared sand sandy sandbox a A 1 1234"
)
SIMILAR = [
    *(
        f"{word}{sep}{n}"
        for word in ("dev", "sandbox", "dev-trial")
        for sep in ("-", "", ".")
        for n in range(300)
    ),
    *ODD.split(),
    *("x" * n for n in range(1, 100)),
]


def test_no_two_of_thousands_of_stacks_get_one_name() -> None:
    """`sandbox` and `sandy` shared every name: the second `up` met 409, or one workspace had two owners."""
    every = [_all(Names("freight-mlops", stack, "westeurope"), "freight") for stack in dict.fromkeys(SIMILAR)]
    for kind in RULES:
        assert len({names[kind].lower() for names in every}) == len(every), kind


def test_no_two_of_thousands_of_projects_get_one_name_for_their_trial() -> None:
    projects = [f"churn-prediction-team-{n}" for n in range(3000)]
    every = [_all(Names(project, "dev-alice", "southcentralus"), "freight") for project in projects]
    for kind in RULES:
        assert len({names[kind].lower() for names in every}) == len(every), kind


@pytest.mark.parametrize("stack", ["dev", "qa", "uat", "test", "eu1", "7"])
def test_a_short_word_is_spelt_out(stack: str) -> None:
    assert Names("freight", stack, "westeurope")("resource_group") == f"rg-freight-{stack}-we"


@pytest.mark.parametrize(("stack", "abbreviation"), [("prd", "prod"), ("stg", "staging"), ("shr", "shared")])
def test_an_abbreviation_of_another_stack_is_no_name_of_its_own(stack: str, abbreviation: str) -> None:
    one, other = (Names("freight", s, "westeurope")("resource_group") for s in (stack, abbreviation))
    assert one != other


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "no name of a stack"),
        ("my stack", "no name of a stack"),
        ("a" * 101, "no name of a stack"),
        ("dév", "no name of a stack"),
        ("org/dev", "no name of a stack"),
        ("state", "stands for what keeps Pulumi's state"),
    ],
)
def test_a_name_that_no_stack_may_have_is_refused(name: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        check_stack(name)
    with pytest.raises(InvalidInput, match=sentence):
        StackFile.of(Path(), name)


@pytest.mark.parametrize(
    ("project", "model", "word"),
    [("windows-faults", "freight", "windows"), ("my-microsoft", "freight", "microsoft"),
     ("freight", "login-risk", "login"), ("freight", "xbox", "xbox")],
)  # fmt: skip
def test_a_word_that_azure_keeps_to_itself_is_refused(project: str, model: str, word: str) -> None:
    names = Names(project, "dev", "westeurope")
    with pytest.raises(
        InvalidInput, match=rf"Azure keeps '{word}' to itself\. Change the name in mlops\.toml"
    ):
        (names("container_registry"), names.endpoint("online_endpoint", model))
    assert names("resource_group"), "no address, no word that is taken"


def test_models_that_begin_alike_have_endpoints_of_their_own_in_a_trial() -> None:
    names = Names("freight", "dev-alice", "westeurope")
    models = ["churn-prediction-daily", "churn-prediction-weekly", "churn-prediction"]
    for kind in ("online_endpoint", "batch_endpoint"):
        assert len({names.endpoint(kind, m) for m in models}) == 3
    check_endpoints(names, models)


def test_models_that_would_share_an_endpoint_are_refused() -> None:
    alike = ["predict-customer-churn-day-a", "predict-customer-churn-day-b"]
    with pytest.raises(InvalidInput, match="would share the endpoint predict-customer-chu"):
        check_endpoints(Names("freight", "prod", "westeurope"), [m[:27] + m[-1:] for m in alike])
    check_endpoints(Names("freight", "prod", "westeurope"), ["day-a", "day-b"])


def test_stacks_are_found_by_their_whole_name(tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    for name in ("dev", "dev.eu", "dev-alice", "shared"):
        (tmp_path / f"environments/Pulumi.{name}.yaml").touch()
    (tmp_path / "environments/Pulumi.yaml").touch()
    assert stack_names(tmp_path) == ["shared", "dev", "dev-alice", "dev.eu"]


def test_a_name_that_cannot_be_shortened_gets_no_advice_to_shorten_it() -> None:
    with pytest.raises(InvalidInput) as caught:
        check("key_vault", "kv-freight-dev--we-da6f")
    assert "must match" in str(caught.value)
    assert "horten" not in str(caught.value)
    with pytest.raises(InvalidInput, match="it has 25 characters, 24 may be"):
        check("storage_account", "a" * 25)


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

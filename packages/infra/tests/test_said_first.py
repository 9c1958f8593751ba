"""A pull request says what Azure would refuse, before Azure does: each rule of the stand-in is known offline,
or the page says who knows it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from graphs import CLUSTERS, ROOT, plan
from mlops.doctor import azure, platform
from mlops.errors import InvalidInput
from mlops.infra.plan.api import UNREACHED, WITHOUT_COMPUTE
from mlops.infra.policy.judge import RULES as POLICIES
from mlops.infra.policy.judge import judge
from stand_in.rules import RULES

PAGE = (ROOT / "docs/infrastructure.md").read_text(encoding="utf-8")
SECTION = PAGE.split("### What Azure refuses, and who says it first\n")[1].split("\nTo renew")[0]
HOW = {
    "_budget_month": "month has passed",
    "_named": "wrong letter",
    "_sized": "retired",
    "_sold": "no such size",
    "_short_name": "short name",
    "_metrics": "metric category",
    "_memory": "tenths",
    "_redundancy": "redundancy",
    "_tags": "tags",
    "_nodes": "fewer nodes",
    "_kubernetes": "Kubernetes version",
    "_vault": "purge protection",
    "_notifications": "six notifications",
    "_retention": "retention",
}
"""By the maker of a rule of the stand-in, the line of the page."""


def _maker(judge_of_rule: Any) -> str:
    return str(judge_of_rule.__qualname__).split(".")[0]


def test_every_rule_of_the_stand_in_has_its_line() -> None:
    makers = {_maker(rule.judge) for rule in RULES}
    assert makers == set(HOW)
    assert [m for m in makers if HOW[m] not in SECTION] == []


def test_what_the_page_names_exists() -> None:
    # The plan alone judges hosts and jobs, because it needs files of the repository.
    of_the_plan = {UNREACHED, WITHOUT_COMPUTE}
    assert set(re.findall(r"MLOPS_\w+", SECTION)) - {r.check for r in POLICIES} == of_the_plan
    checks = {c.name for c in (*platform.CHECKS, *azure.CHECKS)}
    assert set(re.findall(r"`mlops doctor` \(([a-z ]+)\)", SECTION)) <= checks


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ({"clusters": {"cpu-1": CLUSTERS["cpu-cluster"]}}, "clusters.cpu-1: must be 3 to 24 letters"),
        ({"clusters": {"c": CLUSTERS["cpu-cluster"]}}, "; got 'c'"),
        ({"clusters": {"x" * 25: CLUSTERS["cpu-cluster"]}}, "must be 3 to 24 letters"),
        ({"events": {"New_Models": {"types": ["ModelRegistered"]}}}, "events.New_Models"),
        ({"events": {"a--b": {"types": ["ModelRegistered"]}}}, "events.a--b"),
        ({"options": {"aks": {"compute": "k-8"}}}, "options.aks.compute: must be 3 to 24 letters"),
        ({"options": {"aks": {"namespace": "Azure_ML"}}}, "options.aks.namespace"),
        ({"salt": "not-legal"}, "salt"),
    ],
)
def test_a_name_that_somebody_chooses_is_refused_in_the_plan(edits: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        plan("dev", **edits)
    assert re.search(r"environments/Pulumi\.dev\.yaml:\d+: ", str(caught.value))
    assert said in str(caught.value)
    assert "[key]" not in str(caught.value)
    assert str(caught.value).count("; got ") <= 1


def test_a_retired_size_is_refused_in_the_plan() -> None:
    clusters = {"cpu": CLUSTERS["cpu-cluster"], "gpu": {"vm_size": "Standard_ND24rs", "max_nodes": 1}}
    assert {f.check for f in judge(plan("dev", clusters=clusters).azure)} == {"MLOPS_COMPUTE_7"}

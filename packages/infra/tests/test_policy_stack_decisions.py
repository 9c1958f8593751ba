"""Rules over a whole stack, and what is made of findings: each by the fewest resources that show it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from mlops.errors import InvalidInput
from mlops.infra.model import UNKNOWN, Captured, Finding, Resource, Skip
from mlops.infra.policy import checks_data, checks_platform
from mlops.infra.policy.checks_access import ABROAD, SHARED
from mlops.infra.policy.checks_platform import SIZES_END
from mlops.infra.policy.judge import REASONLESS, RULES, UNUSED, accept, judge, rules_with
from mlops.infra.policy.rule import ResourceRule, StackRule, holds, must
from mlops.infra.roles import BUILT_IN, CUSTOM, custom_id
from mlops.spec.vm_sizes import Series, Table


def resource(kind: str, name: str = "x", *, stack: str = "prod", **more: Any) -> Resource:
    urn = f"urn:pulumi:{stack}::mlops::azure-native:{kind}::{name}"
    return Resource(**{"urn": urn, "type": f"azure-native:{kind}", "name": name, "inputs": {}, **more})


def told(check: str, *resources: Resource) -> list[str]:
    """Names of the resources that a rule complains of."""
    return [finding.resource for finding in judge(resources) if finding.check == check]


# --- rules over a stack -------------------------------------------------------------------------------------

GROUP = resource("resources:ResourceGroup", "group", inputs={"tags": {"project": "toy"}})
ENVIRONMENTS = next(role.name for role in CUSTOM if role.where == "environments")
ELSEWHERE = next(role.name for role in CUSTOM if role.where != "environments")


@pytest.mark.parametrize(
    ("role", "of_own", "bad"),
    [
        (BUILT_IN["Contributor"], False, True),
        (BUILT_IN["Contributor"], True, False),
        *((BUILT_IN[name], False, False) for name in ABROAD),
        (custom_id("toy", SHARED, ENVIRONMENTS), False, True),
        (custom_id("toy", SHARED, ENVIRONMENTS), True, False),
        (custom_id("toy", SHARED, ELSEWHERE), False, False),
        (custom_id("other", SHARED, ENVIRONMENTS), False, True),
        ("12338af0-0e69-4776-bea7-57ae8d297424", False, True),  # Key Vault Crypto User: signs records
        ("B7E6DC6D-F1E8-4753-8033-0F276BB0955B", False, True),  # Storage Blob Data Owner
        ("12338af0-0e69-4776-bea7-57ae8d297424", True, False),
        ("", False, False),  # not known before `shared` is up
    ],
)
def test_what_another_stack_made_is_not_changed_from_here(role: str, of_own: bool, bad: bool) -> None:
    given = resource(
        "authorization:RoleAssignment",
        "given",
        inputs={"roleDefinitionId": f"/subscriptions/a/roleDefinitions/{role}"},
        property_dependencies={"scope": (GROUP.urn,)} if of_own else {},
    )
    tags = {"tags": {"project": "other"}}  # of a resource: only a group says whose stack it is
    other = resource("network:PrivateEndpoint", "other", inputs={**given.inputs, **tags})
    assert told("MLOPS_ACCESS_8", GROUP, given, other) == (["given"] if bad else [])
    if not of_own:  # what made it may be known, and not be of this stack
        made = replace(given, property_dependencies={"scope": ("urn:of-another-stack",)})
        assert told("MLOPS_ACCESS_8", GROUP, made) == told("MLOPS_ACCESS_8", GROUP, given)


def test_a_role_is_assigned_once_whatever_it_is_called() -> None:
    def held(name: str, who: str = "ann", role: str = "r", scope: str = "/s") -> Resource:
        inputs = {"principalId": who, "roleDefinitionId": f"/x/roleDefinitions/{role}", "scope": scope}
        return resource("authorization:RoleAssignment", name, inputs=inputs)

    check = "MLOPS_ACCESS_9"
    assert told(check, held("a"), held("b"), held("c", "ANN", "R", "/S")) == ["b", "c"]
    assert told(check, held("a"), held("b", "bob"), held("c", role="q"), held("d", scope="/t")) == []
    assert told(check, held("a", UNKNOWN), held("b", UNKNOWN)) == [], "what only Azure knows is no twin"
    assert told(check, held("a"), replace(held("b"), type="azure-native:network:PrivateEndpoint")) == []
    assert told(check, held("u", UNKNOWN), GROUP, held("a"), held("b")) == ["b"], (
        "what comes after them counts"
    )
    elsewhere = {**held("b").inputs, "roleDefinitionId": "/subscriptions/y/providers/z/roleDefinitions/r"}
    assert told(check, held("a"), replace(held("b"), inputs=elsewhere)) == ["b"], (
        "a role has one id in each place"
    )


@pytest.mark.parametrize("kind", checks_data.DIAGNOSED)
def test_each_of_what_holds_data_has_a_trail_of_its_own(kind: str) -> None:
    one, two = resource(kind, "one"), resource(kind, "two")

    def trail(of: Resource, prop: str = "resourceUri") -> Resource:
        kind = "monitor:DiagnosticSetting"
        return resource(kind, f"of {of.name}", property_dependencies={prop: (of.urn,)})

    check = "MLOPS_LOGS_1"
    assert told(check, one, two) == ["one", "two"]
    assert told(check, one, two, trail(one)) == ["two"]
    assert told(check, one, two, trail(one), trail(two, "workspaceId")) == ["two"]
    assert told(check, one, trail(one)) == []
    link = resource("network:PrivateEndpoint", "link", property_dependencies={"resourceUri": (one.urn,)})
    assert told(check, one, link) == ["one"], "what only points at it is no trail"
    assert told(check, resource("network:PrivateEndpoint", "no data")) == []


def test_a_workspace_has_a_budget() -> None:
    workspace, budget = resource("machinelearningservices:Workspace"), resource("consumption:Budget", "b")
    assert told("MLOPS_COST_2", workspace, GROUP) == ["x"]
    assert told("MLOPS_COST_2", workspace, budget) == []
    assert told("MLOPS_COST_2", GROUP, resource("machinelearningservices:OnlineEndpoint")) == []


def test_a_source_has_one_topic() -> None:
    def topic(name: str, *sources: str, kind: str = "eventgrid:SystemTopic") -> Resource:
        return resource(kind, name, property_dependencies={"source": sources} if sources else {})

    check = "MLOPS_EVENTS_2"
    assert told(check, topic("one", "a"), topic("two", "b"), topic("three", "a")) == ["three"]
    assert told(check, topic("one"), topic("two")) == [], (
        "of a source that nothing here made, nothing is known"
    )
    assert told(check, topic("one", "a"), topic("two", "a", kind="eventgrid:Domain")) == []


@pytest.mark.parametrize("kind", ["monitor:MetricAlert", "monitor:ScheduledQueryRule"])
@pytest.mark.parametrize(
    ("stack", "needed"), [("prod", True), ("devil", True), ("dev", False), ("dev-a", False)]
)
def test_somebody_hears_of_each_failing_endpoint(kind: str, stack: str, needed: bool) -> None:
    endpoints = [resource("machinelearningservices:OnlineEndpoint", n, stack=stack) for n in ("one", "two")]
    alert = resource(kind, "alert", stack=stack, property_dependencies={"scopes": (endpoints[0].urn,)})
    elsewhere = resource(kind, "other", stack=stack, property_dependencies={"actions": (endpoints[1].urn,)})
    check = "MLOPS_ALERTS_1"
    assert told(check, *endpoints) == (["one", "two"] if needed else [])
    assert told(check, *endpoints, alert, elsewhere) == (["two"] if needed else [])
    assert told(check, endpoints[0], resource("network:MetricAlert", "a"), alert) == []
    link = resource("network:PrivateEndpoint", "l", property_dependencies=alert.property_dependencies)
    assert told(check, endpoints[0], link) == (["one"] if needed else [])


# --- what a rule is -----------------------------------------------------------------------------------------


def test_a_rule_of_one_kind_judges_azure_resources_of_this_kind() -> None:
    rule = ResourceRule("X_1", "all", ("a:B", "a:C"), lambda r: [f"{r.name} is wrong"])
    for kind, more, seen in (
        ("a:B", {}, True),
        ("a:C", {}, True),
        ("a:D", {}, False),
        ("a:B", {"custom": False}, False),
        ("a:B", {"type": "random:B"}, False),
    ):
        found = judge([resource(kind, **more)], [rule])
        assert found == ([Finding("prod", "X_1", "x", "x is wrong")] if seen else []), (kind, more)


@pytest.mark.parametrize(
    ("value", "allowed", "kept"),
    [
        (False, (False,), True),
        (0, (False,), False),  # equal in Python, another value in Azure
        (1, (True,), False),
        (True, (1,), False),
        (0, (0,), True),
        (None, (None,), True),
        (None, (False,), False),
        ("a", ("b", "a"), True),
        (["a"], (["a"],), True),
        ("[unknown]", ("a",), True),
    ],
)
def test_a_value_is_one_of_those_that_are_allowed(
    value: object, allowed: tuple[object, ...], kept: bool
) -> None:
    assert holds(resource("a:B", inputs={"it": value}), "it", *allowed) is kept


@pytest.mark.parametrize(
    ("value", "allowed", "sentence"),
    [
        (None, (True,), "it must be true, got nothing: because"),
        (True, (False, None), "it must be false or nothing, got true: because"),
        ("Key", ("AADToken", 1), "it must be AADToken or 1, got Key: because"),
    ],
)
def test_a_sentence_says_what_must_be_what_is_and_why(
    value: object, allowed: tuple[object, ...], sentence: str
) -> None:
    assert list(must(resource("a:B", inputs={"it": value}), "it", *allowed, why="because")) == [sentence]


def test_findings_are_in_one_order() -> None:
    rules = [
        ResourceRule("X_2", "two", ("a:B",), lambda _: ["b", "a"]),
        StackRule("X_1", "one", lambda found: [(r, "c") for r in found]),
    ]
    found = judge([resource("a:B", "z"), resource("a:B", "y"), resource("a:B", "z", stack="dev")], rules)
    assert [(f.stack, f.check, f.resource, f.message) for f in found] == [
        ("dev", "X_1", "z", "c"), ("dev", "X_2", "z", "a"), ("dev", "X_2", "z", "b"),
        ("prod", "X_1", "y", "c"), ("prod", "X_1", "z", "c"),
        ("prod", "X_2", "y", "a"), ("prod", "X_2", "y", "b"), ("prod", "X_2", "z", "a"),
        ("prod", "X_2", "z", "b"),
    ]  # fmt: skip


# --- what is accepted ---------------------------------------------------------------------------------------

ONE, OTHER_RULE, OTHER_RESOURCE = (
    Finding("prod", c, r, "m") for c, r in (("A_1", "x"), ("A_2", "x"), ("A_1", "y"))
)


@pytest.mark.parametrize(
    ("skips", "accepted", "added"),
    [
        ([], [], []),
        ([Skip("x", "A_1", "known")], [(ONE, "known")], []),
        ([Skip("x", "A_1", "known"), Skip("y", "A_1", "too")], [(ONE, "known"), (OTHER_RESOURCE, "too")], []),
        ([Skip("x", "A_9", "known"), Skip("x", "A_1", "known")], [(ONE, "known")], [UNUSED]),
        ([Skip("z", "A_1", "known"), Skip("x", "A_1", "known")], [(ONE, "known")], [UNUSED]),
        ([Skip("x", "A_1", " ")], [], [REASONLESS]),
        ([Skip("x", "A_9", "known")], [], [UNUSED]),
        ([Skip("z", "A_1", "known")], [], [UNUSED]),
        ([Skip("x", "A_9", "")], [], [REASONLESS]),
    ],
)
def test_what_is_accepted_names_rule_resource_and_reason(
    skips: list[Skip], accepted: list[tuple[Finding, str]], added: list[str]
) -> None:
    findings = [ONE, OTHER_RULE, OTHER_RESOURCE]
    standing, kept = accept(Captured("toy", "prod", (), skips=tuple(skips)), findings)
    assert kept == accepted
    taken = [finding for finding, _ in accepted]
    assert standing[: len(findings) - len(taken)] == [f for f in findings if f not in taken]
    rest = standing[len(findings) - len(taken) :]
    assert [(f.stack, f.check, f.resource) for f in rest] == [
        ("prod", check, skip.resource) for check, skip in zip(added, skips, strict=False)
    ]
    assert all(skips[0].check in finding.message for finding in rest)


def own(**given: Any) -> Any:
    return SimpleNamespace(**{"arm_types": {}, "untagged": frozenset(), "rules": (), **given})


def test_rules_of_the_repository_come_after_those_of_the_platform() -> None:
    mine = ResourceRule("MINE_1", "mine", ("a:B",), lambda _: [])
    assert rules_with(None) == RULES
    assert rules_with(own()) == RULES
    assert rules_with(own(rules=(mine,))) == (*RULES, mine)
    (*platform, tags) = rules_with(own(arm_types={"a:C": 1, "a:B": 1, "a:D": 1}, untagged=frozenset({"a:D"})))
    assert tuple(platform) == RULES
    assert isinstance(tags, ResourceRule)
    assert (tags.check, tags.kinds) == ("MLOPS_TAGS_1", ("a:B", "a:C"))


def test_the_rule_on_retired_sizes_goes_by_the_table_of_the_repository(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = Series(series="Ours", sizes="D4s_v3", ends=date(2026, 1, 1))
    table = Table(read=date(2026, 1, 1), series=(gone,))
    cluster = resource(
        "machinelearningservices:Compute",
        inputs={"properties": {"properties": {"vmSize": "Standard_D4s_v3"}}},
    )
    ours = rules_with(None, table)
    assert [rule.check for rule in ours] == [rule.check for rule in RULES]
    others = [(a, b) for a, b in zip(ours, RULES, strict=True) if a.check != SIZES_END]
    assert all(a is b for a, b in others) and len(others) == len(RULES) - 1

    def ended(rules: Any) -> list[str]:
        return [f.resource for f in judge([cluster], rules) if f.check == SIZES_END]

    monkeypatch.setattr(checks_platform, "today", lambda: date(2026, 1, 2))
    assert (ended(RULES), ended(ours), ended(rules_with(own(), table))) == ([], ["x"], ["x"])
    monkeypatch.setattr(checks_platform, "today", lambda: date(2025, 12, 31))
    assert ended(ours) == [], "it still runs"


@pytest.mark.parametrize("rule", [RULES[0], next(r for r in RULES if isinstance(r, StackRule))])
def test_a_rule_is_not_changed_once_it_is_made(rule: Any) -> None:
    with pytest.raises(FrozenInstanceError):
        rule.check = "MLOPS_NONE_1"


def test_a_rule_of_the_repository_does_not_take_the_name_of_one_of_the_platform() -> None:
    free, taken = (ResourceRule(name, "mine", ("a:B",), lambda _: []) for name in ("MINE_1", RULES[3].check))
    with pytest.raises(InvalidInput):
        rules_with(own(rules=(free, taken)))


def test_every_rule_has_an_id_of_its_own_and_a_title() -> None:
    checks = [rule.check for rule in RULES]
    assert checks == sorted(set(checks)) and len(checks) > 30
    assert all(rule.title for rule in RULES)

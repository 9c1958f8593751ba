"""A rule that cannot fail protects nothing: for each one a wrong edit blocks, in the plan and in the
policy pack alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy import EnforcementLevel
from pulumi_policy.policy import _PolicyAnalyzerServicer

from graphs import EVENTS, plan
from mlops.errors import Blocked
from mlops.infra.model import UNKNOWN, Captured, Resource, Skip
from mlops.infra.plan import api
from mlops.infra.plan.report import Plan, StackPlan
from mlops.infra.policy.judge import REASONLESS, RULES, UNUSED, accept, judge
from mlops.infra.policy.pack import NAME, policies
from mlops.infra.policy.rule import ResourceRule
from wrong_edits import EDITS, REMOVALS, SPECIAL, wrong_versions

CATALOG = {"account": "00000000-0000-0000-0000-000000000009", "warehouse": "2X-Small"}
CHECKS = [rule.check for rule in RULES]


def _budget(captured: Captured) -> str:
    return captured.of("consumption:Budget")[0].name


@pytest.fixture(scope="session")
def prod() -> Captured:
    """Stack prod with events and a catalog, a role of `shared`, and a Kubernetes cluster as the option would
    make it."""
    captured = plan("prod", events=EVENTS, options={"databricks": {"unity_catalog": CATALOG}})
    role = plan("shared").of("authorization:RoleDefinition")[0]
    captured = replace(captured, resources=(*captured.resources, role))
    if any(r.kind == "containerservice:ManagedCluster" for r in captured):
        return captured
    workspace = captured.named("workspace")
    tags = workspace.inputs["tags"]
    cluster = Resource(
        urn="urn:pulumi:prod::mlops::azure-native:containerservice:ManagedCluster::kubernetes",
        type="azure-native:containerservice:ManagedCluster",
        name="kubernetes",
        inputs={"disableLocalAccounts": True, "tags": tags},
    )
    return replace(captured, resources=(*captured.resources, cluster))


def analyzed(resources: Sequence[Resource], skipped: Iterable[tuple[str, str]] = ()) -> set[tuple[str, str]]:
    """(check, URN) of every violation that the policy pack reports, driven as the engine drives it."""
    accepted = frozenset(skipped)
    servicer = _PolicyAnalyzerServicer(
        NAME, "1.0.0", policies(lambda _: accepted), EnforcementLevel.MANDATORY
    )
    found: set[tuple[str, str]] = set()
    stack = []
    for r in resources:
        props = struct_pb2.Struct()
        json_format.ParseDict(dict(r.inputs), props)
        options = analyzer_pb2.AnalyzerResourceOptions(protect=bool(r.options.get("protect")))
        answer = servicer.Analyze(
            analyzer_pb2.AnalyzeRequest(
                type=r.type, properties=props, urn=r.urn, name=r.name, options=options
            ),
            None,
        )
        found |= {(d.policyName, d.urn) for d in answer.diagnostics}
        assert all(d.enforcementLevel == analyzer_pb2.MANDATORY for d in answer.diagnostics)
        needs = {
            k: analyzer_pb2.AnalyzerPropertyDependencies(urns=v) for k, v in r.property_dependencies.items()
        }
        stack.append(
            analyzer_pb2.AnalyzerResource(
                type=r.type,
                properties=props,
                urn=r.urn,
                name=r.name,
                options=options,
                propertyDependencies=needs,
            )
        )
    answer = servicer.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=stack), None)
    return found | {(d.policyName, d.urn) for d in answer.diagnostics}


def judged(resources: Sequence[Resource]) -> set[tuple[str, str]]:
    """The same, from the plan's driver."""
    found: set[tuple[str, str]] = set()
    for rule in RULES:
        if isinstance(rule, ResourceRule):
            found |= {(rule.check, r.urn) for r in resources if list(rule.findings(r))}
        else:
            found |= {(rule.check, r.urn) for r, _ in rule.findings(resources)}
    return found


@pytest.mark.parametrize("stack", ["shared", "dev", "staging", "prod"])
def test_policy_passes_the_program(stacks: Mapping[str, Captured], stack: str) -> None:
    found, _ = accept(stacks[stack], judge(stacks[stack].judged))
    assert [f for f in found if f.check not in {UNUSED}] == []


@pytest.mark.parametrize("check", CHECKS)
def test_policy_blocks_every_wrong_edit(prod: Captured, check: str) -> None:
    assert check not in {f.check for f in judge(prod.judged)}, (
        "the unedited stack must pass, or the test proves nothing"
    )
    for resources in wrong_versions(check, prod):
        found = [f for f in judge(resources) if f.check == check]
        assert found, f"{check} let a wrong edit pass"
        plan = Plan((StackPlan(prod),), tuple(found))
        with pytest.raises(Blocked, match=check) as blocked:
            api.enforce(plan)
        assert blocked.value.exit_code == 3
        assert found[0].resource in str(blocked.value), "the sentence names the resource"


@pytest.mark.parametrize("check", CHECKS)
def test_policy_pack_and_plan_agree_on_every_wrong_edit(prod: Captured, check: str) -> None:
    for resources in wrong_versions(check, prod):
        by_pack = analyzed(resources)
        assert check in {c for c, _ in by_pack}
        assert by_pack == judged(resources)


def test_policy_has_a_wrong_edit_for_every_rule_and_no_other() -> None:
    assert sorted({*EDITS, *REMOVALS, *SPECIAL}) == sorted(CHECKS)
    assert len(set(CHECKS)) == len(CHECKS), "two rules share an id"


def test_policy_is_strict_outside_dev_only(stacks: Mapping[str, Captured]) -> None:
    """A stack that nobody thought of is judged like production."""
    dev = stacks["dev"].named("workspace")
    elsewhere = replace(dev, urn=dev.urn.replace("urn:pulumi:dev:", "urn:pulumi:prod-us:"))
    assert "MLOPS_WORKSPACE_2" not in {c for c, _ in judged([dev])}
    assert "MLOPS_WORKSPACE_2" in {c for c, _ in judged([elsewhere])}
    assert "MLOPS_WORKSPACE_2" in {c for c, _ in analyzed([elsewhere])}


def test_policy_does_not_judge_what_a_preview_cannot_know(prod: Captured) -> None:
    workspace = prod.named("workspace")
    later = replace(workspace, inputs={**workspace.inputs, "publicNetworkAccess": UNKNOWN})
    assert "MLOPS_WORKSPACE_2" not in {f.check for f in judge([later])}


def test_policy_takes_a_finding_with_a_reason_out_and_keeps_the_reason(prod: Captured) -> None:
    resources = wrong_versions("MLOPS_COST_1", prod)[0]
    captured = replace(
        prod, resources=resources, skips=(Skip(_budget(prod), "MLOPS_COST_1", "finance watches it"),)
    )
    standing, accepted = accept(captured, judge(captured.judged))
    assert standing == []
    assert [(f.check, why) for f, why in accepted] == [("MLOPS_COST_1", "finance watches it")]
    budget = {(_budget(prod), "MLOPS_COST_1")}
    assert "MLOPS_COST_1" not in {c for c, _ in analyzed(resources, skipped=budget)}, (
        "the pack takes it out as well"
    )


def test_policy_refuses_a_suppression_without_a_reason(prod: Captured) -> None:
    resources = wrong_versions("MLOPS_COST_1", prod)[0]
    captured = replace(prod, resources=resources, skips=(Skip(_budget(prod), "MLOPS_COST_1", "  "),))
    standing, accepted = accept(captured, judge(captured.judged))
    assert {f.check for f in standing} == {"MLOPS_COST_1", REASONLESS}
    assert accepted == []


def test_policy_refuses_a_suppression_that_suppresses_nothing(prod: Captured) -> None:
    captured = replace(prod, skips=(Skip(_budget(prod), "MLOPS_COST_1", "was needed last year"),))
    standing, _ = accept(captured, judge(captured.judged))
    assert [(f.check, f.resource) for f in standing] == [(UNUSED, _budget(prod))]

"""The rules as a CrossGuard policy pack. The engine starts it through `__main__.py`; tests drive it in
process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from mlops.infra.model import UNKNOWN, Resource, stack_of
from mlops.infra.own import Own
from mlops.infra.policy.judge import rules_with
from mlops.infra.policy.rule import ResourceRule, Rule, StackRule
from mlops.spec.vm_sizes import Table

NAME = "mlops-infra"
Skipped = Callable[[str], frozenset[tuple[str, str]]]
"""Which (resource, check) pairs the program of a stack accepts."""


def policies(skipped: Skipped, own: Own | None = None, sizes: Table | None = None) -> list[Policy]:
    """Every rule as a mandatory policy; a violation stops the update before the resource is touched."""
    return [
        _of_resource(rule, skipped) if isinstance(rule, ResourceRule) else _of_stack(rule, skipped)
        for rule in _one_a_check(rules_with(own, sizes))
    ]


def _one_a_check(rules: Sequence[Rule]) -> list[Rule]:
    """CrossGuard wants each name once: rules of one check become one, for the kinds of all."""
    by_check: dict[str, Rule] = {}
    for rule in rules:
        first = by_check.get(rule.check)
        if isinstance(first, ResourceRule) and isinstance(rule, ResourceRule):
            rule = replace(first, kinds=(*first.kinds, *rule.kinds))  # noqa: PLW2901  the two as one
        by_check[rule.check] = rule
    return list(by_check.values())


def _of_resource(rule: ResourceRule, skipped: Skipped) -> Policy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = Resource(
            urn=args.urn,
            type=args.resource_type,
            name=args.name,
            inputs=_plain(args.props),
            options=_options(args),
        )
        for finding in rule.findings(resource):
            if (resource.name, rule.check) not in skipped(resource.stack):
                report(finding.message, resource.urn)

    return ResourceValidationPolicy(rule.check, rule.title, validate, EnforcementLevel.MANDATORY)


def _of_stack(rule: StackRule, skipped: Skipped) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        resources = [_stack_resource(r) for r in args.resources]
        for resource, finding in rule.findings([r for r in resources if r.judged]):
            if (resource.name, rule.check) not in skipped(stack_of(resource.urn)):
                report(finding.message, resource.urn)

    return StackValidationPolicy(rule.check, rule.title, validate, EnforcementLevel.MANDATORY)


def _stack_resource(resource: PolicyResource) -> Resource:
    return Resource(
        urn=resource.urn,
        type=resource.resource_type,
        name=resource.name,
        inputs=_plain(resource.props),
        options=_options(resource),
        property_dependencies={k: tuple(d.urn for d in v) for k, v in resource.property_dependencies.items()},
    )


def _options(args: ResourceValidationArgs | PolicyResource) -> dict[str, Any]:
    return {"protect": True} if args.opts.protect else {}


def _plain(value: Any) -> Any:
    """A copy of what the engine hands over, in which a value that is not known yet says so instead of
    raising."""
    if isinstance(value, Mapping):
        return {k: _known(value, k) for k in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_known(value, i) for i in range(len(value))]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _known(container: Any, key: Any) -> Any:
    try:
        return _plain(container[key])
    except UnknownValueError:
        return UNKNOWN

"""Drive the rules in process, and take the accepted findings out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mlops.errors import InvalidInput
from mlops.infra.model import Captured, Finding, Resource, Skip
from mlops.infra.own import Own
from mlops.infra.policy import checks_access, checks_data, checks_platform, checks_unity
from mlops.infra.policy.rule import ResourceRule, Rule
from mlops.spec.vm_sizes import Table

RULES: tuple[Rule, ...] = tuple(
    sorted(
        (*checks_platform.RULES, *checks_access.RULES, *checks_data.RULES, *checks_unity.RULES),
        key=lambda r: r.check,
    )
)
UNUSED = "MLOPS_SKIP_1"
REASONLESS = "MLOPS_SKIP_2"


def rules_with(own: Own | None, sizes: Table | None = None) -> tuple[Rule, ...]:
    """The platform's rules and those of the repository, which may know more of VM sizes (`sizes`). Raises
    `InvalidInput` when two have one id."""
    ours = RULES
    if sizes is not None:
        ours = tuple(
            checks_platform.sizes_end(sizes) if r.check == checks_platform.SIZES_END else r for r in RULES
        )
    if own is None:
        return ours
    tagged = tuple(sorted(set(own.arm_types) - own.untagged))
    more = [*own.rules, *([replace(checks_data.TAGS, kinds=tagged)] if tagged else [])]
    taken = {r.check for r in RULES}
    if twice := [r.check for r in own.rules if r.check in taken]:
        raise InvalidInput(f"infra/own.py: the platform has a rule {twice[0]} already; give yours another id")
    return (*ours, *more)


def judge(resources: Sequence[Resource], rules: Sequence[Rule] = RULES) -> list[Finding]:
    """Every violation of `rules`, sorted; nothing is accepted here."""
    findings: list[Finding] = []
    for rule in rules:
        if isinstance(rule, ResourceRule):
            findings += [f for r in resources for f in rule.findings(r)]
        else:
            findings += [f for _, f in rule.findings(resources)]
    return sorted(findings, key=lambda f: (f.stack, f.check, f.resource, f.message))


def accept(
    captured: Captured, findings: Iterable[Finding]
) -> tuple[list[Finding], list[tuple[Finding, str]]]:
    """Split findings into those that stand and those that the program accepts, each with its reason.

    A suppression that accepts nothing is a violation itself, so that none outlives its cause; so is one
    without a reason.
    """
    reasons = {(s.resource, s.check): s.reason for s in captured.skips}
    standing: list[Finding] = []
    accepted: list[tuple[Finding, str]] = []
    used: set[tuple[str, str]] = set()
    for finding in findings:
        key = (finding.resource, finding.check)
        if reasons.get(key, "").strip():
            accepted.append((finding, reasons[key]))
            used.add(key)
        else:
            standing.append(finding)
    for skip in captured.skips:
        standing += _about(captured.stack, skip, used)
    return standing, accepted


def _about(stack: str, skip: Skip, used: set[tuple[str, str]]) -> list[Finding]:
    if not skip.reason.strip():
        return [Finding(stack, REASONLESS, skip.resource, f"{skip.check} is skipped without a reason")]
    if (skip.resource, skip.check) not in used:
        sentence = f"{skip.check} is skipped, but nothing is found there; remove the call of skip()"
        return [Finding(stack, UNUSED, skip.resource, sentence)]
    return []

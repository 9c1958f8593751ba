"""What the command line calls: `plan` and `purge`. Both read files only; neither needs a cloud or the
Pulumi CLI."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mlops.errors import Blocked
from mlops.infra.cost.api import Costs
from mlops.infra.cost.uses import Load
from mlops.spec.vm_sizes import Table, sentence, table, verdict

from ..model import Captured, Finding
from . import render
from .report import Plan, StackPlan

__all__ = ["Load", "Plan", "cost", "enforce", "plan", "purge", "render", "write_arm"]


def plan(root: Path, *, stacks: Sequence[str] | None = None, against: str = "", checkov: bool = True) -> Plan:
    """Run the program for `stacks` (default: all) and judge what it would make.

    `against` is a commit to compare with. `checkov=False` leaves the scanner out, for tests of the rest.
    The caller prints the plan and then calls `enforce`. Raises `InvalidInput` for a wrong configuration,
    stack or commit, and `Inconclusive` when checkov cannot judge.
    """
    from mlops.infra.cost.api import costs
    from mlops.infra.expired import configured
    from mlops.infra.policy.checkov import scan
    from mlops.infra.policy.judge import accept, judge, rules_with

    from ..stack_names import stack_names
    from .arm import template
    from .base import captured_at, parts_moved
    from .diff import changes
    from .doors import told as told_doors
    from .program import own_of
    from .renames import told
    from .stacks import capture_stacks

    configured(root)  # a clock that never strikes is no plan
    sizes = table(root)
    captured, known = capture_stacks(root, stacks), set(stack_names(root))
    own = own_of(root)
    rules = rules_with(own, sizes)
    scanned = scan({c.stack: template(c) for c in captured}) if checkov else []
    before = captured_at(root, against, [c.stack for c in captured]) if against else {}
    gone = [c for name, c in before.items() if name not in known]
    moved = parts_moved(root, against) if against else ""
    notes = [
        *([moved] if moved else []),
        *told(gone, [c for c in captured if c.stack not in before]),
        *_ending(captured, sizes),
        *_old_kubernetes(captured),
        *_too_far(root, captured),
    ]
    violations, accepted, planned = [], [], []
    for one in captured:
        # Without the scanner its suppressions have nothing to match.
        mine = one if checkov else _without_scanner(one)
        mine_found = [
            *judge(one.judged, rules),
            *(f for f in scanned if f.stack == one.stack),
            *_unreached(root, one),
            *_without_compute(root, one),
        ]
        standing, excused = accept(mine, mine_found)
        violations += standing
        accepted += excused
        changed = changes(before.get(one.stack), one) if against else None
        notes += told_doors(one.stack, changed or ())
        planned.append(StackPlan(one, changed))
    compared = before if against else None
    priced = costs(root, captured, before=compared, own=getattr(own, "costs", None))
    return Plan(tuple(planned), tuple(violations), tuple(accepted), against, priced, tuple(notes))


def cost(root: Path, load: Load, *, stacks: Sequence[str] | None = None, against: str = "") -> Costs:
    """The bills of `stacks` (default: all), compared with those of the commit `against`.

    Raises `InvalidInput` like `plan`, and for a wrong table of prices.
    """
    from mlops.infra.cost.api import costs

    from .base import captured_at
    from .program import own_of
    from .stacks import capture_stacks

    captured = capture_stacks(root, stacks)
    before = captured_at(root, against, [c.stack for c in captured]) if against else None
    return costs(root, captured, load, before, getattr(own_of(root), "costs", None))


def enforce(planned: Plan) -> None:
    """Raise `Blocked` (exit code 3) when the plan has a violation; the sentence lists all of them."""
    if planned.violations:
        count = len(planned.violations)
        sentences = "\n".join(str(f) for f in planned.violations)
        raise Blocked(f"{count} policy violation{'' if count == 1 else 's'}:\n{sentences}")


def write_arm(planned: Plan, folder: Path) -> list[Path]:
    """Write the ARM template of each stack to `folder/<stack>.json`; returns the paths."""
    from .arm import template

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for stack in planned.stacks:
        path = folder / f"{stack.captured.stack}.json"
        path.write_text(
            json.dumps(template(stack.captured), indent=2, sort_keys=True) + "\n", encoding="utf-8"
        )
        written.append(path)
    return written


def purge(root: Path, *, stacks: Sequence[str] | None = None) -> str:
    """The soft-deleted names that each stack would collide with, and the commands that free them.

    Computed from the configuration; nothing is asked or deleted. Raises `InvalidInput` like `plan`.
    """
    from .purge import runbook
    from .stacks import capture_stacks

    return runbook(capture_stacks(root, stacks))


def _ending(captured: Sequence[Captured], sizes: Table) -> list[str]:
    """Sizes that Azure takes away within a year; those that are gone are violations."""
    from mlops.infra.policy.checks_platform import today, vm_sizes

    return [
        f"stack {one.stack}: {resource.name}: {sentence(size, today(), sizes)}"
        for one in captured
        for resource in (
            *one.of("machinelearningservices:Compute"),
            *one.of("containerservice:ManagedCluster"),
        )
        for size in dict.fromkeys(vm_sizes(resource))
        if verdict(size, today(), sizes) == "soon"
    ]


def _old_kubernetes(captured: Sequence[Captured]) -> list[str]:
    """Kubernetes versions whose support ends soon; those where it has ended are violations."""
    from mlops.infra.kubernetes_versions import sentence, verdict
    from mlops.infra.policy.checks_platform import kubernetes_version, today

    return [
        f"stack {one.stack}: {resource.name}: {sentence(version, today())}"
        for one in captured
        for resource in one.of("containerservice:ManagedCluster")
        if (version := kubernetes_version(resource)) and verdict(version, today()) == "soon"
    ]


def _too_far(root: Path, captured: Sequence[Captured]) -> list[str]:
    """Budgets that would begin later than Azure takes, and so begin at once."""
    from mlops.infra.clock import too_far
    from mlops.infra.config import EnvironmentStack
    from mlops.infra.load import StackFile, parse_stack, raw_stack_file
    from mlops.infra.policy.checks_platform import today

    notes = []
    for one in captured:
        values, secret = raw_stack_file(root, one.stack)
        config = parse_stack(values, secret, StackFile.of(root, one.stack))
        start = config.budget.start if isinstance(config, EnvironmentStack) else None
        if start and too_far(start, today()):
            notes.append(
                f"stack {one.stack}: budget.start: {start} is more than a year ahead, which Azure refuses; a "
                "new budget counts from the month in which it is made"
            )
    return notes


UNREACHED = "MLOPS_NETWORK_1"


def _unreached(root: Path, captured: Captured) -> list[Finding]:
    """Hosts that building images needs and the workspace's network does not let out."""
    from mlops.infra.outbound import lacking, needed
    from mlops.spec.settings import load_settings

    models = load_settings(root).models.values()
    needs = needed(root, container=any(m.online.container and not m.online.image for m in models))
    findings = []
    for workspace in captured.of("machinelearningservices:Workspace"):
        if workspace.get("managedNetwork.isolationMode") != "AllowOnlyApprovedOutbound":
            continue
        rules = captured.of("machinelearningservices:ManagedNetworkSettingsRule")
        let_out = [str(r.get("properties.destination")) for r in rules]
        for host, file in lacking(needs, let_out).items():
            sentence = f"{file} needs {host} when its image is built; add it to mlops:network.outbound"
            findings.append(Finding(captured.stack, UNREACHED, workspace.name, sentence))
    return findings


WITHOUT_COMPUTE = "MLOPS_COMPUTE_8"


def _without_compute(root: Path, captured: Captured) -> list[Finding]:
    """Computes that files name and this stack does not make: where it trains those of all pipelines, and in
    each environment with a batch endpoint those of `batch.yml`."""
    from mlops.infra.computes import absent, named
    from mlops.spec.settings import load_settings

    settings = load_settings(root)
    trains = captured.stack == settings.azure.train
    made = [str(r.get("computeName")) for r in captured.of("machinelearningservices:Compute")]
    scores = {r.name.removeprefix("batch-") for r in captured.of("machinelearningservices:BatchEndpoint")}
    wanted = [
        n
        for n in named(root)
        if n.model in settings.models and (trains or (n.everywhere and n.model in scores))
    ]
    return [
        Finding(
            captured.stack,
            WITHOUT_COMPUTE,
            workspace.name,
            f"{n.file}:{n.line} runs on {n.compute}, which no cluster of this stack is called "
            f"({', '.join(sorted(made))}): name one of them there, or add it to mlops:clusters",
        )
        for workspace in captured.of("machinelearningservices:Workspace")
        for n in absent(wanted, made)
    ]


def _without_scanner(captured: Captured) -> Captured:
    return replace(captured, skips=tuple(s for s in captured.skips if not s.check.startswith("CKV")))

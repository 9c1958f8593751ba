"""A plan as a tree for the terminal, as Markdown for a pull request, as JSON for a program. Always the
same order."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from mlops.infra.cost.render import markdown as cost_markdown

from ..model import Captured, Finding, Resource
from .diff import ORDER, SYMBOLS, Change
from .report import Plan, StackPlan

MARKDOWN_LIMIT = 60_000
"""Characters; GitHub takes 65,536 in a comment."""
_LONG = 160


def text(plan: Plan, *, properties: bool = True) -> str:
    """Every stack as a tree: component, resource, properties, what it waits for, options; then changes
    and findings."""
    lines: list[str] = []
    for stack in plan.stacks:
        lines += [f"stack {stack.captured.stack}: {len(stack.captured.azure)} resources"]
        lines += _tree(stack.captured, properties=properties)
        lines += _changes(stack, plan.against)
    lines += _verdict(plan)
    return "\n".join(lines) + "\n"


def to_json(plan: Plan) -> str:
    """Everything that is known, secrets masked. Keys are sorted; the schema grows, names stay."""
    document = {
        "against": plan.against or None,
        "verdict": "blocked" if plan.violations else "pass",
        "stacks": {
            s.captured.stack: {
                "resources": [_resource(r) for r in s.captured],
                "exports": sorted(s.captured.exports),
                "changes": None if s.changes is None else [_change(c) for c in s.changes],
            }
            for s in plan.stacks
        },
        "violations": [_finding(f) for f in plan.violations],
        "notes": list(plan.notes),
        "accepted": [{**_finding(f), "reason": reason} for f, reason in plan.accepted],
    }
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def markdown(plan: Plan, limit: int = MARKDOWN_LIMIT) -> str:
    """A summary of at most `limit` characters: verdict first, then changes, then what was accepted."""
    verdict = f"**{len(plan.violations)} policy violations**" if plan.violations else "No policy violations"
    blocks = [f"## Infrastructure plan\n\n{verdict}.\n"]
    if plan.violations:
        rows = [f"| {f.stack} | `{f.resource}` | {f.check} | {_cell(f.message)} |" for f in plan.violations]
        blocks.append(_table("| stack | resource | check | what is wrong |", rows))
    blocks += [f"\n> **Note:** {note}\n" for note in plan.notes]
    for stack in plan.stacks:
        blocks.append(_stack_markdown(stack, plan.against))
    if plan.costs is not None:
        blocks.append(cost_markdown(plan.costs))
    if plan.accepted:
        rows = [f"| {f.stack} | `{f.resource}` | {f.check} | {_cell(why)} |" for f, why in plan.accepted]
        blocks.append("<details><summary>Accepted findings</summary>\n\n")
        blocks.append(_table("| stack | resource | check | reason |", rows) + "\n</details>\n")
    return _bounded(blocks, limit)


def _stack_markdown(stack: StackPlan, against: str) -> str:
    name, total = stack.captured.stack, len(stack.captured.azure)
    if stack.changes is None:
        return f"\n### {name}\n\n{total} resources.\n"
    if not stack.changes:
        return f"\n### {name}\n\nNo changes against `{against}`; {total} resources.\n"
    counts = ", ".join(f"{n} to {k}" for k in ORDER if (n := sum(c.kind == k for c in stack.changes)))
    lines = [f"\n### {name}\n\n{counts} against `{against}`; {total} resources.\n\n```diff"]
    lines += [line for c in stack.changes for line in _change_lines(c, "")]
    return "\n".join([*lines, "```\n"])


def _bounded(blocks: Sequence[str], limit: int) -> str:
    note = "\n…the rest does not fit here; run `mlops infra plan` for all of it.\n"
    whole = "".join(blocks)
    if len(whole) <= limit:
        return whole
    cut = whole[: limit - len(note) - len("\n```\n</details>\n")].rsplit("\n", 1)[0]
    closing = "\n```" if cut.count("```") % 2 else ""
    closing += "\n</details>" if cut.count("<details>") > cut.count("</details>") else ""
    return cut + closing + note


def _tree(captured: Captured, *, properties: bool) -> Iterator[str]:
    children: dict[str, list[Resource]] = defaultdict(list)
    known = {r.urn for r in captured}
    for resource in captured:
        children[resource.parent if resource.parent in known else ""].append(resource)
    names = {r.urn: r.name for r in captured if r.custom}
    yield from _branch("", children, names, 1, properties=properties)


def _branch(
    parent: str, children: dict[str, list[Resource]], names: dict[str, str], depth: int, *, properties: bool
) -> Iterator[str]:
    for resource in sorted(children[parent], key=lambda r: (r.type, r.name)):
        pad = "  " * depth
        flags = "".join(f" [{k.replace('_', '-')}{_value(v)}]" for k, v in sorted(resource.options.items()))
        yield f"{pad}{resource.kind} {resource.name}{flags}"
        if resource.custom:
            if properties:
                for key, value in resource.masked().items():
                    yield f"{pad}    {key}: {_short(value)}"
            waits = sorted(names[d] for d in resource.dependencies if d in names)
            if waits:
                yield f"{pad}    after: {', '.join(waits)}"
        yield from _branch(resource.urn, children, names, depth + 1, properties=properties)


def _value(value: Any) -> str:
    if value is True:
        return ""
    return f" {', '.join(value)}" if isinstance(value, list) else f" {_short(value)}"


def _changes(stack: StackPlan, against: str) -> Iterator[str]:
    if stack.changes is None:
        return
    yield f"  changes against {against}: {len(stack.changes) or 'none'}"
    for change in stack.changes:
        yield from _change_lines(change, "    ")


def _change_lines(change: Change, pad: str) -> Iterator[str]:
    guard = (
        "  (protected: the engine refuses)"
        if change.protected and change.kind in {"delete", "replace"}
        else ""
    )
    yield f"{pad}{SYMBOLS[change.kind]} {change.kind} {change.type} {change.name}{guard}"
    for p in change.properties:
        forces = "  (forces replacement)" if p.replaces else ""
        yield f"{pad}    {p.path}: {_short(p.before)} -> {_short(p.after)}{forces}"


def _verdict(plan: Plan) -> Iterator[str]:
    for note in plan.notes:
        yield f"NOTE       {note}"
    for finding, reason in plan.accepted:
        yield f"accepted   {finding.stack}: {finding.resource}: {finding.check}: {reason}"
    for finding in plan.violations:
        yield f"VIOLATION  {finding}"
    count = len(plan.violations)
    yield f"{count} policy violation{'' if count == 1 else 's'}, {len(plan.accepted)} accepted with a reason"


def _short(value: Any) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    shown = " ".join(shown.split())
    return shown if len(shown) <= _LONG else shown[: _LONG - 1] + "…"


def _cell(value: str) -> str:
    return " ".join(value.split()).replace("|", "\\|")


def _table(head: str, rows: Sequence[str]) -> str:
    rule = "|" + "---|" * (head.count("|") - 1)
    return "\n".join(["", head, rule, *rows, ""])


def _resource(resource: Resource) -> dict[str, Any]:
    return {
        "urn": resource.urn,
        "type": resource.type,
        "name": resource.name,
        "id": resource.id,
        "parent": resource.parent,
        "properties": resource.masked(),
        "dependencies": list(resource.dependencies),
        "options": dict(resource.options),
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind, "urn": change.urn, "type": change.type, "name": change.name,
        "protected": change.protected,
        "properties": [
            {"path": p.path, "before": p.before, "after": p.after, "replaces": p.replaces}
            for p in change.properties
        ],
    }  # fmt: skip


def _finding(finding: Finding) -> dict[str, str]:
    return {
        "stack": finding.stack, "resource": finding.resource, "check": finding.check,
        "source": finding.source,
        "message": finding.message,
    }  # fmt: skip

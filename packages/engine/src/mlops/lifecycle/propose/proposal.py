"""What a reviewer reads in a pull request that changes what is served: Markdown from plain data. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mlops.lifecycle.decide.report import cell
from mlops.spec.desired import Bypass
from mlops.spec.gates import GateResult, Interval
from mlops.spec.policy import EnvironmentPolicy
from mlops.spec.release import Release

_MARKS = {"pass": "✅ pass", "blocked": "⛔ blocked", "skipped": "skipped", "bypassed": "⚠️ bypassed"}
_MOST_COMMITS = 30


def promotion_body(
    *,
    env: str,
    release: Release,
    current: Release | None,
    rules: Sequence[GateResult],
    commits: Sequence[str],
    compare_url: str,
    approvers: Sequence[str],
    bypass: Bypass | None,
    actor: str,
) -> str:
    """`rules`: verdicts on the move; `commits`: one line each, between the commits of the two releases."""
    before = f"release {current.version}" if current else "nothing"
    parts = [
        f"`{release.model}` in **{env}**: {before} → **release {release.version}**. Merging is the approval; "
        f"`mlops apply {env}` then rolls it out and turns back by itself if it is worse.",
        "### Rules of this move",
        gate_table(rules),
    ]
    if bypass is not None:
        parts += [f"**Bypass** of {', '.join(bypass.gates)}: {cell(bypass.reason)} ({cell(bypass.approver)})"]
    parts += [
        "### Gates of the release",
        gate_table(release.gates),
        "### Metrics",
        _metrics(release, current),
        "### Data and code",
        _lineage(release, current),
        _commits(commits, compare_url, current),
        "### Who may approve",
        ", ".join(f"@{a}" for a in approvers) if approvers else "Any reviewer that the repository allows.",
        f"Proposed by {cell(actor)}.",
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def rollback_body(*, env: str, model: str, bad: int, back: int, reason: str, actor: str) -> str:
    """The pull request of `mlops rollback`."""
    return (
        f"`{model}` in **{env}**: release {bad} → back to **release {back}**, verified here before.\n\n"
        f"Reason: {cell(reason)}\n\n"
        "This is what `git revert` of the promotion gives, with `hold` set: automation proposes nothing here "
        "until a person removes `hold`. A way back is legal in a freeze and needs no soak; it goes to 100 % "
        f"right after the smoke test.\n\nProposed by {cell(actor)}.\n"
    )


def loosened_words(loosened: Sequence[str]) -> str:
    """What a reviewer must know first: with these gates as they were, the table might not be green."""
    if not loosened:
        return ""
    lines = "\n".join(f"- `{line}`" for line in loosened)
    return f"### Gates that ask for less than for the release before\n\n{lines}\n\n"


def merges_by_itself(policy: EnvironmentPolicy, loosened: Sequence[str]) -> bool:
    """Whether the bot lets a release in; not one whose gates were loosened, unless the policy says so."""
    return policy.auto_merge and (policy.merge_loosened or not loosened)


def gate_table(gates: Iterable[GateResult]) -> str:
    """One row a gate."""
    rows = [
        f"| {cell(g.name)} | {_MARKS[g.verdict]} | {cell(g.observed)} | {cell(g.limit)} | {cell(g.detail)} |"
        for g in gates
    ]
    return "\n".join(["| gate | verdict | observed | limit | |", "|---|---|---|---|---|", *rows])


def _metrics(release: Release, current: Release | None) -> str:
    then = current.metrics if current else {}
    before = f"release {current.version}" if current else ""
    header = f"| metric | release {release.version} | {before} |"
    rows = [
        f"| {cell(name)} | {_interval(value)} | {_interval(then.get(name))} |"
        for name, value in release.metrics.items()
    ]
    return "\n".join([header, "|---|---|---|", *rows])


def _interval(value: Interval | None) -> str:
    return f"{value.value:.4g} [{value.low:.4g}, {value.high:.4g}]" if value else ""


def _lineage(release: Release, current: Release | None) -> str:
    def facts(of: Release) -> dict[str, str]:
        return {
            "data": f"{cell(of.data.name)} {cell(of.data.version)} `{of.data.digest[7:19]}`",
            "trained on": of.data.window,
            "judged on": of.data.test_window,
            "commit": f"`{of.source.commit[:10]}` {cell(of.source.branch)}".rstrip(),
            "pipeline": f"{cell(of.source.pipeline)} `{of.source.pipeline_digest[7:19]}`",
            "environment": f"`{of.environment[7:19]}`",
            "artifact": f"`{of.digest[7:19]}`",
        }

    new, old = facts(release), facts(current) if current else {}
    rows = [
        f"| {name} | {value} | {old.get(name, '')} | {'' if not old or old[name] == value else 'changed'} |"
        for name, value in new.items()
    ]
    before = f"release {current.version}" if current else ""
    return "\n".join([f"| | release {release.version} | {before} | |", "|---|---|---|---|", *rows])


def _commits(commits: Sequence[str], compare_url: str, current: Release | None) -> str:
    if current is None:
        return ""
    link = f" ([compare]({compare_url}))" if compare_url else ""
    if not commits:
        return f"No commit to code or pipeline lies between the two{link}."
    shown = [f"- {cell(line)}" for line in commits[:_MOST_COMMITS]]
    if len(commits) > _MOST_COMMITS:
        shown.append(f"- and {len(commits) - _MOST_COMMITS} more")
    return f"Commits to code and pipeline between the two{link}:\n\n" + "\n".join(shown)

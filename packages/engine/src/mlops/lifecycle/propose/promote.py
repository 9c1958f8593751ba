"""`mlops promote` and `mlops rollback`: the one-line change of what is served, as a pull request.

One branch for a model and environment each, so that there is one pull request to look at: a newer promotion
takes over the branch, and a rollback closes the promotion that it makes pointless (and the other way round).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mlops.errors import Blocked, InvalidInput, NotFound
from mlops.forge.base import Forge, Proposal, PullRequest, let_in, propose
from mlops.forge.git import Git
from mlops.lifecycle.decide import journal, transitions
from mlops.lifecycle.decide.intent import Intent
from mlops.lifecycle.decide.loosened import between
from mlops.lifecycle.desired import provenance
from mlops.lifecycle.desired.approvals import Scales
from mlops.lifecycle.desired.desired_files import desired_text
from mlops.lifecycle.desired.pending import plan_for
from mlops.lifecycle.desired.proven import proven
from mlops.lifecycle.propose.proposal import (
    loosened_words,
    merges_by_itself,
    promotion_body,
    rollback_body,
)
from mlops.spec import files
from mlops.spec._yaml import Document
from mlops.spec.desired import Bypass, DesiredState, Hold
from mlops.spec.gates import GateResult
from mlops.spec.policy import Freeze, Policy
from mlops.spec.release import Release
from mlops.targets.base import Target

CODE = ("src", "packages", "pipelines", "uv.lock")
"""Whose commits a reviewer is told about."""


@dataclass(frozen=True)
class Promotion:
    """`pull_request` is None when the file already says so."""

    env: str
    model: str
    release: int
    replaces: int | None
    rules: tuple[GateResult, ...]
    pull_request: PullRequest | None


def branch_name(verb: str, env: str, model: str) -> str:
    """`promote/<env>/<model>` or `rollback/<env>/<model>`."""
    return f"{verb}/{env}/{model}"


@dataclass(frozen=True)
class Tip:
    """What the newest commit of the branch says that pull requests go to; never the user's checkout."""

    env: str
    model: str
    commit: str
    text: str | None
    """Of the desired-state file; None when there is none yet."""
    history: Sequence[DesiredState]
    """Newest first."""
    policy: Policy
    freeze: Freeze

    @property
    def path(self) -> str:
        return files.desired_path(self.env, self.model)

    @property
    def current(self) -> DesiredState | None:
        return self.history[0] if self.history else None


def _tip(git: Git, base: str, env: str, model: str) -> Tip:
    commit = git.fetch(base)
    path = files.desired_path(env, model)
    policy = Document(git.show(commit, files.POLICY) or "", files.POLICY).parse(Policy)
    if env not in policy.order:
        raise InvalidInput(f"there is no environment {env!r}; {files.POLICY} knows {', '.join(policy.order)}")
    frozen = git.show(commit, files.FREEZE)
    return Tip(
        env=env,
        model=model,
        commit=commit,
        text=git.show(commit, path),
        history=[state for _, state in provenance.desired_history(git, path, commit)],
        policy=policy,
        freeze=Document(frozen, files.FREEZE).parse(Freeze) if frozen else Freeze(),
    )


def proposed(tip: Tip, record: Release, bypass: Bypass | None) -> tuple[str, Intent]:
    """The file's new text, and what it would ask for once it is merged; pure."""
    replaces = tip.current.release if tip.current else None
    text = desired_text(tip.text, tip.path, release=record.version, replaces=replaces, bypass=bypass)
    desired = Document(text, tip.path).parse(DesiredState)
    intent = Intent(
        env=tip.env,
        model=tip.model,
        desired=desired,
        release=record,
        policy=tip.policy,
        freeze=tip.freeze,
        commit=tip.commit,
        file_commit="",  # Of the merge that is yet to come: a person's new decision.
        lineage=transitions.lineage([desired, *tip.history]),
    )
    return text, intent


def promote(
    root: Path,
    target: Target,
    forge: Forge,
    env: str,
    model: str,
    *,
    actor: str,
    now: datetime,
    release: int | None = None,
    bypass: Bypass | None = None,
) -> Promotion:
    """Propose `release` (default: what the environment before serves) for `env`.

    Raises `Blocked` when a rule refuses, with every reason; `IntegrityError` when provenance does;
    `InvalidInput`, `NotFound`, `TargetError`.
    """
    git = Git(root)
    base = git.default_branch()
    tip = _tip(git, base, env, model)
    chosen = release if release is not None else _upstream_release(tip.policy, target, env, model)
    current = tip.current
    replaces = current.release if current else None
    if current is not None and current.release == chosen:
        return Promotion(env, model, chosen, current.replaces, (), None)
    record = provenance.release_at(git, model, chosen, tip.commit)
    if wrong := transitions.not_bypassable(bypass, record):
        allowed = ", ".join(transitions.bypassable(record))
        raise InvalidInput(f"--bypass: {wrong[0]!r} cannot be skipped; allowed: {allowed}")
    text, intent = proposed(tip, record, bypass)
    provenance.verify_source(root, intent)
    proven(target, record, tip.policy, env)
    plan = plan_for(intent, target, now, Scales(root))
    if plan.refusal:
        raise Blocked(f"release {chosen} of {model} may not be promoted to {env}: {plan.refusal}")
    before = provenance.release_at(git, model, replaces, tip.commit) if replaces else None
    rules = tip.policy.environments[env]
    # Against what is served: what the file asked for meanwhile may have been refused for the same gates.
    served = provenance.release_at(git, model, plan.served, tip.commit) if plan.served else before
    weaker = between(git, served, record, tip.commit)
    body = loosened_words(weaker) + promotion_body(
        env=env,
        release=record,
        current=before,
        rules=plan.gates,
        commits=_commits(git, before, record),
        compare_url=forge.compare_url(before.source.commit, record.source.commit) if before else "",
        approvers=rules.approvers,
        bypass=bypass,
        actor=actor,
    )
    proposal = Proposal(
        branch=branch_name("promote", env, model),
        title=f"Promote {model} {chosen} to {env}",
        body=body,
        files={tip.path: text},
        reviewers=tuple(rules.approvers),
        supersedes=(branch_name("rollback", env, model),),
    )
    request = propose(git, forge, proposal, base, tip.commit)
    if merges_by_itself(rules, weaker):
        request = let_in(forge, request)
    return Promotion(env, model, chosen, replaces, plan.gates, request)


def rollback(
    root: Path,
    target: Target,
    forge: Forge,
    env: str,
    model: str,
    *,
    actor: str,
    now: datetime,
    reason: str,
    to: int | None = None,
) -> Promotion:
    """Propose what `git revert` of the last promotion gives, with `hold` set.

    `to`: another release that was verified here. Raises `Blocked` when there is nothing to go back to.
    """
    if not reason.strip():
        raise InvalidInput("--reason is empty; say why, because it is what holds automation off")
    git = Git(root)
    base = git.default_branch()
    tip = _tip(git, base, env, model)
    current = tip.current
    if current is None or tip.text is None:
        raise NotFound(f"nothing is served in {env}: {tip.path} is not in {base}")
    before = way_back(tip, journal.read(target.store.entries(env, model)).verified, to)
    hold = Hold(reason=reason, since=now, by=actor)
    text = desired_text(
        tip.text,
        tip.path,
        release=before.release,
        replaces=before.replaces,
        hold=hold,
        bypass=before.bypass,
    )
    proposal = Proposal(
        branch=branch_name("rollback", env, model),
        title=f"Roll {model} in {env} back to {before.release}",
        body=rollback_body(
            env=env, model=model, bad=current.release, back=before.release, reason=reason, actor=actor
        ),
        files={tip.path: text},
        reviewers=tuple(tip.policy.environments[env].approvers),
        supersedes=(branch_name("promote", env, model),),
    )
    request = propose(git, forge, proposal, base, tip.commit)
    return Promotion(env, model, before.release, current.release, (), request)


def way_back(tip: Tip, verified: Collection[int], to: int | None) -> DesiredState:
    """What the file said of an older release that was verified here: of `to`, or of the last one; pure.

    A newer one is no way back: it would go through its canary again, and the hold would stop it. Raises
    `Blocked` when there is none.
    """
    current = tip.current.release if tip.current else 0
    known = ", ".join(str(release) for release in sorted(verified) if release < current) or "none"
    before = next((s for s in tip.history if s.release < current and to in (None, s.release)), None)
    if to is not None and to >= current:
        raise Blocked(f"release {to} is not older than {current}; verified here before: {known}")
    if before is None:
        asked = (
            f"release {to} was never asked for in {tip.env}" if to else f"{tip.env} never had an older one"
        )
        raise Blocked(f"{asked}; verified here: {known}")
    if before.release not in verified:
        raise Blocked(
            f"release {before.release} was never verified in {tip.env}, so going back to it is no way out; "
            f"verified here: {known} (mlops rollback {tip.env} --to N)"
        )
    return before


def _upstream_release(policy: Policy, target: Target, env: str, model: str) -> int:
    before = policy.upstream(env)
    if before is None:
        raise InvalidInput(
            f"{env} is the first environment; `mlops release` proposes into it, or name --release"
        )
    served = journal.read(target.store.entries(before, model)).current
    if served is None:
        raise Blocked(f"{before} has not served {model} yet; run `mlops apply {before}` first")
    return served.release


def _commits(git: Git, before: Release | None, release: Release) -> list[str]:
    if before is None:
        return []
    return git.subjects(before.source.commit, release.source.commit, *CODE)

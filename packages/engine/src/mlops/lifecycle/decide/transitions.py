"""May this release move into this environment? Pure rules, used by the pull request, by promote and by apply.

A move is `backward` when an older release that was once verified in this environment returns; that is always
legal, because it is how one gets out of trouble. Everything else that changes what is served is `forward`
(or `first`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from mlops.lifecycle.decide.journal import Facts, Held
from mlops.spec.desired import Bypass, DesiredState
from mlops.spec.files import desired_path
from mlops.spec.gates import GateResult, blocking
from mlops.spec.policy import Freeze, Policy
from mlops.spec.release import Release

Direction = Literal["none", "first", "forward", "backward"]

POLICY_GATES = ("order", "soak")
"""What a bypass may name besides the release's own gates; freeze, hold and provenance are never skipped."""


def direction(release: int, served: int | None, verified: Collection[int]) -> Direction:
    """`served` is what was last served completely, None if nothing ever was."""
    if served is None:
        return "first"
    if served == release:
        return "none"
    return "backward" if release < served and release in verified else "forward"


def same_release(a: DesiredState, b: DesiredState) -> bool:
    return (a.release, a.replaces) == (b.release, b.replaces)


def is_revert(state: DesiredState, older: Iterable[DesiredState]) -> bool:
    """Whether `state` is one the file had before, as `git revert` makes it; hold and strategy may differ."""
    return any(same_release(state, o) for o in older)


def follows(state: DesiredState, older: Sequence[DesiredState]) -> bool:
    """Whether a change of the file to `state` says truly what it replaced. `older` is newest first.

    It names what the file named before, or it is a revert. Nothing came before the first.
    """
    if not older:
        return state.replaces is None
    return older[0].release in (state.release, state.replaces) or is_revert(state, older[1:])


def lineage(history: Sequence[DesiredState]) -> frozenset[int]:
    """Releases that may be what is served when `history[0]` is applied. `history` is newest first.

    Follows the file's own history as long as every change said truly what it replaced. So an apply that was
    skipped, or a release that never passed its analysis, does not block the next one, while a change that was
    written against another release does.
    """
    if not history:
        return frozenset()
    allowed: set[int | None] = {history[0].release, history[0].replaces}
    for index, (state, before) in enumerate(pairwise(history)):
        if not follows(state, history[index + 1 :]):
            break
        allowed |= {before.release, before.replaces}
    return frozenset(r for r in allowed if r is not None)


@dataclass(frozen=True)
class Upstream:
    """What the environment before this one has proved; None of it is known for the first environment."""

    environment: str
    facts: Facts
    witness: str = "serves"
    """What `facts` tell of it: what it serves, or, read from files alone, what it "asks for"."""


@dataclass(frozen=True)
class Weaker:
    """What a release's gates let through that those of the served one did not, and who agreed to it."""

    lines: tuple[str, ...]
    """One for each gate; empty when none was loosened."""
    approved: tuple[str, ...] | None
    """People who approved the change that asks for the release and wrote neither it nor the gates; None where
    that is yet to come, because the change is not merged."""
    where: str = ""
    """The page of that change."""


@dataclass(frozen=True)
class Move:
    """Everything that decides whether a release may enter. `served` None: nothing is served yet."""

    env: str
    model: str
    desired: DesiredState
    release: Release
    lineage: frozenset[int]
    served: int | None
    facts: Facts
    upstream: Upstream | None
    policy: Policy
    freeze: Freeze
    now: datetime
    held: Held | None = None
    weaker: Weaker | None = None
    """None where the files of gates cannot be compared, because what is served is not known."""

    @property
    def direction(self) -> Direction:
        return direction(self.release.version, self.served, self.facts.verified)

    @property
    def forward(self) -> bool:
        return self.direction in ("first", "forward")


def verdicts(move: Move) -> list[GateResult]:
    """Every rule with its verdict; a rule that a backward move need not meet is `skipped`."""
    results = [_replaces(move), _analysis(move), _hold(move), _freeze(move), *_order_and_soak(move)]
    results += [_quality(move), _approvals(move), _bypass(move)]
    return [_bypassed(r, move) for r in results]


# --- what keeps automation off: asked by every verb that would act ------------------------------------------


def on_hold(desired: DesiredState | None, env: str, model: str) -> str:
    """Who holds the model there, since when and why: a sentence; empty when nobody does."""
    hold = desired.hold if desired is not None else None
    if hold is None:
        return ""
    return (
        f"{hold.by} put {model} in {env} on hold since {hold.since:%Y-%m-%d %H:%M} ({hold.reason}); "
        f"a person removes `hold` from {desired_path(env, model)}"
    )


def frozen(freeze: Freeze, now: datetime, env: str, model: str) -> str:
    """Until when no release may move forward there, and why: a sentence; empty when one may."""
    window = next((w for w in freeze.windows if w.covers(now, env, model)), None)
    if window is None:
        return ""
    return (
        f"{env} is frozen until {window.end:%Y-%m-%d %H:%M} {window.timezone} ({window.reason}, "
        f"{window.by}); going back to an earlier release stays possible"
    )


# --- the rules ----------------------------------------------------------------------------------------------


def refusal(results: Iterable[GateResult]) -> str:
    """The sentences of what blocks; empty when nothing does."""
    return "; ".join(f"{r.name}: {r.detail}" for r in results if r.verdict == "blocked")


def _replaces(move: Move) -> GateResult:
    said = f"{move.desired.replaces}" if move.desired.replaces else "nothing"
    if move.served is None or move.served in move.lineage:
        return GateResult(name="replaces", verdict="pass", observed=f"{move.served or 'nothing'}", limit=said)
    return GateResult(
        name="replaces",
        verdict="blocked",
        observed=str(move.served),
        limit=said,
        detail=f"release {move.desired.release} was to replace {said}, but {move.env} serves release "
        f"{move.served}, which the history of its file does not lead to. Fetch the newest commit, or promote "
        f"again so that `replaces` says {move.served}",
    )


def _analysis(move: Move) -> GateResult:
    if move.held is None:
        return GateResult(name="analysis", verdict="pass", observed="no failure recorded", limit="none")
    return GateResult(
        name="analysis",
        verdict="blocked",
        observed=f"failed {move.held.at:%Y-%m-%d %H:%M} UTC",
        limit="none",
        detail=f"release {move.held.release} failed in {move.env} at {move.held.at:%Y-%m-%d %H:%M} UTC "
        f"({move.held.reason}) and is not tried again by itself. Roll back with `mlops rollback {move.env}`, "
        f'or, if the cause is known and gone, `mlops apply {move.env} --clear-hold "why"`',
    )


def _hold(move: Move) -> GateResult:
    why = on_hold(move.desired, move.env, move.model)
    return _brake("hold", why, move, observed="set" if why else "none", limit="none")


def _freeze(move: Move) -> GateResult:
    why = frozen(move.freeze, move.now, move.env, move.model)
    return _brake("freeze", why, move, observed="inside" if why else "outside", limit="outside")


def _brake(name: str, why: str, move: Move, *, observed: str, limit: str) -> GateResult:
    """It stops a forward move; a way back need not ask."""
    if not why:
        return GateResult(name=name, verdict="pass", observed=observed, limit=limit)
    if not move.forward:
        return GateResult(name=name, verdict="skipped", observed=observed, limit=limit)
    return GateResult(name=name, verdict="blocked", observed=observed, limit=limit, detail=why)


def _order_and_soak(move: Move) -> list[GateResult]:
    soak = move.policy.environments[move.env].soak
    limit = _hours(soak)
    version = move.release.version
    if move.upstream is None or not move.forward or version in move.facts.verified:
        why = "first environment" if move.upstream is None else "verified here before, or a way back"
        return [
            GateResult(name="order", verdict="skipped", observed=why, limit="verified upstream"),
            GateResult(name="soak", verdict="skipped", observed=why, limit=limit),
        ]
    name, current = move.upstream.environment, move.upstream.facts.current
    held = move.upstream.facts.held.get(version)
    if current is None or current.release != version or held is not None:
        serves = f"release {current.release}" if current else "nothing"
        detail = (
            f"release {version} failed in {name} ({held.reason})"
            if held is not None
            else f"{name} {move.upstream.witness} {serves}, not release {version}; bring it there first"
        )
        order = GateResult(
            name="order",
            verdict="blocked",
            observed=serves,
            limit=f"release {version} in {name}",
            detail=detail,
        )
        return [order, GateResult(name="soak", verdict="skipped", observed="not upstream", limit=limit)]
    order = GateResult(
        name="order", verdict="pass", observed=f"verified in {name}", limit=f"release {version} in {name}"
    )
    since = (move.now - current.at).total_seconds()
    waited = _hours(since)
    if since >= soak:
        return [order, GateResult(name="soak", verdict="pass", observed=waited, limit=limit)]
    until = current.at + timedelta(seconds=soak)
    detail = f"release {version} has been healthy in {name} for {waited} of {limit}; "
    detail += f"wait until {until:%Y-%m-%d %H:%M} UTC"
    return [order, GateResult(name="soak", verdict="blocked", observed=waited, limit=limit, detail=detail)]


def bypassable(release: Release) -> list[str]:
    """What a file may say is skipped for this release: rules of the move, and gates of the release."""
    return [*POLICY_GATES, *(gate.name for gate in release.gates)]


def not_bypassable(bypass: Bypass | None, release: Release) -> list[str]:
    """The names that a bypass gives and may not, in order."""
    allowed = bypassable(release)
    return [name for name in (bypass.gates if bypass else ()) if name not in allowed]


def _bypass(move: Move) -> GateResult:
    """A bypass that names what is never skipped is a mistake of whoever wrote it; it is not half done."""
    bypass = move.desired.bypass
    wrong = not_bypassable(bypass, move.release)
    allowed = ", ".join(bypassable(move.release))
    why = f"{' and '.join(map(repr, wrong))} cannot be skipped; allowed: {allowed}" if wrong else ""
    return _brake("bypass", why, move, observed=", ".join(bypass.gates) if bypass else "none", limit=allowed)


def _hours(seconds: float) -> str:
    """Hours, minutes and seconds: a policy says 24h, not one day."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _quality(move: Move) -> GateResult:
    skipped = move.desired.bypass.gates if move.desired.bypass else ()
    blocked = [gate.name for gate in blocking(move.release.gates, skipped)]
    if not blocked or not move.forward:
        return GateResult(name="gates", verdict="pass", observed="all passed", limit="all of the release")
    return GateResult(
        name="gates",
        verdict="blocked",
        observed=", ".join(blocked),
        limit="all of the release",
        detail=f"release {move.release.version} was blocked by {', '.join(blocked)} when it was made",
    )


def _approvals(move: Move) -> GateResult:
    """Weaker gates need more eyes where policy says so; a bypass, which one person writes, is none."""
    needed = move.policy.environments[move.env].loosened_approvals
    weaker, version = move.weaker, move.release.version
    limit = f"{needed} where gates were loosened"
    observed = ""
    if not needed:
        observed = "policy asks for none"
    elif not move.forward or version in move.facts.verified:
        observed = "verified here before, or a way back"
    elif weaker is None:
        observed = "compared by promote and apply"
    if weaker is None or observed:
        return GateResult(name="approvals", verdict="skipped", observed=observed, limit=limit)
    if not weaker.lines:
        return GateResult(name="approvals", verdict="pass", observed="no gate was loosened", limit=limit)
    told = f"gates were loosened since release {move.served} ({'; '.join(weaker.lines)})"
    if weaker.approved is None:
        observed, detail = "counted when it is merged", f"{told}; {needed} must approve"
        return GateResult(name="approvals", verdict="skipped", observed=observed, limit=limit, detail=detail)
    observed = ", ".join(weaker.approved) or "nobody"
    if len(weaker.approved) >= needed:
        return GateResult(name="approvals", verdict="pass", observed=observed, limit=limit, detail=told)
    where = weaker.where or "the pull request that asked for it (none is known)"
    detail = (
        f"{told}, and {move.env} asks for {needed} approvals by people who wrote neither these gates nor the "
        f"change; approved by: {observed}. Let more people approve {where} and apply again, or revert it and "
        "propose it anew"
    )
    return GateResult(name="approvals", verdict="blocked", observed=observed, limit=limit, detail=detail)


def _bypassed(result: GateResult, move: Move) -> GateResult:
    bypass = move.desired.bypass
    if result.verdict != "blocked" or bypass is None or result.name not in POLICY_GATES:
        return result
    if result.name not in bypass.gates:
        return result
    return result.model_copy(
        update={"verdict": "bypassed", "detail": f"{bypass.approver}: {bypass.reason} ({result.detail})"}
    )

"""`mlops apply` and `mlops diff`: what is served becomes what the files of a commit say.

`execute` knows no git: it takes an `Intent`, so a test or another trigger can make one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mlops.errors import Blocked, InvalidInput, Locked
from mlops.events import Announce, publish, silent
from mlops.forge.base import Forge
from mlops.lifecycle.apply.rollout import Event, Progress, Rollout
from mlops.lifecycle.decide import journal
from mlops.lifecycle.decide.clock import Clock, SystemClock
from mlops.lifecycle.decide.intent import Intent
from mlops.lifecycle.decide.journal import Kind
from mlops.lifecycle.decide.plan import Plan
from mlops.lifecycle.decide.rollout_steps import CoolDown, Retire, Step
from mlops.lifecycle.decide.transitions import Direction, Weaker
from mlops.lifecycle.desired import provenance
from mlops.lifecycle.desired.approvals import Scales, unweighed
from mlops.lifecycle.desired.pending import Weigh, facts_of, plan_for
from mlops.targets.base import Target

LEASE = 60.0
"""Seconds; renewed at a third of it."""


def _silent(_: object) -> None:
    pass


@dataclass(frozen=True)
class Outcome:
    """What an apply did. `changed` is False when everything already was as the file says."""

    env: str
    model: str
    release: int
    replaced: int | None
    direction: Direction
    changed: bool
    steps: tuple[str, ...]
    url: str


def diff(
    root: Path,
    target: Target,
    env: str,
    model: str,
    *,
    clock: Clock | None = None,
    wanted: provenance.Wanted | None = None,
) -> Plan:
    """The plan, with nothing changed; `Plan.empty` means there is nothing to do.

    `wanted` is what git says, where it was read for several models at once.
    """
    intent = (wanted or provenance.Wanted(root, env, [model])).intent(model)
    return plan_for(intent, target, (clock or SystemClock()).now(), Scales(root))


def apply(
    root: Path,
    target: Target,
    env: str,
    model: str,
    *,
    actor: str,
    clear_hold: str = "",
    clock: Clock | None = None,
    progress: Progress = _silent,
    approved: Sequence[Mapping[str, str]] = (),
    forge: Callable[[], Forge] | None = None,
) -> Outcome:
    """Make what is served in `env` what HEAD says. Run it again after any interruption.

    `clear_hold`: why a release that failed its analysis may be tried again; recorded with the actor.
    `approved`: who let this job in, `by` and `rule` each; recorded with what comes of it.
    `forge`: opens what knows who approved; asked only where policy says so for gates that were loosened.
    Raises `InvalidInput` (not committed, not valid), `IntegrityError` (provenance), `Locked`, `Blocked`
    (a rule, or an analysis that failed: traffic is back), `Inconclusive` (traffic stays), `TargetError`.
    """
    intent = provenance.read_intent(root, env, model)
    provenance.verify_source(root, intent)
    return execute(
        intent,
        target,
        actor=actor,
        clear_hold=clear_hold,
        clock=clock or SystemClock(),
        progress=progress,
        overtaken=lambda commit: provenance.is_newer(root, commit, intent.commit),
        announce=partial(publish, root),
        approved=approved,
        weigh=Scales(root, forge) if forge is not None else unweighed,
    )


def execute(
    intent: Intent,
    target: Target,
    *,
    actor: str,
    clock: Clock,
    clear_hold: str = "",
    progress: Progress = _silent,
    overtaken: Callable[[str], bool] = lambda _: False,
    announce: Announce = silent,
    approved: Sequence[Mapping[str, str]] = (),
    weigh: Weigh = unweighed,
) -> Outcome:
    """Carry out an intent; `overtaken` tells whether a commit that was applied earlier is newer than ours."""
    owner = f"{actor} (apply release {intent.release.version} of {intent.model}, commit {intent.commit[:8]})"
    with target.store.lock(intent.env, owner, LEASE) as lease:
        facts = facts_of(intent, target)
        if facts.commit and overtaken(facts.commit):
            raise Blocked(
                f"{intent.env} already has the newer commit {facts.commit[:8]}; {intent.commit[:8]} came too "
                "late and changes nothing. Fetch the newest commit and apply that"
            )
        artifact = provenance.fetch(intent, target)
        rollout = Rollout(intent, target, lease, artifact, actor, clock, progress, announce, approved)
        if clear_hold:
            _clear(intent, rollout, facts, clear_hold)
        weaker: list[Weaker] = []
        plan = plan_for(intent, target, clock.now(), partial(_weighed, weigh, weaker))
        rollout.approved = [*approved, *_agreed(intent, weaker)]
        if plan.refusal:
            rollout.run(plan.recovery)
            raise Blocked(f"release {intent.release.version} may not enter {intent.env}: {plan.refusal}")
        warm = next((i for i, s in enumerate(plan.steps) if isinstance(s, CoolDown)), len(plan.steps))
        if plan.steps:
            rollout.note(
                Kind.STARTED,
                {
                    "replaces": plan.served,
                    "direction": plan.direction,
                    "file_commit": intent.file_commit,
                    "steps": plan.lines(),
                },
            )
        rollout.run(plan.steps[:warm])
    _cool_down(plan.steps[warm:], rollout, target, owner)
    return Outcome(
        env=intent.env,
        model=intent.model,
        release=intent.release.version,
        replaced=plan.served if plan.served != intent.release.version else None,
        direction=plan.direction,
        changed=not plan.empty,
        steps=tuple(plan.lines()),
        url=target.endpoints.state(intent.env, intent.model).url,
    )


def _weighed(weigh: Weigh, kept: list[Weaker], intent: Intent, served: int | None) -> Weaker | None:
    found = weigh(intent, served)
    if found is not None:
        kept.append(found)
    return found


def _agreed(intent: Intent, weaker: Sequence[Weaker]) -> list[dict[str, str]]:
    """Who agreed to gates that were loosened, where policy counts them."""
    needed = intent.policy.environments[intent.env].loosened_approvals
    rule = f"loosened_approvals: {needed} where gates were loosened"
    return [{"by": name, "rule": rule} for one in weaker if one.lines for name in one.approved or ()]


def _clear(intent: Intent, rollout: Rollout, facts: journal.Facts, why: str) -> None:
    version = intent.release.version
    if facts.hold_on(version, intent.file_commit) is None:
        raise InvalidInput(
            f"there is no hold on release {version} of {intent.model} in {intent.env} to clear"
        )
    rollout.note(Kind.CLEARED, {"reason": why})


def _cool_down(
    rest: tuple[Step, ...],
    rollout: Rollout,
    target: Target,
    owner: str,
) -> None:
    """Wait without the lock, so that a rollback need not, and retire only if nobody was here meanwhile."""
    intent, clock = rollout.intent, rollout.clock
    if not rest:
        return
    wait = max(step.seconds for step in rest if isinstance(step, CoolDown))
    before = len(target.store.entries(intent.env, intent.model))
    rollout.progress(Event("wait", f"the old deployment stays warm for {wait:g} s", rest[0]))
    clock.sleep(wait)
    try:
        with target.store.lock(intent.env, owner, LEASE) as lease:
            if len(target.store.entries(intent.env, intent.model)) == before:
                again = replace(rollout, lease=lease)
                again.run(tuple(step for step in rest if isinstance(step, Retire)))
    except Locked:
        rollout.progress(Event("wait", "somebody else is at work and retires the old deployment", rest[0]))

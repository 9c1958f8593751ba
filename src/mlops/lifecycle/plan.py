"""From what is served to what should be: a pure function that answers an ordered list of typed steps.

It looks at what is there, never at what an earlier run meant to do, so a run that was killed anywhere is
continued by planning again. No step takes away the last deployment that serves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from mlops.lifecycle import transitions
from mlops.lifecycle.intent import Intent
from mlops.lifecycle.journal import Facts
from mlops.lifecycle.transitions import Direction, Move, Upstream
from mlops.spec.gates import GateResult
from mlops.targets.base import COLOURS, Deployment, EndpointState


@dataclass(frozen=True)
class Create:
    """A deployment of the release at zero traffic (all of it when it is the endpoint's first)."""

    kind: ClassVar[str] = "create"
    colour: str
    release: int
    replaces: str = ""
    """The colour of a deployment of the same release that was made by other settings."""

    @property
    def text(self) -> str:
        why = f", because the settings of {self.replaces} have changed" if self.replaces else ""
        return f"start release {self.release} as {self.colour}, without traffic{why}"


@dataclass(frozen=True)
class Smoke:
    """Score the release's own sample by the deployment's name."""

    kind: ClassVar[str] = "smoke"
    colour: str
    replaces: str = ""
    """As `Create.replaces`: the release is known to be good, so a failure is no verdict on it."""

    @property
    def text(self) -> str:
        return f"ask {self.colour} to score the release's sample"


@dataclass(frozen=True)
class Shift:
    """Set the traffic; `traffic` is (colour, percent), summing to 100."""

    kind: ClassVar[str] = "shift"
    traffic: tuple[tuple[str, int], ...]

    @property
    def text(self) -> str:
        return "send " + ", ".join(f"{percent} % to {colour}" for colour, percent in self.traffic)


@dataclass(frozen=True)
class Analyse:
    """Watch `colour` at `percent` against `live`, and go back when it is worse."""

    kind: ClassVar[str] = "analyse"
    colour: str
    live: str
    percent: int
    seconds: float

    @property
    def text(self) -> str:
        return f"compare {self.colour} with {self.live} for {self.seconds:g} s at {self.percent} %"


@dataclass(frozen=True)
class Finish:
    """Tags and aliases of the registry say that this release, and no other, is live."""

    kind: ClassVar[str] = "finish"
    release: int

    @property
    def text(self) -> str:
        return f"tag release {self.release} as live"


@dataclass(frozen=True)
class CoolDown:
    """Keep the old deployment warm until then; the lock is not held meanwhile."""

    kind: ClassVar[str] = "cool-down"
    colour: str
    seconds: float

    @property
    def text(self) -> str:
        return f"keep {self.colour} warm for {self.seconds:g} s"


@dataclass(frozen=True)
class Retire:
    """Drain and remove a deployment without traffic."""

    kind: ClassVar[str] = "retire"
    colour: str

    @property
    def text(self) -> str:
        return f"retire {self.colour}"


@dataclass(frozen=True)
class StopEndpoint:
    """The only deployment there ever was does not answer; nothing is better than wrong answers."""

    kind: ClassVar[str] = "stop"

    @property
    def text(self) -> str:
        return "stop the endpoint: its first deployment does not answer correctly"


Step = Create | Smoke | Shift | Analyse | Finish | CoolDown | Retire | StopEndpoint


@dataclass(frozen=True)
class Plan:
    """`steps` leads to what the file says; `recovery` is done even when `gates` refuse the steps."""

    direction: Direction
    steps: tuple[Step, ...]
    gates: tuple[GateResult, ...]
    recovery: tuple[Step, ...] = ()
    served: int | None = None

    @property
    def refusal(self) -> str:
        """Why the steps may not be done; empty when they may."""
        return transitions.refusal(self.gates)

    @property
    def empty(self) -> bool:
        return not self.steps and not self.recovery

    def lines(self) -> list[str]:
        """What would happen now, in order, for a person."""
        return [step.text for step in (self.recovery if self.refusal else self.steps)]


def stable(observed: EndpointState, facts: Facts) -> Deployment | None:
    """The deployment that took over last and is still well; else the one with most traffic."""
    ready = [d for d in observed.deployments if d.state == "ready"]
    if facts.current is not None:
        for deployment in ready:
            if deployment.release == facts.current.release:
                return deployment
    return max((d for d in ready if d.traffic > 0), key=lambda d: d.traffic, default=None)


def plan(
    intent: Intent,
    observed: EndpointState,
    facts: Facts,
    *,
    tagged: frozenset[int],
    upstream: Upstream | None,
    now: datetime,
) -> Plan:
    """The steps from `observed` to `intent`, and the verdict of every rule on the move.

    `tagged`: versions that the registry calls live in this environment.
    """
    well = stable(observed, facts)
    served = _served(intent.release.version, well, facts)
    held = facts.hold_on(intent.release.version, intent.file_commit)
    move = Move(
        env=intent.env,
        model=intent.model,
        desired=intent.desired,
        release=intent.release,
        lineage=intent.lineage,
        served=served,
        facts=facts,
        upstream=upstream,
        policy=intent.policy,
        freeze=intent.freeze,
        now=now,
        held=held,
    )
    gates = [*transitions.verdicts(move), _integrity(intent, observed)]
    recovery = _recovery(intent, observed, well) if held is not None else ()
    steps = _steps(intent, observed, facts, well=well, direction=move.direction, tagged=tagged, now=now)
    return Plan(move.direction, tuple(steps), tuple(gates), tuple(recovery), served)


def _served(version: int, well: Deployment | None, facts: Facts) -> int | None:
    """The release that the move starts from. One that is on its way in is not it, whatever its traffic."""
    if well is not None and (well.release != version or not facts.commit):
        return well.release
    return facts.current.release if facts.current else None


def _integrity(intent: Intent, observed: EndpointState) -> GateResult:
    release = intent.release
    wrong = [d for d in observed.deployments if d.release == release.version and d.digest != release.digest]
    if not wrong:
        return GateResult(name="digest", verdict="pass", observed="as released", limit=release.digest[:19])
    return GateResult(
        name="digest",
        verdict="blocked",
        observed=wrong[0].digest[:19],
        limit=release.digest[:19],
        detail=f"{wrong[0].name} calls itself release {release.version}, but its digest is "
        f"{wrong[0].digest} and not {release.digest}: it was not deployed from this release",
    )


def _steps(
    intent: Intent,
    observed: EndpointState,
    facts: Facts,
    *,
    well: Deployment | None,
    direction: Direction,
    tagged: frozenset[int],
    now: datetime,
) -> list[Step]:
    version, strategy = intent.release.version, intent.desired.strategy
    same = [d for d in observed.deployments if d.release == version and d.state == "ready"]
    target = next((d for d in same if not observed.outdated(d)), None)
    keep = well if well is not None and well.release != version else None
    # Settings have changed: what was made by the old ones serves until its successor does.
    old = next((d for d in same if observed.outdated(d)), None) if keep is None else None
    keep, replaces = keep or old, old.name if old is not None else ""
    # One that was lost with its server is started again in place; starting it is what an apply is for.
    broken = next((d for d in observed.deployments if _to_repair(d, intent)), None) if not target else None
    leftovers = [d for d in observed.deployments if d not in (keep, target, broken)]
    done = facts.current is not None and facts.current.release == version
    steps: list[Step] = []
    if keep is not None:
        # An interrupted rollout of some third release ends first, in favour of what is known to be good.
        if any(d.traffic for d in leftovers):
            steps.append(Shift(_all_to(observed, keep.name)))
        steps += [Retire(d.name) for d in leftovers]
        leftovers = []
    present = target or broken
    colour = present.name if present else _idle(observed, keep, leftovers)
    if target is None:
        # An unhealthy deployment without traffic may sit in the colour that is needed.
        blocking = [d for d in leftovers if d.name == colour]
        steps += [Retire(d.name) for d in blocking]
        leftovers = [d for d in leftovers if d not in blocking]
        steps.append(Create(colour, version, replaces))
    if target is None or not (facts.smoked or done) or (replaces and not target.traffic):
        steps.append(Smoke(colour, replaces))
    due = [p for p in strategy.canary if target is None or p not in facts.passed]
    if keep is not None and direction == "forward" and due:
        for percent in due:
            steps.append(Shift(((colour, percent), (keep.name, 100 - percent))))
            steps.append(Analyse(colour, keep.name, percent, strategy.analysis))
    elif present is None or present.traffic < 100:
        others = [*leftovers, *([keep] if keep else [])]
        steps.append(Shift(((colour, 100), *((d.name, 0) for d in others))))
    if tagged != {version} or not done:
        steps.append(Finish(version))
    since = facts.current.at if done and facts.current else now
    for last in [*leftovers, *([keep] if keep else [])]:
        warm = strategy.cool_down - (now - since).total_seconds()
        if warm > 0 and any(s.release == last.release for s in facts.served):
            steps.append(CoolDown(last.name, warm))
        steps.append(Retire(last.name))
    return steps


def _to_repair(deployment: Deployment, intent: Intent) -> bool:
    release = intent.release
    same = (deployment.release, deployment.digest) == (release.version, release.digest)
    return same and deployment.state != "ready"


def _recovery(intent: Intent, observed: EndpointState, well: Deployment | None) -> list[Step]:
    """What is left to do when a failed analysis was recorded and the process died right after."""
    failed = [d.name for d in observed.deployments if d.release == intent.release.version]
    others = [d for d in observed.deployments if d.name not in failed and d.state == "ready"]
    if not failed:
        return []
    if not others:
        return [StopEndpoint()]
    back = well if well is not None and well in others else others[0]
    return turn_back(observed, back.name, failed)


def turn_back(observed: EndpointState, live: str, failed: list[str]) -> list[Step]:
    """All traffic to `live` at once, then remove what failed."""
    shift = [Shift(_all_to(observed, live))]
    return [*shift, *(Retire(name) for name in failed)]


def _idle(observed: EndpointState, keep: Deployment | None, leftovers: list[Deployment]) -> str:
    busy = {d.name for d in leftovers if d.traffic} | ({keep.name} if keep else set())
    return next(c for c in COLOURS if c not in busy)


def _all_to(observed: EndpointState, colour: str) -> tuple[tuple[str, int], ...]:
    return ((colour, 100), *((d.name, 0) for d in observed.deployments if d.name != colour))

"""From what is served to what should be: a pure function that answers an ordered list of typed steps.

It looks at what is there, never at what an earlier run meant to do, so a run that was killed anywhere is
continued by planning again. No step takes away the last deployment that serves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from mlops.lifecycle.decide import transitions
from mlops.lifecycle.decide.intent import Intent
from mlops.lifecycle.decide.journal import Facts
from mlops.lifecycle.decide.rollout_steps import (
    Analyse,
    CoolDown,
    Create,
    Finish,
    Retire,
    Shift,
    Smoke,
    Step,
    StopEndpoint,
)
from mlops.lifecycle.decide.transitions import Direction, Move, Upstream, Weaker
from mlops.spec.gates import GateResult
from mlops.targets.base import COLOURS, Deployment, EndpointState


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
    current = facts.current.release if facts.current else None
    return _busiest(d for d in ready if d.release == current) or _busiest(d for d in ready if d.traffic)


def _busiest(deployments: Iterable[Deployment]) -> Deployment | None:
    return max(deployments, key=lambda d: d.traffic, default=None)


def plan(
    intent: Intent,
    observed: EndpointState,
    facts: Facts,
    *,
    tagged: frozenset[int],
    upstream: Upstream | None,
    now: datetime,
    weaker: Weaker | None = None,
) -> Plan:
    """The steps from `observed` to `intent`, and the verdict of every rule on the move.

    `tagged`: versions that the registry calls live in this environment.
    """
    well = _before(intent.release.version, observed, facts)
    served = served_before(intent, observed, facts)
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
        weaker=weaker,
    )
    gates = [*transitions.verdicts(move), _integrity(intent, observed)]
    recovery = _recovery(intent, observed, facts) if held is not None else ()
    scene = _scene(intent, observed, facts, well=well, direction=move.direction, tagged=tagged, now=now)
    return Plan(move.direction, _steps(scene), tuple(gates), recovery, served)


def served_before(intent: Intent, observed: EndpointState, facts: Facts) -> int | None:
    """The release that the move is from. Where nothing is well, what took over last is what a way back or a
    canary is about."""
    well = _before(intent.release.version, observed, facts)
    return well.release if well else facts.current.release if facts.current else None


def _before(version: int, observed: EndpointState, facts: Facts) -> Deployment | None:
    """What the move starts from: a release on its way in is not it, even with most of the traffic."""
    done = facts.current is not None and facts.current.release == version
    if done or not facts.commit:
        return stable(observed, facts)
    others = tuple(d for d in observed.deployments if d.release != version)
    return stable(replace(observed, deployments=others), facts)


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


@dataclass(frozen=True)
class Scene:
    """What a plan starts from, with a role for every deployment that is there.

    | role     | which deployment                                                                   |
    |----------|------------------------------------------------------------------------------------|
    | `target` | the wanted release, ready, made by the settings of now: it takes over              |
    | `broken` | the wanted release, not ready, when there is no target: started again in its place |
    | `keep`   | what serves until the target has taken over: the stable one of another release, or |
    |          | else the wanted release as it was made by other settings                           |
    | `rest`   | all others: a third release on its way in, what is not ready, what waits to go     |
    """

    intent: Intent
    observed: EndpointState
    facts: Facts
    direction: Direction
    tagged: frozenset[int]
    now: datetime
    target: Deployment | None
    broken: Deployment | None
    keep: Deployment | None
    rest: tuple[Deployment, ...]

    @property
    def version(self) -> int:
        return self.intent.release.version

    @property
    def done(self) -> bool:
        """Whether the wanted release is the last that took over completely."""
        return self.facts.current is not None and self.facts.current.release == self.version

    @property
    def present(self) -> Deployment | None:
        return self.target or self.broken

    @property
    def colour(self) -> str:
        """Where the wanted release is, or will be."""
        return self.present.name if self.present is not None else next(iter(self._free), COLOURS[0])

    @property
    def stuck(self) -> bool:
        """All traffic is on what is not ready, and it sits in every colour: no place to start from."""
        return self.present is None and not self._free

    @property
    def _free(self) -> list[str]:
        """Colours that neither serve nor are kept."""
        busy = {self.keep.name} if self.keep else {d.name for d in self.rest if d.traffic}
        return [c for c in COLOURS if c not in busy]

    @property
    def replaces(self) -> str:
        """The colour of the same release by other settings, when that is what is kept."""
        return self.keep.name if self.keep is not None and self.keep.release == self.version else ""

    @property
    def due(self) -> list[int]:
        """Canary steps that this deployment has not passed; those of one that was lost do not count."""
        canary = self.intent.desired.strategy.canary
        return [p for p in canary if self.target is None or p not in self.facts.passed]

    @property
    def staying(self) -> list[Deployment]:
        """Of the rest, what is there until the end: nothing when `_clear` or a stop has removed it."""
        if self.keep is not None or self.stuck:
            return []
        return [d for d in self.rest if d.name != self.colour]


def _scene(
    intent: Intent,
    observed: EndpointState,
    facts: Facts,
    *,
    well: Deployment | None,
    direction: Direction,
    tagged: frozenset[int],
    now: datetime,
) -> Scene:
    """Give every deployment its role."""
    version = intent.release.version
    wanted = [
        d for d in observed.deployments if d.release == version
    ]  # of its digest, or `_integrity` blocks
    same = [d for d in wanted if d.state == "ready"]
    target = _busiest(d for d in same if not observed.outdated(d))
    broken = None if target else _busiest(d for d in wanted if d.state != "ready")
    if well is not None and well.release != version:
        keep: Deployment | None = well
    else:
        # Settings have changed: what was made by the old ones serves until its successor does.
        keep = _busiest(d for d in same if observed.outdated(d))
    rest = tuple(d for d in observed.deployments if d not in (keep, target, broken))
    return Scene(intent, observed, facts, direction, tagged, now, target, broken, keep, rest)


def _steps(scene: Scene) -> tuple[Step, ...]:
    """From what is there to what the file says: six small decisions, each of which may have nothing to do.

    | decision     | it acts when                               | its steps                               |
    |--------------|--------------------------------------------|-----------------------------------------|
    | `_clear`     | something is kept, and there is a rest     | all traffic to what is kept, retire     |
    | `_start`     | there is no target                         | free the colour or stop, create         |
    | `_prove`     | nobody has proved this deployment          | smoke                                   |
    | `_take_over` | forward, something is kept, canary is due  | for each percent that is due: shift,    |
    |              |                                            | analyse                                 |
    |              | else, when it has not all traffic          | shift all of it                         |
    | `_record`    | the tags or the journal say something else | finish                                  |
    | `_clean_up`  | anything else is still there               | cool down when it served here, retire   |
    """
    return (
        *_clear(scene),
        *_start(scene),
        *_prove(scene),
        *_take_over(scene),
        *_record(scene),
        *_clean_up(scene),
    )


def _clear(scene: Scene) -> list[Step]:
    """An interrupted rollout of some third release ends first, in favour of what is known to be good."""
    if scene.keep is None:
        return []
    # What is started again in place has to prove itself anew before it serves.
    away = [*scene.rest, *([scene.broken] if scene.broken else [])]
    back = [_all_to(scene.keep.name, scene.observed.deployments)] if any(d.traffic for d in away) else []
    return [*back, *(Retire(d.name) for d in scene.rest)]


def _start(scene: Scene) -> list[Step]:
    """One that was lost with its server is started again in place; starting it is what an apply is for."""
    if scene.target is not None:
        return []
    create = Create(scene.colour, scene.version, scene.replaces)
    if scene.stuck:
        return [
            StopEndpoint("nothing that has traffic is ready, and there is no place to start another"),
            create,
        ]
    # An unhealthy deployment without traffic may sit in the colour that is needed.
    sitting = [] if scene.keep else [d for d in scene.rest if d.name == scene.colour]
    return [*(Retire(d.name) for d in sitting), create]


def _prove(scene: Scene) -> list[Step]:
    """Who serves and took over once needs no smoke test; who was made anew by other settings needs one."""
    if scene.target is None:
        known = False
    elif scene.target.traffic:
        known = scene.facts.smoked or scene.done
    else:
        known = scene.facts.smoked and not scene.replaces
    return [] if known else [Smoke(scene.colour, scene.replaces)]


def _take_over(scene: Scene) -> list[Step]:
    """In canary steps where there is something to compare with; a way back takes all traffic at once."""
    keep, colour = scene.keep, scene.colour
    if keep is not None and scene.direction == "forward" and scene.due:
        seconds = scene.intent.desired.strategy.analysis
        steps: list[Step] = []
        for percent in scene.due:
            steps.append(Shift(((colour, percent), (keep.name, 100 - percent))))
            steps.append(Analyse(colour, keep.name, percent, seconds))
        return steps
    # `_clear` has taken the traffic of what is broken, when something is kept.
    there = scene.target or (scene.broken if keep is None else None)
    if there is not None and there.traffic == 100:
        return []
    others = [*scene.staying, *([keep] if keep else [])]
    return [_all_to(colour, others)]


def _record(scene: Scene) -> list[Step]:
    return [Finish(scene.version)] if scene.tagged != {scene.version} or not scene.done else []


def _clean_up(scene: Scene) -> list[Step]:
    """What served here stays warm for a while, counted from when the wanted release took over."""
    current = scene.facts.current if scene.done else None
    since = current.at if current else scene.now
    warm = scene.intent.desired.strategy.cool_down - (scene.now - since).total_seconds()
    steps: list[Step] = []
    for last in [*scene.staying, *([scene.keep] if scene.keep else [])]:
        served = any(s.release == last.release for s in scene.facts.served)
        if warm > 0 and served and last.state == "ready":
            steps.append(CoolDown(last.name, warm))
        steps.append(Retire(last.name))
    return steps


def _recovery(intent: Intent, observed: EndpointState, facts: Facts) -> tuple[Step, ...]:
    """What is left to do when a failure was recorded and the process died right after."""
    there = any(d.release == intent.release.version for d in observed.deployments)
    return turn_back(observed, facts, intent.release.version) if there else ()


def turn_back(observed: EndpointState, facts: Facts, release: int) -> tuple[Step, ...]:
    """All traffic away from `release` at once, then remove it; without a refuge the endpoint stops."""
    back = refuge(observed, facts, release)
    if back is None:
        return (StopEndpoint(),)
    failed = [d.name for d in observed.deployments if d.release == release]
    return (_all_to(back.name, observed.deployments), *(Retire(name) for name in failed))


def refuge(observed: EndpointState, facts: Facts, release: int) -> Deployment | None:
    """What serves when `release` may not, and is well: what took over last, else what has most traffic."""
    others = [d for d in observed.deployments if d.release != release and d.state == "ready"]
    current = facts.current.release if facts.current else None
    return max(others, key=lambda d: (d.release == current, d.traffic), default=None)


def _all_to(colour: str, deployments: Iterable[Deployment]) -> Shift:
    """What is not ready is not named: an endpoint refuses to hear of it; who is not named gets nothing."""
    others = [d.name for d in deployments if d.name != colour and d.state == "ready"]
    return Shift(((colour, 100), *((name, 0) for name in others)))

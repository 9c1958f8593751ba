"""Every small world that a plan may start from: up to three deployments and what the journal says of them.

Release 2 is the one that the file asks for; 1 is older, 3 is newer. Worlds that differ only by the names of
their deployments are one world, as far as the planner may treat the two colours alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from itertools import permutations, product
from typing import NamedTuple

from engine_world import MODEL, START, make_release, policy

from mlops.lifecycle.decide.intent import Intent
from mlops.lifecycle.decide.journal import Facts, Held, Served
from mlops.lifecycle.decide.plan import Plan, plan
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
from mlops.spec.desired import DesiredState, Strategy
from mlops.spec.policy import Freeze
from mlops.targets.base import Deployment, EndpointState

OLDER, WANTED, NEWER = 1, 2, 3
ENV = "staging"
NAMES = ("blue", "green", "violet")
"""The two colours, and a deployment that somebody made by hand."""
FILE_COMMIT = "f" * 40
NOW = START + timedelta(days=2)
OLD, NEW = "made by old settings", "settings of now"
CANARY = (10, 100)
RELEASES = {version: make_release(version) for version in (OLDER, WANTED, NEWER)}
WRONG = "sha256:" + "e" * 64

Kind = tuple[int, str, str]
"""Release, state and settings of a deployment."""
KINDS: tuple[Kind, ...] = tuple(
    (release, state, settings)
    for release, state, settings in product(RELEASES, ("ready", "failed"), (NEW, OLD))
    if release == WANTED or settings == NEW  # the settings of what is to go are nobody's business
)


def shares(count: int) -> list[tuple[int, ...]]:
    """Of all traffic, nothing, a part or all; or nobody has any."""
    parts = {0: [()], 1: [(0,), (100,)], 2: [(0, 0), (100, 0), (0, 100), (90, 10), (10, 90)]}
    three = [(0, 0, 0), *sorted(set(permutations((100, 0, 0)))), *sorted(set(permutations((0, 40, 60))))]
    return {**parts, 3: [*three, (30, 30, 40)]}[count]


def deployment(name: str, kind: Kind, traffic: int) -> Deployment:
    release, state, settings = kind
    digest = RELEASES[release].digest
    return Deployment(name, release, digest, traffic, state=state, settings=settings)  # type: ignore[arg-type]


@cache
def endpoints() -> list[EndpointState]:
    """Every endpoint with up to three deployments."""
    found: list[EndpointState] = []
    for count in range(4):
        names = {0: [()], 1: [(n,) for n in NAMES], 2: [NAMES[:2], NAMES[::2]], 3: [NAMES]}[count]
        seen: set[tuple[tuple[Kind, int], ...]] = set()
        for kinds, traffic in product(product(KINDS, repeat=count), shares(count)):
            pairs = tuple(zip(kinds, traffic, strict=True))
            if count == 3 and tuple(sorted(pairs)) in seen:
                continue
            seen.add(tuple(sorted(pairs)))
            for order in names:
                made = tuple(deployment(n, k, t) for n, (k, t) in zip(order, pairs, strict=True))
                found.append(EndpointState(ENV, MODEL, "memory://", made, NEW))
    return found


def served(*releases: int, at: datetime = START) -> tuple[Served, ...]:
    return tuple(Served(r, at + timedelta(hours=i), "bot", "c" * 40) for i, r in enumerate(releases))


PASTS = (
    (),
    (OLDER,),
    (WANTED,),
    (NEWER,),
    (OLDER, WANTED),
    (WANTED, OLDER),
    (WANTED, NEWER),
    (NEWER, WANTED),
)
"""What took over here, oldest first; the last is current."""
FEW_PASTS = ((), (OLDER,), (WANTED,), (WANTED, NEWER))
"""Where three deployments make many worlds: nothing, forward, the same, backward."""
PROGRESS: tuple[tuple[bool, frozenset[int], bool], ...] = (
    (False, frozenset(), False),
    (True, frozenset(), False),
    (True, frozenset({10}), False),
    (True, frozenset(CANARY), False),
    (False, frozenset(), True),
    (True, frozenset(), True),
)
"""Smoked, canary steps passed, held: of the deployment created last."""


@cache
def journals() -> list[Facts]:
    held = Held(WANTED, "errors", START, FILE_COMMIT)
    return [
        Facts(
            commit="c" * 40,
            served=served(*past),
            held={WANTED: held} if sent_back else {},
            smoked=smoked,
            passed=passed,
        )
        for past, (smoked, passed, sent_back) in product(PASTS, PROGRESS)
    ]


@cache
def intent(canary: tuple[int, ...] = CANARY, cool_down: float = 0.0) -> Intent:
    """Staging asks for `WANTED`, and every release may be what it replaces."""
    strategy = Strategy(canary=list(canary), analysis=10, min_requests=20, cool_down=cool_down)
    return Intent(
        env=ENV,
        model=MODEL,
        desired=DesiredState(release=WANTED, replaces=OLDER, strategy=strategy),
        release=RELEASES[WANTED],
        policy=policy(),
        freeze=Freeze(),
        commit="c" * 40,
        file_commit=FILE_COMMIT,
        lineage=frozenset(RELEASES),
    )


class Small(NamedTuple):
    """What is served and what is known."""

    deployments: tuple[Deployment, ...]
    facts: Facts
    tagged: frozenset[int]

    @property
    def observed(self) -> EndpointState:
        return EndpointState(ENV, MODEL, "memory://", self.deployments, NEW)

    @property
    def key(self) -> tuple[object, ...]:
        f = self.facts
        return self.deployments, f.served, f.smoked, f.passed, frozenset(f.held), self.tagged

    @property
    def current(self) -> int | None:
        return self.facts.served[-1].release if self.facts.served else None

    def named(self, name: str) -> Deployment | None:
        return next((d for d in self.deployments if d.name == name), None)

    def planned(self, asked: Intent) -> Plan:
        return plan(asked, self.observed, self.facts, tagged=self.tagged, upstream=None, now=NOW)


def worlds(most: int = 3, pasts: tuple[tuple[int, ...], ...] = PASTS) -> Iterator[Small]:
    """Every endpoint of up to `most` deployments with every journal."""
    for observed, facts in product(endpoints(), journals()):
        count, past = len(observed.deployments), tuple(s.release for s in facts.served)
        if count <= most and past in pasts and (count <= 2 or past in FEW_PASTS):
            tagged = frozenset({facts.served[-1].release}) if facts.served else frozenset()
            yield Small(observed.deployments, facts, tagged)


class Refused(AssertionError):
    """An endpoint would not do it."""


def carry_out(world: Small, step: Step) -> Small:  # noqa: PLR0911 (one for each kind of step)
    """The world after a step that went well, at an endpoint that refuses whatever any target refuses."""
    facts = world.facts
    match step:
        case Create():
            made = replace(facts, smoked=False, passed=frozenset(), baseline=None)
            return Small(_created(world, step.colour), made, world.tagged)
        case Smoke():
            if (asked := world.named(step.colour)) is None or asked.state != "ready":
                raise Refused(f"{step.colour} cannot be asked")
            return world._replace(facts=replace(facts, smoked=True))
        case Shift():
            return world._replace(deployments=_shifted(world, dict(step.traffic)))
        case Analyse():
            return world._replace(facts=replace(facts, passed=facts.passed | {step.percent}))
        case Finish():
            done = (*facts.served, Served(step.release, NOW, "bot", "c" * 40))
            ended = replace(facts, served=done, passed=frozenset(), held={})
            return Small(world.deployments, ended, frozenset({step.release}))
        case Retire():
            gone = world.named(step.colour)
            if gone is None or gone.traffic:
                raise Refused(f"{step.colour} has traffic, or is not there")
            return world._replace(deployments=tuple(d for d in world.deployments if d is not gone))
        case StopEndpoint():
            return world._replace(deployments=())
        case CoolDown():
            return world


def halves(world: Small, step: Step) -> list[Small]:
    """What a process that dies in the middle of `step` leaves behind."""
    if isinstance(step, Create):
        return [world._replace(facts=replace(world.facts, smoked=False, passed=frozenset()))]
    if isinstance(step, Finish):
        return [world._replace(tagged=world.tagged | {step.release})]
    return []


def sent_back(world: Small) -> Small:
    """The world right after a failure of the wanted release was recorded."""
    held = {**world.facts.held, WANTED: Held(WANTED, "worse", NOW, FILE_COMMIT)}
    return world._replace(facts=replace(world.facts, held=held, passed=frozenset()))


def _created(world: Small, colour: str) -> tuple[Deployment, ...]:
    """As the targets do it: in place with its traffic, all traffic when nothing has any, else none."""
    there = world.named(colour)
    if there is not None and there.release != WANTED:
        raise Refused(f"{colour} is another release")
    if there is not None and there.state == "ready":
        raise Refused(f"{colour} is there and ready")
    others = tuple(d for d in world.deployments if d is not there)
    traffic = there.traffic if there else 0 if any(d.traffic for d in others) else 100
    return (*others, deployment(colour, (WANTED, "ready", NEW), traffic))


def _shifted(world: Small, traffic: dict[str, int]) -> tuple[Deployment, ...]:
    if sum(traffic.values()) != 100:
        raise Refused(f"{traffic} does not sum to 100")
    for name in traffic:
        if (found := world.named(name)) is None or found.state != "ready":
            raise Refused(f"{name} cannot take traffic")
    return tuple(replace(d, traffic=traffic.get(d.name, 0)) for d in world.deployments)

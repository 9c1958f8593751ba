"""Whatever people promote, revert, freeze and clear, and wherever `apply` is killed:

- once an environment had a healthy deployment with traffic, it has one at every instant;
- after an apply that succeeded, what is served, the tags and the file name the same release;
- no release moves forward in a freeze;
- a release is never changed, and no request fails because of a rollout.

Each of these, broken once in production, costs a night and the trust in automation.
"""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from engine_world import MODEL, Killed, World, write_artifact
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mlops.errors import Blocked, TargetError
from mlops.lifecycle.decide import journal
from mlops.targets.memory import Behaviour

ENVS = st.sampled_from(["staging", "prod"])
GOOD = Behaviour()
KINDS = {
    "good": GOOD,
    "slow": Behaviour(latency=0.2),
    "errors": Behaviour(error_every=7),
    "shifted": Behaviour(predict=lambda number: 0.9 + (number % 7) / 100),
    "nan": Behaviour(predict=lambda _: float("nan")),
    "dead": Behaviour(starts=False),
}


class Lifecycle(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        folder = tempfile.TemporaryDirectory()
        self._folder = folder
        self.world = World(write_artifact(Path(folder.name)))
        self.world.watch = self.never_dark
        self.lit: set[str] = set()
        self.frozen: dict[str, int | None] = {}
        self.kind: dict[int, str] = {}
        self.written: dict[int, str] = {}

    def teardown(self) -> None:
        self._folder.cleanup()

    def never_dark(self) -> None:
        """Called before and after every single effect."""
        for env in self.world.files:
            state = self.world.endpoints.state(env, MODEL)
            healthy = [d for d in state.deployments if d.state == "ready" and d.traffic]
            if env in self.lit:
                assert healthy, f"{env} has no healthy deployment with traffic any more"
            # The very first deployment is no service until it has passed its smoke test.
            if healthy and journal.read(self.world.store.entries(env, MODEL)).current is not None:
                self.lit.add(env)

    @initialize()
    def first_release(self) -> None:
        self.make("good")
        self.world.ask("staging", 1)

    @rule(kind=st.sampled_from(sorted(KINDS)))
    def make(self, kind: str) -> None:
        if len(self.world.releases) >= 12:
            return
        version = self.world.release()
        self.world.endpoints.behaviours[version] = KINDS[kind]
        self.kind[version] = kind
        self.written[version] = self.world.releases[version].model_dump_json()

    @rule(env=ENVS, data=st.data())
    def promote(self, env: str, data: st.DataObject) -> None:
        version = data.draw(st.sampled_from(sorted(self.world.releases)))
        history = self.world.files[env]
        if not history or history[-1].release != version:
            self.world.ask(env, version)

    @precondition(lambda self: any(self.world.files.values()))
    @rule(env=ENVS)
    def revert(self, env: str) -> None:
        if self.world.files[env]:
            self.world.revert(env)

    @rule(kind=st.sampled_from(sorted(KINDS)), kill_after=st.one_of(st.none(), st.integers(1, 80)))
    def ship(self, kind: str, kill_after: int | None) -> None:
        """What automation does all day: a new release enters the first environment."""
        before = len(self.world.releases)
        self.make(kind)
        if len(self.world.releases) > before:
            self.world.ask("staging", before + 1)
            self.apply("staging", kill_after, clear=False)

    @precondition(lambda self: self.world.files["staging"])
    @rule(kill_after=st.one_of(st.none(), st.integers(1, 80)))
    def promote_what_staging_serves(self, kill_after: int | None) -> None:
        served, history = self.complete("staging"), self.world.files["prod"]
        if served is not None and (not history or history[-1].release != served):
            self.world.ask("prod", served)
            self.apply("prod", kill_after, clear=False)

    @precondition(lambda self: not self.frozen)
    @rule(env=ENVS)
    def freeze(self, env: str) -> None:
        self.world.freeze_now(env)
        self.frozen = {env: self.complete(env)}

    @precondition(lambda self: self.frozen)
    @rule()
    def thaw(self) -> None:
        self.world.thaw()
        self.frozen = {}

    @rule(env=ENVS, kill_after=st.one_of(st.none(), st.integers(1, 60)), clear=st.booleans())
    def apply(self, env: str, kill_after: int | None, clear: bool) -> None:
        if not self.world.files[env]:
            return
        wanted = self.world.files[env][-1].release
        intent = self.world.intent(env)
        facts = journal.read(self.world.store.entries(env, MODEL))
        held = facts.hold_on(wanted, intent.file_commit) is not None
        try:
            self.world.apply(env, kill_after=kill_after, clear_hold="fixed" if clear and held else "")
        except Killed:
            return
        except (Blocked, TargetError):
            assert self.world.store.leases == {}, "a refused apply keeps the lock"
            return
        finally:
            self.never_dark()
        assert self.world.served(env) == wanted, "served is not what the file says"
        assert self.world.tagged(env) == [wanted], "the tags do not say what is served"
        assert self.world.registry.aliases[MODEL][env] == wanted
        if env == "prod":
            assert self.world.registry.aliases[MODEL]["champion"] == wanted
        state = self.world.endpoints.state(env, MODEL)
        assert [d.release for d in state.deployments] == [wanted], "something was left over"
        again = self.world.apply(env)
        assert not again.changed, f"a second apply found something to do: {again.steps}"

    def complete(self, env: str) -> int | None:
        current = journal.read(self.world.store.entries(env, MODEL)).current
        return current.release if current else None

    @invariant()
    def no_forward_move_in_a_freeze(self) -> None:
        for env, before in self.frozen.items():
            now = self.complete(env)
            assert now == before or (before is not None and now is not None and now < before), (
                f"{env} went from {before} to {now} in a freeze"
            )
            if now is not None:
                self.frozen[env] = now

    @invariant()
    def a_release_never_changes(self) -> None:
        for version, text in self.written.items():
            assert self.world.releases[version].model_dump_json() == text
            assert self.world.registry.get(MODEL, version).tags["mlops.digest"] in text

    @invariant()
    def one_live_version(self) -> None:
        for env in self.world.files:
            # A kill between two tags may leave two; never none once there was one.
            assert len(self.world.tagged(env)) >= (1 if env in self.lit else 0)

    @invariant()
    def bad_releases_never_take_over_from_a_live_one(self) -> None:
        for env in self.world.files:
            served = journal.read(self.world.store.entries(env, MODEL)).served
            for at, (before, after) in enumerate(pairwise(served)):
                # The first in an environment has nothing to be compared with, and the way back to it is open.
                returns = after.release in {s.release for s in served[: at + 1]}
                if self.kind[before.release] == "good" and not returns:
                    assert self.kind[after.release] == "good", (
                        f"release {after.release} ({self.kind[after.release]}) took over in {env}"
                    )


TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.mark.slow
class TestLifecycleLong(Lifecycle.TestCase):
    settings = settings(TestLifecycle.settings, max_examples=1500, stateful_step_count=60)

"""Rows about a rollout in memory: thousands of kills a minute, and time that goes as it likes."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from engine_world import MODEL, Killed, World, write_artifact

from mlops.errors import Inconclusive, Locked

Move = Callable[[World], None]


def _first(world: World) -> None:
    world.ask("staging", world.release())


def _forward(world: World) -> None:
    world.ship()
    world.ask("staging", world.release())


def _backward(world: World) -> None:
    world.ship()
    world.ship()
    world.revert("staging")


def _three(world: World) -> None:
    """A third release is merged while the second one is on its way."""
    world.ship()
    world.ask("staging", world.release())
    with contextlib.suppress(Killed):
        world.apply("staging", kill_after=world_chance(world).randrange(1, 12))
    world.ask("staging", world.release())


def _settings(world: World) -> None:
    """The same release, by deployments with other settings."""
    world.endpoints.settings = "some"
    world.ship()
    world.endpoints.settings = "others"


def _settings_meanwhile(world: World) -> None:
    """Settings are replaced while the second release is on its way."""
    world.endpoints.settings = "some"
    world.ship()
    world.ask("staging", world.release())
    with contextlib.suppress(Killed):
        world.apply("staging", kill_after=world_chance(world).randrange(1, 12))
    world.endpoints.settings = "others"


def world_chance(world: World) -> random.Random:
    """Of this world, so that a row can be run again."""
    return random.Random(len(world.releases) * 7919 + world.effects)  # noqa: S311


def counted(world: World) -> list[int]:
    """The requests that the world sends from now on, by the second."""
    asked: list[int] = []
    drive = world.endpoints.drive

    def drives(env: str, model: str, requests: int) -> int:
        asked.append(requests)
        return drive(env, model, requests)

    world.endpoints.drive = drives  # type: ignore[method-assign]
    return asked


MOVES: dict[str, Move] = {
    "first": _first,
    "forward": _forward,
    "backward": _backward,
    "three": _three,
    "settings": _settings,
    "settings meanwhile": _settings_meanwhile,
}


def kills_of_apply(times: int, folder: Path) -> dict[str, int]:
    """SIGKILL before an effect, again and again; the last apply finishes, and no request failed meanwhile."""
    chance = random.Random(20261129)  # noqa: S311
    artifact = write_artifact(folder / "artifact")
    kills = requests = 0
    while kills < times:
        for name, move in MOVES.items():
            world = World(artifact)
            asked = counted(world)
            move(world)
            answered_by_nobody = world.failed_requests
            for _ in range(6):
                try:
                    world.apply("staging", kill_after=chance.randrange(1, 25))
                except Killed:
                    kills += 1
                else:
                    break
            world.apply("staging")
            wanted = world.files["staging"][-1].release
            assert world.served("staging") == wanted, f"{name}: {world.served('staging')} is served"
            assert world.tagged("staging") == [wanted], name
            live = [d for d in world.endpoints.state("staging", MODEL).deployments if d.traffic]
            assert {d.settings for d in live} == {world.endpoints.settings}, f"{name}: old settings serve"
            assert world.failed_requests == answered_by_nobody, f"{name}: a request failed"
            assert not world.apply("staging").changed, f"{name}: a second apply still changes something"
            requests += sum(asked)
    return {"kills": kills, "requests": requests, "failed requests": 0}


def clocks_that_jump(times: int, folder: Path) -> dict[str, int]:
    """Time goes back by a day or on by one in the middle of a rollout, which then ends as it would have."""
    chance = random.Random(20261130)  # noqa: S311
    artifact = write_artifact(folder / "artifact")
    jumps = undecided = 0
    for _ in range(times):
        world = World(artifact)
        world.ship()
        on_sleep = world.clock.on_sleep

        def jump(seconds: float, world: World = world, before: Callable[[float], None] = on_sleep) -> None:
            nonlocal jumps
            before(seconds)
            if chance.random() < 0.3:
                jumps += 1
                world.clock._now += timedelta(seconds=chance.choice([-86400, -3600, -1, 1, 3600, 86400]))

        world.clock.on_sleep = jump
        world.ask("staging", world.release())
        for _ in range(40):
            try:
                world.apply("staging")
                break
            except (Inconclusive, Locked):
                undecided += 1
        world.clock.on_sleep = on_sleep
        world.apply("staging")
        assert world.served("staging") == 2 and world.failed_requests == 0
    return {"rollouts": times, "jumps": jumps, "without a verdict, then run again": undecided}

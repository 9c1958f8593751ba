"""After a reboot one verb brings everything back: an endpoint that can't come keeps no other one down, and
what was stopped on purpose stays so."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_world import MODEL, World, write_artifact

from mlops.errors import TargetError
from mlops.lifecycle.apply.start import start
from mlops.targets.local import down

PLACES = [("staging", MODEL), ("prod", MODEL), ("prod", "other")]


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(write_artifact(tmp_path / "artifact"))
    made.ask("prod", made.ship())
    made.apply("prod")
    return made


def test_what_is_up_is_left_alone_and_what_was_never_made_is_left_out(world: World) -> None:
    effects = world.effects
    found = list(start(world.endpoints, PLACES))
    assert [(f.env, f.outcome, f.release) for f in found] == [("staging", "up", 1), ("prod", "up", 1)]
    assert world.effects == effects


def test_one_that_does_not_come_back_keeps_no_other_one_down(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for env in ("staging", "prod"):
        world.endpoints.fail(env, MODEL)
    bring = world.endpoints.start

    def fails_in_staging(env: str, model: str) -> object:
        if env == "staging":
            raise TargetError("its port is another's")
        return bring(env, model)

    monkeypatch.setattr(world.endpoints, "start", fails_in_staging)
    found = list(start(world.endpoints, PLACES))
    assert [(f.env, f.outcome, f.why) for f in found] == [
        ("staging", "down", "its port is another's"),
        ("prod", "started", ""),
    ]
    assert world.served("prod") == 1


def test_a_deployment_that_is_still_not_ready_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.endpoints.fail("prod", MODEL)
    monkeypatch.setattr(world.endpoints, "start", world.endpoints.state)
    (found,) = start(world.endpoints, PLACES[1:2])
    assert (found.outcome, found.why) == ("down", "blue (release 1) is failed")


@pytest.mark.parametrize(
    ("boot", "log", "says"),
    [
        (4e9, "a line", "the machine was started anew at 2096-10-02 07:06 UTC"),
        (0.0, "", "it ended or was killed"),
        (None, "one\ntwo\nthree\nfour\n", "its log ends with: two | three | four"),
    ],
)
def test_why_a_server_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boot: float | None, log: str, says: str
) -> None:
    monkeypatch.setattr(down, "booted", lambda: boot)
    assert down.why_down(tmp_path) == "it was never started"
    (tmp_path / "server.lock").touch()
    if log:
        (tmp_path / down.LOG).write_text(log)
    assert says in down.why_down(tmp_path)


def test_this_machine_tells_when_it_was_started() -> None:
    boot = down.booted()
    assert boot is None or boot > 1e9

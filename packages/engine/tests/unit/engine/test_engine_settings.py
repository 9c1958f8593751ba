"""Settings of a deployment that change start the same release anew, beside itself."""

from __future__ import annotations

import pytest
from engine_world import MODEL, Killed, World

from mlops.errors import TargetError
from mlops.lifecycle.decide import journal
from mlops.targets.memory import Behaviour


def test_changed_settings_start_the_same_release_beside_itself(world: World):
    """Not in place: a setting that breaks the server must not break what serves."""
    world.endpoints.settings = "one"
    world.release()
    world.ask("staging", 1)
    world.apply("staging")
    world.endpoints.settings = "two"
    made = world.apply("staging")
    assert made.changed and made.steps == (
        "start release 1 as green, without traffic, because the settings of blue have changed",
        "ask green to score the release's sample",
        "send 100 % to green, 0 % to blue",
        "retire blue",
    )
    (only,) = world.endpoints.state("staging", MODEL).deployments
    assert (only.name, only.traffic, only.settings) == ("green", 100, "two")
    assert not world.apply("staging").changed


def test_settings_that_nobody_recorded_are_no_change(world: World):
    world.release()
    world.ask("staging", 1)
    world.apply("staging")
    world.endpoints.settings = "two"
    assert not world.apply("staging").changed


def test_settings_under_which_the_release_does_not_answer_change_nothing(world: World):
    world.endpoints.settings = "one"
    world.release()
    world.ask("staging", 1)
    world.apply("staging")
    world.endpoints.settings, world.endpoints.behaviours[1] = "two", Behaviour(error_every=1)
    with pytest.raises(
        TargetError, match=r"does not answer under the new settings.*blue serves on as before"
    ):
        world.apply("staging")
    (only,) = world.endpoints.state("staging", MODEL).deployments
    assert (only.name, only.traffic, only.settings) == ("blue", 100, "one")
    assert journal.Kind.FAILED not in world.kinds("staging"), "it is no verdict on the release"


def test_settings_that_change_during_a_rollout_start_the_new_release_again(world: World):
    world.endpoints.settings = "one"
    world.release()
    world.release()
    world.ask("staging", 1)
    world.apply("staging")
    world.ask("staging", 2)
    with pytest.raises(Killed):
        world.apply("staging", kill_after=12)
    world.endpoints.settings = "two"
    world.apply("staging")
    (only,) = world.endpoints.state("staging", MODEL).deployments
    assert (only.release, only.traffic, only.settings) == (2, 100, "two")

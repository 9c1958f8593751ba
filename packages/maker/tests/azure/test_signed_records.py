"""On Azure the identity `promote` writes the registry's tags, because it says there what is live. What
training decided is signed by a key that only `train` may use, so promote cannot let a version pass."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlops.bootstrap import grants, records, state
from mlops.bootstrap import steps as engine
from mlops.bootstrap.access import Access
from mlops.bootstrap.world import World, read_stacks
from mlops.errors import Forbidden
from mlops.lifecycle.desired.proven import recorded
from mlops.spec.files import load_release
from mlops.spec.proof import released_tags
from mlops.spec.settings import load_settings
from mlops.targets.azure import login
from mlops.targets.azure.arm import Arm
from mlops.targets.azure.connect import Connection
from mlops.targets.azure.registry import AzureRegistry
from mlops.targets.azure.store import AzureStore
from mlops.targets.base import JournalEntry
from tests.azure.emulator import Emulator
from tests.azure.emulator.workspaces import SUBSCRIPTION
from tests.azure.rights import acting, everything_up
from tests.azure.test_apply import Repository
from tests.contracts.endpoints import MODEL, write_artifacts

pytestmark = pytest.mark.e2e


def world(root: Path) -> World:
    settings = load_settings(root)
    arm = Arm(login.credential(), SUBSCRIPTION, wait=0.01)
    return World(root, settings, read_stacks(root, settings), arm, login.credential())


class Signed(Repository):
    """As the settings of its files are now."""

    @property
    def connection(self) -> Connection:
        return Connection(self.root, load_settings(self.root))

    @property
    def registry(self) -> AzureRegistry:
        return AzureRegistry(self.connection)


@pytest.fixture
def fork(tmp_path: Path, tracked: Emulator) -> Signed:
    """Everything up, and the key of records as bootstrap makes it."""
    made = Signed(tmp_path, tracked)
    everything_up(tracked, made.root)
    there = world(made.root)
    trains = [s for s in grants.workflow_grants(there) if "records" in s.key]
    assert {s.key for s in trains} == {
        f"grant:{env}/train:key-vault-crypto-user:the-key-of-records" for env in ("dev", "staging", "prod")
    }
    steps = [
        *state.state_steps(there),
        *grants.own_grants(there),
        Access(there, 0.01),
        *trains,
        *records.record_steps(there),
    ]
    assert engine.carry_out(steps, lambda step, look: None) > 10
    assert engine.carry_out(steps, lambda step, look: None) == 0, "a second run changes nothing"
    made.commit("Sign records")
    return made


def test_promote_cannot_make_a_version_pass(fork: Signed, tracked: Emulator, tmp_path: Path) -> None:
    artifacts = write_artifacts(tmp_path / "artifacts")
    with acting(tracked, fork.root, "dev", "train"):
        fork.release(1, artifacts["one"])
    fork.ask_for("staging", 1, None)
    assert fork.mlops("check", "--registry").exit_code == 0
    with acting(tracked, fork.root, "dev", "promote"):
        # All that the lifecycle writes, but for the signature; the file is merged.
        fork.release(2, artifacts["two"], sealed=False)
    fork.ask_for("staging", 2, 1)
    seals = {k: v for k, v in fork.registry.get(MODEL, 1).tags.items() if k.endswith(".seal")}
    for forged in ({}, seals):
        with acting(tracked, fork.root, "staging", "promote"):
            fork.registry.tag(MODEL, 2, forged)
            AzureStore(fork.connection).append("staging", verified(2))
            for verb in (("check", "--registry"), ("apply", "staging")):
                refused = fork.mlops(*verb)
                assert refused.exit_code == 7, refused.output
                said = " ".join(refused.output.split())
                assert "gates: the record of version 2 is not sealed with a key of" in said
    # What training signs is believed, and nothing else of it has changed.
    with acting(tracked, fork.root, "dev", "train"):
        version = fork.registry.get(MODEL, 2)
        record = recorded(fork.registry, version)
        fork.registry.tag(MODEL, 2, released_tags(record, load_release(fork.root, MODEL, 2)))
    assert fork.mlops("check", "--registry").exit_code == 0


def verified(version: int) -> JournalEntry:
    return JournalEntry(datetime.now(UTC), "apply.finished", MODEL, version, "eve", "c" * 40)


def test_no_other_duty_may_use_the_key(fork: Signed, tracked: Emulator) -> None:
    registry = fork.registry
    sealing = registry.seal()
    assert sealing is not None
    for stack in ("dev", "staging", "prod"):
        for duty in ("plan", "apply", "promote"):
            with acting(tracked, fork.root, stack, duty), pytest.raises(Forbidden):
                sealing.made(b"passed")
        with acting(tracked, fork.root, stack, "train"):
            assert sealing.holds(b"passed", sealing.made(b"passed"))

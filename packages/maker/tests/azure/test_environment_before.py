"""Whether a release was verified in the environment before is in that environment's storage: who asks it may
read there, and no more. Seen before: nobody could, so no release ever reached production on Azure."""

from __future__ import annotations

import pytest

from mlops.errors import Forbidden
from mlops.infra.roles import GRANTS
from mlops.spec.settings import load_settings
from mlops.targets.azure.connect import Connection
from mlops.targets.azure.store import AzureStore
from tests.azure.conftest import ROOT
from tests.azure.emulator import Emulator
from tests.azure.rights import acting, everything_up
from tests.contracts.store import entry


def store() -> AzureStore:
    """A process of its own."""
    return AzureStore(Connection(ROOT, load_settings(ROOT)))


@pytest.fixture
def azure(logged_in: Emulator) -> Emulator:
    everything_up(logged_in, ROOT)
    store().append("staging", entry("a"))
    return logged_in


def test_who_asks_the_environment_before_reads_its_journal_and_writes_nothing(azure: Emulator) -> None:
    for duty in ("promote", "train"):
        with acting(azure, ROOT, "prod", duty):
            assert [e.kind for e in store().entries("staging")] == ["a"], duty
            refused = r"needs the role Storage Blob Data Contributor on the container mlops of st\w+"
            with pytest.raises(Forbidden, match=refused):
                store().append("staging", entry("b"))
            with pytest.raises(Forbidden, match=refused), store().lock("staging", "me", 15):
                pytest.fail("locked another environment")
    assert [e.kind for e in store().entries("staging")] == ["a"]


@pytest.mark.parametrize(
    ("stack", "duty", "read"),
    [
        ("dev", "promote", "staging"),
        ("dev", "train", "staging"),
        ("staging", "promote", "prod"),
        ("staging", "train", "prod"),
        ("prod", "promote", "dev"),
        ("prod", "plan", "staging"),
        ("prod", "apply", "staging"),
    ],
)
def test_nobody_else_reads_it_and_is_told_what_is_missing(
    azure: Emulator, stack: str, duty: str, read: str
) -> None:
    with (
        acting(azure, ROOT, stack, duty),
        pytest.raises(
            Forbidden,
            match=rf"cannot read the journal of {read}: this identity needs the role Storage Blob Data "
            r"Reader on the container mlops of st\w+; docs/security.md says who has it, `mlops doctor`",
        ),
    ):
        store().entries(read)


def test_reading_makes_no_container(azure: Emulator) -> None:
    """Who may only read could not, and an environment without a journal has no entries."""
    account = Connection(ROOT, load_settings(ROOT)).place("prod").account
    del azure.blobs.accounts[account]["mlops"]
    assert store().entries("prod") == []
    assert "mlops" not in azure.blobs.accounts[account]
    store().append("prod", entry("a"))
    assert [e.kind for e in store().entries("prod")] == ["a"]


def test_the_container_alone_is_given_and_to_be_read_alone() -> None:
    rows = {(g.identity, g.role, g.scope) for g in GRANTS if g.when.startswith("an environment is before")}
    journal, workspace = "journal of the environment before", "workspace of the environment before"
    assert rows == {
        ("plan", "Reader", journal),
        ("plan", "Reader", workspace),
        ("promote", "Storage Blob Data Reader", journal),
        ("train", "Storage Blob Data Reader", journal),
        ("train", "Reader", workspace),
    }

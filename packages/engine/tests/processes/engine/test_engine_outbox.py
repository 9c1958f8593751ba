"""An apply in a repository tells what it did: its outbox has it."""

from __future__ import annotations

from git_world import GitWorld

from mlops.events import envelope
from mlops.events.outbox import Outbox
from mlops.spec.events import ReleaseDeployed


def test_apply_puts_it_into_the_outbox_of_the_repository(repository: GitWorld):
    version = repository.released()
    repository.stage(version)
    repository.run("staging")
    (stored,) = Outbox(repository.root / ".mlops/events/outbox.db").events()
    fact = envelope.fact_of(stored.event)
    assert isinstance(fact, ReleaseDeployed)
    assert (fact.environment, fact.release, fact.actor) == ("staging", version, "bot")
    assert stored.event.get_source() == "/mlops/freight-mlops"

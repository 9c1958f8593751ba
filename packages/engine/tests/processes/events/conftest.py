"""An outbox and a repository, as the tests without processes have them."""

from tests.unit.events.conftest import outbox, repository

__all__ = ["outbox", "repository"]

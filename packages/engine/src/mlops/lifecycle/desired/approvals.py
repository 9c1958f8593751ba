"""Who agreed to a release whose gates were loosened: files of git, and the forge where policy asks for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlops.errors import InvalidInput, NotFound
from mlops.forge.base import Forge
from mlops.forge.git import Git
from mlops.lifecycle.decide.intent import Intent
from mlops.lifecycle.decide.loosened import between, writers
from mlops.lifecycle.decide.transitions import Weaker
from mlops.lifecycle.desired import provenance


class Scales:
    """Weighs the gates of a release against those of the served one; asks nobody where policy does not.

    `forge` opens the forge on which the change was merged; None for one that is not merged yet.
    """

    def __init__(self, root: Path, forge: Callable[[], Forge] | None = None) -> None:
        self._root, self._forge = root, forge

    def __call__(self, intent: Intent, served: int | None) -> Weaker | None:
        """Raises `TargetError` when the forge cannot be asked and policy needs its answer."""
        if not intent.policy.environments[intent.env].loosened_approvals:
            return None
        if served is None or served == intent.release.version:
            return Weaker((), None)
        git = Git(self._root)
        try:
            before = provenance.release_at(git, intent.model, served, intent.commit)
        except (NotFound, InvalidInput) as error:
            lines = [f"the gates of release {served}, which is served, cannot be read: {error}"]
            return self._weaker(git, intent, lines, [])
        lines = between(git, before, intent.release, intent.commit)
        wrote = writers(git, before, intent.release, intent.commit) if lines else []
        return self._weaker(git, intent, lines, wrote)

    def _weaker(self, git: Git, intent: Intent, lines: list[str], wrote: list[str]) -> Weaker:
        if not lines or self._forge is None:
            return Weaker(tuple(lines), None)
        forge = self._forge()
        review = forge.review(intent.file_commit)
        if review is None:
            return Weaker(tuple(lines), ())
        who = {name.casefold() for name in (review.author, *forge.authors(wrote))}
        approved = sorted({name for name in review.approved if name.casefold() not in who})
        return Weaker(tuple(lines), tuple(approved), review.url)


def unweighed(intent: Intent, served: int | None) -> Weaker | None:
    """For who has neither files nor forge: where policy asks, nobody has agreed."""
    first = served is None or served == intent.release.version
    return Weaker((), None) if first else Weaker(("nobody compared them",), ())

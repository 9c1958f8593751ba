"""What happened in all environments, as one list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mlops.board.facts import EnvironmentFacts
from mlops.forge.git import request_number

ROWS = 50


@dataclass(frozen=True)
class Happened:
    """One row, with the pull request that asked for it where the commit says one."""

    at: datetime
    env: str
    release: int
    outcome: str
    commit: str
    subject: str
    author: str
    why: str
    approved_by: tuple[str, ...]
    actor: str
    detail: str
    request: int | None


def rows_of(environments: Sequence[EnvironmentFacts]) -> list[Happened]:
    """Newest first, at most `ROWS`."""
    moves = [
        Happened(
            at=row.at,
            env=env.env,
            release=row.release,
            outcome=row.outcome,
            commit=row.commit,
            subject=row.subject,
            author=row.author,
            why=row.why,
            approved_by=row.approved_by,
            actor=row.actor,
            detail=row.detail,
            request=request_number(row.subject),
        )
        for env in environments
        for row in env.history
    ]
    return sorted(moves, key=lambda row: (row.at, row.env), reverse=True)[:ROWS]

"""`mlops start`: what was served before a reboot is served again, and what can't be is said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from mlops.errors import MlopsError
from mlops.targets.base import Endpoints, EndpointState

AT_ONCE = 4
"""Servers that load their models at a time: each uses the disk and a core."""


@dataclass(frozen=True)
class Started:
    """What became of one endpoint."""

    env: str
    model: str
    outcome: Literal["up", "started", "down"]
    release: int | None
    url: str
    why: str = ""
    """Why it is down."""


def start(endpoints: Endpoints, places: Iterable[tuple[str, str]]) -> Iterator[Started]:
    """Bring back each endpoint of (environment, model) that has deployments, in the order of `places`.

    One that can't be brought back does not keep the others down. Endpoints that were never made, or were
    stopped, are left out: a commit says what they serve.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for started in pool.map(lambda place: _one(endpoints, *place), places):
            if started is not None:
                yield started


def _one(endpoints: Endpoints, env: str, model: str) -> Started | None:
    try:
        before = endpoints.state(env, model)
        if not before.deployments:
            return None
        well = not troubles(before)
        after = before if well else endpoints.start(env, model)
    except MlopsError as error:
        return Started(env, model, "down", None, "", str(error))
    live = after.live
    why = "; ".join(troubles(after))
    outcome: Literal["up", "started", "down"] = "down" if why else "up" if well else "started"
    return Started(env, model, outcome, live.release if live else None, after.url, why)


def troubles(state: EndpointState) -> list[str]:
    """A clause for each deployment that should answer and does not."""
    return [
        f"{d.name} (release {d.release}) is {d.state}{f': {d.detail}' if d.detail else ''}"
        for d in state.deployments
        if d.state != "ready"
    ]

"""`mlops status`: one row an environment and model, from files and from what is served. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from mlops.errors import NotFound
from mlops.lifecycle.decide import journal
from mlops.lifecycle.decide.plan import stable
from mlops.spec import files
from mlops.spec.desired import Hold
from mlops.spec.gates import Interval
from mlops.spec.release import Release
from mlops.targets.base import Deployment, Target

Health = Literal["serving", "rolling out", "behind", "held", "down", "empty"]


@dataclass(frozen=True)
class EnvironmentStatus:
    """`health`: serving (as the file says), rolling out (several deployments share the traffic), behind (the
    file says something else), held (the wanted release failed here), down (nothing serves any more), empty
    (nothing was served yet).
    """

    env: str
    model: str
    health: Health
    wanted: int | None
    served: int | None
    since: datetime | None
    commit: str
    actor: str
    deployments: tuple[Deployment, ...]
    url: str
    metrics: dict[str, Interval]
    """Of the release that is served."""
    tested: str
    """Months that they were measured on: those of other months say nothing about each other."""
    hold: Hold | None
    failure: str
    """Why the wanted release was sent back; empty when it was not."""


def status(root: Path, target: Target, model: str) -> list[EnvironmentStatus]:
    """In the order of the policy; reads the work tree, as `git status` does."""
    return [environment_status(root, target, env, model) for env in files.load_policy(root).order]


def environment_status(root: Path, target: Target, env: str, model: str) -> EnvironmentStatus:
    desired = files.load_desired(root, env, model)
    observed = target.endpoints.state(env, model)
    facts = journal.read(target.store.entries(env, model))
    well = stable(observed, facts)
    sharing = [d for d in observed.deployments if d.traffic]
    wanted = desired.release if desired else None
    held = facts.held.get(wanted) if wanted is not None else None
    served = well.release if well else None
    current = facts.current if facts.current and facts.current.release == served else None
    if held is not None:
        health: Health = "held"
    elif well is None:
        health = "down" if facts.current else "empty"
    elif len(sharing) > 1:
        health = "rolling out"
    else:
        health = "serving" if served == wanted else "behind"
    release = _release(root, model, served)
    return EnvironmentStatus(
        env=env,
        model=model,
        health=health,
        wanted=wanted,
        served=served,
        since=current.at if current else None,
        commit=current.commit if current else "",
        actor=current.actor if current else "",
        deployments=observed.deployments,
        url=observed.url,
        metrics=release.metrics if release else {},
        tested=release.data.test_window if release else "",
        hold=desired.hold if desired else None,
        failure=held.reason if held else "",
    )


def _release(root: Path, model: str, served: int | None) -> Release | None:
    try:
        return files.load_release(root, model, served) if served is not None else None
    except NotFound:
        # The checkout may be older than what is served; that is no reason to show nothing else.
        return None

"""`mlops profile`: how much an environment's endpoint takes, and the machines that a wished rate needs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlops.errors import NotFound
from mlops.profile.client import request
from mlops.profile.measure import CONNECTIONS, measure
from mlops.profile.model import Point, Profile, Recommendation, Wish
from mlops.profile.recommend import recommend, sizes
from mlops.profile.server import ServerProcess
from mlops.serving.score.core import sample_rows
from mlops.targets.base import Target


@dataclass(frozen=True)
class Profiled:
    """What was measured, and what follows from it when something was wished for."""

    profile: Profile
    wish: Wish | None
    recommendation: Recommendation | None


def profile(
    target: Target,
    model: str,
    env: str,
    *,
    rows: int = 1,
    connections: Sequence[int] = CONNECTIONS,
    seconds: float = 3.0,
    wish: Wish | None = None,
    root: Path | None = None,
    keep: Callable[[Profile], None] = lambda measured: None,
    progress: Callable[[Point], None] = lambda point: None,
) -> Profiled:
    """Send the live release's own sample rows at rising concurrency.

    `root` is the repository, which may know when a size ends. `keep` gets what was measured before anything
    is concluded from it. Raises `NotFound` when nothing is served in `env`, `TargetError` when the endpoint
    does not answer, and what `recommend` raises.
    """
    endpoint = target.endpoints.state(env, model)
    live = endpoint.live
    if live is None or not endpoint.url:
        raise NotFound(f"{model} has no endpoint in {env}; `mlops apply {env}` creates it")
    artifact = target.registry.fetch(model, live.release, live.digest)
    body = _body(sample_rows(artifact), rows, model, live.release)
    one = request(endpoint.url, body, target.endpoints.key(env, model))
    points = measure(
        one,
        ServerProcess.behind(endpoint.url),
        connections=connections,
        seconds=seconds,
        enough=wish.p99 if wish else None,
        progress=progress,
    )
    measured = Profile(
        model=model,
        environment=env,
        release=live.release,
        rows=rows,
        body_bytes=len(body),
        seconds=seconds,
        made=datetime.now(UTC),
        machine=f"{os.cpu_count()} x {platform.machine()}",
        points=points,
    )
    keep(measured)
    return Profiled(measured, wish, recommend(measured, wish, sizes(root)) if wish else None)


def _body(sample: dict[str, Any] | None, rows: int, model: str, release: int) -> bytes:
    if sample is None:
        raise NotFound(f"{model} {release} has no sample.json, so there is nothing to ask its endpoint")
    table = sample["input_data"]
    data = table["data"]
    repeated = [data[i % len(data)] for i in range(rows)]
    return json.dumps({"input_data": {"columns": table["columns"], "data": repeated}}).encode()

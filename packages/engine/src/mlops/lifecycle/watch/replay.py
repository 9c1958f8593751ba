"""Recorded rows as traffic of today: real requests to the real endpoint, labels as they came in later.

`replay` sends what a window's rows would have asked. Data without a clock have one such part: the rows that
the version was tested on. With `backtest`, `mlops monitor` and `mlops retrain` it tells what drift costs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import NotFound, TargetError
from mlops.lifecycle.desired.proven import live_version
from mlops.lifecycle.watch.backtest import TESTED, recorded, schema_of
from mlops.lifecycle.watch.labels import LABEL, REQUEST, ROW, TIME, observations
from mlops.spec.monitoring import TimeSpan
from mlops.spec.window import Window
from mlops.steps.latency import rows_of
from mlops.targets.base import Observations, Target
from mlops.usecase import UseCase

if TYPE_CHECKING:
    import pandas as pd


ROWS = 50
"""Of a request."""
PATIENCE = 90.0
"""Seconds to wait until the endpoint has written what it captured."""


@dataclass(frozen=True)
class Replayed:
    """What was sent, and when: the window that `mlops monitor` is to judge."""

    month: str
    release: int
    requests: int
    rows: int
    captured: TimeSpan
    labels: Path

    @property
    def window(self) -> str:
        """As `mlops monitor --window` takes it."""
        return f"{self.captured.start:%Y-%m-%dT%H:%M:%S.%f}..{self.captured.end:%Y-%m-%dT%H:%M:%S.%f}"


def replay(
    root: Path, target: Target, env: str, model: str, *, month: Window | None, labels: Path, every: int = 1
) -> Replayed:
    """Send every `every`-th recorded row of `month` to the endpoint, and write `labels` (Parquet).

    Without a window: the rows that the version was tested on. Request ids name the window and a number, so
    that labels find their predictions. Returns when the endpoint has captured all. Raises `TargetError`
    when nothing is served, an answer is no 200, or nothing is captured, `InvalidInput` when the data have
    no such month or no labels.
    """
    live = live_version(target.registry, model, env)
    if live is None:
        raise NotFound(f"no release of {model} is live in {env}; mlops apply {env} serves one")
    usecase, frame = recorded(root, target, live, model, month)
    frame = frame.iloc[::every].reset_index(drop=True)
    schema = schema_of(target, live)
    keep = observations(target)
    start = datetime.now(UTC)
    before = _captured(keep, env, model, start)
    client = _Client(target, env, model)
    ids, columns = [], [c.name for c in schema.columns]
    for first in range(0, len(frame), ROWS):
        part = frame.iloc[first : first + ROWS]
        data = [list(row) for row in rows_of(schema, part, len(part))]
        payload = {"input_data": {"columns": columns, "data": data}}
        ids.append(client.send(f"{month or TESTED}-{first:06d}", payload))
    client.close()
    _wait(keep, env, model, start, before + len(frame))
    end = datetime.now(UTC)
    _write_labels(frame, usecase, ids, labels)
    return Replayed(
        str(month or TESTED), live.version, len(ids), len(frame), TimeSpan(start=start, end=end), labels
    )


def _write_labels(frame: pd.DataFrame, usecase: UseCase, ids: Sequence[str], path: Path) -> None:
    import pandas as pd

    numbers = range(len(frame))
    columns = {
        REQUEST: [ids[i // ROWS] for i in numbers],
        ROW: [i % ROWS for i in numbers],
        LABEL: frame[usecase.target].to_numpy(),
    }
    if usecase.time is not None:
        columns[TIME] = frame[usecase.time].to_numpy()
    pd.DataFrame(columns).to_parquet(path, index=False)


class _Client:
    """One connection to an endpoint, with the request ids that we choose."""

    def __init__(self, target: Target, env: str, model: str) -> None:
        import requests

        self._url = target.endpoints.state(env, model).url
        if not self._url:
            raise TargetError(f"nothing of {model} is served in {env}; mlops apply {env} starts it")
        self._place = f"the endpoint of {model} in {env}"
        self._session = requests.Session()
        # A proxy of the environment is for the way to Azure, not for a server of this machine.
        self._session.trust_env = self._url.startswith("https:")
        self._session.headers["authorization"] = f"Bearer {target.endpoints.key(env, model)}"

    def send(self, request_id: str, payload: Mapping[str, Any]) -> str:
        """The id under which it is captured: a server in front of the model may have chosen another."""
        import requests

        try:
            headers = {"x-request-id": request_id}
            answer = self._session.post(self._url, json=payload, headers=headers, timeout=60)
        except requests.RequestException as error:
            raise TargetError(f"{self._place} is down: {error}") from None
        if answer.status_code != requests.codes.ok:
            raise TargetError(f"{self._place} answered {answer.status_code}: {answer.text[:300]}")
        return str(answer.headers.get("x-request-id", request_id))

    def close(self) -> None:
        self._session.close()


def _captured(keep: Observations, env: str, model: str, since: datetime) -> int:
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(path).num_rows for path in keep.captured(env, model, since))


def _wait(keep: Observations, env: str, model: str, since: datetime, rows: int) -> None:
    end = time.monotonic() + PATIENCE
    while (there := _captured(keep, env, model, since)) < rows:
        if time.monotonic() > end:
            raise TargetError(
                f"the endpoint of {model} in {env} has captured {there} rows, and {rows} were expected; "
                f"look at [models.{model}.capture] in mlops.toml: enabled, sample_rate, disk_megabytes"
            )
        time.sleep(0.2)

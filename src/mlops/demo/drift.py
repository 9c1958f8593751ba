"""Recorded rows as traffic of today: real requests to the real endpoint, labels as they came in later.

`replay` sends what a window's rows would have asked; `compare` measures two versions on rows that neither
has seen. Data without a clock have one such part: the rows that the version was tested on. Together with
`mlops monitor` and `mlops retrain` they tell what drift costs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import InvalidInput, NotFound, TargetError
from mlops.lifecycle.evidence import DIGEST_TAG, live_version
from mlops.lifecycle.labels import LABEL, REQUEST, ROW, TIME, observations
from mlops.spec.monitoring import TimeSpan
from mlops.spec.settings import load_settings
from mlops.spec.split import Part
from mlops.spec.window import Window
from mlops.steps.about import about
from mlops.steps.latency import rows_of
from mlops.steps.metrics import Scores, encode_truth
from mlops.steps.prep import parts
from mlops.targets.base import ModelVersion, Observations, Target
from mlops.targets.local.data import on_this_machine
from mlops.usecase import UseCase, load_usecase, rows

if TYPE_CHECKING:
    import pandas as pd

    from mlops.spec.schema import ModelSchema

TESTED = "test"
"""Names the rows that a version was tested on."""
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
    usecase, frame = _recorded(root, target, live, model, month)
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


@dataclass(frozen=True)
class Cost:
    """One version on one month."""

    version: int
    month: str
    rows: int
    metrics: Mapping[str, float]


def compare(
    root: Path,
    target: Target,
    model: str,
    *,
    versions: Sequence[int],
    months: Sequence[Window | None],
    metrics: Sequence[str],
) -> list[Cost]:
    """Metrics of `versions` on recorded `months`, by the scoring core that serves them."""
    from mlops.serving.core import load

    found = []
    for number in versions:
        version = target.registry.get(model, number)
        folder = target.registry.fetch(model, number, version.tags[DIGEST_TAG])
        scorer = load(folder, digest=version.tags[DIGEST_TAG])
        for month in months:
            usecase, frame = _recorded(root, target, version, model, month)
            truth = encode_truth(scorer.schema, frame[usecase.target])
            scores = Scores.of(scorer.schema, truth, scorer.predict_frame(frame), about(usecase, frame))
            found.append(Cost(number, str(month or TESTED), len(frame), scores.values(list(metrics))))
    return found


def schema_of(target: Target, version: ModelVersion) -> ModelSchema:
    """What a request to this version must look like."""
    from mlops.serving.core import read_schema

    return read_schema(target.registry.fetch(version.model, version.version, version.tags[DIGEST_TAG]))


def _recorded(
    root: Path, target: Target, version: ModelVersion, model: str, month: Window | None
) -> tuple[UseCase, pd.DataFrame]:
    """The use case and its rows of a window, or those that the version was tested on, from its own raw
    data."""
    settings = load_settings(root)
    usecase = load_usecase(settings.model(model)[1].usecase, root / "src")
    asset = version.tags["mlops.data.name"], version.tags["mlops.data.version"]
    raw = on_this_machine(target.data, root, settings, *asset)
    tested = Part(month) if month else Part.parse(version.tags["mlops.data.test_window"])
    if tested.split is not None:
        (*_, (_, frame)) = parts(usecase, raw, tested.window, None, tested.split)
    else:
        frame = rows(usecase, raw, tested.window)
    if usecase.target not in frame:
        raise InvalidInput(
            f"the raw data have no labels for {month or TESTED}, so nothing can be learned from a replay"
        )
    return usecase, frame


def _write_labels(frame: pd.DataFrame, usecase: UseCase, ids: Sequence[str], path: Path) -> None:
    import pandas as pd

    numbers = range(len(frame))
    made = {
        REQUEST: [ids[i // ROWS] for i in numbers],
        ROW: [i % ROWS for i in numbers],
        LABEL: frame[usecase.target].to_numpy(),
    }
    if usecase.time is not None:
        made[TIME] = frame[usecase.time].to_numpy()
    pd.DataFrame(made).to_parquet(path, index=False)


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

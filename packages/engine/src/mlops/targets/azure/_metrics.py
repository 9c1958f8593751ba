"""Counters of a deployment from Azure Monitor, by its own client.

Azure Monitor has requests a minute by status code, and percentiles of their latency a minute. The percentiles
are turned into the counts that they stand for: of 200 requests with a median of 8 ms, 100 took up to 8 ms. So
a latency above the 99th percentile of its minute counts as that percentile. Metrics arrive one to three
minutes late; `Counters.read` waits until all requests that this process has sent itself are there.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

from mlops.errors import Inconclusive
from mlops.serving.http.metrics import LATENCY_BOUNDS
from mlops.targets.base import TrafficSample

PATIENCE, PAUSE = 300.0, 10.0
"""Seconds to wait for metrics that must come, and between two looks."""
REQUESTS = "RequestsPerMinute"
PERCENTILES = {
    "RequestLatency_P50": 0.50,
    "RequestLatency_P90": 0.90,
    "RequestLatency_P95": 0.95,
    "RequestLatency_P99": 0.99,
}
_BOUNDS = (*LATENCY_BOUNDS, math.inf)
_TIMEOUT, _MODEL_ERROR = 408, 424
"""Azure's own: the container took too long; it answered, but not with 200."""


def counts_as(status: int, model_status: int) -> str:
    """`answered`, `failed` or empty: a request that the client got wrong says nothing about the model."""
    if status == _MODEL_ERROR:
        return "failed" if model_status >= 500 or model_status == 0 else ""
    if status >= 500 or status == _TIMEOUT:
        return "failed"
    return "answered" if 200 <= status < 300 else ""


@dataclass
class _Told:
    """What Azure Monitor says of one minute."""

    requests: float = 0.0
    errors: float = 0.0
    percentiles: dict[float, float] = field(default_factory=dict)
    """Share to seconds."""


@dataclass
class _Minute:
    """What was counted of one minute so far; it only grows, as counters must."""

    requests: int = 0
    errors: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * len(_BOUNDS))

    def take(self, told: _Told) -> None:
        """Add what is new. The percentiles of a minute that goes on move; the slower buckets get the new ones
        first, so that slowness is never hidden by what was counted before."""
        self.errors = max(self.errors, round(told.errors))
        wanted = [0] * len(_BOUNDS)
        count = round(told.requests)
        for seconds, many in _spread(count, told.percentiles):
            wanted[bisect_left(_BOUNDS, seconds)] += many
        new = sum(wanted) - sum(self.buckets)
        for bucket in reversed(range(len(_BOUNDS))):
            grown = min(max(wanted[bucket] - self.buckets[bucket], 0), max(new, 0))
            self.buckets[bucket] += grown
            new -= grown
        self.requests = max(self.requests, count)


@dataclass
class _Watched:
    """One deployment, since this process first looked at it; `sent`: requests of this process."""

    since: datetime
    sent: int = 0
    minutes: dict[datetime, _Minute] = field(default_factory=lambda: defaultdict(_Minute))


class Counters:
    """What deployments did since this process first looked at them. `client` makes Azure Monitor's client."""

    def __init__(self, client: Callable[[str], Any]) -> None:
        self._client = client
        self._watched: dict[tuple[str, str], _Watched] = {}

    def sent(self, endpoint: str, deployment: str, status: int, model_status: int) -> None:
        """This process has sent a request, and got this answer."""
        entry = self._entry(endpoint, deployment)
        entry.sent += bool(counts_as(status, model_status))

    def started(self, endpoint: str, deployment: str) -> None:
        """A request is about to be sent: metrics count from this minute on."""
        self._entry(endpoint, deployment)

    def read(
        self, stack: str, endpoint: str, deployment: str, predictions: tuple[float, ...] = ()
    ) -> TrafficSample:
        """The counters now. Raises `Inconclusive` when metrics that must be there do not come."""
        entry = self._entry(endpoint, deployment)
        until = time.monotonic() + PATIENCE
        while True:
            sample = self._read(stack, endpoint, deployment, entry, predictions)
            if sample.requests >= entry.sent:
                return sample
            if time.monotonic() + PAUSE > until:
                raise Inconclusive(
                    f"Azure Monitor shows {sample.requests} of the {entry.sent} requests that {deployment} "
                    f"was sent, after {PATIENCE:g} s; apply again when it has caught up"
                )
            time.sleep(PAUSE)

    def forget(self, endpoint: str, deployment: str) -> None:
        """The deployment is another one now."""
        self._watched.pop((endpoint, deployment), None)

    def _entry(self, endpoint: str, deployment: str) -> _Watched:
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        return self._watched.setdefault((endpoint, deployment), _Watched(now))

    def _read(
        self, stack: str, endpoint: str, deployment: str, entry: _Watched, predictions: tuple[float, ...]
    ) -> TrafficSample:
        now = datetime.now(UTC)
        until = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        common = {
            "resource_uri": endpoint.lstrip("/"),
            "timespan": f"{entry.since:%Y-%m-%dT%H:%M:%SZ}/{until:%Y-%m-%dT%H:%M:%SZ}",
            "interval": "PT1M",
            "aggregation": "Average",
        }
        client = self._client(stack).metrics
        only = f"deployment eq '{deployment}'"
        by_status = client.list(
            **common,
            metricnames=REQUESTS,
            filter=f"{only} and statusCode eq '*' and modelStatusCode eq '*'",
        )
        by_share = client.list(**common, metricnames=",".join(PERCENTILES), filter=only)
        for at, told in _minutes(by_status, by_share).items():
            entry.minutes[at].take(told)
        return _sample(now, entry.minutes.values(), predictions)


def _minutes(by_status: Any, by_share: Any) -> dict[datetime, _Told]:
    minutes: dict[datetime, _Told] = defaultdict(_Told)
    for _, dimensions, at, value in _points(by_status):
        kind = counts_as(_code(dimensions.get("statuscode")), _code(dimensions.get("modelstatuscode")))
        if kind:
            minutes[at].requests += value
        if kind == "failed":
            minutes[at].errors += value
    for name, _, at, value in _points(by_share):
        if at in minutes:
            minutes[at].percentiles[PERCENTILES[name]] = value / 1000
    return minutes


def _points(answer: Any) -> Iterator[tuple[str, Mapping[str, str], datetime, float]]:
    """Metric, dimensions, minute and value of each point that has one."""
    for metric in answer.value:
        for series in metric.timeseries or []:
            dimensions = {d.name.value.lower(): d.value for d in series.metadatavalues or []}
            for point in series.data or []:
                if point.average is not None:
                    yield metric.name.value, dimensions, point.time_stamp, float(point.average)


def _code(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _sample(now: datetime, minutes: Iterable[_Minute], predictions: tuple[float, ...]) -> TrafficSample:
    known = list(minutes)
    buckets = [sum(column) for column in zip(*(m.buckets for m in known), strict=True)] or [0] * len(_BOUNDS)
    return TrafficSample(
        taken=now,
        requests=sum(m.requests for m in known),
        errors=sum(m.errors for m in known),
        latency=dict(zip(_BOUNDS, accumulate(buckets), strict=True)),
        predictions=dict.fromkeys(predictions, 0),
    )


def _spread(count: int, percentiles: Mapping[float, float]) -> Iterator[tuple[float, int]]:
    """How many of `count` requests stand at each percentile; none when there are no percentiles."""
    done = 0
    shares = sorted(percentiles)
    for share in shares:
        upto = count if share == shares[-1] else round(count * share)
        yield percentiles[share], upto - done
        done = upto

"""Counters of a served entity, from the metrics that its endpoint exports.

They are those of the last minute alone, with the minute's own time, and there is no past to ask for. So while
this process lives, a thread reads every minute of the endpoints that somebody has asked for; a minute that
was missed leaves no verdict. Metrics come a minute or two late; `Counters.read` waits until all requests
that this process has sent itself are there.
"""

from __future__ import annotations

import math
import re
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from mlops.errors import Inconclusive, MlopsError
from mlops.serving.http.metrics import LATENCY_BOUNDS
from mlops.targets.base import TrafficSample
from mlops.targets.databricks.connect import Connection
from mlops.tracking.databricks_errors import databricks_sentences

PATIENCE, PAUSE = 300.0, 10.0
"""Seconds to wait for metrics that must come, and between two looks."""
_MINUTE = 60_000
_LONGEST_GAP = 150.0
"""Seconds between two looks, after which a minute may have been missed: metrics of one stay for two."""
_LINE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>[^}]*)\})?\s+(?P<value>\S+)(?:\s+(?P<at>\d+))?$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ENTITY = ("served_entity_name", "served_model_name", "served_entity", "served_model")
_BOUNDS = (*LATENCY_BOUNDS, math.inf)
_BEFORE = (401, 403, 404, 429)
"""Refused before a served entity hears of it."""
_REQUESTS, _WRONG, _ERRORS = "request_count_total", "request_4xx_count_total", "request_5xx_count_total"
_LATENCY = "request_latency_ms_bucket"


@dataclass
class Minute:
    """What an endpoint says of one minute of one served entity."""

    requests: int = 0
    wrong: int = 0
    errors: int = 0
    buckets: dict[float, int] = field(default_factory=dict)
    """Cumulative counts by upper bound in seconds."""

    @property
    def failed(self) -> int:
        """MLflow's server says 400 of a wrong request and of a model that fails on a right one: both
        count."""
        return self.wrong + self.errors


def parsed(text: str) -> dict[str, dict[int, Minute]]:
    """Minutes by served entity (empty: of the whole endpoint) and time in milliseconds."""
    minutes: dict[str, dict[int, Minute]] = {}
    for line in text.splitlines():
        match = _LINE.match(line.strip())
        if match is None or line.startswith("#"):
            continue
        labels = dict(_LABEL.findall(match["labels"] or ""))
        entity = next((labels[key] for key in _ENTITY if labels.get(key)), "")
        at = int(match["at"] or 0) // _MINUTE * _MINUTE
        minute = minutes.setdefault(entity, {}).setdefault(at, Minute())
        value = float(match["value"])
        if not math.isfinite(value):
            continue
        if match["name"] == _REQUESTS:
            minute.requests += round(value)
        elif match["name"] == _WRONG:
            minute.wrong += round(value)
        elif match["name"] == _ERRORS:
            minute.errors += round(value)
        elif match["name"] == _LATENCY:
            bound = math.inf if labels.get("le") == "+Inf" else float(labels.get("le", "inf")) / 1000
            minute.buckets[bound] = minute.buckets.get(bound, 0) + round(value)
    return minutes


@dataclass
class _Watched:
    """One endpoint since this process first looked at it."""

    since: float
    looked: float
    """By this machine's steady clock; so is `gap`, the longest time without a look."""
    gap: float = 0.0
    minutes: dict[str, dict[int, Minute]] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    forgotten: dict[str, int] = field(default_factory=dict)
    """By entity, the last minute of the one that had its name before."""


class Counters:
    """What served entities did since this process first looked at their endpoints."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._watched: dict[tuple[str, str], _Watched] = {}
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None

    def started(self, environment: str, name: str, deployment: str) -> None:
        """A request is about to be sent: metrics count from this minute on."""
        self._entry(environment, name)

    def sent(self, environment: str, name: str, deployment: str, status: int) -> None:
        """This process has sent a request, and got this answer."""
        entry = self._entry(environment, name)
        if status not in _BEFORE:
            entry.sent[deployment] = entry.sent.get(deployment, 0) + 1

    def forget(self, environment: str, name: str, deployment: str) -> None:
        """The deployment is another one now."""
        with self._lock:
            entry = self._watched.get((environment, name))
            if entry is not None:
                entry.sent.pop(deployment, None)
                entry.forgotten[deployment] = max(entry.minutes.get(deployment, {}), default=0)

    def read(
        self, environment: str, name: str, deployment: str, predictions: tuple[float, ...] = ()
    ) -> TrafficSample:
        """The counters now. Raises `Inconclusive` when metrics that must be there do not come."""
        entry = self._entry(environment, name)
        until = time.monotonic() + PATIENCE
        while True:
            self._look(environment, name, entry)
            sample = self._sample(entry, deployment, predictions)
            if sample.requests >= entry.sent.get(deployment, 0):
                break
            if time.monotonic() + PAUSE > until:
                raise Inconclusive(
                    f"the metrics of {name} show {sample.requests} of the {entry.sent[deployment]} requests "
                    f"that {deployment} was sent, after {PATIENCE:g} s; apply again when they have caught up"
                )
            time.sleep(PAUSE)
        if entry.gap > _LONGEST_GAP:
            raise Inconclusive(
                f"the metrics of {name} were not read for {entry.gap:.0f} s, and Databricks keeps those "
                "of the last minutes alone; apply again"
            )
        if sample.requests > sample.errors and not sample.latency[math.inf]:
            raise Inconclusive(f"{name} exports no latency (request_latency_ms), so nothing can be compared")
        return sample

    def _sample(self, entry: _Watched, deployment: str, predictions: tuple[float, ...]) -> TrafficSample:
        with self._lock:
            entities = [entity for entity in entry.minutes if entity]
            counted = any(m.requests for minutes in entry.minutes.values() for m in minutes.values())
            if not entities and counted:
                raise Inconclusive(
                    "the endpoint's metrics do not say which served entity they are of, so a canary "
                    "cannot be told from what is live; use a strategy without analysis, or judge by hand"
                )
            after = entry.forgotten.get(deployment, 0)
            minutes = [m for at, m in entry.minutes.get(deployment, {}).items() if at > after]
        buckets = [0] * len(_BOUNDS)
        for minute in minutes:
            before = 0
            for bound, count in sorted(minute.buckets.items()):
                # What is between two of its bounds counts as slow as the upper one.
                buckets[bisect_left(_BOUNDS, bound)] += count - before
                before = count
        return TrafficSample(
            taken=datetime.now(UTC),
            requests=sum(m.requests for m in minutes),
            errors=sum(m.failed for m in minutes),
            latency=dict(zip(_BOUNDS, accumulate(buckets), strict=True)),
            predictions=dict.fromkeys(predictions, 0),
        )

    def _entry(self, environment: str, name: str) -> _Watched:
        with self._lock:
            if (environment, name) not in self._watched:
                now = time.monotonic()
                self._watched[environment, name] = _Watched(time.time() * 1000, now)
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, name="serving-metrics", daemon=True)
                self._thread.start()
            return self._watched[environment, name]

    def _follow(self) -> None:
        while True:
            time.sleep(PAUSE)
            for (environment, name), entry in list(self._watched.items()):
                try:
                    self._look(environment, name, entry)
                except MlopsError:
                    continue  # `read` says what is wrong, and the gap stays

    def _look(self, environment: str, name: str, entry: _Watched) -> None:
        api: Any = self._connection.client(environment).serving_endpoints
        with databricks_sentences(f"read the metrics of {name}"):
            text = api.export_metrics(name).contents.read().decode("utf-8", "replace")
        with self._lock:
            now = time.monotonic()
            entry.gap, entry.looked = max(entry.gap, now - entry.looked), now
            first = int(entry.since) // _MINUTE * _MINUTE
            for entity, at, minute in _rows(parsed(text)):
                if at == 0 or at >= first:
                    # The same minute again: the later look has counted more of it.
                    entry.minutes.setdefault(entity, {})[at] = minute


def _rows(parsed_minutes: Mapping[str, Mapping[int, Minute]]) -> Iterator[tuple[str, int, Minute]]:
    for entity, minutes in parsed_minutes.items():
        for at, minute in minutes.items():
            yield entity, at, minute

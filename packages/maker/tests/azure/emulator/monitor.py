"""Azure Monitor: the metrics of online endpoints, from the requests that were really answered."""

from __future__ import annotations

import math
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .arm import HOST
from .http import Answer, Refused, Request

if TYPE_CHECKING:
    from .server import Emulator

_PERCENTILE = re.compile(r"RequestLatency_P(\d+)")
_DIMENSIONS = ("deployment", "statusCode", "statusCodeClass", "modelStatusCode")


@dataclass(frozen=True)
class Served:
    """One request that an endpoint has answered; `seconds` is how long it took."""

    endpoint: str
    at: float
    dimensions: dict[str, str]
    seconds: float


class Monitor:
    """`lag`: seconds until a request shows in the metrics. `refuse`: answer 403, as without the role."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._lock = threading.Lock()
        self._served: list[Served] = []
        self.lag = 0.0
        self.refuse = False

    def record(self, endpoint: str, deployment: str, status: int, model_status: int, seconds: float) -> None:
        dimensions = {
            "deployment": deployment,
            "statusCode": str(status),
            "statusCodeClass": f"{status // 100}xx",
            "modelStatusCode": str(model_status),
        }
        with self._lock:
            self._served.append(Served(endpoint.lower(), time.time(), dimensions, seconds))

    def handle(self, request: Request, resource: str) -> Answer:
        """`GET <resource>/providers/Microsoft.Insights/metrics`."""
        self._emulator.entra.check(request)
        if self.refuse:
            action = "Microsoft.Insights/metrics/read"
            message = (
                f"The client 'x' with object id 'x' does not have authorization to perform action '{action}' "
                f"over scope '{resource}' or the scope is invalid."
            )
            raise Refused(403, "AuthorizationFailed", message)
        if self._emulator.arm.get(resource) is None:
            raise Refused(404, "ResourceNotFound", f"The Resource '{resource}' was not found.")
        query = request.query
        if query.get("interval") != "PT1M" or query.get("aggregation") != "Average":
            raise Refused(400, "BadRequest", "these metrics have the grain PT1M and the aggregation Average")
        first, last = (datetime.fromisoformat(t).timestamp() for t in query["timespan"].split("/"))
        wanted, split = _filter(query.get("$filter", ""))
        rows = [
            s
            for s in self._seen(resource)
            if first <= s.at < last and all(s.dimensions[k].lower() == v for k, v in wanted.items())
        ]
        names = query["metricnames"].split(",")
        value = [self._metric(resource, name, rows, split) for name in names]
        return Answer(
            200,
            {
                "cost": 0,
                "timespan": query["timespan"],
                "interval": "PT1M",
                "namespace": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints",
                "resourceregion": "westeurope",
                "value": value,
            },
        )

    def _seen(self, resource: str) -> list[Served]:
        now = time.time()
        with self._lock:
            return [s for s in self._served if s.endpoint == resource.lower() and s.at + self.lag <= now]

    def _metric(self, resource: str, name: str, rows: list[Served], split: list[str]) -> dict[str, Any]:
        percentile = _PERCENTILE.fullmatch(name)
        if name != "RequestsPerMinute" and percentile is None:
            raise Refused(400, "BadRequest", f"Failed to find metric configuration for {name}")

        def of(part: list[Served]) -> float:
            if percentile is None:
                return float(len(part))
            ordered = sorted(s.seconds for s in part)
            place = min(math.ceil(len(ordered) * int(percentile[1]) / 100), len(ordered)) - 1
            return ordered[max(place, 0)] * 1000

        groups: dict[tuple[str, ...], list[Served]] = defaultdict(list)
        for row in rows:
            groups[tuple(row.dimensions[d] for d in split)].append(row)
        return {
            "id": f"{resource}/providers/Microsoft.Insights/metrics/{name}",
            "type": "Microsoft.Insights/metrics",
            "name": {"value": name, "localizedValue": name},
            "errorCode": "Success",
            "unit": "Count" if percentile is None else "MilliSeconds",
            "timeseries": [
                {
                    "metadatavalues": [
                        {"name": {"value": d.lower(), "localizedValue": d}, "value": v}
                        for d, v in zip(split, key, strict=True)
                    ],
                    "data": list(_minutes(part, of)),
                }
                for key, part in groups.items()
            ],
        }


def _minutes(rows: list[Served], of: Callable[[list[Served]], float]) -> Iterator[dict[str, Any]]:
    by_minute: dict[int, list[Served]] = defaultdict(list)
    for row in rows:
        by_minute[int(row.at // 60)].append(row)
    for minute in range(min(by_minute), max(by_minute) + 1):
        stamp = datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        part = by_minute.get(minute)
        yield {"timeStamp": stamp, "average": of(part)} if part else {"timeStamp": stamp}


def _filter(text: str) -> tuple[dict[str, str], list[str]]:
    """What must be equal, and the dimensions to split by (`eq '*'`)."""
    wanted, split = {}, []
    for part in text.split(" and ") if text else []:
        found = re.fullmatch(r"(\w+) eq '([^']*)'", part.strip())
        name = next((d for d in _DIMENSIONS if found and d.lower() == found[1].lower()), None)
        if found is None or name is None:
            raise Refused(400, "BadRequest", f"the filter {part!r} names no dimension of the metric")
        if found[2] == "*":
            split.append(name)
        else:
            wanted[name] = found[2].lower()
    return wanted, split


def install(emulator: Emulator) -> Monitor:
    """Before `arm.py`, whose routes take every other resource; scaling rules are plain resources of it."""
    monitor = Monitor(emulator)
    path = r"(?P<resource>/subscriptions/.+)/providers/microsoft\.insights/metrics"
    emulator.router.add("GET", HOST, path, monitor.handle)
    return monitor

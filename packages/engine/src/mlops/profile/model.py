"""What a profile is: plain data, as it is written to `profile.json`."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from mlops.spec._base import EnvName, ModelName, Spec


class Point(Spec):
    """One concurrency."""

    connections: int = Field(ge=1)
    rate: float = Field(ge=0)
    """Requests answered a second."""
    failures: int = Field(ge=0)
    reason: str = ""
    p50: float
    """Seconds, as all latencies."""
    p90: float
    p99: float
    worst: float
    cpu: float | None
    """Cores that the server used; None when its process cannot be looked at."""
    memory_bytes: int | None
    workers: int | None
    """Processes of the server that did the work."""
    client_cpu: float
    """Cores that the load generator used; it has one."""

    others_cpu: float = Field(default=0.0, ge=0)
    """Cores of this machine that neither of the two used, and others did."""

    @property
    def client_bound(self) -> bool:
        """The load generator was (nearly) at its limit: the server may be able to do more."""
        return self.client_cpu >= CLIENT_LIMIT


CLIENT_LIMIT = 0.85
OTHERS_LIMIT = 0.25
"""Cores from which on others on the machine are said to disturb a measurement."""


class Profile(Spec):
    """All points of an endpoint, by rising concurrency."""

    model: ModelName
    environment: EnvName
    release: int
    rows: int
    """Rows a request."""
    body_bytes: int
    seconds: float
    """Length of a measurement."""
    made: datetime
    machine: str
    """Cores and architecture of the machine that measured; figures of another one do not compare."""
    points: list[Point]


class Wish(Spec):
    """What is to be served, and what is assumed about the machines."""

    rate: float = Field(gt=0)
    """Requests a second."""
    p99: float = Field(gt=0)
    """Seconds."""
    min_instances: int = Field(default=2, ge=1)
    """Two, so that one may fail; Microsoft advises three for production."""
    utilisation: float = Field(default=0.6, gt=0, le=1)
    """Share of a core that may be busy; the rest is for peaks and for the loss of an instance."""
    vcpu_speed: float = Field(default=0.7, gt=0)
    """Speed of an Azure vCPU, which is a hyper-thread, relative to a core of this machine; measure it."""
    sidecar_vcpus: float = Field(default=0.3, ge=0)
    """An instance's own agents: ingress, logs, metrics, data collector."""
    base_gigabytes: float = Field(default=1.0, ge=0)
    """Memory of the system and those agents."""


class Size(Spec):
    """A row of `sizes.yaml`."""

    name: str
    vcpus: int = Field(ge=1)
    memory: float = Field(gt=0)
    """GiB."""


class Recommendation(Spec):
    """What to write into a deployment, and why."""

    size: str
    instances: int
    vcpus: int
    memory: float
    """GiB an instance."""
    capacity: float
    """Requests a second that all instances take within the wish."""
    without_one: float
    """… and when one of them is gone."""
    max_concurrent_requests_per_instance: int
    quota_vcpus: int
    """To ask for: Azure ML reserves 20 % more for upgrades."""
    cpu_milliseconds: float
    """CPU time a request on this machine."""
    based_on: int
    """Connections of the point that it is based on."""
    notes: list[str] = []

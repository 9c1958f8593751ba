"""Endpoints that a cloud service runs: what of them is the same whichever service it is."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from mlops.errors import Inconclusive, MlopsError, NotFound
from mlops.serving.http.metrics import prediction_bounds
from mlops.serving.score.core import read_schema
from mlops.spec.files import load_policy
from mlops.spec.settings import Settings
from mlops.targets.base import EndpointState, TrafficSample


class Connection(Protocol):
    """What endpoints ask of a target's connection."""

    root: Path
    settings: Settings

    @property
    def state(self) -> Path:
        """A folder of this checkout for what is fetched."""


class RemoteEndpoints(ABC):
    """Part of `mlops.targets.base.Endpoints`."""

    _connection: Connection

    @abstractmethod
    def state(self, environment: str, model: str) -> EndpointState:
        """See `mlops.targets.base.Endpoints.state`."""

    def list(self) -> builtins.list[EndpointState]:
        """Endpoints that have a deployment, by environment and model."""
        environments = load_policy(self._connection.root).order
        models = self._connection.settings.models
        states = [self.state(e, m) for e in sorted(environments) for m in sorted(models)]
        return [state for state in states if state.deployments]

    def start(self, environment: str, model: str) -> EndpointState:
        """Nothing to do: the service keeps deployments running, and says of one that it can't."""
        return self.state(environment, model)

    def sample(self, environment: str, model: str, deployment: str) -> TrafficSample:
        """Counters by the service's metrics. Raises `Inconclusive` when they cannot be read."""
        try:
            running = self.state(environment, model).deployment(deployment)
            if running is None:
                raise NotFound("it does not exist")
            return self._count(environment, model, deployment, self._bounds(running.digest))
        except Inconclusive:
            raise
        except MlopsError as error:
            raise Inconclusive(
                f"the counters of {deployment} of {model} in {environment} cannot be read: {error}"
            ) from None

    @abstractmethod
    def _count(
        self, environment: str, model: str, deployment: str, bounds: tuple[float, ...]
    ) -> TrafficSample:
        """The counters of a deployment that exists; predictions are counted by `bounds`."""

    def _bounds(self, digest: str) -> tuple[float, ...]:
        """How predictions of this artifact are counted, if it was fetched to this machine."""
        folder = self._connection.state / "models" / digest.removeprefix("sha256:")
        return prediction_bounds(read_schema(folder)) if folder.is_dir() else ()


def require_deployments(state: EndpointState, traffic: Mapping[str, int], mirror: Mapping[str, int]) -> None:
    """Raise `NotFound` for a share of what does not exist."""
    model, environment = state.model, state.environment
    known = {deployment.name for deployment in state.deployments}
    if not known:
        raise NotFound(f"{model} has no deployment in {environment}; `mlops apply {environment}` creates one")
    if unknown := sorted({*traffic, *mirror} - known):
        raise NotFound(f"{model} in {environment} has no deployment {', '.join(unknown)}")


def split_problem(state: EndpointState, traffic: Mapping[str, int], mirror: Mapping[str, int]) -> str:
    """Why every service would refuse this split; empty when it depends on the service."""
    if any(share < 0 for share in (*traffic.values(), *mirror.values())):
        return f"a share below zero ({shown_shares(traffic, mirror)})"
    if sum(traffic.values()) != 100:
        return f"shares must sum to 100 ({shown_shares(traffic, mirror)})"
    unready = [d.name for d in state.deployments if d.state != "ready" and traffic.get(d.name, 0)]
    return f"{unready[0]} is not ready" if unready else ""


def shown_shares(traffic: Mapping[str, int], mirror: Mapping[str, int]) -> str:
    """The split as a sentence shows it."""
    return ", ".join(f"{name} {share} %" for name, share in {**traffic, **mirror}.items())

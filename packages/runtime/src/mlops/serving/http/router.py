"""Which deployment answers a request: weights, mirrors, a header; and changes of them without a gap.

The table is one immutable value. A request looks at it once, so that a change is in effect for the next
request and never in the middle of one.
"""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from mlops.errors import Blocked, InvalidInput, MlopsError, NotFound, TargetError
from mlops.serving.http.deployment import Loaded
from mlops.serving.http.state import DeploymentState, ServerState, write_state
from mlops.serving.score.request import Limits
from mlops.serving.score.signing import verify_apart
from mlops.spec.capture import CaptureSettings

DRAIN_SECONDS = 30.0


@dataclass(frozen=True)
class Table:
    """Loaded deployments and how traffic is split among them."""

    loaded: Mapping[str, Loaded] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    """Deployments of the state file that could not be loaded at start, and why."""
    live: tuple[Loaded, ...] = ()
    cumulative: tuple[int, ...] = ()
    mirrors: tuple[tuple[Loaded, int], ...] = ()

    @classmethod
    def of(cls, state: ServerState, loaded: Mapping[str, Loaded], failed: Mapping[str, str]) -> Table:
        """Weights count among what is loaded, so that a broken file does not break the healthy share."""
        serving = [(loaded[d.name], d.traffic) for d in state.deployments if d.traffic and d.name in loaded]
        return cls(
            loaded=loaded,
            failed=failed,
            live=tuple(deployment for deployment, _ in serving),
            cumulative=tuple(accumulate(traffic for _, traffic in serving)),
            mirrors=tuple(
                (loaded[d.name], d.mirror) for d in state.deployments if d.mirror and d.name in loaded
            ),
        )

    def choose(self) -> Loaded | None:
        """The deployment for one request by weight; None when nothing is live."""
        if len(self.live) == 1:
            return self.live[0]
        if not self.live:
            return None
        # Each request draws for itself: a fixed sequence could lock onto a pattern in the traffic.
        return self.live[bisect_right(self.cumulative, random.random() * self.cumulative[-1])]  # noqa: S311

    def main(self) -> Loaded | None:
        """The deployment with most traffic; it describes the endpoint (OpenAPI)."""
        shares = [b - a for a, b in zip((0, *self.cumulative), self.cumulative, strict=False)]
        return self.live[shares.index(max(shares))] if shares else None


class Router:
    """The endpoint's table and the changes to it. Changes happen one at a time and are written first."""

    def __init__(self, folder: Path, state: ServerState, limits: Limits) -> None:
        self.folder = folder
        self.state = state
        self.limits = limits
        self.table = Table()
        self._change = asyncio.Lock()

    async def start(self) -> None:
        """Load what the state file names; what does not load is kept as failed, with its reason."""
        loaded, failed = {}, {}
        for wanted in self.state.deployments:
            try:
                loaded[wanted.name] = await self._load(wanted)
            except MlopsError as error:
                failed[wanted.name] = str(error)
        self.table = Table.of(self.state, loaded, failed)

    async def put(self, wanted: DeploymentState) -> None:
        """Add a deployment at zero traffic, or at 100 % if it is the first.

        The same name and digest again changes nothing. Raises `Blocked` when the name has traffic with
        another digest, and what loading raises; then nothing has changed.
        """
        async with self._change:
            old = next((d for d in self.state.deployments if d.name == wanted.name), None)
            same = old is not None and old.digest == wanted.digest and old.release == wanted.release
            if same and wanted.name in self.table.loaded:
                return
            if old is not None and old.traffic and not same:
                raise Blocked(
                    f"deployment {wanted.name} serves release {old.release} with {old.traffic} % of the "
                    "traffic; use the other colour, or take its traffic away first"
                )
            fresh = await self._load(wanted)
            others = [d for d in self.state.deployments if d.name != wanted.name]
            traffic = old.traffic if old is not None else 0 if any(d.traffic for d in others) else 100
            kept = wanted.model_copy(update={"traffic": traffic, "mirror": 0})
            replaced = self.table.loaded.get(wanted.name)
            self._commit([*others, kept], {**self.table.loaded, wanted.name: fresh})
            await self._retire(replaced)

    async def set_traffic(self, traffic: Mapping[str, int], mirror: Mapping[str, int]) -> None:
        """Raises `NotFound` for an unknown or failed deployment and `InvalidInput` for a bad sum."""
        async with self._change:
            for name in (*traffic, *mirror):
                if name not in self.table.loaded:
                    reason = self.table.failed.get(name, "it does not exist")
                    raise NotFound(f"deployment {name} cannot take traffic: {reason}")
            if sum(traffic.values()) != 100 or any(not 0 <= v <= 100 for v in traffic.values()):
                raise InvalidInput(f"traffic must be percentages that sum to 100; got {dict(traffic)}")
            for name, share in mirror.items():
                if not 0 <= share <= 100 or (share and traffic.get(name)):
                    raise InvalidInput(
                        f"mirror of {name} must be 0 to 100, and 0 while it is live; got {share}"
                    )
            deployments = [
                d.model_copy(update={"traffic": traffic.get(d.name, 0), "mirror": mirror.get(d.name, 0)})
                for d in self.state.deployments
            ]
            self._commit(deployments, self.table.loaded)

    async def delete(self, name: str) -> None:
        """Drain and remove; one that is not there is no error. Raises `Blocked` while it has traffic."""
        async with self._change:
            old = next((d for d in self.state.deployments if d.name == name), None)
            if old is None:
                return
            if old.traffic:
                raise Blocked(f"deployment {name} has {old.traffic} % of the traffic; move it away first")
            retired = self.table.loaded.get(name)
            others = [d for d in self.state.deployments if d.name != name]
            self._commit(others, {n: d for n, d in self.table.loaded.items() if n != name})
            await self._retire(retired)

    async def set_capture(self, settings: CaptureSettings | None) -> None:
        """Keep what is to be captured from now on; the app acts on it."""
        async with self._change:
            state = self.state.model_copy(update={"capture": settings})
            write_state(self.folder, state)
            self.state = state

    async def _load(self, wanted: DeploymentState) -> Loaded:
        try:
            if wanted.signed is not None:
                await asyncio.to_thread(verify_apart, wanted.folder, wanted.signed)
            return await asyncio.to_thread(
                Loaded.load, wanted.name, wanted.release, wanted.folder, wanted.digest, self.limits
            )
        except OSError as error:
            raise TargetError(f"{wanted.folder} cannot be read: {error}") from None

    def _commit(self, deployments: list[DeploymentState], loaded: Mapping[str, Loaded]) -> None:
        state = self.state.model_copy(update={"deployments": deployments})
        write_state(self.folder, state)
        names = {d.name for d in deployments}
        failed = {n: r for n, r in self.table.failed.items() if n in names and n not in loaded}
        self.state, self.table = state, Table.of(state, loaded, failed)

    async def _retire(self, old: Loaded | None) -> None:
        if old is not None:
            await old.drained(DRAIN_SECONDS)
            old.close()

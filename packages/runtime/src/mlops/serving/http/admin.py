"""Control of a running endpoint, below `/-/`: what is served, and the changes to it.

It shares the endpoint's port and needs its own key, which only the owner of the state folder can read. A
Unix socket would need no key, but its path may not be longer than 104 characters, and state folders are.
Each call answers when the change is in effect; a call that was interrupted still takes effect as a whole
or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from mlops.errors import Blocked, IntegrityError, InvalidInput, MlopsError, NotFound
from mlops.serving.http.exchange import Headers, Keyring, Memory, Receive, read_body
from mlops.serving.http.metrics import Histogram
from mlops.serving.http.router import Router
from mlops.serving.http.state import DeploymentState
from mlops.serving.score.request import Limits, RequestError
from mlops.spec.capture import CaptureSettings
from mlops.spec.signing import Signed

PREFIX = "/-/"
_LIMITS = Limits(body=64 << 10)


class DeploymentWish(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `PUT /-/deployments/<name>`."""

    release: int
    digest: str
    folder: str
    signed: dict[str, Any] | None = None


class TrafficWish(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `PUT /-/traffic`: percentages by deployment; what is not named gets none."""

    traffic: dict[str, int]
    mirror: dict[str, int] = {}


class Admin:
    """The control routes."""

    def __init__(
        self, router: Router, keyring: Keyring, recapture: Callable[[CaptureSettings], Awaitable[None]]
    ) -> None:
        self._router = router
        self._recapture = recapture
        self._keyring = keyring
        self._memory = Memory(1 << 20)

    async def handle(
        self, path: str, method: str, headers: Headers, receive: Receive
    ) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer. A refusal carries its kind, so that the caller can raise it."""
        self._keyring.check(headers.authorization)
        body = await read_body(receive, headers, _LIMITS, self._memory)
        try:
            await self._change(path.removeprefix(PREFIX), method, body)
        except RequestError:
            raise
        except MlopsError as error:
            return 409, {"kind": _kind(error), "message": str(error)}
        except (msgspec.MsgspecError, UnicodeDecodeError, ValidationError) as error:
            raise RequestError(422, f"not a valid change: {error}") from None
        return 200, self.describe()

    async def _change(self, path: str, method: str, body: bytes) -> None:
        match method, path.split("/"):
            case "GET", ["state"]:
                pass
            case "PUT", ["deployments", name]:
                wish = msgspec.json.decode(body, type=DeploymentWish)
                await self._router.put(
                    DeploymentState(
                        name=name,
                        release=wish.release,
                        digest=wish.digest,
                        folder=Path(wish.folder),
                        signed=Signed.model_validate(wish.signed) if wish.signed else None,
                        created=datetime.now(UTC),
                    )
                )
            case "DELETE", ["deployments", name]:
                await self._router.delete(name)
            case "PUT", ["traffic"]:
                shares = msgspec.json.decode(body, type=TrafficWish)
                await self._router.set_traffic(shares.traffic, shares.mirror)
            case "PUT", ["capture"]:
                await self._recapture(CaptureSettings.model_validate_json(body))
            case _:
                raise RequestError(404, "there is no such control", field="path", value=path[:200])

    def describe(self) -> dict[str, Any]:
        """The state in effect and the counters of each deployment."""
        table = self._router.table
        described = []
        for wanted in self._router.state.deployments:
            loaded = table.loaded.get(wanted.name)
            row: dict[str, Any] = {
                **wanted.model_dump(mode="json"),
                "state": "ready" if loaded else "failed",
                "detail": table.failed.get(wanted.name, ""),
            }
            if loaded is not None:
                counters = loaded.counters
                row["counters"] = {
                    "requests": counters.requests,
                    "errors": counters.outcomes["error"],
                    "refused": counters.outcomes["refused"],
                    "rejected": counters.outcomes["rejected"],
                    "mirrored": counters.mirrored,
                    "latency": _pairs(counters.latency),
                    "predictions": _pairs(counters.predictions),
                }
            described.append(row)
        capture = self._router.state.capture
        return {
            "deployments": described,
            "capture": capture.model_dump(mode="json") if capture else None,
        }


def _pairs(histogram: Histogram) -> list[tuple[float | None, int]]:
    """Cumulative counts; infinity, which JSON lacks, is null."""
    return [(None if math.isinf(bound) else bound, count) for bound, count in histogram.cumulative()]


def _kind(error: MlopsError) -> str:
    for kind in (Blocked, IntegrityError, InvalidInput, NotFound):
        if isinstance(error, kind):
            return kind.__name__
    return "TargetError"

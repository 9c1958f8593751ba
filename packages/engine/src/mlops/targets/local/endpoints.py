"""Online endpoints on this machine: one server process a model and environment, on the loopback address.

The server alone writes what is served (`mlops.serving.http.router`); this class starts it, asks it for
changes and reads its answers. It can therefore be killed at any moment: a change that was asked for
takes effect as a whole or not at all, and the server goes on serving.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from mlops import errors
from mlops.errors import Inconclusive, InvalidInput, Locked, MlopsError, NotFound, TargetError
from mlops.serving.http.client import Unreachable, call
from mlops.serving.http.state import (
    KEYS,
    STATE,
    Keys,
    ServerState,
    ensure_keys,
    following_keys,
    keep_keys,
    read_keys,
    read_state,
    write_state,
)
from mlops.serving.score.lock import Owner, owner
from mlops.spec.capture import CaptureSettings, check_capture, synthetic_id
from mlops.spec.digest import data_digest
from mlops.spec.release import Release
from mlops.spec.signing import Signed
from mlops.targets.base import Deployment, EndpointState, TrafficSample
from mlops.targets.local.down import LOG, last_lines, why_down

LOG_BYTES = 10 << 20
START_SECONDS = 60.0
CHANGE_SECONDS = 120.0
STOP_SECONDS = 45.0

_STARTED: list[subprocess.Popen[bytes]] = []
"""Servers outlive this process on purpose; keeping their handles avoids a warning when it ends."""


class KeyMismatch(TargetError):
    """The keys of the file are not those of the server."""


class LocalEndpoints:
    """`mlops.targets.base.Endpoints` below one folder: `<folder>/<environment>/<model>/`.

    `capture` by model: what of requests and answers goes to `capture/` in the endpoint's folder. A change of
    it makes what is served outdated (`EndpointState.outdated`), and is in effect with the next change of the
    endpoint. `signed` says which signature a version must carry
    (`mlops.spec.signing.signed_release`); the server verifies it whenever it loads the version.
    """

    def __init__(
        self,
        folder: Path,
        capture: Mapping[str, CaptureSettings] | None = None,
        signed: Callable[[str, int], Signed | None] = lambda model, version: None,
    ) -> None:
        self._root = folder
        self._capture = capture or {}
        self._signed = signed

    def state(self, environment: str, model: str) -> EndpointState:
        """What is there now; deployments of a server that does not run are `failed`, not `ready`."""
        folder = self._folder(environment, model)
        known = read_state(folder)
        server = owner(folder)
        if known is None or (server is None and not known.deployments):
            return EndpointState(environment, model)
        url = f"http://127.0.0.1:{server.port if server else known.port}/score"
        wanted = self._fingerprint(model)
        if server is None:
            dead = f"its server is not running: {why_down(folder)}; `mlops start` brings it back"
            return EndpointState(environment, model, url, _offline(known, "failed", dead), wanted)
        try:
            described = self._control(folder, "GET", "state", timeout=5)
        except Unreachable as error:
            # Refused: the process is there, but does not listen yet. Anything else is a server that hangs.
            starting = isinstance(error.__cause__, ConnectionRefusedError)
            rows = _offline(known, "creating" if starting else "failed", str(error))
            return EndpointState(environment, model, url, rows, wanted)
        except KeyMismatch as error:
            cure = f"{error}; `mlops apply {environment}` makes new ones"
            return EndpointState(environment, model, url, _offline(known, "failed", cure), wanted)
        settings = {d.name: _settings(known.capture, d.signed) for d in known.deployments}
        rows = tuple(_deployment(d, settings.get(d["name"], "")) for d in described["deployments"])
        return EndpointState(environment, model, url, rows, wanted)

    def list(self) -> list[EndpointState]:
        """All endpoints, by environment and model; stopped ones are none."""
        folders = sorted(p.parent for p in self._root.glob("*/*/endpoint.json"))
        states = [self.state(folder.parent.name, folder.name) for folder in folders]
        return [state for state in states if state.url]

    def create(self, environment: str, deployment: str, release: Release, artifact: Path) -> None:
        """Ready at zero traffic (100 % if it is the endpoint's first).

        Raises `IntegrityError` when the artifact is not what was released, `Blocked` when the colour serves
        another release, `TargetError` when the model does not load; the endpoint is then unchanged.
        """
        folder = self._folder(environment, release.model)
        if (capture := self._capture.get(release.model)) is not None and capture.exclude:
            from mlops.serving.score.core import read_schema

            names = [column.name for column in read_schema(artifact).columns]
            check_capture(capture, names, field=f"models.{release.model}.capture")
        wish: dict[str, Any] = {
            "release": release.version,
            "digest": release.digest,
            "folder": str(artifact.resolve()),
        }
        if (signed := self._signed(release.model, release.version)) is not None:
            wish["signed"] = signed.model_dump(mode="json")
        with self._changing(folder):
            if read_state(folder) is None:
                write_state(folder, ServerState(environment=environment, model=release.model))
            self._ensure_running(folder)
            try:
                self._control(folder, "PUT", f"deployments/{deployment}", wish)
            except MlopsError:
                known = read_state(folder)
                if known is not None and not known.deployments:
                    self._end(folder)
                raise

    def set_traffic(
        self,
        environment: str,
        model: str,
        traffic: Mapping[str, int],
        mirror: Mapping[str, int] | None = None,
    ) -> None:
        """Percentages by deployment, summing to 100; in effect for the next request when it returns."""
        folder = self._existing(environment, model)
        with self._changing(folder):
            self._ensure_running(folder)
            self._control(folder, "PUT", "traffic", {"traffic": dict(traffic), "mirror": dict(mirror or {})})

    def delete(self, environment: str, model: str, deployment: str) -> None:
        """Drains, then removes; one that is not there is no error. Raises `Blocked` while it has traffic."""
        folder = self._folder(environment, model)
        known = read_state(folder)
        if known is None or all(d.name != deployment for d in known.deployments):
            return
        with self._changing(folder):
            self._ensure_running(folder)
            self._control(folder, "DELETE", f"deployments/{deployment}")

    def start(self, environment: str, model: str) -> EndpointState:
        """See `mlops.targets.base.Endpoints.start`; the server comes back with the last state in effect."""
        folder = self._existing(environment, model)
        with self._changing(folder):
            self._ensure_running(folder)
            deadline = time.monotonic() + START_SECONDS
            while True:
                state = self.state(environment, model)
                if all(d.state != "creating" for d in state.deployments):
                    return state
                if time.monotonic() > deadline:
                    raise TargetError(f"the server of {folder} still loads its models; see {folder / LOG}")
                time.sleep(0.05)

    def stop(self, environment: str, model: str) -> None:
        """Drain and end the server, and forget its deployments; keys and port stay for the next one."""
        folder = self._folder(environment, model)
        if not folder.is_dir():
            return
        with self._changing(folder):
            self._end(folder)
            try:
                known = read_state(folder)
            except InvalidInput:
                # The way out of a file that nobody can read: the next apply writes it anew.
                (folder / STATE).unlink()
                return
            if known is not None and known.deployments:
                write_state(folder, known.model_copy(update={"deployments": []}))

    def score(
        self,
        environment: str,
        model: str,
        payload: Mapping[str, Any],
        deployment: str | None = None,
        *,
        synthetic: bool = False,
    ) -> dict[str, Any]:
        """One authenticated request. Raises `TargetError` with the endpoint's answer when it is not 200."""
        folder = self._existing(environment, model)
        place = f"the endpoint of {model} in {environment}"
        headers = {"azureml-model-deployment": deployment} if deployment else {}
        headers |= {"x-request-id": synthetic_id()} if synthetic else {}
        key = self.key(environment, model)
        try:
            status, answer = call(_server(folder).port, "POST", "/score", dict(payload), key, headers=headers)
        except Unreachable as error:
            raise TargetError(f"{place} is down: {error}; `mlops apply {environment}` starts it") from None
        if status != 200:
            said = answer.get("error", {}).get("message", answer)
            raise TargetError(f"{place} answered {status}: {said}")
        return answer

    def key(self, environment: str, model: str) -> str:
        """The first of the endpoint's two keys."""
        keys = read_keys(self._existing(environment, model))
        if keys is None:
            raise TargetError(
                f"the endpoint of {model} in {environment} has no keys; "
                f"`mlops apply {environment}` makes new ones"
            )
        return keys.primary

    def rotate(self, environment: str, model: str) -> None:
        """A new first key; the old one is the second until the next time, so that no request fails."""
        folder = self._existing(environment, model)
        with self._changing(folder):
            keys = following_keys(folder)
            self._let_in(folder, keys)
            keep_keys(folder, keys)
            self._let_in(folder, keys)

    def sample(self, environment: str, model: str, deployment: str) -> TrafficSample:
        """Counters of a deployment. Raises `Inconclusive` when they cannot be read."""
        folder = self._folder(environment, model)
        place = f"{deployment} of {model} in {environment}"
        try:
            described = self._control(folder, "GET", "state", timeout=10)
        except (MlopsError, FileNotFoundError) as error:
            raise Inconclusive(f"the counters of {place} cannot be read: {error}") from None
        row = next((d for d in described["deployments"] if d["name"] == deployment), None)
        if row is None or "counters" not in row:
            reason = row["detail"] if row else "it does not exist"
            raise Inconclusive(f"{place} has no counters: {reason}")
        counters = row["counters"]
        return TrafficSample(
            taken=datetime.now(UTC),
            requests=counters["requests"],
            errors=counters["errors"],
            latency=_histogram(counters["latency"]),
            predictions=_histogram(counters["predictions"]),
        )

    def _fingerprint(self, model: str) -> str:
        """Of the settings that a deployment would be made by; empty when this object was given none."""
        if model not in self._capture:
            return ""
        return _settings(self._capture[model], self._signed(model, 1))

    # --- the server process -----------------------------------------------------------------------------

    def _folder(self, environment: str, model: str) -> Path:
        return self._root / environment / model

    def _existing(self, environment: str, model: str) -> Path:
        folder = self._folder(environment, model)
        known = read_state(folder)
        if known is None or not known.deployments:
            raise NotFound(
                f"{model} has no endpoint in {environment}; `mlops apply {environment}` creates it"
            )
        return folder

    @contextmanager
    def _changing(self, folder: Path) -> Iterator[None]:
        """One change at a time, over all processes of this machine."""
        folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + CHANGE_SECONDS
        with (folder / "change.lock").open("w") as stream:
            while True:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise Locked(f"another process is changing {folder}; try again later") from None
                    time.sleep(0.02)
            yield

    def _ensure_running(self, folder: Path) -> None:
        """Start the server if it is not there, and wait until it answers."""
        capture = self._capture.get(folder.name)
        process = None if owner(folder) is not None else _spawn(folder, capture)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                call(_server(folder).port, "GET", "/livez", timeout=5)
            except Unreachable as error:
                ended = process is not None and process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise TargetError(
                        f"the server of {folder} did not start ({error}); its log ends with: {_tail(folder)}"
                    ) from None
                time.sleep(0.02)
            else:
                break
        keys = ensure_keys(folder)
        if process is None and not _accepts(_server(folder).port, keys):
            self._let_in(folder, keys)
        known = read_state(folder)
        if process is None and capture is not None and known is not None and known.capture != capture:
            self._control(folder, "PUT", "capture", capture.model_dump(mode="json"))

    def _let_in(self, folder: Path, keys: Keys) -> None:
        """Have the server read its keys again, without a pause, until it takes these."""
        deadline = time.monotonic() + START_SECONDS
        if (server := owner(folder)) is not None:
            _signal(server.pid, signal.SIGHUP)
        while (server := owner(folder)) is not None and not _accepts(server.port, keys):
            if time.monotonic() > deadline:
                raise TargetError(f"the server of {folder} does not take its keys; see {folder / LOG}")
            time.sleep(0.02)

    def _end(self, folder: Path) -> None:
        server = owner(folder)
        for sent, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5.0)):
            if server is None:
                return
            _signal(server.pid, sent)
            deadline = time.monotonic() + seconds
            while (server := owner(folder)) is not None and time.monotonic() < deadline:
                time.sleep(0.02)
        if server is not None:
            raise TargetError(f"the server of {folder} (process {server.pid}) does not end")

    def _control(
        self, folder: Path, method: str, path: str, body: Any = None, timeout: float = CHANGE_SECONDS
    ) -> dict[str, Any]:
        try:
            keys = read_keys(folder)
        except InvalidInput:
            raise KeyMismatch(f"{folder / KEYS} is no key file") from None
        if keys is None:
            raise KeyMismatch(f"{folder / KEYS} does not exist")
        status, answer = call(_server(folder).port, method, f"/-/{path}", body, keys.admin, timeout=timeout)
        if status in (401, 403):
            raise KeyMismatch(f"the server has other keys than {folder / KEYS}")
        if status != 200:
            _raise(answer)
        return answer


def _spawn(folder: Path, capture: CaptureSettings | None) -> subprocess.Popen[bytes]:
    ensure_keys(folder)
    known = read_state(folder)
    if known is not None and capture is not None and known.capture != capture:
        # No server runs, and the caller holds the lock: the file has no other writer now.
        write_state(folder, known.model_copy(update={"capture": capture}))
    log = folder / LOG
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    # More threads inside one model call only fight over the cores; byte code would change an artifact.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlops.serving.http.server", "--state", str(folder.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    _STARTED.append(process)
    return process


def _accepts(port: int, keys: Keys) -> bool:
    """Whether the server takes all of these keys."""
    try:
        ruled, _ = call(port, "GET", "/-/state", None, keys.admin, timeout=5)
        asked = [
            call(port, "GET", "/metrics", None, key, timeout=5)[0] for key in (keys.primary, keys.secondary)
        ]
    except Unreachable:
        return False
    return ruled == 200 and not {401, 403}.intersection(asked)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _server(folder: Path) -> Owner:
    process = owner(folder)
    if process is None:
        raise Unreachable("its server is not running")
    return process


def _tail(folder: Path) -> str:
    return " | ".join(last_lines(folder / LOG)) or "(no log)"


def _raise(answer: dict[str, Any]) -> NoReturn:
    if "kind" in answer:
        kind: type[MlopsError] = getattr(errors, answer["kind"])
        raise kind(answer["message"])
    raise TargetError(answer.get("error", {}).get("message", str(answer)))


def _offline(known: ServerState, state: Any, detail: str) -> tuple[Deployment, ...]:
    return tuple(
        Deployment(d.name, d.release, d.digest, d.traffic, d.mirror, state, detail, d.created)
        for d in known.deployments
    )


def _settings(capture: CaptureSettings | None, signed: Signed | None) -> str:
    """A fingerprint of what is not the release: capture, and whose signature counts."""
    whose = signed.model_dump(mode="json", exclude={"signature"}) if signed else None
    return data_digest([(capture or CaptureSettings()).model_dump(mode="json"), whose])


def _deployment(row: dict[str, Any], settings: str) -> Deployment:
    return Deployment(
        name=row["name"],
        release=row["release"],
        digest=row["digest"],
        traffic=row["traffic"],
        mirror=row["mirror"],
        state=row["state"],
        detail=row["detail"],
        created=datetime.fromisoformat(row["created"]),
        settings=settings,
    )


def _histogram(pairs: Any) -> dict[float, int]:
    return {float("inf") if bound is None else bound: count for bound, count in pairs}

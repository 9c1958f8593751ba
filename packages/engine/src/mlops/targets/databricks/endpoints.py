"""Endpoints of Model Serving: one a model and environment, blue and green are its served entities.

A configuration is written whole, entities and traffic together, and takes effect minutes later, when
everything in it is ready; until then the one before serves on, and no other can be written (409). So each
change here is: wait until nobody changes it, write, wait until it is true.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlops.errors import Blocked, Inconclusive, InvalidInput, MlopsError, NotFound, TargetError
from mlops.serving.http.metrics import prediction_bounds
from mlops.serving.score.core import read_schema, verify
from mlops.spec.files import load_policy
from mlops.spec.release import Release
from mlops.targets.base import EndpointState, TrafficSample
from mlops.targets.databricks import _served
from mlops.targets.databricks._metrics import Counters
from mlops.targets.databricks.connect import Connection, enum
from mlops.targets.databricks.registry import served
from mlops.tracking.databricks_errors import LOGIN, Busy, Unavailable, databricks_sentences

WAIT_SECONDS = 3600.0
"""For an update: an image may have to be built."""
_PAUSE, _BUSY_TRIES = 5.0, 30
_TIMEOUT = 310.0
"""Seconds; Databricks' own limit is 297."""
_LOG_LINES = 20


class DatabricksEndpoints:
    """Implements `mlops.targets.base.Endpoints`.

    Nothing is remembered between calls but what saves requests: any process may go on where another died.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._counters = Counters(connection)
        self._binary: dict[str, bool] = {}

    def state(self, environment: str, model: str) -> EndpointState:
        """What is there now; an endpoint that was never made has no URL."""
        name = self._connection.endpoint(environment, model)
        found = self._find(environment, name)
        if found is None:
            return EndpointState(environment, model)
        host = self._connection.place(environment).host
        url = f"{host}/serving-endpoints/{name}/invocations"
        settings = _served.fingerprint(self._connection.settings.databricks)
        return EndpointState(environment, model, url, _served.public(found), settings)

    def list(self) -> list[EndpointState]:
        """Endpoints that have a deployment, by environment and model."""
        environments = load_policy(self._connection.root).order
        models = self._connection.settings.models
        states = [self.state(e, m) for e in sorted(environments) for m in sorted(models)]
        return [state for state in states if state.deployments]

    def create(self, environment: str, deployment: str, release: Release, artifact: Path) -> None:
        """Ready at zero traffic (100 % if it is the endpoint's first).

        Raises `IntegrityError` when the artifact is not what was released, `Blocked` when the colour serves
        another release, `TargetError` with the container's last words when it does not start; the endpoint
        is then as before.
        """
        verify(artifact, release.digest)
        self._refuse_what_it_cannot()
        name = self._connection.endpoint(environment, release.model)
        found = self._settled(environment, name)
        there = {d.name: d for d in _served.public(found)} if found is not None else {}
        mine = there.get(deployment)
        told = self._connection.settings.databricks
        same = mine is not None and (mine.release, mine.digest) == (release.version, release.digest)
        if mine is not None and mine.traffic and not same:
            raise Blocked(f"{deployment} serves release {mine.release}; take its traffic away first")
        if same and mine is not None and mine.state == "ready":
            if not any(d.traffic for d in there.values()):
                self.set_traffic(environment, release.model, {deployment: 100})
            return
        entity, version = served(self._connection, environment, release, artifact)
        new = _served.entity_of(told, release, deployment, entity, version)
        self._counters.forget(environment, name, deployment)
        what = f"make the deployment {deployment} of {name}"
        if found is None:
            self._first(environment, name, release.model, new, what)
            return
        others = [_served.kept(e) for e in _served.entities_in(found.config) if e.name != deployment]
        shares = {e.name: _served.traffic_in(found.config).get(e.name, 0) for e in others}
        traffic = {**shares, deployment: 0 if any(shares.values()) else 100}
        self._write(environment, name, [*others, new], traffic, what=what, new=deployment)

    def set_traffic(
        self,
        environment: str,
        model: str,
        traffic: Mapping[str, int],
        mirror: Mapping[str, int] | None = None,
    ) -> None:
        """Percentages by deployment, summing to 100; in effect when it returns. Raises `InvalidInput`."""
        name = self._connection.endpoint(environment, model)
        found = self._settled(environment, name)
        state = self.state(environment, model)
        known = {d.name for d in state.deployments}
        if found is None or not known:
            raise NotFound(
                f"{model} has no deployment in {environment}; `mlops apply {environment}` creates one"
            )
        if unknown := sorted({*traffic, *(mirror or {})} - known):
            raise NotFound(f"{model} in {environment} has no deployment {', '.join(unknown)}")
        if wrong := _served.traffic_problem(state, traffic, mirror or {}):
            raise InvalidInput(f"{model} in {environment} cannot split its traffic so: {wrong}")
        wanted = {one: int(traffic.get(one, 0)) for one in sorted(known)}
        if {one: _served.traffic_in(found.config).get(one, 0) for one in known} == wanted:
            return
        entities = [_served.kept(e) for e in _served.entities_in(found.config)]
        self._write(environment, name, entities, wanted, what=f"set the traffic of {name}")

    def delete(self, environment: str, model: str, deployment: str) -> None:
        """Databricks lets requests in flight end. None there is no error; one with traffic is `Blocked`."""
        name = self._connection.endpoint(environment, model)
        found = self._settled(environment, name)
        entities = _served.entities_in(found.config) if found is not None else []
        if found is None or deployment not in {e.name for e in entities}:
            return
        shares = _served.traffic_in(found.config)
        if shares.get(deployment):
            raise Blocked(f"{deployment} has {shares[deployment]} % of the traffic; take it away first")
        others = [_served.kept(e) for e in entities if e.name != deployment]
        if not others:
            self._remove(environment, name)
            return
        traffic = {e.name: shares.get(e.name, 0) for e in others}
        self._write(environment, name, others, traffic, what=f"delete the deployment {deployment} of {name}")

    def start(self, environment: str, model: str) -> EndpointState:
        """Nothing to do: Databricks keeps served entities running, and says of one that it can't."""
        return self.state(environment, model)

    def stop(self, environment: str, model: str) -> None:
        """Delete the endpoint: one without a served entity cannot be."""
        self._remove(environment, self._connection.endpoint(environment, model))

    def score(
        self,
        environment: str,
        model: str,
        payload: Mapping[str, Any],
        deployment: str | None = None,
    ) -> dict[str, Any]:
        """One authenticated request. Raises `TargetError` with the endpoint's answer when it is not 200."""
        import requests

        name = self._connection.endpoint(environment, model)
        place = f"the endpoint of {model} in {environment}"
        path = f"/serving-endpoints/{name}"
        path += f"/served-models/{deployment}/invocations" if deployment else "/invocations"
        config = self._connection.client(environment).config
        body = _served.asked(payload)
        if deployment:
            self._counters.started(environment, name, deployment)
        try:
            # Without the SDK's retries: a rollout counts failed requests, and a hidden one would be a lie.
            answer = requests.post(
                f"{config.host}{path}", json=body, headers=config.authenticate(), timeout=_TIMEOUT
            )
        except requests.RequestException as error:
            raise TargetError(f"{place} is down or cannot be reached: {str(error)[:200]}") from None
        if deployment:
            self._counters.sent(environment, name, deployment, answer.status_code)
        if answer.status_code in (401, 403):
            why = (
                "the login was refused"
                if answer.status_code == 401
                else "this identity lacks CAN QUERY on it"
            )
            raise TargetError(f"{place} answered {answer.status_code}: {why}; {LOGIN}")
        if answer.status_code != 200:
            raise TargetError(f"{place} answered {answer.status_code}: {_served.said(answer.content)}")
        return _served.answered(json.loads(answer.content), self._is_binary(environment, model))

    def key(self, environment: str, model: str) -> str:
        """A token of the login: endpoints of Databricks know no keys."""
        with databricks_sentences(f"get a token for {model} in {environment}"):
            header = self._connection.client(environment).config.authenticate()["Authorization"]
        return str(header).removeprefix("Bearer ")

    def rotate(self, environment: str, model: str) -> None:
        """See `mlops.targets.base.Endpoints.rotate`: there are none."""
        name = self._connection.endpoint(environment, model)
        if self._find(environment, name) is None:
            raise NotFound(f"there is no endpoint {name}; `mlops apply {environment}` makes it")
        raise TargetError(f"{name} knows no keys: callers log in, nothing to rotate")

    def sample(self, environment: str, model: str, deployment: str) -> TrafficSample:
        """Counters by the endpoint's own metrics. Raises `Inconclusive` when they cannot be read."""
        try:
            found = self.state(environment, model).deployment(deployment)
            if found is None:
                raise NotFound("it does not exist")
            name = self._connection.endpoint(environment, model)
            return self._counters.read(environment, name, deployment, self._bounds(found.digest))
        except Inconclusive:
            raise
        except MlopsError as error:
            raise Inconclusive(
                f"the counters of {deployment} of {model} in {environment} cannot be read: {error}"
            ) from None

    # --- Databricks -----------------------------------------------------------------------------------------

    def _api(self, environment: str) -> Any:
        return self._connection.client(environment).serving_endpoints

    def _find(self, environment: str, name: str) -> Any:
        try:
            with databricks_sentences(f"ask for the endpoint {name}"):
                return self._api(environment).get(name)
        except NotFound:
            return None

    def _settled(self, environment: str, name: str) -> Any:
        """The endpoint once nobody changes it, also not a process that has died meanwhile; None without
        one."""
        until = time.monotonic() + WAIT_SECONDS
        while True:
            found = self._find(environment, name)
            if found is None or enum(found.state.config_update if found.state else None) != "IN_PROGRESS":
                return found
            if time.monotonic() > until:
                raise Busy(
                    f"the endpoint {name} is still being changed after {WAIT_SECONDS:g} s; look at it in the "
                    "workspace under Serving, then run the same command again"
                )
            time.sleep(_PAUSE)

    def _first(self, environment: str, name: str, model: str, entity: Any, what: str) -> None:
        from databricks.sdk.service.serving import EndpointCoreConfigInput, EndpointTag

        config = EndpointCoreConfigInput(
            name=name, served_entities=[entity], traffic_config=_served.routes_of({entity.name: 100})
        )
        tags = [EndpointTag(key="mlops_model", value=model), EndpointTag("mlops_environment", environment)]
        with databricks_sentences(what):
            self._api(environment).create(name=name, config=config, tags=tags)
        try:
            self._ended(environment, name, what, entity.name)
        except Unavailable:
            raise
        except TargetError:
            # What never served is not left behind to be paid for.
            with contextlib.suppress(TargetError):
                self._remove(environment, name)
            raise

    def _write(
        self,
        environment: str,
        name: str,
        entities: Sequence[Any],
        traffic: Mapping[str, int],
        *,
        what: str,
        new: str = "",
    ) -> None:
        for attempt in range(_BUSY_TRIES):
            try:
                with databricks_sentences(what):
                    self._api(environment).update_config(
                        name=name, served_entities=entities, traffic_config=_served.routes_of(traffic)
                    )
                break
            except Busy:
                if attempt == _BUSY_TRIES - 1:
                    raise
                time.sleep(_PAUSE)
                self._settled(environment, name)
        self._ended(environment, name, what, new)

    def _ended(self, environment: str, name: str, what: str, new: str) -> None:
        """Wait for an update. Raises `TargetError` with why it failed; the configuration before serves on."""
        found = self._settled(environment, name)
        if found is None:
            raise NotFound(f"cannot {what}: somebody has deleted {name} meanwhile")
        update = enum(found.state.config_update if found.state else None)
        if update == "UPDATE_CANCELED":
            raise TargetError(f"cannot {what}: somebody has cancelled the update; run the same command again")
        if update == "UPDATE_FAILED":
            why = self._why(found, new)
            raise TargetError(f"cannot {what}: {why}{self._log(environment, name, new)}")

    def _why(self, endpoint: Any, new: str) -> str:
        states = [
            str(e.state.deployment_state_message or enum(e.state.deployment))
            for config in (endpoint.pending_config, endpoint.config)
            for e in _served.entities_in(config)
            if e.state is not None
            and (not new or e.name == new)
            and enum(e.state.deployment) != "DEPLOYMENT_READY"
        ]
        text = states[0] if states else "Databricks gives no reason"
        if "quota" in text.lower():
            return (
                f"a quota is used up ({text[:400]}); take a smaller workload_size, or have the quota raised"
            )
        return f"the update failed: {text[:400]}"

    def _log(self, environment: str, name: str, entity: str) -> str:
        """What building or starting it said last, to be put behind an error; empty when it said nothing."""
        if not entity:
            return ""
        api = self._api(environment)
        for read in (api.logs, api.build_logs):
            try:
                with databricks_sentences(f"read the log of {entity}"):
                    text = str(read(name=name, served_model_name=entity).logs or "")
            except TargetError:
                continue
            if lines := [f"    {line}" for line in text.splitlines() if line.strip()][-_LOG_LINES:]:
                return "; the last lines of its log:\n" + "\n".join(lines)
        return ""

    def _remove(self, environment: str, name: str) -> None:
        with contextlib.suppress(NotFound), databricks_sentences(f"delete the endpoint {name}"):
            self._api(environment).delete(name)

    def _refuse_what_it_cannot(self) -> None:
        if self._connection.settings.signing.required:
            raise InvalidInput(
                "mlops.toml requires signed models (signing.required), and Model Serving loads a model "
                "without "
                "asking for its signature; serve it on another target, or do not require signatures"
            )

    def _bounds(self, digest: str) -> tuple[float, ...]:
        """How predictions of this artifact are counted, if it was fetched to this machine."""
        folder = self._connection.state / "models" / digest.removeprefix("sha256:")
        return prediction_bounds(read_schema(folder)) if folder.is_dir() else ()

    def _is_binary(self, environment: str, model: str) -> bool:
        """Whether two values a row are the probabilities of no and yes; by the use case, read once."""
        if model not in self._binary:
            self._binary[model] = self._task(model) == "binary"
        return self._binary[model]

    def _task(self, model: str) -> str:
        from mlops.usecase import load_usecase

        settings = self._connection.settings.models.get(model)
        if settings is None:
            return ""
        return str(load_usecase(settings.usecase, self._connection.root / "src").task)

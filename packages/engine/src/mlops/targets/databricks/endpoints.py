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

from mlops.errors import Blocked, InvalidInput, NotFound, TargetError, Unavailable
from mlops.serving.score.core import verify
from mlops.spec.release import Release
from mlops.targets._log_tail import log_tail
from mlops.targets._remote_endpoints import RemoteEndpoints, require_deployments
from mlops.targets.base import EndpointState, TrafficSample
from mlops.targets.databricks import _served
from mlops.targets.databricks._inference_table import captured, table_config
from mlops.targets.databricks._metrics import Counters
from mlops.targets.databricks.connect import Connection
from mlops.targets.databricks.registry import served_version
from mlops.tracking.databricks_errors import LOGIN, Busy, databricks_sentences

WAIT_SECONDS = 3600.0
"""For an update: an image may have to be built."""
_PAUSE, _BUSY_TRIES = 5.0, 30
_TIMEOUT = 310.0
"""Seconds; Databricks' own limit is 297."""
_LOG_LINES = 20
_REFUSED = {401: "the login was refused", 403: "this identity lacks CAN QUERY on it"}


class DatabricksEndpoints(RemoteEndpoints):
    """Implements `mlops.targets.base.Endpoints`.

    Nothing is remembered between calls but what saves requests: any process may go on where another died.
    """

    _connection: Connection

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._counters = Counters(connection)

    def state(self, environment: str, model: str) -> EndpointState:
        """What is there now; an endpoint that was never made has no URL."""
        name = self._connection.endpoint(environment, model)
        return self._state_of(environment, model, self._find(environment, name))

    def _state_of(self, environment: str, model: str, endpoint: Any) -> EndpointState:
        if endpoint is None:
            return EndpointState(environment, model)
        host = self._connection.place(environment).host
        url = f"{host}/serving-endpoints/{self._connection.endpoint(environment, model)}/invocations"
        settings = _served.fingerprint(
            self._connection.settings.databricks, captured(self._connection, model)
        )
        return EndpointState(environment, model, url, _served.public(endpoint), settings)

    def create(self, environment: str, deployment: str, release: Release, artifact: Path) -> None:
        """Ready at zero traffic (100 % if it is the endpoint's first).

        Raises `IntegrityError` when the artifact is not what was released, `Blocked` when the colour serves
        another release, `TargetError` with the container's last words when it does not start; the endpoint
        is then as before.
        """
        verify(artifact, release.digest)
        self._refuse_what_it_cannot()
        table = table_config(self._connection, environment, release.model)
        name = self._connection.endpoint(environment, release.model)
        endpoint = self._settled(environment, name)
        state = self._state_of(environment, release.model, endpoint)
        running = state.deployment(deployment)
        same = running is not None and (running.release, running.digest) == (release.version, release.digest)
        if running is not None and running.traffic and not same:
            raise Blocked(f"{deployment} serves release {running.release}; take its traffic away first")
        if same and running is not None and running.state == "ready":
            self._log_to(environment, name, endpoint, table)
            if not any(d.traffic for d in state.deployments):
                self.set_traffic(environment, release.model, {deployment: 100})
            return
        copy = served_version(self._connection, environment, release, artifact)
        settings = self._connection.settings.databricks
        fingerprint = _served.fingerprint(settings, table is not None)
        entity = _served.entity_of(settings, release, deployment, copy, fingerprint)
        self._counters.forget(environment, name, deployment)
        what = f"make the deployment {deployment} of {name}"
        if endpoint is None:
            self._first(environment, name, release.model, entity, what)
            self._log_to(environment, name, None, table)
            return
        self._log_to(environment, name, endpoint, table)
        others = _served.others_in(endpoint, deployment)
        shares = _served.shares_of(endpoint, others)
        traffic = {**shares, deployment: 0 if any(shares.values()) else 100}
        self._write(environment, name, [*others, entity], traffic, what=what, new=deployment)

    def set_traffic(
        self,
        environment: str,
        model: str,
        traffic: Mapping[str, int],
        mirror: Mapping[str, int] | None = None,
    ) -> None:
        """Percentages by deployment, summing to 100; in effect when it returns. Raises `InvalidInput`."""
        name = self._connection.endpoint(environment, model)
        endpoint = self._settled(environment, name)
        state = self._state_of(environment, model, endpoint)
        require_deployments(state, traffic, mirror or {})
        if wrong := _served.traffic_problem(state, traffic, mirror or {}):
            raise InvalidInput(f"{model} in {environment} cannot split its traffic so: {wrong}")
        names = sorted(d.name for d in state.deployments)
        wanted = {one: int(traffic.get(one, 0)) for one in names}
        shares = _served.traffic_in(endpoint.config)
        if {one: shares.get(one, 0) for one in names} == wanted:
            return
        entities = _served.others_in(endpoint, "")
        self._write(environment, name, entities, wanted, what=f"set the traffic of {name}")

    def delete(self, environment: str, model: str, deployment: str) -> None:
        """Databricks lets requests in flight end. None there is no error; one with traffic is `Blocked`."""
        name = self._connection.endpoint(environment, model)
        endpoint = self._settled(environment, name)
        running = self._state_of(environment, model, endpoint).deployment(deployment)
        if running is None:
            return
        if running.traffic:
            raise Blocked(f"{deployment} has {running.traffic} % of the traffic; take it away first")
        others = _served.others_in(endpoint, deployment)
        if not others:
            self._remove(environment, name)
            return
        traffic = _served.shares_of(endpoint, others)
        self._write(environment, name, others, traffic, what=f"delete the deployment {deployment} of {name}")

    def stop(self, environment: str, model: str) -> None:
        """Delete the endpoint: one without a served entity cannot be."""
        self._remove(environment, self._connection.endpoint(environment, model))

    def score(
        self,
        environment: str,
        model: str,
        payload: Mapping[str, Any],
        deployment: str | None = None,
        *,
        synthetic: bool = False,
    ) -> dict[str, Any]:
        """One authenticated request. Raises `TargetError` with the endpoint's answer when it is not 200.

        One to a deployment by its name is taken for `synthetic`, too.
        """
        name = self._connection.endpoint(environment, model)
        place = f"the endpoint of {model} in {environment}"
        if deployment:
            self._counters.started(environment, name, deployment)
        body = _served.asked(payload, own=synthetic or deployment is not None)
        answer = self._ask(environment, name, deployment, body, place)
        if deployment:
            self._counters.sent(environment, name, deployment, answer.status_code)
        if answer.status_code in _REFUSED:
            raise TargetError(
                f"{place} answered {answer.status_code}: {_REFUSED[answer.status_code]}; {LOGIN}"
            )
        if answer.status_code != 200:
            raise TargetError(f"{place} answered {answer.status_code}: {_served.said(answer.content)}")
        return _served.answered(json.loads(answer.content), self._connection.is_binary(model))

    def _ask(
        self, environment: str, name: str, deployment: str | None, body: Mapping[str, Any], place: str
    ) -> Any:
        """One request without the SDK's retries: a rollout counts failed requests, and a hidden one would be
        a lie."""
        import requests

        path = f"/serving-endpoints/{name}"
        path += f"/served-models/{deployment}/invocations" if deployment else "/invocations"
        config = self._connection.client(environment).config
        with databricks_sentences(f"get a token for {place}"):
            headers = config.authenticate()
        try:
            return requests.post(
                f"{config.host}{path}",
                json=body,
                headers=headers,
                timeout=_TIMEOUT,
            )
        except requests.RequestException as error:
            raise TargetError(f"{place} is down or cannot be reached: {str(error)[:200]}") from None

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

    def _count(
        self, environment: str, model: str, deployment: str, bounds: tuple[float, ...]
    ) -> TrafficSample:
        name = self._connection.endpoint(environment, model)
        return self._counters.read(environment, name, deployment, bounds)

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
            endpoint = self._find(environment, name)
            if endpoint is None or _served.update_of(endpoint) != "IN_PROGRESS":
                return endpoint
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

    def _log_to(self, environment: str, name: str, endpoint: Any, table: Any) -> None:
        """Have requests logged to `table`, or to none when it is None."""
        from databricks.sdk.service.serving import AiGatewayInferenceTableConfig

        gateway = endpoint.ai_gateway if endpoint is not None else None
        before = gateway.inference_table_config if gateway is not None else None
        if before == table or (table is None and not (before is not None and before.enabled)):
            return
        wanted = table or AiGatewayInferenceTableConfig(enabled=False)
        with databricks_sentences(f"have the requests of {name} logged"):
            self._api(environment).put_ai_gateway(name, inference_table_config=wanted)

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
        endpoint = self._settled(environment, name)
        if endpoint is None:
            raise NotFound(f"cannot {what}: somebody has deleted {name} meanwhile")
        update = _served.update_of(endpoint)
        if update == "UPDATE_CANCELED":
            raise TargetError(f"cannot {what}: somebody has cancelled the update; run the same command again")
        if update == "UPDATE_FAILED":
            why = _served.failure_of(endpoint, new)
            raise TargetError(f"cannot {what}: {why}{self._log(environment, name, new)}")

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
            if words := log_tail(text, _LOG_LINES):
                return words
        return ""

    def _remove(self, environment: str, name: str) -> None:
        with contextlib.suppress(NotFound), databricks_sentences(f"delete the endpoint {name}"):
            self._api(environment).delete(name)

    def _refuse_what_it_cannot(self) -> None:
        if self._connection.settings.signing.required:
            raise InvalidInput(
                "mlops.toml requires signed models (signing.required), and Model Serving loads a model "
                "without asking for its signature; serve it on another target, or do not require signatures"
            )

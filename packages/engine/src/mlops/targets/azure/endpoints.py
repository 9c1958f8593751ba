"""Online endpoints of Azure ML. The endpoint is Pulumi's, its deployments and traffic are `mlops apply`'s."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import Blocked, InvalidInput, NotFound, TargetError, Unavailable
from mlops.serving.score.core import verify
from mlops.spec.capture import synthetic_id
from mlops.spec.online import OnlineSettings
from mlops.spec.release import Release
from mlops.spec.settings import ModelSettings
from mlops.spec.signing import signed_release
from mlops.targets._log_tail import log_tail
from mlops.targets._remote_endpoints import RemoteEndpoints, require_deployments
from mlops.targets.azure import _online
from mlops.targets.azure._metrics import Counters
from mlops.targets.azure._scoring import Answered, Scoring
from mlops.targets.azure.connect import Connection
from mlops.targets.azure.shared import SharedModels
from mlops.targets.base import EndpointState, TrafficSample
from mlops.tracking.azure_errors import azure_sentences, status_of

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

WAIT_SECONDS = 3600.0
"""For a deployment that somebody else has begun to make: an image may have to be built."""
_BUSY_TRIES, _PAUSE = 30, 10.0
_LOG_LINES = 20


class AzureEndpoints(RemoteEndpoints):
    """Implements `mlops.targets.base.Endpoints` for managed and Kubernetes online endpoints.

    Nothing is remembered between calls but what saves requests: any process may go on where another died.
    """

    _connection: Connection

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._shared = SharedModels(connection)
        self._counters = Counters(self._monitor)
        self._scoring = Scoring(connection)
        self._monitors: dict[str, Any] = {}

    def state(self, environment: str, model: str) -> EndpointState:
        """What is there now; an endpoint that Pulumi has not made has no URL."""
        name = self._name(environment, model)
        resource = self._find(environment, name)
        if resource is None:
            return EndpointState(environment, model)
        with azure_sentences(f"list the deployments of {name}"):
            there = list(self._client(environment).online_deployments.list(name))
        traffic, mirror = resource.traffic or {}, resource.mirror_traffic or {}
        rows = sorted((_online.public(d, traffic, mirror) for d in there), key=lambda d: d.name)
        url, settings = str(resource.scoring_uri or ""), self._fingerprint(model)
        return EndpointState(environment, model, url, tuple(rows), settings)

    def create(self, environment: str, deployment: str, release: Release, artifact: Path) -> None:
        """Ready at zero traffic (100 % if it is the endpoint's first).

        Raises `IntegrityError` when the artifact is not what was released, `Blocked` when the colour serves
        another release, `TargetError` with the container's last words when it does not start; the endpoint
        is then as before.
        """
        verify(artifact, release.digest)
        endpoint = self._endpoint(environment, release.model)
        state = self._settled(environment, release.model, deployment)
        there = state.deployment(deployment)
        same = there is not None and (there.release, there.digest) == (release.version, release.digest)
        if there is not None and not (same and there.state == "ready"):
            if there.traffic and not same:
                raise Blocked(f"{deployment} serves release {there.release}; take its traffic away first")
            if there.state == "failed" or not same:
                self._remove(environment, endpoint.name, deployment)
                there = None
        if there is None:
            self._make(environment, endpoint, deployment, release, artifact)
        self._scale(environment, endpoint, deployment, release.model)
        if not any(d.traffic for d in state.deployments):
            self.set_traffic(environment, release.model, {deployment: 100})

    def set_traffic(
        self,
        environment: str,
        model: str,
        traffic: Mapping[str, int],
        mirror: Mapping[str, int] | None = None,
    ) -> None:
        """Percentages by deployment, summing to 100; in effect when it returns. Raises `InvalidInput`."""
        state = self.state(environment, model)
        require_deployments(state, traffic, mirror or {})
        endpoint = self._endpoint(environment, model)
        wrong = _online.traffic_problem(state, traffic, mirror or {}, _is_kubernetes(endpoint))
        if wrong:
            raise InvalidInput(f"{model} in {environment} cannot split its traffic so: {wrong}")
        wanted = {name: int(traffic.get(name, 0)) for name in sorted(d.name for d in state.deployments)}
        mirrored = {name: int(share) for name, share in (mirror or {}).items() if share}
        if (endpoint.traffic or {}) == wanted and (endpoint.mirror_traffic or {}) == mirrored:
            return
        endpoint.traffic, endpoint.mirror_traffic = wanted, mirrored
        self._put(environment, endpoint, f"set the traffic of {endpoint.name}")

    def delete(self, environment: str, model: str, deployment: str) -> None:
        """Azure lets requests in flight end. None there is no error; one with traffic is `Blocked`."""
        state = self._settled(environment, model, deployment)
        running = state.deployment(deployment)
        if running is None:
            return
        if running.traffic:
            raise Blocked(f"{deployment} has {running.traffic} % of the traffic; take it away first")
        if running.mirror:
            self.set_traffic(environment, model, {d.name: d.traffic for d in state.deployments if d.traffic})
        endpoint = self._endpoint(environment, model)
        if deployment in (endpoint.traffic or {}):
            # Azure refuses to delete what the traffic names, even with a share of zero.
            endpoint.traffic = {k: v for k, v in endpoint.traffic.items() if k != deployment}
            self._put(environment, endpoint, f"take {deployment} out of the traffic of {endpoint.name}")
        self._remove(environment, endpoint.name, deployment)

    def stop(self, environment: str, model: str) -> None:
        """Delete every deployment; the endpoint itself is Pulumi's and stays, and costs nothing."""
        state = self.state(environment, model)
        if not state.deployments:
            return
        endpoint = self._endpoint(environment, model)
        endpoint.traffic, endpoint.mirror_traffic = {}, {}
        self._put(environment, endpoint, f"take the traffic off {endpoint.name}")
        for deployment in state.deployments:
            self._remove(environment, endpoint.name, deployment.name)

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
        endpoint = self._scoring.endpoint(environment, self._name(environment, model))
        place = f"the endpoint of {model} in {environment}"
        if deployment:
            self._counters.started(endpoint.id, deployment)
        answer = self._scoring.ask(
            environment,
            endpoint,
            payload,
            deployment,
            place,
            request_id=synthetic_id() if synthetic else None,
        )
        if served := answer.deployment or deployment:
            self._counters.sent(endpoint.id, served, answer.status, answer.model_status)
        if answer.status != 200:
            raise TargetError(f"{place} answered {_code(answer)}: {_said(answer)}")
        content = json.loads(answer.body)
        # Azure's inference server writes text once more as text when a script returns text.
        return json.loads(content) if isinstance(content, str) else content  # type: ignore[no-any-return]

    def key(self, environment: str, model: str) -> str:
        """The endpoint's first key, or a token of Entra ID for one that knows no keys."""
        return self._scoring.key(environment, self._name(environment, model))

    def rotate(self, environment: str, model: str) -> None:
        """A new first key; the old one is the second until the next time, so that no request fails."""
        from mlops.targets.azure._keys import rotate

        endpoint = self._scoring.endpoint(environment, self._name(environment, model))
        if not endpoint.keys:
            raise TargetError(
                f"{endpoint.name} knows no keys: callers log in with Entra ID, nothing to rotate"
            )
        rotate(self._connection, environment, endpoint.name, endpoint.id)
        self._scoring.forget(environment, endpoint.name)

    def _count(
        self, environment: str, model: str, deployment: str, bounds: tuple[float, ...]
    ) -> TrafficSample:
        endpoint = self._scoring.endpoint(environment, self._name(environment, model))
        with azure_sentences("read Azure Monitor's metrics"):
            return self._counters.read(environment, endpoint.id, deployment, bounds)

    # --- Azure ------------------------------------------------------------------------------------------

    def _client(self, environment: str) -> MLClient:
        return self._connection.client(environment)

    def _name(self, environment: str, model: str) -> str:
        return self._connection.place(environment).endpoint("online_endpoint", model)

    def _settings(self, model: str) -> ModelSettings:
        return self._connection.settings.model(model)[1]

    def _monitor(self, environment: str) -> Any:
        if environment not in self._monitors:
            from azure.mgmt.monitor import MonitorManagementClient

            self._monitors[environment] = MonitorManagementClient(
                self._connection.credential, self._connection.subscription(environment)
            )
        return self._monitors[environment]

    def _find(self, environment: str, name: str) -> Any:
        try:
            with azure_sentences(f"ask for the endpoint {name}"):
                return self._client(environment).online_endpoints.get(name)
        except NotFound:
            return None

    def _endpoint(self, environment: str, model: str) -> Any:
        """The endpoint. A managed one is Pulumi's to make; one on Kubernetes is made here."""
        name = self._name(environment, model)
        resource = self._find(environment, name)
        cluster = self._settings(model).online.kubernetes
        if resource is None and cluster is not None:
            from azure.ai.ml.entities import KubernetesOnlineEndpoint

            on_cluster = KubernetesOnlineEndpoint(name=name, compute=cluster.compute, auth_mode="key")
            on_cluster.tags = {"model": model}
            self._put(environment, on_cluster, f"make the endpoint {name} on {cluster.compute}")
            resource = self._find(environment, name)
        if resource is None:
            raise NotFound(
                f"the endpoint {name} does not exist; it belongs to the infrastructure: list {model} under "
                f"`endpoints` of environments/Pulumi.{environment}.yaml and run `pulumi up`"
            )
        if _is_kubernetes(resource) != (cluster is not None):
            kind = "a Kubernetes" if cluster is None else "a managed"
            raise InvalidInput(
                f"the endpoint {name} is {kind} one, but mlops.toml says otherwise "
                f"(models.{model}.online.kubernetes); correct it, or delete the endpoint"
            )
        return resource

    def _put(self, environment: str, endpoint: Any, what: str) -> None:
        operations = self._client(environment).online_endpoints
        _patiently(what, lambda: operations.begin_create_or_update(endpoint))

    def _settled(self, environment: str, model: str, deployment: str) -> EndpointState:
        """The state once nobody else makes or changes this deployment."""
        until = time.monotonic() + WAIT_SECONDS
        while True:
            state = self.state(environment, model)
            running = state.deployment(deployment)
            if running is None or running.state != "creating":
                return state
            if time.monotonic() > until:
                raise TargetError(
                    f"{deployment} of {model} in {environment} is still being made after {WAIT_SECONDS:g} s; "
                    "look at it in Azure ML's studio, then run the same command again"
                )
            time.sleep(_PAUSE)

    def _make(self, environment: str, endpoint: Any, name: str, release: Release, artifact: Path) -> None:
        settings, connection = self._settings(release.model), self._connection
        model = self._mounted(environment, release, artifact)
        store = self._datastore(environment) if settings.capture.enabled else _online.DEFAULT_STORE
        operations = self._client(environment).online_deployments

        def begin() -> Any:
            # Made anew for each attempt: the client resolves names and paths inside the entity.
            entity = _online.deployment_of(
                connection.root,
                release,
                endpoint=endpoint.name,
                name=name,
                environment=environment,
                model=model,
                online=settings.online,
                capture=settings.capture,
                signed=signed_release(
                    connection.root, connection.settings.signing, release.model, release.version
                ),
                store=store,
                settings=self._fingerprint(release.model),
            )
            return operations.begin_create_or_update(entity)

        self._counters.forget(endpoint.id, name)
        try:
            _patiently(f"make the deployment {name} of {endpoint.name}", begin)
        except Unavailable as error:
            # What Azure has begun it goes on with; the next run waits for it (`_settled`).
            raise Unavailable(f"{error}; if Azure has begun it, that run waits for its end") from error
        except TargetError as error:
            words = self._log(environment, endpoint.name, name)
            with contextlib.suppress(TargetError):
                self._remove(environment, endpoint.name, name)
            raise type(error)(f"{error}{words}") from error

    def _fingerprint(self, model: str) -> str:
        settings = self._settings(model)
        connection = self._connection
        return _online.fingerprint(
            connection.root, model, settings.online, settings.capture, connection.settings.signing
        )

    def _datastore(self, environment: str) -> str:
        """Where captured traffic goes: the datastore that `infra/` makes for it, else the workspace's own."""
        try:
            with azure_sentences(f"ask for the datastore {_online.CAPTURED}"):
                return str(self._client(environment).datastores.get(_online.CAPTURED).name)
        except NotFound:
            return _online.DEFAULT_STORE

    def _mounted(self, environment: str, release: Release, artifact: Path) -> str:
        """What Azure mounts: the registry's version, or, without one, that of the environment's workspace."""
        if self._shared.there:
            return self._shared.uri(release.model, release.version)
        name, version = release.model, str(release.version)
        models = self._client(environment).models
        try:
            with azure_sentences(f"ask for {name} {version}"):
                known = models.get(name, version)
        except NotFound:
            from azure.ai.ml.entities import Model

            tags = {_online.DIGEST: release.digest, "mlops.commit": release.source.commit}
            copy = Model(name=name, version=version, type="mlflow_model", path=str(artifact), tags=tags)
            with azure_sentences(f"copy {name} {version} into the workspace of {environment}"):
                known = models.create_or_update(copy)
        recorded = (known.tags or {}).get(_online.DIGEST)
        if recorded != release.digest:
            raise TargetError(
                f"{name} {version} of the workspace of {environment} has the digest {recorded or 'none'}, "
                f"the release {release.digest}: it is another model of the same number"
            )
        return f"azureml:{name}:{version}"

    def _remove(self, environment: str, endpoint: str, name: str) -> None:
        operations = self._client(environment).online_deployments
        self._unscale(environment, endpoint, name)
        with contextlib.suppress(NotFound):
            what = f"delete the deployment {name} of {endpoint}"
            _patiently(what, lambda: operations.begin_delete(name=name, endpoint_name=endpoint))

    def _log(self, environment: str, endpoint: str, name: str) -> str:
        """What the container said last, to be put behind an error; empty when it said nothing."""
        try:
            with azure_sentences(f"read the log of {name}"):
                text = self._client(environment).online_deployments.get_logs(
                    name=name, endpoint_name=endpoint, lines=_LOG_LINES
                )
        except TargetError:
            return ""
        return log_tail(str(text), _LOG_LINES)

    def _scale(self, environment: str, endpoint: Any, name: str, model: str) -> None:
        online: OnlineSettings = self._settings(model).online
        if not online.scales:
            return
        body = _online.autoscale_of(online, f"{endpoint.id}/deployments/{name}", endpoint.location)
        group = self._connection.place(environment).resource_group
        with azure_sentences(f"make the scaling rules of {name}"):
            self._monitor(environment).autoscale_settings.create_or_update(
                group, _rule(endpoint.name, name), body
            )

    def _unscale(self, environment: str, endpoint: str, name: str) -> None:
        """Rules of a deployment that is gone would fail for ever; none there is no error."""
        group = self._connection.place(environment).resource_group
        if not any(m.online.max_instances > 1 for m in self._connection.settings.models.values()):
            return
        with contextlib.suppress(NotFound), azure_sentences(f"delete the scaling rules of {name}"):
            self._monitor(environment).autoscale_settings.delete(group, _rule(endpoint, name))


def _patiently(what: str, begin: Callable[[], Any]) -> None:
    """Carry out a long operation; Azure refuses it with 409 while somebody else changes the endpoint."""
    for attempt in range(_BUSY_TRIES):
        try:
            # The client prints dots to standard output while it waits.
            with azure_sentences(what), contextlib.redirect_stdout(io.StringIO()):
                begin().result()
        except TargetError as error:
            if _status(error) != 409 or attempt == _BUSY_TRIES - 1:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _rule(endpoint: str, deployment: str) -> str:
    return f"autoscale-{endpoint}-{deployment}"


def _is_kubernetes(endpoint: Any) -> bool:
    return type(endpoint).__name__.startswith("Kubernetes")


def _status(error: TargetError) -> int:
    cause = error.__cause__
    return status_of(cause) if isinstance(cause, Exception) else 0


def _code(answer: Answered) -> str:
    inner = f" ({answer.model_status} from the model)" if answer.model_status else ""
    return f"{answer.status}{inner}"


def _said(answer: Answered) -> str:
    """The sentence of our own server's refusal, or what was answered."""
    try:
        refusal = json.loads(answer.body)
        return str(refusal["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.body.decode("utf-8", "replace")[:400] or "nothing"

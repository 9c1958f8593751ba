"""Requests to the scoring URL of an endpoint, with its keys or with a token of Entra ID.

`MLClient.online_endpoints.invoke` reads the endpoint, its deployments and its keys before every request; here
they are read once, and again when the endpoint refuses them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops.errors import NotFound, TargetError
from mlops.targets.azure.connect import Connection
from mlops.tracking.azure_errors import azure_sentences

if TYPE_CHECKING:
    from azure.core import PipelineClient

AUDIENCE = "https://ml.azure.com/.default"
DEPLOYMENT = "azureml-model-deployment"
MODEL_STATUS = "ms-azureml-model-error-statuscode"
_TIMEOUT = 190.0
"""Seconds; Azure's own limit is 180."""
_EARLY = 120.0
"""Seconds before its end that a token is renewed."""


@dataclass(frozen=True)
class Endpoint:
    """What a request needs to know."""

    name: str
    id: str
    url: str
    keys: bool
    """Whether it knows keys; if not, tokens of Entra ID."""


@dataclass(frozen=True)
class Answered:
    """An answer; `model_status` is the container's own status when Azure says 424, else 0."""

    status: int
    body: bytes
    deployment: str
    model_status: int


class Scoring:
    """Requests of one process; endpoints and keys are remembered."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        self._keys: dict[tuple[str, str], tuple[str, float]] = {}
        self._client: PipelineClient[Any, Any] | None = None

    def endpoint(self, environment: str, name: str) -> Endpoint:
        """Raises `NotFound`."""
        if (environment, name) not in self._endpoints:
            try:
                with azure_sentences(f"ask for the endpoint {name}"):
                    resource = self._connection.client(environment).online_endpoints.get(name)
            except NotFound:
                raise NotFound(
                    f"there is no endpoint {name}; `mlops apply {environment}` needs it too: "
                    f"it belongs to environments/Pulumi.{environment}.yaml"
                ) from None
            keys = str(resource.auth_mode).lower() == "key"
            url = str(resource.scoring_uri or "")
            self._endpoints[environment, name] = Endpoint(name, str(resource.id), url, keys)
        return self._endpoints[environment, name]

    def key(self, environment: str, name: str) -> str:
        """The first key, or a token."""
        endpoint = self.endpoint(environment, name)
        known, until = self._keys.get((environment, name), ("", 0.0))
        if known and time.time() < until:
            return known
        if endpoint.keys:
            with azure_sentences(f"read the keys of {name}"):
                secret = self._connection.client(environment).online_endpoints.get_keys(name).primary_key
            until = time.time() + 3600
        else:
            with azure_sentences(f"get a token for {name}"):
                token = self._connection.credential.get_token(AUDIENCE)
            secret, until = token.token, token.expires_on - _EARLY
        self._keys[environment, name] = (str(secret), until)
        return str(secret)

    def forget(self, environment: str, name: str) -> None:
        """Read its key again before the next request."""
        self._keys.pop((environment, name), None)

    def ask(
        self,
        environment: str,
        endpoint: Endpoint,
        payload: Mapping[str, Any],
        deployment: str | None,
        place: str,
        *,
        request_id: str | None = None,
    ) -> Answered:
        """The answer, whatever its status; keys that were changed meanwhile are read again."""
        answer = self._send(environment, endpoint, payload, deployment, place, request_id=request_id)
        if answer.status == 401:
            self._keys.pop((environment, endpoint.name), None)
            answer = self._send(environment, endpoint, payload, deployment, place, request_id=request_id)
        if answer.status in (401, 403):
            self._keys.pop((environment, endpoint.name), None)
            right = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action"
            why = "its key was refused" if endpoint.keys else f"this identity lacks the right {right}"
            raise TargetError(f"{place} answered {answer.status}: {why}")
        return answer

    def _send(
        self,
        environment: str,
        endpoint: Endpoint,
        payload: Mapping[str, Any],
        deployment: str | None,
        place: str,
        *,
        request_id: str | None = None,
    ) -> Answered:
        from azure.core.exceptions import AzureError
        from azure.core.rest import HttpRequest

        headers = {
            "content-type": "application/json",
            "authorization": f"Bearer {self.key(environment, endpoint.name)}",
        }
        if deployment:
            headers[DEPLOYMENT] = deployment
        if request_id:
            headers["x-request-id"] = request_id
        request = HttpRequest("POST", endpoint.url, content=json.dumps(dict(payload)), headers=headers)
        try:
            response = self._pipeline().send_request(request, connection_timeout=10, read_timeout=_TIMEOUT)
        except AzureError as error:
            raise TargetError(f"{place} is down or cannot be reached: {str(error)[:200]}") from None
        model = response.headers.get(MODEL_STATUS, "")
        return Answered(
            response.status_code,
            response.content,
            response.headers.get(DEPLOYMENT, ""),
            int(model) if model.isdecimal() else 0,
        )

    def _pipeline(self) -> PipelineClient[Any, Any]:
        if self._client is None:
            from azure.core import PipelineClient
            from azure.core.pipeline.policies import UserAgentPolicy

            # No retries: a rollout counts failed requests, and a hidden one would be a lie.
            self._client = PipelineClient("https://ml.azure.com", policies=[UserAgentPolicy("mlops")])
        return self._client

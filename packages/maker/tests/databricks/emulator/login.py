"""Who works there: an OIDC token is exchanged for one of the workspace, as by a federation policy."""

from __future__ import annotations

import base64
import json
import secrets
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from .http import Answer, Refused, Request

if TYPE_CHECKING:
    from .server import Emulator

CLIENT = "6f0e8a52-0000-4000-8000-00000000a11c"
"""Application id of the service principal that the federation policy is of."""
SUBJECT = "repo:contoso/flights:environment:prod"
_OPEN = ("/.well-known/", "/oidc/")
_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"


class Login:
    """`refuse`: why tokens are refused from now on; empty: they are not. `lifetime`: seconds of a token."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._tokens: set[str] = set()
        self.refuse = ""
        self.lifetime = 3600
        self.subject = SUBJECT

    @property
    def env(self) -> dict[str, str]:
        """Variables of a job with a federated identity; its assertion lives ten minutes."""
        return {"DATABRICKS_CLIENT_ID": CLIENT, "DATABRICKS_OIDC_TOKEN": self.assertion(600)}

    def assertion(self, seconds: float) -> str:
        """What a CI system gives to a job."""
        claims = {"sub": self.subject, "aud": "databricks", "exp": int(time.time() + seconds)}
        return ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
            for part in ({"alg": "none"}, claims, {})
        )

    def check(self, request: Request) -> None:
        """Refuse a request without a token of ours."""
        if request.path.startswith(_OPEN):
            return
        if self.refuse:
            raise Refused(401, "UNAUTHENTICATED", self.refuse)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self._tokens:
            raise Refused(401, "UNAUTHENTICATED", "Credential was not sent or was of an unsupported type")

    def discover(self, request: Request) -> Answer:
        return Answer(
            200, {"oidc_endpoint": f"{self._emulator.url}/oidc", "workspace_id": "77", "cloud": "AZURE"}
        )

    def endpoints(self, request: Request) -> Answer:
        url = f"{self._emulator.url}/oidc/v1"
        return Answer(200, {"authorization_endpoint": f"{url}/authorize", "token_endpoint": f"{url}/token"})

    def exchange(self, request: Request) -> Answer:
        given = {key: values[0] for key, values in parse_qs(request.body.decode()).items()}
        if given.get("grant_type") != _GRANT or given.get("client_id") != CLIENT:
            return _no("invalid_client", "no federation policy is for this client")
        try:
            part = given["subject_token"].split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        except (ValueError, LookupError):
            return _no("invalid_request", "the subject token is no JWT")
        if claims.get("sub") != SUBJECT:
            return _no("invalid_grant", f"no federation policy admits the subject {claims.get('sub')}")
        if claims.get("exp", 0) < time.time():
            return _no("invalid_grant", "the subject token has expired")
        token = secrets.token_urlsafe(24)
        self._tokens.add(token)
        return Answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime})

    def me(self, request: Request) -> Answer:
        return Answer(200, {"id": "1", "userName": CLIENT, "active": True})


def _no(code: str, message: str) -> Answer:
    return Answer(400, {"error": code, "error_description": message})


def install(emulator: Emulator) -> Login:
    login = Login(emulator)
    add = emulator.router.add
    add("GET", r"/\.well-known/databricks-config", login.discover)
    add("GET", r"/oidc/\.well-known/oauth-authorization-server", login.endpoints)
    add("POST", r"/oidc/v1/token", login.exchange)
    add("GET", r"/api/2\.0/preview/scim/v2/Me", login.me)
    return login

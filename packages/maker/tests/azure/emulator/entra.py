"""Microsoft Entra ID: tokens for a federated workload, that expire, and assertions that expire sooner."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from .http import Answer, Refused, Request

if TYPE_CHECKING:
    from .server import Emulator

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
_HOST = "login.microsoftonline.com"
_SECRET = "of the machine"
_BASE = f"https://{_HOST}/{TENANT}"


class Entra:
    """`lifetime`: seconds that an access token lives. `tokens` counts what was given out.

    `unknown` makes the tenant refuse this application altogether.
    """

    def __init__(self, folder: Path) -> None:
        self.lifetime = 3600.0
        self.unknown = False
        self.tokens = 0
        self._managed: ThreadingHTTPServer | None = None
        self._file = folder / "assertion"
        self._file.write_text(assertion(), encoding="utf-8")

    @property
    def login(self) -> dict[str, str]:
        """The variables of a workload identity."""
        return {
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": CLIENT,
            "AZURE_FEDERATED_TOKEN_FILE": str(self._file),
        }

    @property
    def identity(self) -> dict[str, str]:
        """The variables of a cluster with a managed identity; its endpoint starts with the first who asks."""
        if self._managed is None:
            self._managed = ThreadingHTTPServer(("127.0.0.1", 0), _Managed)
            self._managed.daemon_threads = True
            self._managed.entra = self  # type: ignore[attr-defined]
            threading.Thread(target=self._managed.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{self._managed.server_address[1]}/token"
        return {"MSI_ENDPOINT": url, "MSI_SECRET": _SECRET, "DEFAULT_IDENTITY_CLIENT_ID": CLIENT}

    def close(self) -> None:
        if self._managed is not None:
            self._managed.shutdown()
            self._managed.server_close()

    def renew_assertion(self, seconds: float = 300) -> None:
        """What the workload finds in its token file from now on."""
        self._file.write_text(assertion(seconds), encoding="utf-8")

    def check(self, request: Request) -> None:
        """Refuse a request without a token that is still good."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            raise Refused(
                401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
            )
        if _claims(token).get("exp", 0) < time.time():
            raise Refused(
                401,
                "ExpiredAuthenticationToken",
                "The access token expiry UTC time is earlier than current UTC time.",
                {"www-authenticate": 'Bearer error="invalid_token"'},
            )

    def token(self, audience: str, seconds: float | None = None) -> str:
        """An access token."""
        now = time.time()
        self.tokens += 1
        return _jwt(
            aud=audience,
            iss=f"https://sts.windows.net/{TENANT}/",
            tid=TENANT,
            oid=CLIENT,
            appid=CLIENT,
            iat=int(now),
            nbf=int(now) - 60,
            exp=int(now + (self.lifetime if seconds is None else seconds)),
        )

    def issue(self, request: Request) -> Answer:
        """Client credentials flow with a federated assertion."""
        form = dict(parse_qsl(request.body.decode()))
        if self.unknown:
            return _refusal(
                700016, "unauthorized_client", f"Application with identifier '{CLIENT}' was not found."
            )
        if form.get("grant_type") != "client_credentials" or "client_assertion" not in form:
            return _refusal(7000218, "invalid_client", "The request body must contain 'client_assertion'.")
        if _claims(form["client_assertion"]).get("exp", 0) < time.time():
            return _refusal(700024, "invalid_client", "Client assertion is not within its valid time range.")
        audience = form["scope"].split()[0].removesuffix("/.default")
        life = int(self.lifetime)
        token = self.token(audience)
        return Answer(
            200, {"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token}
        )


class _Managed(BaseHTTPRequestHandler):
    """Tokens for whoever is on the machine and knows its secret."""

    def do_GET(self) -> None:
        query = dict(parse_qsl(urlsplit(self.path).query))
        known = self.headers["secret"] == _SECRET and query.get("clientid") == CLIENT
        entra = self.server.entra  # type: ignore[attr-defined]
        until = str(int(time.time() + entra.lifetime))
        token = {"access_token": entra.token(query.get("resource", "")), "expires_on": until}
        body = json.dumps(
            {**token, "resource": query.get("resource"), "token_type": "Bearer"} if known else {}
        )
        self.send_response(200 if known else 400)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""


def assertion(seconds: float = 300) -> str:
    """What GitHub's or Kubernetes' issuer gives a workload."""
    return _jwt(
        iss="https://token.actions.githubusercontent.com",
        aud="api://AzureADTokenExchange",
        sub="repo:OWNER/REPO:environment:dev-train",
        exp=int(time.time() + seconds),
        jti=uuid.uuid4().hex,
    )


def install(emulator: Emulator) -> Entra:
    """Routes of login.microsoftonline.com."""
    entra = Entra(emulator.folder)
    emulator.router.add("GET", _HOST, r".*/\.well-known/openid-configuration", _configuration)
    emulator.router.add("GET", _HOST, r"/common/discovery/instance", _instance)
    emulator.router.add("POST", _HOST, r"/[^/]+/oauth2/v2\.0/token", entra.issue)
    return entra


def _configuration(_: Request) -> Answer:
    return Answer(
        200,
        {
            "token_endpoint": f"{_BASE}/oauth2/v2.0/token",
            "authorization_endpoint": f"{_BASE}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{_BASE}/oauth2/v2.0/devicecode",
            "issuer": f"{_BASE}/v2.0",
            "jwks_uri": f"{_BASE}/discovery/v2.0/keys",
        },
    )


def _instance(_: Request) -> Answer:
    metadata = [{"preferred_network": _HOST, "preferred_cache": "login.windows.net", "aliases": [_HOST]}]
    endpoint = f"{_BASE}/v2.0/.well-known/openid-configuration"
    return Answer(200, {"tenant_discovery_endpoint": endpoint, "metadata": metadata})


def _refusal(number: int, error: str, message: str) -> Answer:
    body = {"error": error, "error_description": f"AADSTS{number}: {message}", "error_codes": [number]}
    return Answer(401 if error == "invalid_client" else 400, body)


def _jwt(**claims: Any) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts)
        + ".c2ln"
    )


def _claims(token: str) -> dict[str, Any]:
    try:
        middle = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}

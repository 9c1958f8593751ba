"""Keys of a vault at the vault itself: its data plane, which has roles of its own."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, Final

from mlops.errors import Forbidden, TargetError
from mlops.targets.azure import login
from mlops.tracking.azure_errors import azure_sentences

SCOPE: Final = "https://vault.azure.net/.default"
_VERSION: Final = "7.4"


def sign(url: str, message: bytes) -> bytes:
    """The signature (ECDSA, P-256, SHA-256: two numbers of 32 bytes) by the newest version of a key.

    Raises `Forbidden` for an identity that may not sign, and `TargetError`.
    """
    value = base64.urlsafe_b64encode(hashlib.sha256(message).digest()).decode().rstrip("=")
    answer = _send(
        login.credential(), "POST", f"{url}/sign", f"sign with {url}", {"alg": "ES256", "value": value}
    )
    if answer is None:
        raise TargetError(
            f"cannot sign with {url}: there is no such key; `mlops doctor` says what is missing"
        )
    return decoded(str(answer["value"]))


def read_key(credential: Any, url: str) -> Mapping[str, Any] | None:
    """The public half as a JSON web key; None where there is no such key. Raises as `sign` does."""
    answer = _send(credential, "GET", url, f"read {url}")
    return None if answer is None else dict(answer["key"])


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _send(credential: Any, method: str, url: str, what: str, body: Mapping[str, str] | None = None) -> Any:
    from azure.core import PipelineClient
    from azure.core.exceptions import HttpResponseError
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy
    from azure.core.rest import HttpRequest

    policies: list[Any] = [RetryPolicy(retry_total=4), BearerTokenCredentialPolicy(credential, SCOPE)]
    request = HttpRequest(method, url, params={"api-version": _VERSION}, json=body)
    with PipelineClient(url, policies=policies) as client:
        try:
            with azure_sentences(what):
                answer = client.send_request(request)
                if answer.status_code == 404:
                    return None
                if answer.status_code >= 400:
                    raise HttpResponseError(response=answer)
        except Forbidden as error:
            raise Forbidden(
                f"cannot {what}: this identity may not use the key. Only the identities that train may sign "
                "what gates decide (docs/security.md); a new assignment takes some minutes to work"
            ) from error
        return answer.json()

"""What Azure's clients raise, as sentences for the person who must act. Needs no client to be imported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlops.errors import Forbidden, InvalidInput, MlopsError, NotFound, TargetError, Unavailable

_LOGIN = (
    "log in with `az login`, or give a job its federated identity (AZURE_TENANT_ID, AZURE_CLIENT_ID and an "
    "OIDC token; docs/azure.md)"
)
_AADSTS = re.compile(r"AADSTS\d+:.*?(?=' Content:|\.? Trace ID:|\r|\n|$)")
_ACTION = re.compile(r"perform action '([^']+)' over scope '([^']+)'")
_CODE = re.compile(r"^\((\w+)\) (?=\S)")
_REPEATED = re.compile(r"\n(?=Code: )")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_DETAILS = re.compile(
    r"Details:\s*(?:\(x\)\s*)?(?P<said>.*?)\s*(?:Resolutions:|Additional Resources:|$)", re.DOTALL
)
"""Where azure-ai-ml explains a file that it refuses: only this part is about the file."""
_REFUSED = 400
_SHOWN = 400
"""Characters of Azure's own words that a sentence repeats."""


@contextmanager
def azure_sentences(what: str) -> Iterator[None]:
    """Turn what Azure's clients raise while they `what` into `NotFound`, `InvalidInput` or `TargetError`."""
    from azure.core.exceptions import AzureError

    try:
        yield
    except AzureError as error:
        raise azure_sentence(error, what) from error


def azure_sentence(error: Exception, what: str) -> MlopsError:
    """The refusal for an `azure.core.exceptions.AzureError`, by type, status and code."""
    from azure.core.exceptions import (
        ClientAuthenticationError,
        HttpResponseError,
        ServiceRequestError,
        ServiceResponseError,
    )

    text = _words(error)
    if isinstance(error, ClientAuthenticationError):
        return TargetError(f"cannot {what}: {_login(error, text)}")
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return Unavailable(
            f"cannot {what}: Azure cannot be reached or broke the connection ({text[:200]}); "
            "look at the network, then run the same command again"
        )
    if isinstance(error, HttpResponseError):
        return _answered(error, what, text)
    # azure-ai-ml blames the user for whatever stopped a download; what Azure answered is behind it.
    for behind in (error.__cause__, getattr(error, "error", None)):
        if isinstance(behind, HttpResponseError | ServiceRequestError | ServiceResponseError):
            return azure_sentence(behind, what)
    if getattr(error, "error_category", "") in ("UserError", "User Error"):
        return InvalidInput(f"cannot {what}: {text[:_SHOWN]}")
    return TargetError(f"cannot {what}: {text[:_SHOWN]}")


def status_of(error: Exception) -> int:
    """The HTTP status that is behind an error of a client; 0 when it has none."""
    return int(getattr(error, "status_code", 0) or 0)


def _login(error: Any, text: str) -> str:
    said = _AADSTS.search(text)
    words = said[0] if said else text[:_SHOWN]
    if "AADSTS700024" in text:
        return (
            "the login of this job has expired, for its federated token lives only minutes, and no new one "
            f"could be had; {_LOGIN}, then run the same command again. Entra ID says: {words}"
        )
    if said:
        return f"Microsoft Entra ID refuses the login: {words}; correct the identity, or {_LOGIN}"
    if status_of(error) == 401:
        return f"Azure does not accept the login any more ({words}); {_LOGIN}"
    return f"nobody is logged in to Azure; {_LOGIN}"


def _answered(error: Any, what: str, text: str) -> MlopsError:
    status = status_of(error)
    if status == 403:
        match = _ACTION.search(text)
        right = f"the right {match[1]} on {match[2]}" if match else text[:_SHOWN]
        return Forbidden(
            f"cannot {what}: this identity lacks {right}; docs/security.md says who may do what, "
            "and a new assignment takes some minutes to work"
        )
    if status == 404:
        return NotFound(f"cannot {what}: {text[:_SHOWN]}")
    if status == 429:
        wait = error.response.headers.get("Retry-After", "") if error.response is not None else ""
        after = f" in {wait} s" if wait else " later"
        return Unavailable(
            f"cannot {what}: Azure limits the rate of requests; run the same command again{after}"
        )
    if "quota" in text.lower():
        return TargetError(
            f"cannot {what}: the quota of the subscription is used up ({text[:_SHOWN]}); "
            "ask for more in the portal under Quotas, or take a smaller size"
        )
    if status >= 500:
        return Unavailable(
            f"cannot {what}: Azure failed with {status} ({text[:200]}); run the same command again, "
            "and see https://status.azure.com if it goes on"
        )
    # A long operation that fails is told by an answer that is 200.
    code = f"Azure answers {status}: " if status >= _REFUSED else ""
    return TargetError(f"cannot {what}: {code}{text[:_SHOWN]}")


def _words(error: Any) -> str:
    """Azure's message on one line, without what repeats it."""
    inner = getattr(error, "error", None)
    message = str(getattr(inner, "message", None) or getattr(error, "message", None) or str(error))
    # "(Code) sentence", and below it both once more, each on a line of its own.
    first = _REPEATED.split(_COLOUR.sub("", message), maxsplit=1)[0]
    if explained := _DETAILS.search(first):
        first = explained["said"].replace("(x) ", "; ")
    return " ".join(_CODE.sub("", first).split())

"""What Databricks answers, as sentences for the person who must act. Needs no client to be imported."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mlops.errors import Forbidden, InvalidInput, MlopsError, NotFound, TargetError, Unavailable

LOGIN = (
    "log in with `az login` or `databricks auth login`, or give a job its federated identity "
    "(DATABRICKS_CLIENT_ID and an OIDC token; docs/databricks.md)"
)
_SHOWN = 400
"""Characters of Databricks' own words that a sentence repeats."""
_QUOTA = re.compile(r"quota|RESOURCE_LIMIT|QuotaExceeded|limit .* exceeded", re.I)
_CONFIG = re.compile(r" ?Config: host=.*$")
"""How the SDK ends its errors: with the settings of the client, which are no news to who made them."""
_LOGIN = re.compile(r"auth|^invalid_|^access_denied|^unauthorized|^Missing env var")
_CODES = (
    (re.compile(r"error code 401|UNAUTHENTICATED|status code 401"), 401),
    (re.compile(r"PERMISSION_DENIED|error code 403|status code 403"), 403),
    (re.compile(r"DOES_NOT_EXIST|NOT_FOUND|error code 404"), 404),
    (re.compile(r"RESOURCE_EXHAUSTED|REQUEST_LIMIT_EXCEEDED|error code 429|status code 429"), 429),
    (re.compile(r"TEMPORARILY_UNAVAILABLE|INTERNAL_ERROR|error code 5\d\d|status code 5\d\d"), 503),
)


class Busy(TargetError):
    """Something else changes the same thing at this moment."""


_KINDS: Mapping[int, tuple[type[MlopsError], str]] = {
    400: (InvalidInput, "Databricks refuses it: {text}"),
    401: (TargetError, "Databricks does not accept the login ({text}); {login}"),
    403: (
        Forbidden,
        "{text}. An owner of it gives the right; docs/databricks.md says who needs which",
    ),
    404: (NotFound, "{text}"),
    409: (
        Busy,
        "something else changes it at the same time ({text}); run the same command again when that has ended",
    ),
    429: (
        TargetError,
        "Databricks limits the rate of requests; run the same command again in a minute",
    ),
    500: (
        Unavailable,
        "Databricks failed by itself ({text}); run the same command again, and see "
        "https://status.azuredatabricks.net if it goes on",
    ),
}
"""What an error amounts to, and its words, by status."""


@contextmanager
def databricks_sentences(what: str) -> Iterator[None]:
    """Turn what its clients raise while they `what` into `NotFound`, `Forbidden` or `TargetError`."""
    import requests
    from databricks.sdk.errors import DatabricksError
    from mlflow.exceptions import MlflowException

    try:
        yield
    except DatabricksError as error:
        raise sentence(error, what) from error
    except MlflowException as error:
        raise sentence(error, what) from error
    except TimeoutError as error:  # the SDK has asked again and again; what was answered is its cause
        raise sentence(error.__cause__ or error, what) from error
    except requests.RequestException as error:
        raise sentence(error, what) from error
    except ValueError as error:  # how the SDK says that nobody is logged in
        if not _LOGIN.search(str(error)):
            raise
        raise TargetError(f"cannot {what}: {_login(_words(error))}") from error


def sentence(error: BaseException, what: str) -> MlopsError:
    """The refusal for an error of the SDK or of MLflow, by its kind and its words."""
    text, status = _words(error), status_of(error)
    if not status and isinstance(error, (OSError, TimeoutError)):
        return Unavailable(
            f"cannot {what}: Databricks cannot be reached or broke the connection ({text[:200]}); "
            "look at the network and the workspace's address, then run the same command again"
        )
    if status not in (401, 403, 404) and _QUOTA.search(text):
        return TargetError(
            f"cannot {what}: a quota or limit is used up ({text[:_SHOWN]}); "
            "take a smaller size or end what is not used, or have the limit raised"
        )
    kind, words = _KINDS.get(500 if status >= 500 else status, (TargetError, "{text}"))
    return kind(f"cannot {what}: " + words.format(text=text[:_SHOWN], login=LOGIN))


def status_of(error: BaseException) -> int:
    """The kind of an error as an HTTP status; 0 when nothing says it."""
    from databricks.sdk.errors import platform

    for status, kind in platform.STATUS_CODE_MAPPING.items():
        if isinstance(error, kind):
            return int(status)
    text = f"{getattr(error, 'error_code', '')} {error}"
    return next((status for pattern, status in _CODES if pattern.search(text)), 0)


def _login(text: str) -> str:
    if "default auth: cannot" in text:
        return f"nothing says who works there; {LOGIN}"
    return f"the login does not work ({text[:_SHOWN]}); {LOGIN}"


def _words(error: BaseException) -> str:
    text = _CONFIG.sub("", " ".join(str(error).split()))
    return text.rstrip(". ") or type(error).__name__

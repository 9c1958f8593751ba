"""A client for a tracking URI: fails soon, with a sentence, and keeps MLflow's chatter off the terminal."""

from __future__ import annotations

import functools
import logging
import os
import shutil
import socket
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from mlops.errors import NotFound, TargetError, Unavailable
from mlops.tracking import _sqlite

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

CONNECT_SECONDS = 3.0
_FULL = 1 << 20
"""Bytes; with less than this left, what failed to be written failed for that."""

# MLflow's own values retry a dead server for minutes. A reply that is slow is still waited for.
ENVIRONMENT = {
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}

_ABSENT = ("error code 404", "error code 405", "error code 501")
_MISSING = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
_LOST = (
    "Max retries exceeded",
    "Connection aborted",
    "Connection refused",
    "timed out",
    "failed with exception",
)


def quiet() -> None:
    """Set MLflow's environment and loggers; what the user has set already wins."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "alembic", "azureml", "azure"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # The SQL stores log a traceback of their own before they raise what is turned into a sentence here.
    logging.getLogger("mlflow.store").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"(mlflow|azureml)(\..*)?")


def shown(uri: str) -> str:
    """`uri` without user name, password and query, for sentences."""
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", "")) if host else uri


def client(uri: str) -> MlflowClient:
    """A client for `uri`, also its registry. Raises `TargetError` when the store cannot be used."""
    quiet()
    _check(uri)
    with translated(uri, "open the tracking store"):
        from mlflow.tracking import MlflowClient

        quiet()  # importing MLflow configures its loggers
        if uri.startswith("azureml:"):
            # Azure ML's plugin finds the workspace of an artifact by MLflow's global setting.
            from mlflow import set_tracking_uri

            set_tracking_uri(uri)
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def artifacts_of(uri: str, run_id: str) -> Any:
    """MLflow's repository of a run's files.

    The client's own calls look for logged models too, which Azure ML answers with 404; they then fail, or
    hide the reason why a file could not be fetched.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(client(uri).get_run(run_id).info.artifact_uri, tracking_uri=uri)


@functools.lru_cache(maxsize=16)
def _check(uri: str) -> None:
    """Find out in seconds what MLflow would find out by retries. A failure is not remembered."""
    parts = urlsplit(uri)
    if parts.scheme == "sqlite":
        _sqlite.prepare(_sqlite.path_of(uri))
    elif parts.scheme in ("http", "https"):
        from urllib.request import getproxies, proxy_bypass

        if getproxies().get(parts.scheme) and not proxy_bypass(parts.hostname or ""):
            return
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            socket.create_connection((parts.hostname or "", port), CONNECT_SECONDS).close()
        except (OSError, ValueError) as error:
            raise unreachable(uri, str(error)) from None
    elif parts.scheme not in ("azureml", "databricks") and uri != "databricks":
        raise TargetError(
            f"the tracking store {shown(uri)!r} is of a kind that is not supported; give sqlite:///<file>, "
            "http(s)://<server>, azureml://<workspace>, databricks or databricks://<profile>"
        )


def unreachable(uri: str, reason: str) -> Unavailable:
    """The sentence about a server that does not answer."""
    if uri.startswith("azureml:"):
        workspace = urlsplit(uri).path.rpartition("/")[2]
        return Unavailable(
            f"the workspace {workspace} does not answer ({reason}); run the same command again, and see "
            "https://status.azure.com if it goes on"
        )
    return Unavailable(
        f"the tracking server {shown(uri)} does not answer ({reason}); "
        "start it, or correct `tracking_uri` in mlops.toml or MLFLOW_TRACKING_URI"
    )


@contextmanager
def translated(uri: str, what: str) -> Iterator[None]:
    """Turn what MLflow raises while it tries to `what` into `NotFound` or `TargetError`."""
    from mlflow.exceptions import MlflowException

    if uri.startswith("databricks"):
        from mlops.tracking.databricks_errors import databricks_sentences

        with databricks_sentences(what):
            yield
        return
    try:
        yield
    except (MlflowException, *_database_errors(uri)) as error:
        raise _sentence(error, uri, what) from error
    except _azure_errors(uri) as error:
        from mlops.tracking.azure_errors import azure_sentence

        raise azure_sentence(error, what) from error
    except OSError as error:  # also what `requests` raises while it moves an artifact
        if lost(error):
            raise unreachable(uri, str(error)[-160:]) from error
        raise TargetError(f"cannot {what} in {shown(uri)}: {error.strerror or error}") from error


@contextmanager
def room_in(folder: Path) -> Iterator[None]:
    """Say that the disk of `folder` is full when that is so: MLflow's download says the path is wrong."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if full(folder):
            raise TargetError(
                f"the disk that holds {folder} is full; free some space and run the same command again"
            ) from error
        raise


def full(folder: Path) -> bool:
    """Whether what failed to be written to the disk of `folder` failed for want of room."""
    return shutil.disk_usage(folder).free < _FULL


def _database_errors(uri: str) -> tuple[type[Exception], ...]:
    if not uri.startswith("sqlite:"):
        return ()
    from sqlalchemy.exc import SQLAlchemyError

    return (SQLAlchemyError, sqlite3.Error)


def _azure_errors(uri: str) -> tuple[type[Exception], ...]:
    """What Azure ML's plugin raises beside MLflow's own errors."""
    if not uri.startswith("azureml:"):
        return ()
    from azure.core.exceptions import AzureError

    return (AzureError,)


def _sentence(error: Exception, uri: str, what: str) -> TargetError:
    text = " ".join(str(error).split())
    if getattr(error, "error_code", "") in _MISSING:
        return NotFound(f"cannot {what}: {text}")
    if lost(error):
        return TargetError(f"cannot {what}: {unreachable(uri, text[-160:])}")
    if uri.startswith("sqlite:"):
        return TargetError(f"cannot {what}: {_sqlite.sentence(text, shown(uri))}")
    if "error code 401" in text:
        return TargetError(
            f"cannot {what}: {shown(uri)} does not know this login; set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        )
    if "error code 403" in text:
        return TargetError(
            f"cannot {what}: this login may not do that on {shown(uri)}; ask its administrator"
        )
    return TargetError(f"cannot {what}: {shown(uri)} answers: {text[:400]}")


def lost(error: BaseException) -> bool:
    """Whether the connection broke, so that nobody knows if the server did what was asked."""
    return any(part in str(error) for part in _LOST)


def absent(error: Any) -> bool:
    """Whether the server lacks the call itself (Azure ML answers 404 with an empty body)."""
    return (
        any(part in str(error) for part in _ABSENT)
        or getattr(error, "error_code", "") == "ENDPOINT_NOT_FOUND"
    )

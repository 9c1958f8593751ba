"""What only a real workspace can tell: each thing that this project assumes of Databricks, tried once.

No compute is started. Everything is made in the catalog that trains, under the name `mlops_smoke`, and
removed again; docs/databricks.md says what it costs and what stays.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlops.errors import MlopsError, TargetError
from mlops.spec.digest import tree_digest
from mlops.targets._smoke import Checked, new_artifact, tag_and_find, tried
from mlops.targets.databricks.connect import Connection
from mlops.targets.databricks.registry import Catalogs, DatabricksRegistry
from mlops.targets.databricks.store import Volume
from mlops.tracking.databricks_errors import databricks_sentences

MODEL = "mlops_smoke"
COSTS = (
    "It logs one run, registers and deletes one version of the model mlops_smoke, and writes and deletes two "
    "files: under a hundred requests and a few kilobytes, less than one cent. No compute is started."
)
_COLUMNS = '[{"type": "double", "name": "x", "required": true}]'
_MLMODEL = f"""\
flavors:
  python_function:
    loader_module: mlflow.sklearn
signature:
  inputs: '{_COLUMNS}'
  outputs: '{_COLUMNS}'
"""
"""Unity Catalog takes no model without a signature."""

CHECKS: Mapping[str, str] = {
    "login": "the login is known, and is no personal access token",
    "volume": "a file that is there is not written over, and of its age the answer tells",
    "register": "a run takes artifacts, and a version can be made of them in Unity Catalog",
    "fetch": "the artifact of a version comes back with the same digest",
    "tags": "tags of a version can be set and are found again",
    "alias": "an alias can be set and removed",
    "serving": "endpoints of Model Serving can be listed",
    "jobs": "runs of jobs can be listed",
}
"""What is checked, and what is assumed; docs/databricks.md lists the same."""


def place(connection: Connection) -> str:
    """Where it works, for the question before it begins."""
    training = connection.place()
    return f"the workspace {training.host}, in {training.catalog}.{training.schema}"


def smoke(connection: Connection, ask: Callable[[str], str] | None = None) -> Iterator[Checked]:
    """Try each assumption in order, and clean up, also after a failure or an interruption.

    A refused login raises `TargetError`; nothing else can be tried then.
    """
    client = connection.client()
    with databricks_sentences("ask who is logged in"):
        me = client.current_user.me()
    yield Checked("login", "as assumed", f"{me.user_name} by {client.config.auth_type}")
    yield tried("volume", lambda: _volume(Volume(connection, connection.training)))
    registry = DatabricksRegistry(connection)
    with TemporaryDirectory(prefix="mlops-smoke-") as folder:
        artifact = new_artifact(Path(folder), _MLMODEL)
        digest = tree_digest(artifact)
        try:
            registered = registry.register(MODEL, artifact, digest, {"mlops.smoke": "new"})
        except MlopsError as error:
            yield Checked("register", "wrong", str(error))
        else:
            try:
                yield Checked(
                    "register", "as assumed", f"version {registered.version} of run {registered.run_id}"
                )
                yield tried("fetch", lambda: registry.fetch(MODEL, registered.version, digest).name)
                yield tried("tags", lambda: tag_and_find(registry, MODEL, registered.version))
                yield tried("alias", lambda: _alias(connection, registered.version))
            finally:
                Catalogs(connection).delete(MODEL, registered.version)
    yield tried("serving", lambda: _listed("endpoints", client.serving_endpoints.list))
    yield tried("jobs", lambda: _listed("runs", lambda: client.jobs.list_runs(limit=1)))


def _volume(volume: Volume) -> str:
    name = f"smoke/{uuid.uuid4().hex}"
    try:
        if not volume.create(name, b"first") or volume.create(name, b"second"):
            raise TargetError("a file that is there was written over, though it was asked not to be")
        if (age := volume.age(name)) < -1:
            raise TargetError(f"a file that was just written is {-age:.0f} s in the future")
        if volume.read(name) != b"first":
            raise TargetError("the file does not hold what was written")
    finally:
        with contextlib.suppress(MlopsError):
            volume.delete(name)
    return "a second writer was refused"


def _alias(connection: Connection, version: int) -> str:
    models = Catalogs(connection)
    models.mirror_alias(MODEL, "smoke", version)
    models.mirror_alias(MODEL, "smoke", None)
    return "set and removed"


def _listed(what: str, ask: Callable[[], Any]) -> str:
    with databricks_sentences(f"list {what}"):
        first = next(iter(ask()), None)
    return f"{what} can be seen" if first is not None else f"there are no {what} yet"

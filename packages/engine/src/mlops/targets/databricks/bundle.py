"""What a Databricks Asset Bundle can hold of this project: registered models, the volume and, where
principals are named, the schema with its grants, by environment.

Jobs are not in it. A run of a pipeline has a plan, a run of MLflow and a wheel of its own, which `mlops
train` makes; a job that was deployed beforehand has none of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops.errors import InvalidInput
from mlops.spec import writing
from mlops.spec._emit import dump
from mlops.spec.files import load_policy
from mlops.spec.settings import FILE as SETTINGS
from mlops.spec.settings import DatabricksPlace, Settings
from mlops.spec.unity import CAPTURES, EVERYBODY, TAKES, WORKS
from mlops.targets.databricks._inference_table import captured
from mlops.targets.databricks.connect import Connection

FILE = "databricks.yml"
_SCHEMA_KEY = "catalog_schema"
_UNKNOWN = "CREATE_MODEL_VERSION"
"""No privilege that bundles know; on the catalog it holds for the schema."""
_SCHEMA = "# yaml-language-server: $schema=https://raw.githubusercontent.com/databricks/cli/main/bundle/schema/jsonschema.json\n"
_HEAD = "# Written by `mlops target databricks bundle`; run it again after a change of mlops.toml.\n"


def described(root: Path, settings: Settings) -> dict[str, Any]:
    """The bundle: a target an environment, and for each model its model in Unity Catalog and its volume."""
    connection = Connection(root, settings)
    environments = list(dict.fromkeys([connection.training, *load_policy(root).order]))
    names = {name: connection.place(name) for name in environments}
    grants = _grants(connection, environments)
    schema = f"${{resources.schemas.{_SCHEMA_KEY}.name}}" if grants else settings.databricks.schema_name
    models = {
        f"{model}".replace("-", "_"): {
            "name": model.replace("-", "_"),
            "catalog_name": "${var.catalog}",
            "schema_name": schema,
        }
        for model in sorted(settings.models)
    }
    volume = {
        "name": settings.databricks.volume,
        "catalog_name": "${var.catalog}",
        "schema_name": schema,
        "volume_type": "MANAGED",
    }
    return {
        "bundle": {"name": settings.project.name},
        "variables": {"catalog": {"description": "Catalog of the environment in Unity Catalog."}},
        "resources": {
            **({"schemas": {_SCHEMA_KEY: _schema(settings)}} if grants else {}),
            "registered_models": models,
            "volumes": {settings.databricks.volume: volume},
        },
        "targets": {
            name: {
                **({"default": True} if name == connection.training else {}),
                "workspace": {"host": place.host},
                "variables": {"catalog": place.catalog},
                **(
                    {"resources": {"schemas": {_SCHEMA_KEY: {"grants": grants[name]}}}}
                    if name in grants
                    else {}
                ),
            }
            for name, place in names.items()
        },
    }


def _schema(settings: Settings) -> dict[str, Any]:
    """It holds all versions and the journal, so `databricks bundle destroy` must not take it."""
    return {
        "name": settings.databricks.schema_name,
        "catalog_name": "${var.catalog}",
        "lifecycle": {"prevent_destroy": True},
    }


def _grants(connection: Connection, environments: list[str]) -> dict[str, list[dict[str, Any]]]:
    """By environment, what its schema grants to whom; empty when no principal is named.

    Raises `InvalidInput` for a group that everybody is in.
    """
    places = connection.settings.databricks.environments
    principals = {
        name: principal
        for name in environments
        if (principal := places.get(name, DatabricksPlace()).principal.strip())
    }
    for name, principal in principals.items():
        if principal.lower() in EVERYBODY:
            raise InvalidInput(
                f"{SETTINGS}: databricks.environments.{name}.principal: everybody is in the group "
                f"{principal!r}; name a service principal's application id or a group of its own"
            )
    capture = any(captured(connection, model) for model in connection.settings.models)
    found: dict[str, dict[str, set[str]]] = {}
    for name, principal in principals.items():
        own = found.setdefault(name, {}).setdefault(principal, set())
        own.update(
            (p for p in WORKS if p != _UNKNOWN),
            CAPTURES if capture and name in load_policy(connection.root).order else (),
        )
        if name != connection.training:
            found.setdefault(connection.training, {}).setdefault(principal, set()).update(TAKES)
    return {
        name: [
            {"principal": principal, "privileges": sorted(privileges)}
            for principal, privileges in sorted(by.items())
        ]
        for name, by in found.items()
    }


def write(root: Path, settings: Settings) -> Path:
    """Write `databricks.yml`; the same settings write the same file."""
    path = root / FILE
    text = _SCHEMA + _HEAD + dump(described(root, settings))
    writing.write(path, text)
    return path

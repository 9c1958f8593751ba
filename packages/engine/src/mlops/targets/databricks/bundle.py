"""What a Databricks Asset Bundle can hold of this project: registered models and the volume, by environment.

Jobs are not in it. A run of a pipeline has a plan, a run of MLflow and a wheel of its own, which `mlops
train` makes; a job that was deployed beforehand has none of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops.spec import writing
from mlops.spec._emit import dump
from mlops.spec.files import load_policy
from mlops.spec.settings import Settings
from mlops.targets.databricks.connect import Connection

FILE = "databricks.yml"
_SCHEMA = "# yaml-language-server: $schema=https://raw.githubusercontent.com/databricks/cli/main/bundle/schema/jsonschema.json\n"
_HEAD = "# Written by `mlops target databricks bundle`; run it again after a change of mlops.toml.\n"


def described(root: Path, settings: Settings) -> dict[str, Any]:
    """The bundle: a target an environment, and for each model its model in Unity Catalog and its volume."""
    connection = Connection(root, settings)
    environments = list(dict.fromkeys([connection.training, *load_policy(root).order]))
    names = {name: connection.place(name) for name in environments}
    models = {
        f"{model}".replace("-", "_"): {
            "name": model.replace("-", "_"),
            "catalog_name": "${var.catalog}",
            "schema_name": settings.databricks.schema_name,
        }
        for model in sorted(settings.models)
    }
    volume = {
        "name": settings.databricks.volume,
        "catalog_name": "${var.catalog}",
        "schema_name": settings.databricks.schema_name,
        "volume_type": "MANAGED",
    }
    return {
        "bundle": {"name": settings.project.name},
        "variables": {"catalog": {"description": "Catalog of the environment in Unity Catalog."}},
        "resources": {"registered_models": models, "volumes": {settings.databricks.volume: volume}},
        "targets": {
            name: {
                **({"default": True} if name == connection.training else {}),
                "workspace": {"host": place.host},
                "variables": {"catalog": place.catalog},
            }
            for name, place in names.items()
        },
    }


def write(root: Path, settings: Settings) -> Path:
    """Write `databricks.yml`; the same settings write the same file."""
    path = root / FILE
    text = _SCHEMA + _HEAD + dump(described(root, settings))
    writing.write(path, text)
    return path

"""Whether and where an endpoint logs its requests: by `[models.<name>.capture]` of mlops.toml."""

from __future__ import annotations

from typing import Any

from mlops.errors import InvalidInput, Problem
from mlops.spec.capture import CaptureSettings
from mlops.spec.settings import FILE
from mlops.targets.databricks.connect import Connection


def table_config(connection: Connection, environment: str, model: str) -> Any:
    """What an endpoint logs to; None when the model is not captured.

    Raises `InvalidInput` for a choice that inference tables cannot keep: they log whole requests.
    """
    from databricks.sdk.service.serving import AiGatewayInferenceTableConfig

    capture = _settings(connection, model)
    if not capture.enabled:
        return None
    if capture.exclude or capture.sample_rate < 1:
        wrong = "exclude" if capture.exclude else "sample_rate"
        raise InvalidInput(
            Problem(
                FILE,
                "inference tables of Databricks log whole requests, and all of them; remove it and restrict "
                "who may read the table, or do not capture on this target",
                f"models.{model}.capture.{wrong}",
            )
        )
    place = connection.place(environment)
    return AiGatewayInferenceTableConfig(
        catalog_name=place.catalog,
        schema_name=place.schema,
        table_name_prefix=prefix(model),
        enabled=True,
    )


def captured(connection: Connection, model: str) -> bool:
    """Whether requests of this model are logged."""
    return _settings(connection, model).enabled


def prefix(model: str) -> str:
    """Of the table's name, to which Databricks adds `_payload`."""
    return model.replace("-", "_")


def _settings(connection: Connection, model: str) -> CaptureSettings:
    settings = connection.settings.models.get(model)
    return settings.capture if settings is not None else CaptureSettings()

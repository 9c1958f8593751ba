"""One line of an inference table as rows that an endpoint captures elsewhere. Pure.

Columns are those of AI Gateway-enabled inference tables; of a request, MLflow's scoring protocol.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlops.targets._captured_rows import Row
from mlops.targets.databricks._served import answered


@dataclass(frozen=True)
class Logged:
    """A request with its answer, and the served entity that gave it."""

    request_id: str
    at: str
    request: str
    response: str
    entity: str
    entity_version: str

    @property
    def time(self) -> datetime:
        """When it was asked, UTC."""
        return moment(self.at)


def moment(text: str) -> datetime:
    """A time of a SQL warehouse, UTC; one without a zone is the session's, which is UTC on serverless."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


class NotRows(Exception):
    """Why a line holds no rows of a table."""


def rows_of(line: Logged, release: int, binary: bool) -> list[Row]:
    """One for each row that was asked for. Raises `NotRows`, and then none of them counts."""
    asked = _asked(_decoded(line.request, "request"))
    predictions = answered(_decoded(line.response, "response"), binary).get("predictions")
    if not isinstance(predictions, list) or len(predictions) != len(asked):
        raise NotRows("its response has not one prediction a row")
    wrong = next((p for p in predictions if not _is_number(p)), None)
    if wrong is not None:
        raise NotRows(f"its response has the prediction {wrong!r}, which is no number")
    time = line.time
    return [
        (
            (time, line.request_id, number),
            row,
            {"_deployment": line.entity, "_version": release, "_prediction": prediction},
        )
        for number, (row, prediction) in enumerate(zip(asked, predictions, strict=True))
    ]


def _decoded(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        raise NotRows(f"its {what} is no JSON") from None


def _asked(body: Any) -> list[dict[str, Any]]:
    if isinstance(body, dict):
        split = body.get("dataframe_split")
        if isinstance(split, dict) and isinstance(split.get("data"), list):
            columns = split.get("columns")
            if isinstance(columns, list) and all(
                isinstance(r, list) and len(r) == len(columns) for r in split["data"]
            ):
                return [dict(zip(map(str, columns), row, strict=True)) for row in split["data"]]
        for name in ("dataframe_records", "instances"):
            records = body.get(name)
            if isinstance(records, list) and all(isinstance(row, dict) for row in records):
                return records
        inputs = body.get("inputs")
        if isinstance(inputs, dict) and _are_columns(list(inputs.values())):
            values = zip(*inputs.values(), strict=True)
            return [dict(zip(inputs, row, strict=True)) for row in values]
    raise NotRows("its request is no table: dataframe_split, dataframe_records, or inputs by column")


def _are_columns(values: list[Any]) -> bool:
    return all(isinstance(v, list) for v in values) and len({len(v) for v in values}) == 1


def _is_number(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(_is_number(one) and not isinstance(one, list) for one in value)
    return isinstance(value, int | float) and not isinstance(value, bool)

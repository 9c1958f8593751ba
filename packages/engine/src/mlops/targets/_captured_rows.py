"""Rows that a platform captured, as the table that `mlops.serving.capture.capture_files` writes. Pure."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mlops.monitoring.scan import SET_ASIDE, UNPAIRED

Key = tuple[datetime, str, int]
"""Time of the answer, request, position within the request: in this order rows are written."""
Row = tuple[Key, Mapping[str, Any], Mapping[str, Any]]
"""Inputs by column, and `_deployment`, `_version` and `_prediction` of the answer."""


def captured_table(rows: Sequence[Row], *, set_aside: int = 0, unpaired: int = 0) -> Any:
    """Arrow table of `rows` in the order of their keys; its metadata say how many are not in it.

    A column without any value has Arrow's type `null`.
    """
    import pyarrow as pa

    predictions = [answer["_prediction"] for _, _, answer in rows]
    many = any(isinstance(value, list) for value in predictions)
    columns: dict[str, Any] = {
        "_request_id": pa.array([key[1] for key, _, _ in rows], pa.string()),
        "_time": pa.array([key[0] for key, _, _ in rows], pa.timestamp("us", "UTC")),
        "_deployment": pa.array([str(answer.get("_deployment", "")) for _, _, answer in rows], pa.string()),
        "_version": pa.array([answer["_version"] for _, _, answer in rows], pa.int64()),
        "_row": pa.array([key[2] for key, _, _ in rows], pa.int32()),
        "_prediction": pa.array(predictions, pa.list_(pa.float64()) if many else pa.float64()),
    }
    for name in dict.fromkeys(name for _, asked, _ in rows for name in asked):
        columns[name] = _array([asked.get(name) for _, asked, _ in rows])
    counts = {SET_ASIDE: str(set_aside), UNPAIRED: str(unpaired)}
    return pa.table(columns).replace_schema_metadata(counts)


def parquet(table: Any) -> bytes:
    """The file of a table."""
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def _array(values: list[Any]) -> Any:
    """Text, booleans, int64 (uint64) or float64, as the values are; what is mixed becomes text, which
    monitoring counts as wrong."""
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pa.nulls(len(values))
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int}:
        known = [value for value in values if value is not None]
        for kind, low, high in ((pa.int64(), -(2**63), 2**63), (pa.uint64(), 0, 2**64)):
            if low <= min(known) and max(known) < high:
                return pa.array(values, kind)
    if kinds <= {int, float}:
        return pa.array(values, pa.float64())
    texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return pa.array(texts, pa.string())

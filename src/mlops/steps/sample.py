"""`sample.json`: training rows as a request body, for the smoke test and for quiet environments.

The rows are exact, digit by digit, and proven to be what the contract and the endpoint admit: a sample that
its own server refuses would stop a deployment for the wrong reason.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import ContractViolation, InvalidInput, Problem

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import DataFrameSchema

    from mlops.spec.schema import ModelSchema

FILE = "sample.json"
ROWS = 50
BYTES = 1 << 20
"""Long texts leave room for fewer rows: Azure ML takes requests of up to 1.5 MB."""


def write(folder: Path, schema: ModelSchema, contract: DataFrameSchema, inputs: pd.DataFrame) -> None:
    """Write up to `ROWS` rows, evenly spread over `inputs`.

    Raises `ContractViolation` for rows that break the contract, `InvalidInput` for a value that would reach
    the endpoint as another.
    """
    from mlops.monitoring.contract import check
    from mlops.serving.request import Limits, RequestError, RequestParser
    from mlops.steps.latency import rows_of

    chosen = inputs.iloc[:: max(1, len(inputs) // ROWS)].head(ROWS).reset_index(drop=True)
    if found := check(chosen[list(contract.columns)], contract):
        raise ContractViolation([Problem("training rows", str(violation)) for violation in found])
    names = [c.name for c in schema.columns]
    rows = rows_of(schema, chosen, ROWS)
    body = _body(names, rows)
    while len(body) > BYTES and len(rows) > 1:
        rows = rows[: len(rows) // 2]
        body = _body(names, rows)
    try:
        read = RequestParser(schema, Limits(body=len(body), rows=ROWS)).parse(body, "score")
    except RequestError as error:
        raise InvalidInput(
            f"a training row would be refused by the endpoint ({error}); "
            "let `features` return values of the type that the contract names"
        ) from None
    if read != rows:
        column, sent, got = next(
            (name, a, b)
            for given, back in zip(rows, read, strict=True)
            for name, a, b in zip(names, given, back, strict=True)
            if a != b
        )
        raise InvalidInput(
            f"column {column!r}: the training value {sent!r} would reach the endpoint as {got!r}; "
            "let `features` return values of the type that the contract names"
        )
    (folder / FILE).write_bytes(body + b"\n")


def _body(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    table = {"columns": list(names), "index": list(range(len(rows))), "data": [list(row) for row in rows]}
    return json.dumps({"input_data": table}, allow_nan=False).encode()

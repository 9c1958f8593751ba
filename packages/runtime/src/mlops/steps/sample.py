"""`sample.json`: training rows as a request body, for the smoke test and for quiet environments.

The rows are exact, digit by digit, and proven to be what the endpoint admits, which is what the contract does
(`mlops.spec.admits`): a sample that its own server refuses would stop a deployment for the wrong reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mlops.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

    from mlops.spec.schema import ModelSchema

FILE = "sample.json"
ROWS = 50
BYTES = 1 << 20
"""Long texts leave room for fewer rows: Azure ML takes requests of up to 1.5 MB."""
_ANY = 1 << 40


def write(folder: Path, schema: ModelSchema, inputs: pd.DataFrame) -> None:
    """Write up to `ROWS` rows, evenly spread over `inputs`; one that breaks the contract is no sample.

    Raises `InvalidInput` when no row is left, or a value would reach the endpoint as another.
    """
    from mlops.serving.score.request import Limits, RequestError, RequestParser
    from mlops.steps.latency import rows_of

    chosen = inputs.iloc[:: max(1, len(inputs) // ROWS)].head(ROWS)
    names = [c.name for c in schema.columns]
    parser = RequestParser(schema, Limits(body=_ANY, rows=ROWS))
    rows, refused = [], ""
    for row in rows_of(schema, chosen, ROWS):
        try:
            (read,) = parser.parse(_body(names, [row]), "score")
        except RequestError as error:
            refused = str(error)
            continue
        if read != row:
            name, sent, got = next((n, a, b) for n, a, b in zip(names, row, read, strict=True) if a != b)
            raise InvalidInput(
                f"column {name!r}: the training value {sent!r} would reach the endpoint as {got!r}; "
                "let `features` return values of the type that the contract names"
            )
        rows.append(row)
    if not rows:
        raise InvalidInput(
            f"the endpoint would refuse every training row that was looked at ({refused}); "
            "let `features` return values of the type that the contract names"
        )
    while len(body := _body(names, rows)) > BYTES and len(rows) > 1:
        rows = rows[: len(rows) // 2]
    (folder / FILE).write_bytes(body + b"\n")


def _body(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    table = {"columns": list(names), "index": list(range(len(rows))), "data": [list(row) for row in rows]}
    return msgspec.json.encode({"input_data": table})

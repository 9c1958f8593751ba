"""Raw tables on the engine that is there: DuckDB in this process, or a Spark session.

A use case writes its rows once, as an expression over these tables (`mlops.usecase.Scales`), in the API of
Narwhals, which runs on both. What the engines disagree about is settled here: types, not-a-number, the
order of rows.
"""

from __future__ import annotations

from mlops.tables.base import Kind, Rows, Tables, clock
from mlops.tables.embedded import frame

__all__ = ["Kind", "Rows", "Tables", "clock", "frame"]

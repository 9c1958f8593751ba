"""A reference and captured traffic: twenty columns, of which some have drifted in truth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

START = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = [f"number_{i:02d}" for i in range(14)]
WORDS = [f"word_{i}" for i in range(6)]
DRIFTED = ("number_03", "number_07", "number_11", "word_2", "word_5")
"""Shifted by 0.8 standard deviations, or with 30 % of the mass moved; everything else is as it was."""
CHUNK = 100_000
VALUES = np.array([f"value {i}" for i in range(12)])
LENGTH = timedelta(days=1)


def chunk(generator: np.random.Generator, rows: int, *, drifted: bool) -> dict[str, pa.Array]:
    """Twenty columns of `rows` rows."""
    made: dict[str, pa.Array] = {}
    for place, name in enumerate(NUMBERS):
        shift = 0.8 if drifted and name in DRIFTED else 0.0
        values = generator.normal(shift, 1.0, rows) if place % 2 else generator.gamma(2.0 + shift, 1.0, rows)
        made[name] = pa.array(values, mask=generator.random(rows) < 0.02)
    for name in WORDS:
        shares = np.linspace(2, 1, len(VALUES))
        shares /= shares.sum()
        if drifted and name in DRIFTED:
            shares = 0.7 * shares + 0.3 * np.eye(len(VALUES))[-1]
        made[name] = pa.array(VALUES[generator.choice(len(VALUES), rows, p=shares)])
    return made


def write_reference(path: Path, rows: int) -> None:
    generator = np.random.default_rng(1)
    with pq.ParquetWriter(path, pa.table(chunk(generator, 1, drifted=False)).schema) as writer:
        for first in range(0, rows, CHUNK):
            writer.write_table(pa.table(chunk(generator, min(CHUNK, rows - first), drifted=False)))


def write_captured(folder: Path, rows: int) -> None:
    """Files as the endpoint writes them, 100,000 rows each, within a day."""
    folder.mkdir()
    generator = np.random.default_rng(2)
    start = int(START.timestamp() * 1e6)
    step = int(LENGTH / timedelta(microseconds=1)) // rows
    for number, first in enumerate(range(0, rows, CHUNK)):
        count = min(CHUNK, rows - first)
        ids = np.arange(first, first + count)
        table = {
            "_request_id": pa.array(np.char.add("request-", ids.astype(str))),
            "_time": pa.array(start + ids * step, pa.timestamp("us", "UTC")),
            "_deployment": pa.array(["blue"] * count),
            "_version": pa.array(np.ones(count, dtype=np.int64)),
            "_row": pa.array(np.zeros(count, dtype=np.int32)),
            "_prediction": pa.array(generator.random(count)),
            **chunk(generator, count, drifted=True),
        }
        pq.write_table(pa.table(table), folder / f"{number:06d}.parquet")

"""What all tests of this repository share; the engine brings the rest."""

from __future__ import annotations

# <example>
from pathlib import Path

import pytest

# </example>
pytest_plugins = ["mlops.testing"]


# <example>
SAMPLE_EVERY = 40
"""The sample keeps every 40th flight: 8,400 of 336,776, all months, carriers and airports."""


@pytest.fixture(scope="session")
def raw_flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The complete raw tables of the use case flights, without a manifest. Read only."""
    from flights import usecase

    folder = tmp_path_factory.mktemp("raw-flights")
    usecase.load(folder)
    return folder


@pytest.fixture(scope="session")
def raw_sample(raw_flights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw data asset with every 40th flight, all weather and planes, and its manifest. Read only."""
    import json

    import pandas as pd

    from mlops.spec.digest import tree_digest

    folder = tmp_path_factory.mktemp("raw-sample")
    for table in ("weather", "planes"):
        (folder / f"{table}.parquet").write_bytes((raw_flights / f"{table}.parquet").read_bytes())
    flights = pd.read_parquet(raw_flights / "flights.parquet").iloc[::SAMPLE_EVERY]
    flights.to_parquet(folder / "flights.parquet", index=False)
    manifest = {"name": "nycflights", "version": "1", "digest": tree_digest(folder)}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


# </example>

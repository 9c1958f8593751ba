"""MLflow's page shows what the gates look at, the verdict, the windows and the commit."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from mlops.cli import _ui
from mlops.cli._app import state

ROOT = Path(__file__).parents[5]


def test_the_columns_are_kept_with_the_experiment(database: Path, tmp_path: Path) -> None:
    place = tmp_path / "mlflow.db"
    place.write_bytes(database.read_bytes())
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute(
            "INSERT INTO experiments (experiment_id, name, lifecycle_stage, workspace) "
            "VALUES (7, 'flights', 'active', 'default')"
        )
    state.reset("local", ROOT)
    for _ in range(2):
        _ui._choose_columns(place, "7", "flights")
    with closing(sqlite3.connect(place)) as connection:
        rows = connection.execute("SELECT key, value FROM experiment_tags WHERE experiment_id = 7").fetchall()
    ((key, said),) = rows
    columns = json.loads(said)["selectedColumns"]
    assert key == f"mlflow.sharedViewState.{_ui.VIEW}"
    assert "metrics.`roc_auc`" in columns and "metrics.`brier`" in columns
    assert {"tags.`mlops.verdict`", "tags.`mlops.data.test_window`", "attributes.`Version`"} <= set(columns)
